"""Two loads of one partition at the same time where no server says whose turn it is."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from delivering import Nodes, Sending
from held_tables import DuckDBTables, FileTables, SqliteTables, Tables
from racing import PATIENCE, compete, processes, threads
from reliability_report import Figures, record
from versions_of_rows import after, day, torn

from data_platform.spec.destinations import WriteMode

ROUNDS = 4
FULL_ROUNDS = int(os.environ.get("CAMPAIGN_ROUNDS", "500"))
KINDS: dict[str, Callable[[Path], Tables]] = {
    "SQLite": lambda folder: SqliteTables(folder / "kept.sqlite"),
    "DuckDB": lambda folder: DuckDBTables(folder / "kept.duckdb"),
}
MODES: tuple[WriteMode, ...] = get_args(WriteMode)


@pytest.mark.parametrize(("kind", "mode"), [("SQLite", "append"), ("DuckDB", "replace_partition")])
def test_two_processes_and_a_reader(
    nodes: Nodes, tmp_path: Path, kind: str, mode: WriteMode
) -> None:
    with processes() as both:
        poller = compete(KINDS[kind](tmp_path), nodes, mode, both, tmp_path / "scratch", ROUNDS)
    assert poller.looks > 0


@pytest.mark.parametrize("kind", KINDS)
def test_two_threads_and_a_reader(nodes: Nodes, tmp_path: Path, kind: str) -> None:
    tables, scratch = KINDS[kind](tmp_path), tmp_path / "scratch"
    with threads() as both:
        poller = compete(tables, nodes, "replace_partition", both, scratch, ROUNDS)
    assert poller.looks > 0


def race_over_files(nodes: Nodes, folder: Path, rounds: int) -> int:
    """Let two put the same files: each that is seen is whole, and the next load mends the rest."""
    tables, wrong, looks = FileTables(folder / "files"), [], 0
    done = threading.Event()

    def look() -> None:
        nonlocal looks
        while not done.wait(tables.pause):
            if found := torn(tables.held("orders"), "replace_partition"):
                wrong.append(found)
            looks += 1

    watching = threading.Thread(target=look)
    watching.start()
    node = nodes.node(tables.target("replace_partition", "orders"), partitioned=True)
    days = [day(0), day(1)]
    try:
        with processes() as both:
            for turn in range(rounds):
                sendings = [
                    Sending(node, dict.fromkeys(days, 2 * turn + n), tables.url, folder / "scratch")
                    for n in range(2)
                ]
                assert both(*sendings) == ["loaded", "loaded"]
                assert torn(tables.held("orders"), "replace_partition") is None
                sendings[0].deliver()
                wanted = after(tables.held("orders"), "replace_partition", sendings[0].numbers)
                assert tables.held("orders") == wanted
                assert set(wanted.ledger) == set(days)
                assert tables.leftovers() == []
    finally:
        done.set()
        watching.join(PATIENCE)
    assert not wrong, wrong[:3]
    return looks


def test_two_processes_that_put_the_same_files(nodes: Nodes, tmp_path: Path) -> None:
    assert race_over_files(nodes, tmp_path, ROUNDS) > 0


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_campaign_of_two_processes_and_a_reader(
    nodes: Nodes, tmp_path: Path, kind: str, mode: WriteMode
) -> None:
    began = time.monotonic()
    with processes() as both:
        scratch = tmp_path / "scratch"
        poller = compete(KINDS[kind](tmp_path), nodes, mode, both, scratch, FULL_ROUNDS)
    outcome = (
        f"{poller.looks:,} looks of a reader saw whole versions only, {len(poller.seen)} different "
        f"ones, and the ledger that belongs to them"
    )
    what = f"two processes that write one partition of a table in {kind}, `write: {mode}`"
    record(Figures(what, FULL_ROUNDS, outcome, time.monotonic() - began))


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_campaign_of_two_processes_that_put_the_same_files(nodes: Nodes, tmp_path: Path) -> None:
    began = time.monotonic()
    looks = race_over_files(nodes, tmp_path, FULL_ROUNDS)
    outcome = (
        f"{looks:,} looks of a reader who checks manifests saw whole files only; the next load "
        f"left both files and their manifests as of one version"
    )
    what = "two processes that put the same two files of Parquet"
    record(Figures(what, FULL_ROUNDS, outcome, time.monotonic() - began))
