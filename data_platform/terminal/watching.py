"""A page on a terminal that is drawn anew in its place, until somebody presses q or Ctrl-C.

Called by the command's `status`. On the terminal's other screen, so that what was there before is
there again when it ends.
"""

import io
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from data_platform.terminal.tables import QUIET

_ENDS = frozenset(b"qQ\x03\x04")
_HINT = "q ends it, any other key looks at once"


class Watching:
    """The other screen of a terminal.

    Args:
        console: on the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False)
        self._left = ExitStack()

    def __enter__(self) -> Self:
        self._live.__enter__()
        self._left.callback(self._live.__exit__, None, None, None)
        if sys.stdin.isatty():
            before: list[Any] = termios.tcgetattr(sys.stdin)
            self._left.callback(termios.tcsetattr, sys.stdin, termios.TCSADRAIN, before)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._left.close()
        return kind is KeyboardInterrupt

    def show(self, print_to: Callable[[Console], None]) -> None:
        """Draw a page; what has no room below is left out, and how much is told."""
        drawn = _Drawn()
        print_to(
            Console(
                file=drawn,
                width=self._console.width,
                color_system=self._console.color_system,  # pyright: ignore[reportArgumentType]
                highlight=False,
                markup=False,
                emoji=False,
            )
        )
        lines = Text.from_ansi(drawn.getvalue().rstrip()).split("\n")
        room = max(self._console.height - 1, 1)
        hidden = len(lines) - room
        more = f" · {hidden:,} more lines have no room" if hidden > 0 else ""
        page = Text("\n").join([*lines[:room], Text(f"{_HINT}{more}", style=QUIET)])
        self._live.update(page, refresh=True)

    @staticmethod
    def waited(seconds: float) -> bool:
        """Wait, or until a key is pressed; whether it goes on: not after q."""
        if not sys.stdin.isatty():
            time.sleep(seconds)
            return True
        keys = sys.stdin.fileno()
        if not select.select([keys], [], [], seconds)[0]:
            return True
        typed = os.read(keys, 64)
        return bool(typed) and not _ENDS & set(typed)


class _Drawn(io.StringIO):
    """What a page prints, for a terminal."""

    def isatty(self) -> bool:
        return True
