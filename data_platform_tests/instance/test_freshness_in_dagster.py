"""What Dagster's freshness daemon says is what `status` says, by its own evaluation."""

import asyncio
import inspect
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions import freshness_evaluator
from dagster._core.definitions.freshness import (
    CronFreshnessPolicy,
    FreshnessState,
    TimeWindowFreshnessPolicy,
)
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue
from dagster._daemon import freshness as daemon

from data_platform.instance import freshness as ours
from data_platform.instance.freshness import (
    NewestDueEvaluator,
    judge_by_newest_due,
    limits_of,
    partitions_of,
)
from data_platform.partitioning.definitions import definition_of
from data_platform.plan.freshness import judge_freshness, published_of
from data_platform.plan.partitions import Dimension, Every, Partitions, TimePartitions

START = date(2024, 1, 1)
POLICY = dg.FreshnessPolicy.time_window(timedelta(hours=8), timedelta(hours=6))
BY_NINE = dg.FreshnessPolicy.cron("0 9 * * *", timedelta(hours=2), "Europe/Berlin")
REGIONS = (Dimension("region", "region", ("us", "eu")),)


def at(*parts: int) -> datetime:
    year, month, day, *time = parts
    return datetime(year, month, day, *time, tzinfo=UTC)


def of_time(every: Every, *by: Dimension, zone: str = "UTC", end: date | None = None) -> Partitions:
    return Partitions(TimePartitions(every, START, end, zone), by)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


class Asset:
    """An asset of which partitions are published, as Dagster's daemon looks at it."""

    def __init__(
        self, instance: dg.DagsterInstance, partitions: Partitions | None, policy: Any = POLICY
    ) -> None:
        self.partitions, self.policy, self._instance = partitions, policy, instance
        self._definitions = dg.Definitions(
            assets=[
                dg.AssetSpec(
                    "a",
                    partitions_def=definition_of(partitions) if partitions else None,
                    freshness_policy=policy,
                )
            ]
        )

    def publish(self, *keys: str) -> None:
        for key in keys or (None,):
            self._instance.report_runless_asset_event(dg.AssetMaterialization("a", partition=key))

    def state(self, monkeypatch: pytest.MonkeyPatch, now: datetime) -> str:
        monkeypatch.setattr(ours, "get_current_datetime", lambda: now)
        view = AssetGraphView.for_test(self._definitions, self._instance)
        node = self._definitions.resolve_asset_graph().get(dg.AssetKey("a"))
        found = asyncio.run(_evaluate(view, node))
        return found.value


async def _evaluate(view: AssetGraphView, node: Any) -> FreshnessState:
    return await NewestDueEvaluator().evaluate_freshness(view, node)


@pytest.mark.parametrize(
    ("partitions", "published", "due"),
    [
        (of_time("hour"), ["2024-01-05-03:00", "2024-01-05-04:00"], at(2024, 1, 5, 6)),
        (of_time("day"), ["2024-01-03", "2024-01-04"], at(2024, 1, 6)),
        (of_time("day", zone="Asia/Kolkata"), ["2024-01-04"], at(2024, 1, 5, 18, 30)),
        (of_time("week"), ["2024-01-01"], at(2024, 1, 15)),
        (of_time("month"), ["2024-01-01"], at(2024, 3, 1)),
        (of_time("day", *REGIONS), ["2024-01-04|us", "2024-01-04|eu"], at(2024, 1, 6)),
    ],
    ids=["hours", "days", "days in Kolkata", "weeks", "months", "days and regions"],
)
def test_the_clock_starts_when_the_newest_partition_is_due(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    partitions: Partitions,
    published: list[str],
    due: datetime,
) -> None:
    """Materialized just now, but an older one: that isn't new data."""
    asset = Asset(instance, partitions)
    asset.publish(*published)
    moments = [due + timedelta(hours=hours) for hours in (0, 6, 7, 8.5)]
    if partitions.timed.every == "hour":
        moments = [due - timedelta(hours=1), *(due + timedelta(hours=h) for h in (5.5, 7, 8.5))]
    states = [asset.state(monkeypatch, moment) for moment in moments]
    assert states == ["PASS", "PASS", "WARN", "FAIL"]


