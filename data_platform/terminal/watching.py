"""A page on a terminal that is drawn anew in its place, until somebody presses q or Ctrl-C.

Called by the command's `status`. On the terminal's other screen, so that what was there before is
there again when it ends.
"""

import io
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from data_platform.terminal.tables import QUIET

_ENDS = frozenset(b"qQ\x03\x04")
_HINTS = ("q ends it, any other key looks at once", "q ends it")
_FIRST = "looking"


class Watching:
    """The other screen of a terminal.

    Args:
        console: on the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False)
        self._left = ExitStack()
        self._print: Callable[[Console], None] = lambda to: to.print(_FIRST, style=QUIET)
        self._resized = os.pipe()

    def __enter__(self) -> Self:
        for end in self._resized:
            self._left.callback(os.close, end)
        # Whoever ends it otherwise leaves the terminal as it was, too.
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._hear(number, _end)
        self._hear(signal.SIGWINCH, lambda *_: os.write(self._resized[1], b"."))
        self._live.__enter__()
        self._left.callback(self._live.__exit__, None, None, None)
        if sys.stdin.isatty():
            before: list[Any] = termios.tcgetattr(sys.stdin)
            self._left.callback(termios.tcsetattr, sys.stdin, termios.TCSADRAIN, before)
            tty.setcbreak(sys.stdin)
        self._draw()
        return self

    def _hear(
        self, number: signal.Signals, handler: Callable[[int, FrameType | None], Any]
    ) -> None:
        before = signal.signal(number, handler)
        self._left.callback(signal.signal, number, before)

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
        self._print = print_to
        self._draw()

    def _draw(self) -> None:
        """Draw the last page, as wide as the terminal is now."""
        drawn = _Drawn()
        self._print(
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
        hints = (f"{hint}{more}" for hint in _HINTS)
        hint = next((one for one in hints if len(one) <= self._console.width), f"q{more}")
        page = Text("\n").join([*lines[:room], Text(hint, style=QUIET)])
        self._live.update(page, refresh=True)

    def waited(self, seconds: float) -> bool:
        """Wait, or until a key is pressed; whether it goes on: not after q."""
        until = time.monotonic() + seconds
        keys = [sys.stdin.fileno()] if sys.stdin.isatty() else []
        resized = self._resized[0]
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([resized, *keys], [], [], left)
            if resized in ready:
                os.read(resized, 64)
                self._draw()
            elif ready:
                typed = os.read(ready[0], 64)
                return bool(typed) and not _ENDS & set(typed)
        return True


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class _Drawn(io.StringIO):
    """What a page prints, for a terminal."""

    def isatty(self) -> bool:
        return True
