"""Where the command's tables go: a terminal in colour and as wide as it is, or a pipe without.

Called by `cli` and the other modules of this package. `NO_COLOR` leaves no escape sequence. A pipe
or a CI log has no width: lines are whole there, and nothing moves.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text

from data_platform.logs.output import MaskedText


def make_console(environ: Mapping[str, str]) -> Console:
    """A console on standard output; 80 columns where nobody says how wide it is.

    Args:
        environ: for NO_COLOR, of any value that isn't empty.
    """
    plain = bool(environ.get("NO_COLOR"))
    return Console(
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


@contextmanager
def steady_console(console: Console) -> Iterator[Console]:
    """A console on the same terminal or pipe, wherever standard output is led in the meantime.

    While a step runs, Dagster leads the process's standard output into its compute logs. What tells
    of the run belongs to whoever waits for it, not into these.
    """
    try:
        descriptor = os.dup(console.file.fileno())
    except OSError:  # what a test puts in its place has none
        yield console
        return
    encoding = console.encoding
    with open(descriptor, "w", encoding=encoding, errors="replace") as file:  # noqa: PTH123
        yield Console(
            file=cast("TextIO", MaskedText(file)),
            width=console.width,
            no_color=console.color_system is None,
            color_system="auto" if console.color_system else None,
            highlight=False,
            markup=False,
            emoji=False,
        )


def is_watched(console: Console) -> bool:
    """Whether somebody looks at it as it is written, so that a line may change in place.

    Not where FORCE_COLOR only makes a pipe look like a terminal, nor without escape sequences.
    """
    return console.file.isatty() and console.color_system is not None


def room(console: Console) -> int | None:
    """The columns that a line may have; None where there is no end."""
    return console.width if console.file.isatty() else None


def within(console: Console, width: int) -> Console:
    """The same console with another width."""
    if width == console.width:
        return console
    return Console(
        file=console.file,
        width=max(width, 1),
        color_system=console.color_system,  # pyright: ignore[reportArgumentType] -- one of its own
        force_terminal=console.is_terminal,
        highlight=False,
        markup=False,
        emoji=False,
    )


def say(console: Console, text: str, style: str = "") -> None:
    """A line of words: folded between them on a terminal, whole in a pipe."""
    console.print(Text(text, style=style), soft_wrap=room(console) is None)
