"""Two that write the same partition at the same time, and one who reads: rounds of it, any target.

The later of two versions wins, or the first one where a mode adds each partition once; who reads
sees whole versions and the ledger that belongs to them.
"""

import threading
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from delivering import Nodes, Sending
from delivering_process import DeliveringProcess
from held_tables import Look, Tables
from versions_of_rows import PARTITIONED, Held, after, day, keys_of, torn, version_of

from data_platform.errors import StorageError
from data_platform.spec.destinations import WriteMode

REPLACING: tuple[WriteMode, ...] = ("replace_partition", "merge", "replace")
"""The later of two loads wins."""
ONCE: tuple[WriteMode, ...] = ("append", "create")
"""The first of two loads wins, and the other one is refused."""
PATIENCE = 120.0


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
        try:
            with self._tables.looking() as look:
                while not self._stop.wait(self._tables.pause):
                    self._look(look)
        except Exception:  # noqa: BLE001 -- whatever a reader meets is a finding
            self.wrong.append(traceback.format_exc())

    def _look(self, look: Look) -> None:
        held = look(self.table)
        if held is None:
            return
        if wrong := torn(held, self._mode):
            self.wrong.append(wrong)
        self.seen.update(version for version, _ in held.ledger.values())
        self.looks += 1


Both = Callable[[Sending, Sending], list[str]]
"""Delivers both at the same time; gives what came of each: `loaded`, `there`, `refused`."""


@contextmanager
def threads() -> Generator[Both]:
    """Two threads of this process."""
    with ThreadPoolExecutor(2) as pool:
        barrier = threading.Barrier(2)

        def deliver(sending: Sending) -> str:
            barrier.wait(PATIENCE)
            try:
                return "loaded" if sending.deliver() else "there"
            except StorageError:
                return "refused"

        yield lambda *both: [found.result() for found in [pool.submit(deliver, s) for s in both]]


@contextmanager
def processes() -> Generator[Both]:
    """Two processes."""
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
