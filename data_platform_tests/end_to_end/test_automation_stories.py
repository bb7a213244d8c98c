"""When things run by themselves: the presets over ticks of Dagster's own evaluation.

Nothing runs here; each story writes what a run would have recorded, and asks what is requested.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from automation_story import DAYS, MORNING, NEWEST, Story

BODY = """
partitions: {every: day, start: 2024-01-01}
sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
staging:
  orders: {from: raw.orders}
analytics:
  daily:
    query: select count(*) as orders from staging.orders
    AUTOMATION
  weekly:
    query: select count(*) as orders from staging.orders
    inputs: {staging.orders: {last: 7}}
  total:
    query: select count(*) as orders from staging.orders
    partitions: none
"""

HEADLESS = """
partitions: {{every: day, start: 2024-01-01}}
sources:
  orders: {{type: database, connection: shop, table: orders, cursor: at}}
staging:
  orders: {{from: raw.orders}}
analytics:
{assets}"""


def body(automation: str = "") -> str:
    return BODY.replace("AUTOMATION", automation)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def story(tmp_path: Path, instance: dg.DagsterInstance) -> Story:
    """Everything is published, and has been looked at."""
    found = Story(tmp_path, instance, body())
    for name in ("raw/orders", "staging/orders", "analytics/daily", "analytics/weekly"):
        found.publish(name, *DAYS)
    found.publish("analytics/total")
    assert found.tick() == {}
    assert found.tick() == {}
    return found


def test_other_rows_upstream_request_what_is_below_once(story: Story) -> None:
    story.publish("raw/orders", NEWEST, version="two")
    requested = story.tick()
    assert requested["staging/orders"] == {NEWEST}
    assert story.tick() == {}
    assert story.tick() == {}

    story.publish("staging/orders", NEWEST, version="two")
    requested = story.tick()
    assert requested["analytics/daily"] == {NEWEST}
    assert requested["analytics/weekly"] == {NEWEST}
    assert requested["analytics/total"] == {""}
    assert "staging/orders" not in requested
    assert story.tick() == {}


def test_the_same_rows_upstream_request_nothing(story: Story) -> None:
    story.publish("raw/orders", NEWEST, version="one")
    assert story.tick() == {}
    assert story.tick() == {}


def test_a_failed_audit_upstream_requests_nothing_below(story: Story) -> None:
    story.publish("raw/orders", NEWEST, version="two")
    assert "staging/orders" in story.tick()
    story.fail_audit("staging/orders")
    assert story.tick() == {}
    assert story.tick() == {}
    story.publish("staging/orders", NEWEST, version="mended")
    assert story.tick()["analytics/daily"] == {NEWEST}


def test_a_day_that_begins_is_built_once_its_source_is_there(story: Story) -> None:
    assert story.tick(24 * 60) == {}
    story.publish("raw/orders", "2024-01-11", version="new")
    # All in one run: Dagster counts on what is requested in the same tick.
    day = {"2024-01-11"}
    below = ("staging/orders", "analytics/daily", "analytics/weekly")
    assert story.tick() == dict.fromkeys(below, day)
    assert story.tick() == {}


def test_a_total_over_an_incomplete_history_is_built(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    story = Story(tmp_path, instance, body())
    story.tick()
    story.publish("raw/orders", NEWEST)
    asked = [story.tick()]
    assert asked[0]["staging/orders"] == asked[0]["analytics/daily"] == {NEWEST}
    story.publish("staging/orders", NEWEST)
    story.publish("analytics/daily", NEWEST)
    asked += [story.tick(), story.tick()]
    assert [found["analytics/total"] for found in asked if "analytics/total" in found] == [{""}]
    # A window of seven days isn't whole.
    assert not any("analytics/weekly" in found for found in asked)


def test_an_older_day_of_a_window_requests_each_region(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Between a day and a day by region, of which none of Dagster's mappings knows a window."""
    by = "partitions: {every: day, start: 2024-01-01, by: {region: {values: [eu, us]}}}"
    regional = "query: select count(*) as orders from staging.orders\n    inputs: "
    window = f"  regional:\n    {by}\n    {regional}{{staging.orders: {{last: 3}}}}\n"
    story = Story(tmp_path, instance, body() + window)
    newest = [f"{NEWEST}|{region}" for region in ("eu", "us")]
    story.publish("staging/orders", *DAYS)
    story.publish("analytics/regional", *(f"{day}|{one}" for day in DAYS for one in ("eu", "us")))
    story.ticks(2)
    story.publish("staging/orders", DAYS[-4], version="two")
    assert "analytics/regional" not in story.tick()
    story.publish("staging/orders", DAYS[-3], version="two")
    assert story.tick()["analytics/regional"] == {*newest}


