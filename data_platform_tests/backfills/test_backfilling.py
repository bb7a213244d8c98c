"""What a backfill makes, what it leaves alone, and how it goes on."""

import dagster as dg
import pytest
from backfill_history import BODY, HEAD, History, Watched, wanted_of
from dagster._core.test_utils import create_run_for_test

from data_platform.asset_specs import asset_key
from data_platform.backfills.commanding import Limits, begin, cancel
from data_platform.backfills.driving import drive
from data_platform.backfills.records import recorded, save
from data_platform.errors import PermanentError
from data_platform.observability.querying import ask
from data_platform.range_runs.parts import Part
from data_platform.range_runs.tags import partition_tags

FIRST, END = "2024-01-01", "2024-01-07"
DAYS = [f"2024-01-0{day}" for day in range(1, 7)]
OTHER_CODE = BODY.replace("daily: {query: SELECT COUNT(*)", "daily: {query: SELECT 2 * COUNT(*)")
TELLING = """
from pathlib import Path

def tell(facts):
    with (Path(__file__).parent / "told.txt").open("a") as file:
        print(facts.run_id, facts.outcome, file=file)
"""
ASSETS = ("raw/paid", "staging/paid", "analytics/daily", "analytics/recent")


def test_a_range_is_made_once_in_runs_of_so_many_partitions(history: History) -> None:
    backfill_id, result = history.backfill(None, Limits(size=4), first=FIRST, end=END)
    assert result.succeeded
    assert len(result.report.run_ids) == 2
    for asset in ASSETS:
        assert history.events(asset) == dict.fromkeys(DAYS, 1)
        assert list(history.published(asset)) == DAYS
    assert history.backfills() == ["COMPLETED_SUCCESS"]
    [one] = recorded(history.instance)
    assert (one.backfill.backfill_id, one.status) == (backfill_id, "succeeded")


def test_the_asset_says_how_many_partitions_a_run_has(history: History) -> None:
    body = BODY.replace("{from: raw.paid}", "{from: raw.paid, backfill: {partitions_per_run: 2}}")
    history.declare(HEAD + body)
    planned = history.plan(first=FIRST, end=END)
    assert planned is not None
    assert [part.keys for part in planned.parts] == [
        tuple(DAYS[start : start + 2]) for start in (0, 2, 4)
    ]


def test_the_last_step_is_called_after_each_of_its_runs(history: History) -> None:
    (history.pipeline / "telling.py").write_text(TELLING)
    history.declare(HEAD + "on_finish: telling:tell\n" + BODY)
    _, result = history.backfill(None, Limits(size=3), first=FIRST, end=END)
    told = (history.pipeline / "told.txt").read_text().splitlines()
    assert told == [f"{run_id} success" for run_id in result.report.run_ids]


def test_a_bad_day_stops_nothing_but_what_reads_it(history: History) -> None:
    history.set(bad="2024-01-03")
    backfill_id, result = history.backfill(None, Limits(size=3), first=FIRST, end=END)
    assert not result.succeeded
    assert result.stopped is None
    sound = [day for day in DAYS if day != "2024-01-03"]
    assert history.events("staging/paid") == dict.fromkeys(sound, 1)
    # A window of two days reads the bad one twice.
    unread = [day for day in sound if day != "2024-01-04"]
    assert history.events("analytics/recent") == dict.fromkeys(unread, 1)
    assert history.backfills() == ["COMPLETED_FAILED"]

    history.set(bad="")
    assert history.resume(backfill_id).succeeded
    for asset in ASSETS:
        assert history.events(asset) == dict.fromkeys(DAYS, 1)
    assert history.backfills() == ["COMPLETED_SUCCESS"]


def test_it_stops_after_so_many_failed_runs(history: History) -> None:
    history.set(bad=" ".join(DAYS))
    limits = Limits(size=1, max_failures=2)
    backfill_id, result = history.backfill(None, limits, first=FIRST, end=END)
    assert result.stopped == "stopped after 2 runs that failed"
    assert len(result.report.run_ids) == 2
    history.set(bad="")
    assert history.resume(backfill_id).succeeded
    assert history.events("analytics/daily") == dict.fromkeys(DAYS, 1)


