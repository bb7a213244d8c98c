"""What a request means for assets of every kind of partitions, and how it becomes runs."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from data_platform.errors import Location, PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnalyticsNode, Input
from data_platform.plan.partitions import Dimension, Partitions, TimePartitions
from data_platform.range_runs.open_work import Standing, open_work
from data_platform.range_runs.parts import parts_of, waits
from data_platform.running.asked import asked_for
from data_platform.running.requests import Request

NOW = datetime(2024, 4, 2, 3, 30, tzinfo=UTC)
START = date(2024, 1, 1)
HOURS = Partitions(TimePartitions("hour", START, None, "UTC"))
DAYS = Partitions(TimePartitions("day", START, None, "UTC"))
WEEKS = Partitions(TimePartitions("week", START, None, "UTC"))
MONTHS = Partitions(TimePartitions("month", START, None, "UTC"))
REGION = Dimension("region", "region", ("us", "eu"))
REGIONS = Partitions(by=(REGION,))
DAYS_AND_REGIONS = Partitions(TimePartitions("day", START, None, "UTC"), (REGION,))
CUSTOMERS = Partitions(dynamic="customers")


def node(name: str, partitions: Partitions | None, *inputs: Input) -> AnalyticsNode:
    return AnalyticsNode(
        key=Key("analytics", "shop", name),
        location=Location(Path(name)),
        description=None,
        owner="team:shop",
        criticality="medium",
        tags={},
        runbook=None,
        partitions=partitions,
        inputs=inputs,
        sql="SELECT 1",
    )


def asked(
    kinds: Sequence[Partitions | None], request: Request, registered: Sequence[str] = ()
) -> list[tuple[str, ...]]:
    """The partitions of an asset of each kind; none where it is left out."""
    nodes = [node(f"a{number}", kind) for number, kind in enumerate(kinds)]
    found = asked_for(nodes, request, NOW, lambda _: registered)
    return [found.get(one.key, ()) for one in nodes]


def test_left_out_the_newest_of_each_kind_is_meant() -> None:
    kinds = [HOURS, DAYS, WEEKS, MONTHS, REGIONS, DAYS_AND_REGIONS, CUSTOMERS, None]
    assert asked(kinds, Request("shop"), ["ada"]) == [
        ("2024-04-02-02:00",),
        ("2024-04-01",),
        ("2024-03-25",),
        ("2024-03-01",),
        ("us", "eu"),
        ("2024-04-01|us", "2024-04-01|eu"),
        ("ada",),
        (WHOLE,),
    ]


def test_a_range_means_what_lies_in_it_wholly() -> None:
    found = asked([DAYS, WEEKS, MONTHS], Request("shop", first="2024-01-30", end="2024-03-15"))
    days, weeks, months = found
    assert (days[0], days[-1], len(days)) == ("2024-01-30", "2024-03-14", 45)
    assert (weeks[0], weeks[-1]) == ("2024-02-05", "2024-03-04")
    assert months == ("2024-02-01",)


def test_a_range_of_days_has_its_hours_and_all_named_values() -> None:
    request = Request("shop", first="2024-01-01", end="2024-01-02")
    hours, both, regions = asked([HOURS, DAYS_AND_REGIONS, REGIONS], request)
    assert (hours[0], hours[-1], len(hours)) == ("2024-01-01-00:00", "2024-01-01-23:00", 24)
    assert both == ("2024-01-01|us", "2024-01-01|eu")
    assert regions == ("us", "eu")


def test_a_day_has_its_hours_and_leaves_its_month_alone() -> None:
    hours, days, months = asked([HOURS, DAYS, MONTHS], Request("shop", partition="2024-01-02"))
    assert (len(hours), days, months) == (24, ("2024-01-02",), ())


def test_a_key_of_two_dimensions() -> None:
    kinds = [DAYS_AND_REGIONS, DAYS, REGIONS]
    assert asked(kinds, Request("shop", partition="2024-01-02|eu")) == [
        ("2024-01-02|eu",),
        ("2024-01-02",),
        ("eu",),
    ]


@pytest.mark.parametrize(
    ("kind", "request_", "message"),
    [
        (DAYS, Request("shop", partition="2023-12-31"), "there is no partition '2023-12-31'"),
        (REGIONS, Request("shop", partition="asia"), "there is no partition 'asia'; there are us"),
        (REGIONS, Request("shop", first="2024-01-01"), "bounds no range of partitions"),
        (DAYS, Request("shop", first="soon"), "'soon' bounds no range of partitions"),
        (MONTHS, Request("shop", first="2024-01-10", end="2024-02-10"), "no partition lies in"),
        (CUSTOMERS, Request("shop", partition="bob"), "--register registers it"),
        (None, Request("shop", partition="2024-01-01"), "have no partitions"),
    ],
    ids=["before", "value", "untimed", "word", "half months", "unregistered", "none"],
)  # fmt: skip
def test_what_there_is_not_is_refused(
    kind: Partitions | None, request_: Request, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        asked([kind], request_, ["ada"])


def test_each_kind_is_a_run_of_its_own_upstreams_first() -> None:
    days, other = node("days", DAYS), node("whole", None)
    month = node("month", MONTHS, Input(days.key, "matching", partitions=DAYS))
    wanted = {days.key: ["2024-01-01", "2024-01-02"], other.key: [WHOLE], month.key: ["2024-01-01"]}
    parts = parts_of([days, other, month], wanted)
    assert [[one.key.name for one in part.nodes] for part in parts] == [
        ["days", "whole"],
        ["month"],
    ]


def test_gaps_and_sizes_split_runs_and_what_has_no_partitions_runs_once() -> None:
    days, total = (
        node("days", DAYS),
        node("total", None, Input(Key("analytics", "shop", "days"), "all")),
    )
    wanted = {
        days.key: ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"],
        total.key: [WHOLE],
    }
    parts = parts_of([days, total], wanted, size=2)
    assert [part.keys for part in parts] == [
        ("2024-01-01", "2024-01-02"),
        ("2024-01-03",),
        ("2024-01-05",),
        (WHOLE,),
    ]
    unmade = {key: set(keys) for key, keys in wanted.items()}
    assert [waits(part, unmade) for part in parts] == [False, False, False, True]


def test_a_window_waits_for_the_run_before() -> None:
    days = node("days", DAYS)
    window = node("window", DAYS, Input(days.key, "last", 2))
    keys = ["2024-01-01", "2024-01-02"]
    parts = parts_of([days, window], {days.key: keys, window.key: keys}, size=1)
    unmade = {days.key: set(keys), window.key: set(keys)}
    assert [waits(part, unmade) for part in parts] == [False, True]
    unmade[days.key].discard("2024-01-01")
    assert not waits(parts[1], unmade)


def test_what_is_left_stands_on_nothing_that_failed() -> None:
    days = node("days", DAYS)
    window = node("window", DAYS, Input(days.key, "last", 2))
    total = node("total", None, Input(window.key, "all"))
    keys = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]
    wanted = {days.key: keys, window.key: keys, total.key: [WHOLE]}
    standing = Standing()
    standing.add(days.key, {"2024-01-01", "2024-01-03", "2024-01-04"}, {"2024-01-02"})
    nodes = [days, window, total]
    left = {key.name: some for key, some in open_work(nodes, wanted, standing).items()}
    assert left == {"window": ("2024-01-01", "2024-01-04"), "total": (WHOLE,)}
    standing.add(days.key, failed=keys)
    assert open_work(nodes, wanted, standing) == {}