def test_history_is_not_filled(story: Story) -> None:
    story.publish("raw/orders", DAYS[3], version="two")
    requested = story.tick()
    assert DAYS[3] not in requested.get("staging/orders", set())


def test_manual_is_never_requested(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    story = Story(tmp_path, instance, body("automation: manual"))
    story.tick()
    for version in ("one", "two"):
        story.publish("raw/orders", *DAYS, version=version)
        story.publish("staging/orders", *DAYS, version=version)
        assert "analytics/daily" not in story.tick()


def test_a_cron_waits_for_its_tick_and_its_upstream(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    story = Story(tmp_path, instance, body("automation: {cron: '0 7 * * *', timezone: UTC}"))
    for name in ("raw/orders", "staging/orders"):
        story.publish(name, *DAYS)
    assert "analytics/daily" not in story.tick()
    assert "analytics/daily" not in story.tick(65)
    story.publish("staging/orders", NEWEST, version="two")
    assert story.tick()["analytics/daily"] == {NEWEST}
    assert "analytics/daily" not in story.tick()


def test_freshness_builds_what_was_never_built_and_tries_again_on_its_cron(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    automation = "automation: freshness\n    freshness: {warn_after: 6h, fail_after: 8h}"
    story = Story(tmp_path, instance, body(automation))
    for name in ("raw/orders", "staging/orders"):
        story.publish(name, *DAYS)
    story.tick()
    requests = [story.tick(5).get("analytics/daily", set()) for _ in range(7)]
    # Two quarters of an hour have passed, and the asset is missing still.
    assert [found for found in requests if found] == [{NEWEST}, {NEWEST}]
    story.publish("analytics/daily", NEWEST)
    assert all("analytics/daily" not in story.tick(5) for _ in range(7))


def test_a_mended_input_of_yesterday_builds_yesterday(story: Story) -> None:
    """The day's audit failed until the next day was due; what was wanted isn't forgotten."""
    story.tick(24 * 60)
    story.publish("raw/orders", "2024-01-11")
    assert story.tick()["analytics/daily"] == {"2024-01-11"}
    story.fail_audit("staging/orders")
    story.publish("raw/orders", "2024-01-11", version="two")
    assert story.tick()["staging/orders"] == {"2024-01-11"}
    assert story.tick(24 * 60) == {}
    story.publish("staging/orders", "2024-01-11", version="mended")
    below = story.tick()
    assert below["analytics/daily"] == below["analytics/weekly"] == {"2024-01-11"}
    assert story.ticks(3) == []


def test_a_changed_day_of_a_window_builds_the_newest_window(story: Story) -> None:
    story.publish("staging/orders", DAYS[-4], version="two")
    requested = story.tick()
    assert requested == {"analytics/weekly": {NEWEST}, "analytics/total": {""}}


def test_what_reads_an_input_in_progress_waits_and_then_runs_once(story: Story) -> None:
    run = story.start("staging/orders", partition=NEWEST)
    story.publish("raw/orders", NEWEST, version="two")
    assert story.ticks(2) == []
    story.publish("staging/orders", NEWEST, version="two", run=run)
    story.end(run)
    requested = story.tick()
    assert requested["analytics/daily"] == {NEWEST}
    assert story.ticks(2) == []


def test_an_input_that_changes_while_an_asset_is_built_is_not_forgotten(story: Story) -> None:
    story.publish("staging/orders", NEWEST, version="two")
    assert story.tick()["analytics/daily"] == {NEWEST}
    run = story.start("analytics/daily", partition=NEWEST)
    story.begin(run)
    story.publish("staging/orders", NEWEST, version="three")
    # It had read the rows before that, and ends in the tick in which both are seen.
    story.publish("analytics/daily", NEWEST, run=run)
    story.end(run)
    assert story.tick()["analytics/daily"] == {NEWEST}
    assert "analytics/daily" not in story.tick()


def test_a_run_of_input_and_asset_together_starts_nothing_again(story: Story) -> None:
    run = story.start("raw/orders", "staging/orders", partition=NEWEST)
    story.begin(run)
    story.publish("raw/orders", NEWEST, version="two", run=run)
    assert story.ticks(2) == []
    story.publish("staging/orders", NEWEST, version="one", run=run)
    story.end(run)
    assert story.ticks(3) == []


def test_a_diamond_over_other_partitions_is_built_once(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """`total` reads both `orders` and `daily`, which it can't share a run with."""
    told = (
        body()
        .replace(
            "query: select count(*) as orders from staging.orders\n    partitions: none",
            "query: select count(*) as n from staging.orders join analytics.daily using (orders)\n"
            "    partitions: none",
        )
        .replace("select count(*) as orders", "select count(*) as orders, 1 as id", 1)
    )
    told = told.replace("from: raw.orders", "from: raw.orders, columns: {orders: {type: integer}}")
    story = Story(tmp_path, instance, told)
    for name in ("raw/orders", "staging/orders", "analytics/daily", "analytics/weekly"):
        story.publish(name, *DAYS)
    story.publish("analytics/total")
    story.ticks(2)
    story.publish("staging/orders", NEWEST, version="two")
    first = story.tick()
    assert first["analytics/daily"] == {NEWEST}
    assert "analytics/total" not in first
    story.publish("analytics/daily", NEWEST, version="two")
    assert story.tick() == {"analytics/total": {""}}
    assert story.ticks(2) == []


def test_paths_of_different_length_build_their_end_after_each(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """One step more shares a run with the end; what is two steps longer isn't waited for."""
    told = HEADLESS.format(
        assets="".join(
            f"  {name}: {{query: select count(*) as n from {given}}}\n"
            for name, given in (
                ("short", "staging.orders"),
                ("one", "staging.orders"),
                ("two", "analytics.one"),
                ("soon", "analytics.two cross join analytics.short"),
                ("three", "analytics.two"),
                ("late", "analytics.three cross join analytics.short"),
            )
        )
    )
    story = Story(tmp_path, instance, told)
    names = [f"analytics/{name}" for name in ("short", "one", "two", "soon", "three", "late")]
    for name in ("raw/orders", "staging/orders", *names):
        story.publish(name, *DAYS)
    story.ticks(2)
    story.publish("staging/orders", NEWEST, version="changed")
    asked: list[list[str]] = []
    while requested := story.tick():
        asked.append([name for name in names if name in requested])
        run = story.start(*asked[-1], partition=NEWEST)
        story.begin(run)
        for name in asked[-1]:
            story.publish(name, NEWEST, version=f"{len(asked)}", run=run)
        story.end(run)
    assert [[name.partition("/")[2] for name in one] for one in asked] == [
        ["short", "one"],
        ["two", "soon", "late"],
        ["three"],
        ["late"],
    ]


def test_on_missing_builds_what_lacks_and_not_what_changed(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    story = Story(tmp_path, instance, body("automation: on_missing"))
    story.publish("raw/orders", *DAYS)
    story.publish("staging/orders", *DAYS)
    assert story.tick()["analytics/daily"] == {NEWEST}
    story.publish("analytics/daily", NEWEST)
    story.publish("staging/orders", NEWEST, version="two")
    assert not any("analytics/daily" in one for one in story.ticks(3))


def test_a_disabled_asset_is_never_requested(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    story = Story(tmp_path, instance, body("enabled: false"))
    for version in ("one", "two"):
        story.publish("raw/orders", *DAYS, version=version)
        story.publish("staging/orders", *DAYS, version=version)
        found = story.tick()
        assert "analytics/daily" not in found
        assert "analytics/weekly" in found


def test_catchup_fills_history_oldest_first_in_steps(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    caught = "backfill: {partitions_per_run: 3}\n    automation: {when: eager, catchup: true}"
    story = Story(tmp_path, instance, body(caught))
    story.publish("raw/orders", *DAYS)
    there = [day for day in DAYS if day != DAYS[1]]
    story.publish("staging/orders", *there)
    assert story.tick()["analytics/daily"] == {DAYS[0], DAYS[2], DAYS[3]}
    # They are requested: nothing more goes until they are there.
    run = story.start("analytics/daily", partition=DAYS[0])
    story.publish("analytics/daily", DAYS[2], DAYS[3])
    assert story.tick()["analytics/daily"] == {DAYS[4], DAYS[5]}
    story.publish("analytics/daily", DAYS[0], run=run)
    story.end(run)
    story.publish("analytics/daily", DAYS[4], DAYS[5])
    assert story.tick()["analytics/daily"] == {DAYS[6], DAYS[7], DAYS[8]}
    story.publish("analytics/daily", *DAYS[6:9])
    assert story.tick()["analytics/daily"] == {NEWEST}
    story.publish("analytics/daily", NEWEST)
    # What the input lacked is filled as soon as it is there.
    story.publish("staging/orders", DAYS[1])
    assert story.tick()["analytics/daily"] == {DAYS[1]}
    assert not any("analytics/daily" in one for one in story.ticks(3))


def test_depends_on_past_goes_day_by_day(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    past = "automation: {when: eager, catchup: true, depends_on_past: true}"
    story = Story(tmp_path, instance, body(past))
    story.publish("raw/orders", *DAYS)
    story.publish("staging/orders", *DAYS)
    assert story.tick()["analytics/daily"] == {DAYS[0]}
    assert "analytics/daily" not in story.tick()
    story.publish("analytics/daily", DAYS[0])
    assert story.tick()["analytics/daily"] == {DAYS[1]}
    # A day that is being built anew isn't the past yet.
    story.publish("analytics/daily", DAYS[1])
    run = story.start("analytics/daily", partition=DAYS[1])
    assert "analytics/daily" not in story.tick()
    story.publish("analytics/daily", DAYS[1], run=run)
    story.end(run)
    assert story.tick()["analytics/daily"] == {DAYS[2]}


REGIONS = """
partitions:
  every: day
  start: 2024-01-01
  by: {region: {values: [us, eu, asia]}}
sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
staging:
  orders: {from: raw.orders, automation: {when: eager, canary: [us], OPTIONS}}
"""


def of(day: str, *regions: str) -> list[str]:
    return [f"{day}|{region}" for region in regions]


def test_a_canary_goes_first_and_holds_up_the_others_until_it_passes(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    story = Story(tmp_path, instance, REGIONS.replace(", OPTIONS", ""))
    everywhere = of(NEWEST, "us", "eu", "asia")
    story.publish("raw/orders", *everywhere)
    assert story.tick() == {"staging/orders": {f"{NEWEST}|us"}}
    # It failed, and is mended.
    assert story.ticks(2) == []
    story.publish("staging/orders", f"{NEWEST}|us")
    assert story.tick() == {"staging/orders": set(of(NEWEST, "eu", "asia"))}
    story.publish("staging/orders", *of(NEWEST, "eu", "asia"))
    assert story.ticks(2) == []

    story.publish("raw/orders", *everywhere, version="two")
    assert story.tick() == {"staging/orders": {f"{NEWEST}|us"}}
    assert story.ticks(2) == []
    story.publish("staging/orders", f"{NEWEST}|us", version="two")
    assert story.tick() == {"staging/orders": set(of(NEWEST, "eu", "asia"))}


def test_other_code_goes_to_the_canary_first(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    told = REGIONS.replace(", OPTIONS", "")
    story = Story(tmp_path, instance, told)
    everywhere = of(NEWEST, "us", "eu", "asia")
    for name in ("raw/orders", "staging/orders"):
        story.publish(name, *everywhere)
    assert story.ticks(2) == []
    story.declare(told.replace("from: raw.orders", "from: raw.orders, extra_columns: drop"))
    assert story.tick() == {"staging/orders": {f"{NEWEST}|us"}}
    assert story.ticks(2) == []
    story.publish("staging/orders", f"{NEWEST}|us")
    assert story.tick() == {"staging/orders": set(of(NEWEST, "eu", "asia"))}


def test_the_past_of_a_region_is_its_own(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    told = REGIONS.replace("canary: [us], OPTIONS", "depends_on_past: true")
    story = Story(tmp_path, instance, told)
    story.publish("raw/orders", *of(NEWEST, "us", "eu", "asia"))
    story.publish("staging/orders", *of(DAYS[-2], "us", "asia"))
    assert story.tick() == {"staging/orders": set(of(NEWEST, "us", "asia"))}


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2024-03-31", ["01:00", "03:00"]), ("2024-10-27", ["01:00", "02:00", "02:00+0100"])],
)
def test_each_hour_is_built_once_when_clocks_change(
    tmp_path: Path, instance: dg.DagsterInstance, day: str, hours: list[str]
) -> None:
    body = f"""
partitions: {{every: hour, start: {day}, timezone: Europe/Berlin}}
sources:
  orders: {{type: database, connection: shop, table: orders, cursor: at, automation: on_missing}}
staging:
  orders: {{from: raw.orders}}
"""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    story = Story(tmp_path, instance, body, begin + timedelta(minutes=61))
    story.publish("raw/orders", f"{day}-00:00")
    story.publish("staging/orders", f"{day}-00:00")
    assert story.tick() == {}
    for hour in hours:
        due = {f"{day}-{hour}"}
        assert story.tick(60) == {"raw/orders": due, "staging/orders": due}
        story.publish("raw/orders", *due)
        story.publish("staging/orders", *due)


def test_a_cron_asks_for_nothing_after_the_end(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    told = body("automation: {cron: '0 7 * * *'}").replace(
        "start: 2024-01-01", "start: 2024-01-01, end: 2024-01-11"
    )
    story = Story(tmp_path, instance, told)
    asked: list[bool] = []
    story.tick()
    for number in range(3):
        story.tick(65 if number == 0 else 24 * 60)
        story.publish("staging/orders", NEWEST, version=f"of day {number}")
        asked.append("analytics/daily" in story.tick())
    # The last partition is asked for on its day, and no more.
    assert asked == [True, False, False]


STALE = "automation: freshness\n    freshness: {warn_after: 6h, fail_after: 8h}"


@pytest.fixture
def stale(tmp_path: Path, instance: dg.DagsterInstance) -> Story:
    """The newest day of `daily` lacks since 6 hours, and Dagster has just said so."""
    found = Story(tmp_path, instance, body(STALE))
    found.publish("raw/orders", *DAYS)
    found.publish("staging/orders", *DAYS)
    found.publish("analytics/daily", *DAYS[:-1])
    found.ticks(2)
    found.call("analytics/daily", "WARN", "PASS")
    return found


def daily(found: list[dict[str, set[str]]]) -> list[set[str]]:
    return [one["analytics/daily"] for one in found if "analytics/daily" in one]


def test_a_stale_asset_is_built_once_an_episode(stale: Story) -> None:
    assert daily(stale.ticks(2)) == [{NEWEST}]
    run = stale.start("analytics/daily", partition=NEWEST)
    stale.call("analytics/daily", "FAIL", "WARN")
    assert daily(stale.ticks(4, minutes=5)) == []
    stale.publish("analytics/daily", NEWEST, run=run)
    stale.end(run)
    # Dagster hasn't looked again, and a cron of retries ticks.
    assert daily(stale.ticks(4, minutes=5)) == []
    stale.call("analytics/daily", "PASS", "FAIL")
    assert daily(stale.ticks(4, minutes=5)) == []


def test_a_rebuild_that_failed_is_tried_again_by_the_cron_of_retries(stale: Story) -> None:
    assert daily(stale.ticks(2)) == [{NEWEST}]
    stale.end(stale.start("analytics/daily", partition=NEWEST), failed=True)
    assert daily(stale.ticks(6, minutes=5)) == [{NEWEST}, {NEWEST}]


def test_a_stale_asset_waits_for_its_input(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    story = Story(tmp_path, instance, body(STALE))
    story.publish("staging/orders", *DAYS[:-1])
    story.publish("analytics/daily", *DAYS[:-1])
    story.ticks(2)
    story.call("analytics/daily", "FAIL", "PASS")
    assert daily(story.ticks(4, minutes=5)) == []
    story.publish("staging/orders", NEWEST)
    assert daily(story.ticks(4, minutes=5)) == [{NEWEST}]


def test_a_deadline_starts_its_build_as_early_as_allowed(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    told = "automation: freshness\n    freshness: {deadline: '0 9 * * *', within: 2h}"
    story = Story(tmp_path, instance, body(told))
    story.publish("staging/orders", *DAYS)
    story.publish("analytics/daily", *DAYS[:-1])
    # Yesterday's deadline was kept; today's is at 9:00, and the day may be built from 7:00 on.
    story.ticks(2)
    assert daily(story.ticks(5, minutes=10)) == []
    assert daily(story.ticks(2, minutes=10)) == [{NEWEST}]
    story.publish("analytics/daily", NEWEST)
    assert daily(story.ticks(12, minutes=15)) == []


def test_a_schedule_with_catchup_fills_what_was_due_at_its_last_tick(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    told = body().replace("sources:", "schedule: {every: 6h, catchup: true}\nsources:", 1)
    told = told.replace("cursor: at}", "cursor: at, backfill: {partitions_per_run: 4}}")
    story = Story(tmp_path, instance, told, MORNING - timedelta(minutes=30))
    story.publish("raw/orders", *DAYS[3:5])
    first = story.tick()
    # The newest day is left to the schedule itself.
    assert first["raw/orders"] == {*DAYS[:3], DAYS[5]}
    story.publish("raw/orders", *first["raw/orders"])
    assert story.tick()["raw/orders"] == set(DAYS[6:9])
    story.publish("raw/orders", *DAYS[6:9])
    assert not any("raw/orders" in one for one in story.ticks(3))
