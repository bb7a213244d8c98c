"""Commands in processes of their own, forked from one that has imported everything.

Such a process does what a command does that somebody types, but for the seconds of its imports;
tests of the start itself start a real one.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_platform.instance.forker import LIKELY, PRELOADED

_context = multiprocessing.get_context("forkserver")
_SECONDS = 120
_PRELOADED = [*PRELOADED, *LIKELY, "data_platform.cli", "data_platform.running"]


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
    _context.set_forkserver_preload(_PRELOADED)
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as output:
        process = _context.Process(
            target=_run, args=(list(command), str(folder), dict(environ), output.name)
        )
        process.start()
        process.join(_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(command), _SECONDS)
        return subprocess.CompletedProcess(list(command), process.exitcode, output.read())


def _run(command: list[str], folder: str, environ: dict[str, str], output: str) -> None:
    printed = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(printed, stream.fileno())
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    match command:
        case ["data-platform", *arguments]:
            from data_platform.cli import main

            main(arguments, prog_name="data-platform")
        case ["python", script, *arguments]:
            sys.argv, sys.path[0] = [script, *arguments], folder
            runpy.run_path(script, run_name="__main__")
        case _:
            raise AssertionError(command)