def test_only_what_is_missing(history: History) -> None:
    history.run(first=FIRST, end="2024-01-04")
    history.run(keys=["2024-01-05"], select=["raw/paid"])
    planned = history.plan("missing", first=FIRST, end=END)
    assert wanted_of(planned) == {
        "raw/paid": ("2024-01-04", "2024-01-06"),
        "staging/paid": tuple(DAYS[3:]),
        "analytics/daily": tuple(DAYS[3:]),
        "analytics/recent": tuple(DAYS[3:]),
    }
    history.backfill("missing", first=FIRST, end=END)
    assert history.events("raw/paid") == dict.fromkeys(DAYS, 1)
    assert history.plan("missing", first=FIRST, end=END) is None


def test_only_what_failed(history: History) -> None:
    history.set(bad="2024-01-02")
    history.run(first=FIRST, end=END)
    history.set(bad="")
    wanted = wanted_of(history.plan("failed", first=FIRST, end=END))
    assert wanted["raw/paid"] == ("2024-01-02",)
    assert wanted["analytics/recent"] == ("2024-01-02", "2024-01-03")
    history.backfill("failed", first=FIRST, end=END)
    assert history.events("analytics/recent") == dict.fromkeys(DAYS, 1)
    assert history.plan("failed", first=FIRST, end=END) is None


def test_only_what_other_code_or_other_inputs_made(history: History) -> None:
    history.run(first=FIRST, end=END)
    assert history.plan("stale", first=FIRST, end=END) is None

    # Other rows of one day, of which what is below knows nothing.
    history.set(rows="3")
    history.run(keys=["2024-01-03"], select=["raw/paid"])
    wanted = wanted_of(history.plan("stale", first=FIRST, end=END))
    assert wanted == {
        "staging/paid": ("2024-01-03",),
        "analytics/daily": ("2024-01-03",),
        "analytics/recent": ("2024-01-03", "2024-01-04"),
    }

    history.declare(HEAD + OTHER_CODE)
    wanted = wanted_of(history.plan("stale", first=FIRST, end=END))
    assert wanted["analytics/daily"] == tuple(DAYS)
    history.backfill("stale", first=FIRST, end=END)
    assert history.plan("stale", first=FIRST, end=END) is None


def test_other_code_stops_it_unless_that_is_allowed(history: History) -> None:
    planned = history.plan(first=FIRST, end=END)
    assert planned is not None
    history.set(bad="2024-01-02")
    backfill_id, _ = history.backfill(first=FIRST, end=END)
    history.set(bad="")
    history.declare(HEAD + OTHER_CODE)
    with pytest.raises(PermanentError, match=r"the code of analytics/history/daily has changed"):
        history.resume(backfill_id)
    assert history.resume(backfill_id, allow_new_code=True).succeeded


def test_inputs_are_read_as_they_stood_when_it_began(history: History) -> None:
    history.run(first=FIRST, end=END, select=["raw/paid", "staging/paid"])
    history.set(bad="2024-01-02")
    planned = history.plan(None, Limits(size=3), first=FIRST, end=END, select=["analytics/daily"])
    assert planned is not None
    assert {str(key) for key in planned.backfill.versions} == {"staging/history/paid"}
    history.set(bad="", rows="7")
    history.run(first=FIRST, end=END, select=["raw/paid", "staging/paid"])
    assert begin(planned, history.ground, Watched()).succeeded
    loaded = history.loaded
    sql = "SELECT DISTINCT n FROM history.analytics.daily"
    assert list(ask(sql, loaded.plan, loaded.workbench(), None).rows) == [(2,)]
    # What was built from the old version is stale.
    wanted = wanted_of(history.plan("stale", first=FIRST, end=END))
    assert wanted["analytics/daily"] == tuple(DAYS)


def test_a_cancelled_one_begins_no_run_and_can_be_gone_on_with(history: History) -> None:
    history.set(bad=" ".join(DAYS))
    backfill_id, _ = history.backfill(None, Limits(size=1, max_failures=1), first=FIRST, end=END)
    assert cancel(history.instance, backfill_id[:4]) == backfill_id
    assert history.backfills() == ["CANCELED"]
    with pytest.raises(PermanentError, match="has cancelled already"):
        cancel(history.instance, backfill_id)
    history.set(bad="")
    assert history.resume(backfill_id).succeeded


