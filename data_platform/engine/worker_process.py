"""A worker process: calls one person's function on chunk after chunk, until it is told no more.

Started by `engine.workers`, never forked: libraries with threads of their own don't survive that.
It ends with the process that started it, however that ended, also in the middle of a call.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import logging
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import pyarrow as pa

from data_platform.engine.calls import as_input, called
from data_platform.engine.given_rows import write_given
from data_platform.errors import PlatformError
from data_platform.plan.functions import UserFunction


@dataclass(frozen=True)
class Work:
    """What a worker does, told once.

    Attributes:
        function: the person's.
        input: what it gets.
        folder: for what it gives.
    """

    function: UserFunction
    input: Literal["pandas", "arrow"]
    folder: Path


@dataclass(frozen=True)
class Chunk:
    """Rows of one partition, in order.

    Attributes:
        key: the partition.
        number: of the partition in the list of those, from 1.
        part: which of its chunks, from 1.
        first: the number of its first row in the partition, from 1.
        rows: of it.
    """

    key: str
    number: int
    part: int
    first: int
    rows: pa.Table

    @property
    def stem(self) -> str:
        """Of the names of its files: they are in order when the chunks are."""
        return f"{self.part:08}"

    def __str__(self) -> str:
        last = self.first + self.rows.num_rows - 1
        return f"chunk {self.part} (rows {self.first:,} to {last:,})"


@dataclass(frozen=True)
class Answer:
    """What came of a chunk: files, or why there are none."""

    files: list[str]
    error: str | None = None


def answer(work: Work, chunk: Chunk) -> Answer:
    """Call the function on a chunk, and write what it gives."""
    try:
        given = as_input(chunk.rows, work.input)
        tables = called(work.function, chunk.key, given)
        return Answer(write_given(tables, work.folder, chunk.number, chunk.stem))
    except PlatformError as error:
        return Answer([], str(error))


def main(requests: int, lifeline: int) -> None:
    """Answer chunks until there are no more.

    Args:
        requests: a file descriptor on which work and chunks come, and answers go.
        lifeline: another, which ends when the process that started this one does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    logging.basicConfig()
    with Connection(requests) as connection:
        try:
            work: Work = connection.recv()
            while True:
                connection.send(answer(work, connection.recv()))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(1)
