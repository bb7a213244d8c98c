"""Which sources a pipeline's schedule asks for, and when it ticks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from dagster._core.test_utils import instance_for_test
from dagster._utils.schedules import schedule_execution_time_iterator
from factories import Project

from data_platform.automation.schedules import pipeline_schedule
from data_platform.spec.automation import Schedule

NOON = datetime(2024, 1, 3, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
TABLE = "table: t, cursor: at"
SPRING, AUTUMN, WINTER = "2024-03-31", "2024-10-27", "2024-01-01"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


class Asking:
    """The sources of a pipeline with a schedule, and what its tick asks for."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self._project, self._instance = project, instance

    def __call__(self, *sources: str, partitions: str, tick: datetime = NOON) -> list[dict]:
        lines = [
            f"  s{number}: {{type: database, connection: shop, {more or TABLE}}}\n"
            for number, more in enumerate(sources)
        ]
        self._project.declare(
            f"schedule: '@daily'\npartitions: {partitions}\nsources:\n{''.join(lines)}"
        )
        built = self._project.build()
        assert not built.problems, built.problems
        schedule = pipeline_schedule(built.plan.pipelines[0])
        if schedule is None:
            return []
        context = dg.build_schedule_context(self._instance, scheduled_execution_time=tick)
        found = schedule(context)
        requests = found if isinstance(found, list) else []
        assert len({one.run_key for one in requests}) == len(requests)
        return [self._words(one) for one in requests]

    def _words(self, request: dg.RunRequest) -> dict:
        assert request.tags["data_platform/cause"] == "schedule shop_sources"
        return {
            "assets": [key.path[-1] for key in request.asset_selection or []],
            "keys": request.partition_key
            or (
                request.tags.get(ASSET_PARTITION_RANGE_START_TAG),
                request.tags.get(ASSET_PARTITION_RANGE_END_TAG),
            ),
        }


@pytest.fixture
def asking(project: Project, instance: dg.DagsterInstance) -> Asking:
    return Asking(project, instance)


NOTHING = (None, None)


@pytest.mark.parametrize(
    ("partitions", "key"),
    [
        ("none", NOTHING),
        ("{every: hour, start: 2024-01-01}", "2024-01-03-11:00"),
        ("{every: day, start: 2024-01-01}", "2024-01-02"),
        ("{every: week, start: 2023-12-25}", "2023-12-25"),
        ("{every: month, start: 2023-12-01}", "2023-12-01"),
        ("{by: {region: {values: [us, eu, asia]}}}", ("us", "asia")),
        (
            "{every: day, start: 2024-01-01, by: {region: {values: [us, eu]}}}",
            ("2024-01-02|us", "2024-01-02|eu"),
        ),
    ],
)
def test_the_newest_due_partitions_are_asked_for_in_one_run(
    asking: Asking, partitions: str, key: object
) -> None:
    assert asking("", "", partitions=partitions) == [{"assets": ["s0", "s1"], "keys": key}]


def test_registered_keys_have_a_run_each(project: Project) -> None:
    query = "query: 'select 1 as n where :partition_key is not null'"
    with instance_for_test() as instance:
        asking = Asking(project, instance)
        assert asking(query, partitions="{dynamic: customers}") == []
        instance.add_dynamic_partitions("customers", ["bob", "ann"])
        found = asking(query, partitions="{dynamic: customers}")
    assert [one["keys"] for one in found] == ["ann", "bob"]


def test_sources_of_other_partitions_have_a_run_of_their_own(asking: Asking) -> None:
    found = asking(
        "",
        f"{TABLE}, partitions: {{every: day, start: 2024-01-02}}",
        partitions="{every: day, start: 2024-01-01}",
    )
    assert found == [
        {"assets": ["s0"], "keys": "2024-01-02"},
        {"assets": ["s1"], "keys": "2024-01-02"},
    ]


def test_nothing_is_asked_for_after_the_end(asking: Asking) -> None:
    daily = "{every: day, start: 2024-01-01, end: 2024-01-03}"
    assert asking("", partitions=daily)[0]["keys"] == "2024-01-02"
    assert asking("", partitions=daily, tick=NOON + timedelta(days=1)) == []


def test_a_disabled_source_is_left_out(asking: Asking) -> None:
    assert asking(f"{TABLE}, enabled: false", "", partitions="none") == [
        {"assets": ["s1"], "keys": NOTHING}
    ]
    assert asking(f"{TABLE}, enabled: false", partitions="none") == []