def test_one_that_succeeded_is_over(history: History) -> None:
    backfill_id, _ = history.backfill(partition=FIRST)
    with pytest.raises(PermanentError, match="has succeeded: nothing is left"):
        history.resume(backfill_id)
    with pytest.raises(PermanentError, match="there is no backfill 'nothing'"):
        history.resume("nothing")


def test_figures_of_the_last_runs_tell_what_it_will_take(history: History) -> None:
    planned = history.plan(first=FIRST, end=END)
    assert planned is not None
    assert {one.rows for one in planned.estimates} == {None}
    history.run(first=FIRST, end="2024-01-03")
    planned = history.plan(first="2024-01-03", end=END)
    assert planned is not None
    rows = {one.key.layer: one.rows for one in planned.estimates}
    assert rows == {"raw": 8, "staging": 8, "analytics": 4}
    assert all(one.seconds is not None for one in planned.estimates)


class Failing:
    """Begins runs that fail, the oldest first, when there is nothing to do but wait."""

    at_once = 2

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.flying: list[dg.DagsterRun] = []
        self.counts: list[int] = []
        self._instance = instance

    def begin(self, part: Part) -> str:
        run = create_run_for_test(
            self._instance,
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset(asset_key(node.key) for node in part.nodes),
            tags=partition_tags(part.partitions, part.keys),
        )
        self.flying.append(run)
        self.counts.append(len(self.flying))
        return run.run_id

    def wait(self) -> None:
        self._instance.report_run_failed(self.flying.pop(0))


def test_no_more_runs_go_on_at_once_than_it_says(history: History) -> None:
    limits = Limits(size=1, at_once=2, max_failures=3)
    planned = history.plan(None, limits, first=FIRST, end=END, select=["raw/paid"])
    assert planned is not None
    launcher = Failing(history.instance)
    backfill, nodes = planned.backfill, planned.nodes
    save(history.instance, history.ground.definitions, backfill)
    course = drive(backfill, nodes, history.instance, launcher, Watched(), lambda: None)
    assert len(planned.parts) == 6
    assert launcher.counts == [1, 2, 2, 2]
    assert course.stopped == "stopped after 3 runs that failed"
    assert not launcher.flying


KINDS = {
    "a time and a value": (
        "partitions: {every: day, start: 2024-01-01, by: {region: {values: [eu, us]}}}",
        "    inputs: {staging.paid: {last: 2}}\n",
        ["2024-01-01|eu", "2024-01-01|us", "2024-01-02|eu", "2024-01-02|us"],
        {"first": FIRST, "end": "2024-01-03"},
        ("2024-01-01|us", "2024-01-02|us"),
    ),
    "registered": ("partitions: {dynamic: customers}", "", ["ada", "bob", "cy"], {}, ("bob",)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_only_some_partitions_of_other_kinds(history: History, kind: str) -> None:
    """What failed, lacks or is stale, and what is below; nothing beside it."""
    partitions, window, keys, ranged, below = KINDS[kind]
    stale, broken = keys[0], keys[1]
    body = BODY.replace("    inputs: {staging.paid: {last: 2}}\n", window)
    history.declare(HEAD.replace(HEAD.splitlines()[-1], partitions) + body)
    if "dynamic" in partitions:
        history.instance.add_dynamic_partitions("customers", keys)
    assert wanted_of(history.plan("missing", **ranged)) == dict.fromkeys(ASSETS, tuple(keys))

    history.set(bad=broken)
    history.backfill(**ranged)
    failed = wanted_of(history.plan("failed", **ranged))
    assert failed == wanted_of(history.plan("missing", **ranged))
    assert failed == dict.fromkeys(ASSETS[:3], (broken,)) | {"analytics/recent": below}

    history.set(bad="", rows="3")
    history.run(keys=[stale], select=["raw/paid"])
    wanted = wanted_of(history.plan("stale", **ranged))
    assert wanted["staging/paid"] == wanted["analytics/daily"] == (stale,)
    # The next window reads it too, unless it reads another region.
    next_one = [key.replace("01|", "02|", 1) for key in (stale,) if window]
    assert wanted["analytics/recent"] == (stale, *next_one)
