"""Two loads of one partition of PostgreSQL at the same time, while somebody reads."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from delivering import Nodes, Sending
from held_tables import PostgresTables
from racing import ONCE, PATIENCE, REPLACING, compete, processes, threads
from reliability_report import Figures, record
from versions_of_rows import day, version_of

from data_platform.spec.destinations import WriteMode

ROUNDS = {"replace_partition": 50, "merge": 10, "replace": 10, "append": 10, "create": 10}
ROUNDS_OF_PROCESSES = 10
FULL_ROUNDS = int(os.environ.get("CAMPAIGN_ROUNDS", "500"))


@pytest.mark.parametrize("mode", [*REPLACING, *ONCE])
def test_two_threads_and_a_reader(
    nodes: Nodes, postgres_url: str, tmp_path: Path, mode: WriteMode
) -> None:
    tables = PostgresTables(postgres_url)
    with threads() as both:
        poller = compete(tables, nodes, mode, both, tmp_path, ROUNDS[mode])
    assert poller.looks >= ROUNDS[mode]


@pytest.mark.parametrize("mode", [*REPLACING, *ONCE])
def test_two_processes_and_a_reader(
    nodes: Nodes, postgres_url: str, tmp_path: Path, mode: WriteMode
) -> None:
    tables = PostgresTables(postgres_url)
    with processes() as both:
        poller = compete(tables, nodes, mode, both, tmp_path, ROUNDS_OF_PROCESSES)
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
    nodes: Nodes, postgres_url: str, tmp_path: Path, mode: WriteMode
) -> None:
    began = time.monotonic()
    tables = PostgresTables(postgres_url)
    with processes() as both:
        poller = compete(tables, nodes, mode, both, tmp_path, FULL_ROUNDS)
    outcome = (
        f"{poller.looks:,} looks of a reader saw whole versions only, {len(poller.seen)} different "
        f"ones, and the ledger that belongs to them; no lock, session or temporary table was left"
    )
    what = f"two processes that write one partition of a PostgreSQL table, `write: {mode}`"
    record(Figures(what, FULL_ROUNDS, outcome, time.monotonic() - began))