def ticks(schedule: dict[str, str], day: str) -> list[str]:
    """The moments of a day in Berlin at which a schedule ticks, in local time with its offset."""
    told = Schedule.model_validate({**schedule, "timezone": "Europe/Berlin"})
    begin = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    end = begin + timedelta(days=1)
    found = schedule_execution_time_iterator(begin.timestamp(), told.crons, "Europe/Berlin")
    return [f"{one:%H:%M%z}"[:-2] for one in takewhile(lambda one: one < end, found)]


@pytest.mark.parametrize(
    ("schedule", "day", "expected"),
    [
        ({"every": "6h"}, WINTER, ["00:00+01", "06:00+01", "12:00+01", "18:00+01"]),
        ({"every": "7h"}, WINTER, ["00:00+01", "07:00+01", "14:00+01", "21:00+01"]),
        ({"every": "1d"}, WINTER, ["00:00+01"]),
        # What is skipped comes once, after the hour that isn't there.
        ({"cron": "30 2 * * *"}, SPRING, ["03:00+02"]),
        ({"every": "6h"}, SPRING, ["00:00+01", "06:00+02", "12:00+02", "18:00+02"]),
        # What is shown twice comes once.
        ({"cron": "30 2 * * *"}, AUTUMN, ["02:30+01"]),
        ({"every": "8h"}, AUTUMN, ["00:00+02", "08:00+01", "16:00+01"]),
    ],
)
def test_ticks_of_a_day(schedule: dict[str, str], day: str, expected: list[str]) -> None:
    assert ticks(schedule, day) == expected


@pytest.mark.parametrize(("day", "hours"), [(WINTER, 24), (SPRING, 23), (AUTUMN, 25)])
def test_what_each_hour_has_comes_with_each_hour(day: str, hours: int) -> None:
    assert len(ticks({"cron": "@hourly"}, day)) == len(ticks({"every": "1h"}, day)) == hours
    assert len(ticks({"every": "20m"}, day)) == 3 * hours


def test_ninety_minutes_count_from_each_midnight() -> None:
    found = ticks({"every": "90m"}, WINTER)
    assert (found[:3], len(found)) == (["00:00+01", "01:30+01", "03:00+01"], 16)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("{every: 2d}", "`every` is whole minutes, up to 1d, not 2d; longer is said by a `cron`"),
        ("{every: 90s}", "`every` is whole minutes, up to 1d, not 90s"),
        ("{every: 0s}", "`every` is whole minutes, up to 1d, not 0s"),
        ("{timezone: UTC}", "a schedule has either `cron` or `every`"),
        ("{every: 6h, cron: '@daily'}", "a schedule has either `cron` or `every`"),
    ],
)
def test_a_schedule_that_cant_be_is_told(project: Project, schedule: str, message: str) -> None:
    project.declare(f"schedule: {schedule}\n")
    assert message in str(project.workspace().problems[0])


DIVIDED = "partitions: {every: day, start: 2024-01-01, by: {region: {values: [us, eu]}}}\n"


@pytest.mark.parametrize(
    ("head", "told", "place", "message"),
    [
        ("", "automation: {when: eager, catchup: true}", 7, "`catchup` is about partitions, and"),
        ("", "automation: {when: eager, canary: [us]}", 7, "`canary` is about partitions, and"),
        ("", "automation: freshness", 7, "nothing is promised: add `freshness`"),
        (DIVIDED, "automation: {when: eager, canary: [uk]}", 7, "'uk' is no value and no key of"),
        (
            "partitions: {by: {region: {values: [us, eu]}}}\n",
            "automation: {when: eager, depends_on_past: true}",
            7,
            "`depends_on_past` needs partitions of time",
        ),
    ],
)
def test_an_automation_that_doesnt_fit_is_told_where_it_stands(
    project: Project, head: str, told: str, place: int, message: str
) -> None:
    source = "sources:\n  orders:\n    {type: database, connection: shop, table: t, cursor: at,"
    project.declare(f"{head}{source}\n     {told}}}\n")
    (found,) = project.problems()
    assert found.startswith(f"shop/pipeline.yaml:{place + bool(head)}:")
    assert message in found


@pytest.mark.parametrize(
    ("automation", "message"),
    [
        ("{when: manual}", "is not allowed"),
        ("{catchup: true}", "either `when: eager|on_missing|freshness` or `cron`"),
        ("{when: eager, cron: '@daily'}", "either `when: eager|on_missing|freshness` or `cron`"),
        ("{when: eager, timezone: UTC}", "`timezone` goes with `cron`"),
        ("eagre", "did you mean 'eager'?"),
    ],
)
def test_an_automation_that_cant_be_is_told(
    project: Project, automation: str, message: str
) -> None:
    project.declare(f"staging:\n  orders: {{from: raw.orders, automation: {automation}}}\n")
    assert message in str(project.workspace().problems[0])
