"""A command on a terminal, as a person sees it: what stands on the screen, and keys that are typed.

Knows as much of escape codes as Rich writes.
"""

import fcntl
import os
import pty
import re
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self

from forked_command import _run
from forking import CONTEXT

_CODE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b([()][A-Z0-9]|[78=>])")


class Screen:
    """What a terminal shows after what was written to it.

    Args:
        columns, rows: of it.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.resize(columns, rows)
        self.cursor_shown = True
        self.other_screen = False
        self.styled: dict[str, set[str]] = {}
        self._style = ""

    def resize(self, columns: int, rows: int) -> None:
        """Another size; what it showed is gone."""
        self.columns, self.rows = columns, rows
        self._cells = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        """From the top, without spaces behind them."""
        return ["".join(cells).rstrip() for cells in self._cells]

    def write(self, text: str) -> None:
        """Take what a process writes."""
        place = 0
        for found in _CODE.finditer(text):
            self._put(text[place : found.start()])
            if found[2]:
                self._control(found[1], found[2])
            place = found.end()
        self._put(text[place:])

    def _put(self, text: str) -> None:
        for one in text:
            if one == "\n":
                self._row = min(self._row + 1, self.rows - 1)
            elif one == "\r":
                self._column = 0
            elif one.isprintable():
                if self._column == self.columns:
                    self._row, self._column = min(self._row + 1, self.rows - 1), 0
                self._cells[self._row][self._column] = one
                self._column += 1
                self.styled.setdefault(self._style, set()).add(one)

    def _control(self, given: str, kind: str) -> None:
        match kind, given:
            case (("h" | "l"), "?25"):
                self.cursor_shown = kind == "h"
            case (("h" | "l"), "?1049"):
                self.other_screen = kind == "h"
                self.resize(self.columns, self.rows)
            case "H", _:
                row, _, column = given.partition(";")
                self._row, self._column = int(row or 1) - 1, int(column or 1) - 1
            case "J", _:
                self.resize(self.columns, self.rows)
            case "K", _:
                self._cells[self._row] = [" "] * self.columns
            case "A", _:
                self._row = max(self._row - int(given or 1), 0)
            case "m", _:
                self._style = "" if given in ("", "0") else given
            case _:
                pass


class Terminal:
    """A command at work on a terminal.

    Args:
        command: `data-platform` and arguments.
        folder: in which it is typed.
        environ: its whole environment.
        columns, rows: of the terminal.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        columns: int = 100,
        rows: int = 30,
    ) -> None:
        self.screen = Screen(columns, rows)
        self._ours, self._its = pty.openpty()
        self._resize()
        self.settings = termios.tcgetattr(self._its)
        name = os.ttyname(self._its)
        arguments = (list(command), str(folder), {**environ, "TERM": "xterm-256color"}, name)
        self.process = CONTEXT.Process(target=_run, args=arguments)
        self._kept = b""

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        os.close(self._its)
        os.close(self._ours)

    def wait_for(self, seen: Callable[[list[str]], Any], seconds: float = 60) -> list[str]:
        """Read until the screen shows something; gives its lines."""
        until = time.monotonic() + seconds
        while not seen(self.screen.lines):
            left = until - time.monotonic()
            shown = "\n".join(self.screen.lines)
            assert left > 0, f"not within {seconds:g} seconds; it shows:\n{shown}"
            assert self.read(left) or seen(self.screen.lines), f"it ended; it shows:\n{shown}"
        return self.screen.lines

    def read(self, seconds: float) -> bool:
        """Read what is there or comes; whether there may be more."""
        ready = wait([self._ours, self.process.sentinel], seconds)
        if self._ours in ready:
            self._kept += os.read(self._ours, 65_536)
            # A character or a code may come in two parts.
            text = self._kept.decode(errors="ignore")
            cut = text.rfind("\x1b")
            if cut != -1 and not _CODE.match(text, cut):
                text = text[:cut]
            self._kept = self._kept[len(text.encode()) :]
            self.screen.write(text)
            return True
        return not ready

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C: no process is controlled by the terminal, so the signal comes from here."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGINT)

    def become(self, columns: int, rows: int) -> None:
        """Another size, of which the process hears."""
        self.screen.resize(columns, rows)
        self._resize()
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGWINCH)

    def wait_for_end(self, seconds: float = 30) -> int:
        """Read to the end; gives the exit code."""
        until = time.monotonic() + seconds
        while self.read(max(until - time.monotonic(), 0)):
            assert time.monotonic() < until, "it goes on"
        self.process.join()
        return self.process.exitcode or 0

    @property
    def is_as_before(self) -> bool:
        """Whether it echoes keys and shows its cursor, on the screen of before."""
        same = termios.tcgetattr(self._its) == self.settings
        return same and self.screen.cursor_shown and not self.screen.other_screen

    def _resize(self) -> None:
        size = struct.pack("HHHH", self.screen.rows, self.screen.columns, 0, 0)
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, size)
