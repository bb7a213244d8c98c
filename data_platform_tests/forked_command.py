"""Commands in processes of their own, forked from one that has imported everything.

Such a process does what a command does that somebody types, but for the seconds of its imports;
tests of the start itself start a real one.
"""

import fcntl
import os
import pty
import runpy
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from forking import CONTEXT
from jumped_clock import VARIABLE, jump

_SECONDS = 120


def run_command(
    command: Sequence[str], folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Args:
        command: `data-platform`, or `python` with a script, and arguments.
        folder: in which it is typed.
        environ: its whole environment.

    Returns:
        The exit code, and what came on both of its outputs as `stdout`.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
        process = CONTEXT.Process(
            target=_run, args=(list(command), str(folder), dict(environ), output.name)
        )
        process.start()
        process.join(_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(command), _SECONDS)
        return subprocess.CompletedProcess(list(command), process.exitcode, output.read())


def start_command(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], output: Path
) -> ForkServerProcess:
    """Begin one whose caller ends it, or waits for it; what it prints goes into a file."""
    output.touch()
    process = CONTEXT.Process(
        target=_run, args=(list(command), str(folder), dict(environ), str(output))
    )
    process.start()
    return process


def run_on_terminal(
    command: Sequence[str], width: int, folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The same on a terminal of a width, with nobody who types."""
    ours, its = pty.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        process = CONTEXT.Process(
            target=_run, args=(list(command), str(folder), dict(environ), os.ttyname(its))
        )
        process.start()
        written = b""
        while ours in (ready := wait([ours, process.sentinel], _SECONDS)):
            written += os.read(ours, 4096)
        if not ready:
            process.kill()
            raise subprocess.TimeoutExpired(list(command), _SECONDS, written)
        process.join()
        return subprocess.CompletedProcess(list(command), process.exitcode or 0, written.decode())
    finally:
        os.close(its)
        os.close(ours)


def _run(command: list[str], folder: str, environ: dict[str, str], output: str) -> None:
    # Tests that a script started with `&` ignore Ctrl-C, and so would all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    printed = os.open(output, os.O_RDWR | os.O_APPEND | os.O_NOCTTY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(printed, stream.fileno())
    if os.isatty(printed):
        os.setsid()
        os.dup2(printed, 0)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    if VARIABLE in os.environ:
        jump(float(os.environ.pop(VARIABLE)))
    match command:
        case ["data-platform", *arguments]:
            from data_platform.cli import main

            main(arguments, prog_name="data-platform")
        case ["python", script, *arguments]:
            sys.argv, sys.path[0] = [script, *arguments], folder
            runpy.run_path(script, run_name="__main__")
        case _:
            raise AssertionError(command)
