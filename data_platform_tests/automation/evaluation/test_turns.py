"""A tick that has much to look at takes a part of it, and the next ones take the rest."""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from data_platform.automation.evaluation.ticking import Ticked, Ticking
from data_platform.automation.evaluation.turns import Turns
from data_platform.automation.evaluation.waking import Waking
from data_platform.automation.evaluation.watching import Watching

DAYS = dg.DailyPartitionsDefinition("2024-01-01")
EAGER = dg.AutomationCondition.eager()
PIPELINES = range(6)


def _pipeline(number: int) -> Iterator[dg.AssetsDefinition]:
    """A source, and two assets that follow it."""
    group = f"branch_{number}"
    above = dg.AssetSpec(f"orders_{number}", partitions_def=DAYS, group_name=group)
    yield dg.AssetsDefinition(specs=[above])
    for name, below in ((f"sales_{number}", "orders"), (f"report_{number}", "sales")):

        @dg.asset(
            name=name, partitions_def=DAYS, group_name=group, automation_condition=EAGER,
            deps=[f"{below}_{number}"],
        )  # fmt: skip
        def made() -> None: ...

        yield made


ASSETS = [one for number in PIPELINES for one in _pipeline(number)]


class Branches:
    """Ticks over pipelines that have nothing in common.

    Args:
        instance: Dagster's.
        at_once: assets of a tick.
    """

    def __init__(self, instance: dg.DagsterInstance, at_once: int) -> None:
        self.instance = instance
        self._at_once = at_once
        self._graph = dg.Definitions(ASSETS).resolve_asset_graph()
        self._cursor: str | None = None
        self._now = datetime(2024, 1, 11, 12, tzinfo=UTC)
        self.restart()
        ticks = 0
        while self.tick().looked_at:
            ticks += 1
            assert ticks < 50

    def restart(self) -> None:
        waking = Waking(Watching(self._graph), round=10**9)
        self._ticking = Ticking(self._graph, waking, self._at_once)

    def tick(self) -> Ticked:
        self._now += timedelta(seconds=10)
        found = self._ticking.tick(
            self.instance, self._cursor, tags={}, logger=logging.getLogger("x"), now=self._now
        )
        self._cursor = found.cursor
        return found

    def publish(self, *names: str) -> None:
        for name in names:
            self.instance.report_runless_asset_event(
                dg.AssetMaterialization(name, partition="2024-01-10")
            )


@pytest.fixture
def nothing() -> Iterator[dg.DagsterInstance]:
    """An instance in memory, where nothing has happened."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _requested(ticked: Ticked) -> list[str]:
    runs = ticked.requests
    return sorted(key.to_user_string() for run in runs for key in run.asset_selection or ())


def test_what_begins_for_all_is_asked_for_once_over_several_ticks(
    nothing: dg.DagsterInstance,
) -> None:
    branches = Branches(nothing, at_once=4)
    branches.publish(*(f"orders_{number}" for number in PIPELINES))
    ticks = [branches.tick() for _ in range(10)]
    asked = [_requested(ticked) for ticked in ticks]
    # Four of the six that read what came, and what they make run.
    assert [len(names) for names in asked[:3]] == [8, 4, 0]
    assert Counter(name for names in asked for name in names) == Counter(
        f"{kind}_{number}" for kind in ("report", "sales") for number in PIPELINES
    )


def test_all_at_once_asks_for_the_same(nothing: dg.DagsterInstance) -> None:
    branches = Branches(nothing, at_once=100)
    branches.publish(*(f"orders_{number}" for number in PIPELINES))
    assert len(_requested(branches.tick())) == 2 * len(PIPELINES)
    assert _requested(branches.tick()) == []


def test_nothing_of_what_waits_is_lost_where_a_process_ends(nothing: dg.DagsterInstance) -> None:
    branches = Branches(nothing, at_once=2)
    branches.publish(*(f"orders_{number}" for number in PIPELINES))
    asked = _requested(branches.tick())
    for _ in range(3):
        branches.restart()
        asked += _requested(branches.tick())
    for _ in range(12):
        asked += _requested(branches.tick())
    assert Counter(asked) == Counter(
        f"{kind}_{number}" for kind in ("report", "sales") for number in PIPELINES
    )


def test_an_event_that_comes_while_an_asset_waits_is_judged_with_its_turn(
    nothing: dg.DagsterInstance,
) -> None:
    branches = Branches(nothing, at_once=2)
    branches.publish(*(f"orders_{number}" for number in list(PIPELINES)[:-1]))
    asked = _requested(branches.tick())
    branches.publish("orders_5")
    for _ in range(12):
        asked += _requested(branches.tick())
    assert Counter(asked) == Counter(
        f"{kind}_{number}" for kind in ("report", "sales") for number in PIPELINES
    )


def test_what_hangs_together_is_never_divided() -> None:
    graph = dg.Definitions(ASSETS).resolve_asset_graph()
    keys = {key for key in graph.materializable_asset_keys if key.path[-1][:2] != "or"}
    turns = Turns(keys, graph, at_once=1)
    awake = sorted(keys)
    for left in range(len(PIPELINES) - 1, -1, -1):
        chosen = turns.next(awake if left == len(PIPELINES) - 1 else ())
        assert len({key.path[-1].split("_")[1] for key in chosen}) == 1
        assert len(chosen) == 2
        assert len(turns.waiting) == 2 * left


def test_those_that_waited_longest_are_next() -> None:
    graph = dg.Definitions(ASSETS).resolve_asset_graph()
    one, two, three = (dg.AssetKey(f"sales_{number}") for number in (3, 1, 2))
    turns = Turns({one, two, three}, graph, at_once=1)
    assert turns.next([one, two]) == {one}
    assert turns.next([one, three]) == {two}
    turns.done([three])
    assert turns.next([]) == {one}
