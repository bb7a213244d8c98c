"""What a person sees: a terminal of a given width, for tables and for whole commands."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forked_command import run_on_terminal
from rich.cells import cell_len
from rich.console import Console

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class _Terminal(io.StringIO):
    """Text that says of itself that somebody looks at it."""

    def isatty(self) -> bool:
        return True


def lines_on_screen(width: int, show: Callable[[Console], object]) -> list[str]:
    """What `show` prints on a terminal, line by line, without colours."""
    return _printed(_Terminal(), width, show)


def lines_in_pipe(show: Callable[[Console], object]) -> list[str]:
    """What `show` prints into a pipe."""
    return _printed(io.StringIO(), 80, show)


def too_wide(lines: Sequence[str], width: int) -> list[str]:
    """The lines that a terminal would break."""
    return [line for line in lines if cell_len(line) > width]


def _printed(file: io.StringIO, width: int, show: Callable[[Console], object]) -> list[str]:
    show(Console(file=file, width=width, highlight=False, markup=False, emoji=False))
    return _SEQUENCE.sub("", file.getvalue()).splitlines()


@dataclass(frozen=True)
class Session:
    """A command that has ended.

    Attributes:
        code: it ended with.
        raw: all that it wrote, escape sequences included.
    """

    code: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """What is left on the screen, line by line; a line that was written over counts once."""
        text = _SEQUENCE.sub("", self.raw.replace("\r\n", "\n"))
        return [line.rpartition("\r")[2] for line in text.split("\n")]


def on_terminal(
    command: Sequence[str], width: int, environ: Mapping[str, str], folder: Path
) -> Session:
    """Run a command on a terminal of its own: standard output and errors together."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    with subprocess.Popen(
        command, cwd=folder, env=dict(environ), stdin=its, stdout=its, stderr=its,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(its)
        written = b""
        try:
            while chunk := os.read(ours, 4096):
                written += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        os.close(ours)
    return Session(process.returncode, written.decode())


def command_on_terminal(
    words: Sequence[str], width: int, environ: Mapping[str, str], folder: Path
) -> Session:
    """The same of `data-platform` with these words, without the seconds of its imports."""
    done = run_on_terminal(["data-platform", *words], width, folder, environ)
    return Session(done.returncode, done.stdout)
