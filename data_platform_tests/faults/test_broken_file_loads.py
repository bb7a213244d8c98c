"""Loads into files that are killed before any line of the platform's code, or at any moment.

Databases that are files have no server that sees a client go: whoever opens the file next has to
find it sound. Files of rows have no transaction at all.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from breaking import Fault, Story, campaign, disturb
from delivering import Nodes, Sending
from delivering_process import DeliveringProcess
from held_tables import DuckDBTables, FileTables, SqliteTables, Tables

from data_platform.spec.destinations import WriteMode

FAULTS = 4
FULL_FAULTS = int(os.environ.get("CAMPAIGN_BROKEN_FILE_LOADS", "100"))
PATIENCE = 60.0
KINDS: dict[str, Callable[[Path], Tables]] = {
    "SQLite": lambda folder: SqliteTables(folder / "kept.sqlite"),
    "DuckDB": lambda folder: DuckDBTables(folder / "kept.duckdb"),
    "files of Parquet": lambda folder: FileTables(folder / "files"),
}
MODES: tuple[WriteMode, ...] = get_args(WriteMode)
ALL = [
    (kind, mode)
    for kind in KINDS
    for mode in (("replace_partition", "replace") if kind == "files of Parquet" else MODES)
]
QUICK: list[tuple[str, WriteMode]] = [
    ("SQLite", "append"),
    ("DuckDB", "merge"),
    ("files of Parquet", "replace_partition"),
]


class LineKills:
    """Kills the process that loads: before a line of its own code, or at some moment.

    Args:
        seed: decides which.
    """

    def __init__(self, seed: random.Random) -> None:
        self._seed = seed
        self._lines = 0
        self._seconds = 0.0
        self._process: DeliveringProcess | None = None

    def __call__(self, sending: Sending) -> str | None:
        process = self._process = self._process or DeliveringProcess()
        at_moment = self._seed.random() < 0.5
        moment = self._seed.uniform(0, self._seconds) if self._lines else PATIENCE
        line = self._seed.randint(1, self._lines) if self._lines and not at_moment else None
        timer = threading.Timer(moment, process.kill)
        began = time.monotonic()
        process.begin(sending, line)
        if at_moment:
            timer.start()
        outcome = process.outcome(PATIENCE)
        timer.cancel()
        if outcome is None:
            self.end()
            return "at a moment" if at_moment else "before a line"
        assert outcome[0] == "loaded", outcome
        self._lines = max(self._lines, outcome[1][1])
        self._seconds = time.monotonic() - began
        if at_moment:  # it may have been killed after its answer
            timer.join()
            self.end()
        return None

    def end(self) -> None:
        """Leave no process."""
        if self._process is not None:
            self._process.end()
            self._process = None


@pytest.fixture
def kills() -> Iterator[Callable[[random.Random], Fault]]:
    made: list[LineKills] = []

    def make(seed: random.Random) -> LineKills:
        made.append(LineKills(seed))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.mark.parametrize(("kind", "mode"), QUICK)
def test_a_process_that_is_killed_anywhere(
    nodes: Nodes,
    tmp_path: Path,
    kills: Callable[[random.Random], Fault],
    kind: str,
    mode: WriteMode,
) -> None:
    seed, tables = random.Random(6), KINDS[kind](tmp_path)
    disturb(tables, nodes, Story(mode, seed), kills(seed), FAULTS, tmp_path / "scratch")


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("kind", "mode"), ALL)
def test_campaign_of_killed_loads(
    nodes: Nodes,
    tmp_path: Path,
    kills: Callable[[random.Random], Fault],
    kind: str,
    mode: WriteMode,
) -> None:
    seed, tables = random.Random(7), KINDS[kind](tmp_path)
    what = f"kill -9 anywhere in a load of {kind}"
    story, scratch = Story(mode, seed), tmp_path / "scratch"
    campaign(what, tables, nodes, story, kills(seed), FULL_FAULTS, scratch)
