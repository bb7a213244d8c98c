"""Two loads of one partition at the same time, while somebody reads: always one whole version."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from delivering import Nodes, Sending
from delivering_process import DeliveringProcess
from factories import Project
from held_tables import PostgresTables, Tables
from reliability_report import Figures, record
from versions_of_rows import PARTITIONED, Held, after, day, keys_of, torn, version_of

from data_platform.errors import StorageError
from data_platform.spec.destinations import WriteMode

ROUNDS = {"replace_partition": 50, "merge": 50, "replace": 20, "append": 20, "create": 20}
ROUNDS_OF_PROCESSES = 10
FULL_ROUNDS = int(os.environ.get("CAMPAIGN_ROUNDS", "500"))
REPLACING: tuple[WriteMode, ...] = ("replace_partition", "merge", "replace")
"""The later of two loads wins."""
ONCE: tuple[WriteMode, ...] = ("append", "create")
"""The first of two loads wins, and the other one is refused."""
PATIENCE = 60.0
PAUSE = 0.004
"""Seconds between two looks, which take time from what is being looked at."""


class Poller:
    """Reads a table all the time; what it sees must be whole versions. For a `with` statement."""

    def __init__(self, tables: Tables, mode: WriteMode, table: str) -> None:
        self._tables, self._mode = tables, mode
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.table = table
        self.looks = 0
        self.wrong: list[str] = []
        self.seen: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)

    def _watch(self) -> None:
        with self._tables.looking() as look:
            while not self._stop.wait(PAUSE):
                held = look(self.table)
                if held is None:
                    continue
                if wrong := torn(held, self._mode):
                    self.wrong.append(wrong)
                self.seen.update(version for version, _ in held.ledger.values())
                self.looks += 1


Both = Callable[[Sending, Sending], list[str]]
"""Delivers both at the same time; gives what came of each: `loaded`, `there`, `refused`."""


@pytest.fixture
def nodes(project: Project) -> Nodes:
    return Nodes.of(project)


@pytest.fixture
def in_threads() -> Iterator[Both]:
    with ThreadPoolExecutor(2) as pool:
        barrier = threading.Barrier(2)

        def deliver(sending: Sending) -> str:
            barrier.wait(PATIENCE)
            try:
                return "loaded" if sending.deliver() else "there"
            except StorageError:
                return "refused"

        yield lambda *both: [found.result() for found in [pool.submit(deliver, s) for s in both]]


@pytest.fixture
def in_processes() -> Iterator[Both]:
    writers = [DeliveringProcess(), DeliveringProcess()]

    def deliver(*both: Sending) -> list[str]:
        for writer, sending in zip(writers, both, strict=True):
            writer.begin(sending)
        return [_told(writer.outcome(PATIENCE)) for writer in writers]

    yield deliver
    for writer in writers:
        writer.end()


def _told(outcome: tuple[str, tuple[list[str], int]] | None) -> str:
    assert outcome is not None, "a writer died"
    what, found = outcome
    if what == "loaded":
        return "loaded" if found[0] else "there"
    assert what == "StorageError", found
    return "refused"


def compete(
    tables: Tables, nodes: Nodes, mode: WriteMode, both: Both, folder: Path, rounds: int
) -> Poller:
    """Let two write versions of the same partition; in one of four rounds they are the same."""
    with Poller(tables, mode, "orders") as poller:
        for turn in range(rounds):
            table, key = "orders", keys_of(mode, day(0))[0]
            if mode == "append":
                table = poller.table = f"orders_{turn // 10}"
                key = day(turn)
            elif mode == "create":
                table = poller.table = f"orders_{turn}"
            same = turn % 4 == 3
            numbers = [2 * turn, 2 * turn if same else 2 * turn + 1]
            before = tables.held(table)
            node = nodes.node(tables.target(mode, table), partitioned=PARTITIONED[mode])
            outcomes = both(*(Sending(node, {key: n}, tables.url, folder) for n in numbers))
            held = tables.held(table)
            assert held in [after_one(before, mode, key, numbers, first) for first in (0, 1)]
            assert torn(held, mode) is None
            if same:
                assert sorted(outcomes) == ["loaded", "there"]
            else:
                assert sorted(outcomes) == ["loaded", "loaded" if mode in REPLACING else "refused"]
            if mode in ONCE and not same:
                first = outcomes.index("loaded")
                assert held.ledger[key][0] == version_of(numbers[first])
    assert not poller.wrong, poller.wrong[:3]
    assert not tables.leftovers()
    return poller


def after_one(before: Held, mode: WriteMode, key: str, numbers: list[int], first: int) -> Held:
    """What the table holds where one of both was first."""
    held = after(before, mode, {key: numbers[first]})
    return held if mode in ONCE else after(held, mode, {key: numbers[1 - first]})


@pytest.mark.parametrize("mode", [*REPLACING, *ONCE])
def test_two_threads_and_a_reader(
    nodes: Nodes, postgres_url: str, tmp_path: Path, in_threads: Both, mode: WriteMode
) -> None:
    tables = PostgresTables(postgres_url)
    poller = compete(tables, nodes, mode, in_threads, tmp_path, ROUNDS[mode])
    assert poller.looks >= ROUNDS[mode]


@pytest.mark.parametrize("mode", [*REPLACING, *ONCE])
def test_two_processes_and_a_reader(
    nodes: Nodes, postgres_url: str, tmp_path: Path, in_processes: Both, mode: WriteMode
) -> None:
    tables = PostgresTables(postgres_url)
    poller = compete(tables, nodes, mode, in_processes, tmp_path, ROUNDS_OF_PROCESSES)
    assert poller.looks >= ROUNDS_OF_PROCESSES


def test_a_load_of_another_table_does_not_wait(
    nodes: Nodes, postgres_url: str, tmp_path: Path
) -> None:
    tables = PostgresTables(postgres_url)

    def sending(table: str, number: int) -> Sending:
        node = nodes.node(tables.target("replace_partition", table), partitioned=True)
        return Sending(node, {day(0): number}, postgres_url, tmp_path)

    sending("slow", 1).deliver()
    with ThreadPoolExecutor(1) as pool:
        slow = replace(sending("slow", 2), reading=threading.Event(), go_on=threading.Event())
        found = pool.submit(slow.deliver)
        try:
            assert slow.reading is not None
            assert slow.reading.wait(PATIENCE)
            assert sending("quick", 1).deliver() == [day(0)]
            assert tables.held("slow").ledger[day(0)][0] == version_of(1)
        finally:
            assert slow.go_on is not None
            slow.go_on.set()
        assert found.result(PATIENCE) == [day(0)]


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", [*REPLACING, *ONCE])
def test_campaign_of_two_processes_and_a_reader(
    nodes: Nodes, postgres_url: str, tmp_path: Path, in_processes: Both, mode: WriteMode
) -> None:
    began = time.monotonic()
    tables = PostgresTables(postgres_url)
    poller = compete(tables, nodes, mode, in_processes, tmp_path, FULL_ROUNDS)
    outcome = (
        f"{poller.looks:,} looks of a reader saw whole versions only, {len(poller.seen)} different "
        f"ones, and the ledger that belongs to them; no lock, session or temporary table was left"
    )
    what = f"two processes that write one partition of a PostgreSQL table, `write: {mode}`"
    record(Figures(what, FULL_ROUNDS, outcome, time.monotonic() - began))