def test_a_day_that_lacks_a_region_is_not_there(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = Asset(instance, of_time("day", *REGIONS))
    asset.publish("2024-01-03|us", "2024-01-03|eu", "2024-01-04|us")
    now = datetime(2024, 1, 5, 9, tzinfo=UTC)
    assert asset.state(monkeypatch, now) == "FAIL"
    asset.publish("2024-01-04|eu")
    assert asset.state(monkeypatch, now) == "PASS"


def test_nothing_is_red_while_nothing_is_due(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_day = datetime(2024, 1, 1, 23, tzinfo=UTC)
    for policy in (POLICY, BY_NINE):
        assert Asset(instance, of_time("day"), policy).state(monkeypatch, first_day) == "PASS"
    ended = Asset(instance, of_time("day", end=date(2024, 1, 3)))
    ended.publish("2024-01-02")
    assert ended.state(monkeypatch, datetime(2034, 1, 1, tzinfo=UTC)) == "PASS"


def test_a_deadline_asks_for_the_newest_partition_of_its_morning(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = Asset(instance, of_time("day", zone="Europe/Berlin"), BY_NINE)
    asset.publish("2024-03-29", "2024-03-30")
    # On the day on which clocks are put forward, 9:00 in Berlin is 7:00 in UTC.
    assert asset.state(monkeypatch, datetime(2024, 4, 1, 6, 59, tzinfo=UTC)) == "PASS"
    assert asset.state(monkeypatch, datetime(2024, 4, 1, 7, 0, tzinfo=UTC)) == "FAIL"
    asset.publish("2024-03-31")
    assert asset.state(monkeypatch, datetime(2024, 4, 1, 7, 0, tzinfo=UTC)) == "PASS"


@pytest.mark.parametrize(("age", "state"), [(5, "PASS"), (7, "WARN"), (9, "FAIL"), (None, "FAIL")])
def test_without_partitions_the_last_publication_counts(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, age: int | None, state: str
) -> None:
    asset = Asset(instance, None)
    if age is not None:
        asset.publish()
    now = datetime.now(UTC) + timedelta(hours=age or 0)
    assert asset.state(monkeypatch, now) == state


def test_dagster_and_status_agree_over_a_day(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, policy in enumerate((POLICY, BY_NINE)):
        asset = Asset(instance, of_time("day", *REGIONS), policy)
        keys = [f"2024-01-0{2 + number}|{region}" for region in ("us", "eu")]
        asset.publish(*keys)
        published = published_of(asset.partitions, keys, datetime.now(UTC))
        for hours in range(2, 72, 14):
            now = datetime(2024, 1, 3, tzinfo=UTC) + timedelta(hours=hours)
            judged = judge_freshness(limits_of(policy), asset.partitions, published, now)
            assert asset.state(monkeypatch, now) == judged.state.upper()
        instance.wipe_assets([dg.AssetKey("a")])


def test_many_assets_are_judged_with_a_few_queries(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 20
    definitions = dg.Definitions(
        assets=[
            dg.AssetSpec(
                f"a{number}",
                partitions_def=definition_of(of_time("day")),
                freshness_policy=POLICY,
            )
            for number in range(count)
        ]
    )
    for number in range(count):
        made = dg.AssetMaterialization(f"a{number}", partition="2024-01-04")
        instance.report_runless_asset_event(made)
    graph = definitions.resolve_asset_graph()

    async def look() -> list[FreshnessState]:
        view = AssetGraphView.for_test(definitions, instance)
        nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
        return await asyncio.gather(*(_evaluate(view, node) for node in nodes))

    asyncio.run(look())  # what happened to each is read once
    asked: list[str] = []
    storage = instance.event_log_storage
    for name, method in inspect.getmembers(storage, inspect.ismethod):
        if name.startswith(("get_", "fetch_")) and hasattr(EventLogStorage, name):

            def counted(*args: Any, _method: Any = method, _name: str = name, **more: Any) -> Any:
                asked.append(_name)
                return _method(*args, **more)

            monkeypatch.setattr(storage, name, counted)
    assert len(asyncio.run(look())) == count
    queries = [name for name in asked if name != "get_asset_status_cache_values"]
    assert len(queries) <= 3, queries


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("every", ["hour", "day", "week", "month"])
def test_partitions_come_back_from_dagster_as_they_were(every: Every, zone: str) -> None:
    for end in (None, date(2024, 7, 1)):
        for by in ((), REGIONS):
            partitions = of_time(every, *by, zone=zone, end=end)
            assert partitions_of(definition_of(partitions)) == partitions
    assert partitions_of(dg.DynamicPartitionsDefinition(name="x")) == Partitions(dynamic="x")


def test_partitions_of_other_kinds_are_judged_by_their_last_publication() -> None:
    odd = dg.TimeWindowPartitionsDefinition(
        cron_schedule="15 * * * *", start="2024-01-01-00:15", fmt="%Y-%m-%d-%H:%M"
    )
    assert partitions_of(odd) is None


def test_the_private_parts_of_dagster_are_as_they_were() -> None:
    """Told here, not by assets that are red: what `instance.freshness` counts on."""
    judge_by_newest_due()
    table = freshness_evaluator.FRESHNESS_EVALUATORS_BY_POLICY_TYPE
    assert table is daemon.FRESHNESS_EVALUATORS_BY_POLICY_TYPE
    assert set(table) == {TimeWindowFreshnessPolicy, CronFreshnessPolicy}
    assert set(table.values()) == {NewestDueEvaluator}
    signature = inspect.signature(freshness_evaluator.FreshnessPolicyEvaluator.evaluate_freshness)
    assert list(signature.parameters) == ["self", "context", "node"]
    source = inspect.getsource(daemon.FreshnessDaemon)
    assert "evaluator().evaluate_freshness(context=context, node=node)" in source
    assert "asyncio.gather" in source
    assert hasattr(AssetStatusCacheValue, "deserialize_materialized_partition_subsets")
