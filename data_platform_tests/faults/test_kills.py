"""Kill a run by -9 anywhere, run it again, and the result is that of a run that nobody disturbed.

While runs are killed a reader sees whole versions only. The first half of the kills hits runs into
an empty lake and warehouse, the second half runs that replace a day.
"""

import os
import random
import signal
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from dagster import DagsterRunStatus, RunsFilter
from reader import LOADED, SHORT_PAUSE, Reader, State
from reliability_report import Figures, record
from retail_platform import LAKE_ASSETS, RetailPlatform
from run_retail import start

from data_platform.instance import launcher

FIRST, END = "2017-12-23", "2017-12-29"
CHANGED = "2017-12-27"
CHANGE = (
    "UPDATE transactions SET sales_value = sales_value + 1 "
    f"WHERE transaction_timestamp::date = '{CHANGED}' AND quantity > 0"
)
KILLS = 8
FULL_KILLS = int(os.environ.get("CAMPAIGN_KILLS", "200"))
KILLS_A_LAKE = 10
UNFINISHED = [
    DagsterRunStatus.STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Content:
    """All that a run leaves, less run ids and times."""

    versions: State
    rows: dict[str, list[str]]
    tables: dict[str, list[Any]]
    ledger: dict[tuple[str, str], tuple[Any, ...]]
    loaded: list[Any]


@dataclass
class Campaign:
    """What was done and seen."""

    kills: int = 0
    too_late: int = 0
    looks: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Oracle:
    """What undisturbed runs leave: of the shop as it is, and after `CHANGE`."""

    first: Content
    second: Content
    seconds: float


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "COMMAND_PATIENCE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def oracle(undisturbed: RetailPlatform) -> Oracle:
    first = content(undisturbed)
    undisturbed.ask_shop(CHANGE)
    assert undisturbed.run(FIRST, END).succeeded
    process, connection = start(undisturbed.environ, FIRST, END)
    assert connection.recv() == "running"
    began = time.monotonic()
    assert connection.recv() == "succeeded"
    seconds = time.monotonic() - began
    process.join()
    return Oracle(first, content(undisturbed), seconds)


def content(platform: RetailPlatform) -> Content:
    rows: dict[str, list[str]] = {}
    for asset in LAKE_ASSETS:
        hidden = " EXCLUDE (_run_id, _quarantined_at)" if asset.startswith("quarantine") else ""
        found = platform.ask_lake(f"SELECT *{hidden} FROM {asset.replace('/', '_')} ORDER BY ALL")
        rows[asset] = [str(row) for row in found]
    ledger = {key: row[:2] for key, row in platform.ledger().items()}
    loaded = platform.ask_warehouse(LOADED)
    return Content(platform.versions(), rows, platform.warehouse_tables(), ledger, loaded)


def kill_runs(
    platform: RetailPlatform, kills: int, seconds: float, seed: random.Random
) -> Campaign:
    """Start runs one after the other, and kill each at a random moment.

    One that was through by then says how long runs take now: the machine has other work, too.
    """
    campaign = Campaign()
    for _ in range(kills):
        process, connection = start(platform.environ, FIRST, END)
        assert connection.recv() == "running"
        began = time.monotonic()
        if connection.poll(seed.uniform(0.0, seconds)):
            campaign.too_late += 1
            seconds = min(seconds, time.monotonic() - began)
        else:
            os.kill(process.pid or 0, signal.SIGKILL)
            campaign.kills += 1
        process.join(20)
        connection.close()
    return campaign


def assert_clean(platform: RetailPlatform) -> None:
    """Nothing is left of the runs that were killed."""
    scratch = platform.lake.scratch_root
    assert not list(scratch.iterdir())
    runs = platform.instance.get_runs(RunsFilter(statuses=UNFINISHED))
    assert not runs, [(run.run_id, run.status) for run in runs]
    info = platform.instance.event_log_storage.get_concurrency_info("database")
    assert not info.claimed_slots
    assert not info.pending_steps


def disturb(
    platform: RetailPlatform,
    oracle: Oracle,
    kills: int,
    seed: random.Random,
    pause: float = SHORT_PAUSE,
) -> Campaign:
    """Kill runs of one lake, and compare with the oracle; the first half of them on nothing."""
    versions = [oracle.first.versions, oracle.second.versions]
    loads = [oracle.first.loaded, oracle.second.loaded]
    with Reader(platform, versions, loads, pause) as reader:
        campaign = kill_runs(platform, kills - kills // 2, oracle.seconds, seed)
        assert platform.run(FIRST, END).succeeded
        found = content(platform)
        assert found == oracle.first
        platform.ask_shop(CHANGE)
        more = kill_runs(platform, kills // 2, oracle.seconds, seed)
        assert platform.run(FIRST, END).succeeded
        found = content(platform)
        assert found == oracle.second
    assert_clean(platform)
    assert not reader.wrong, reader.wrong[:3]
    return Campaign(
        campaign.kills + more.kills, campaign.too_late + more.too_late, reader.looks, reader.wrong
    )


def test_killed_runs_leave_what_undisturbed_ones_do(retail: RetailPlatform, oracle: Oracle) -> None:
    campaign = disturb(retail, oracle, KILLS, random.Random(1), pause=0.2)
    assert campaign.kills >= KILLS // 2
    assert campaign.looks > 10


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_campaign_of_kills(databases: Any, oracle: Oracle, tmp_path_factory: Any) -> None:
    from retail_platform import retail_platform

    began, seed = time.monotonic(), random.Random(20180101)
    total = Campaign()
    lakes = 0
    while total.kills < FULL_KILLS:
        folder = tmp_path_factory.mktemp("killed")
        kills = min(KILLS_A_LAKE, FULL_KILLS - total.kills)
        with retail_platform(databases, folder, FIRST, END) as platform:
            one = disturb(platform, oracle, max(kills, 2), seed)
        total.kills += one.kills
        total.too_late += one.too_late
        total.looks += one.looks
        lakes += 1
    outcome = (
        f"in {lakes} lakes the run after the kills left rows, versions, tables and ledger of an "
        f"undisturbed one, no scratch files, no open runs, no pool slots; {total.looks:,} looks of "
        f"a reader meanwhile saw whole versions only"
    )
    what = "kill -9 at a random moment of a run over six days, source to warehouse"
    record(Figures(what, total.kills, outcome, time.monotonic() - began))
