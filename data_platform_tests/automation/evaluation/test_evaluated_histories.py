"""Looking only at what may have changed requests what Dagster's full evaluation requests.

Random histories over all presets and some conditions by hand: runs that begin, fail, are deleted or
never start, days and hours that begin, backfills, freshness, restarts, lost ticks, new definitions.
"""

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from histories import BEGINNING, History, Wanted, written_by_hand

from data_platform.automation.evaluation.ticking import Ticking
from data_platform.automation.evaluation.waking import Waking
from data_platform.automation.evaluation.watching import Watching
from data_platform.definitions import definitions_of
from data_platform.loading import load
from data_platform.settings import Settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
partitions: {every: day, start: 2024-01-05}
sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
  prices: {type: database, connection: shop, table: prices, automation: eager, partitions: none}
staging:
  orders: {from: raw.orders}
  prices: {from: raw.prices, partitions: none}
analytics:
  stale:
    query: select count(*) as orders from staging.orders
    freshness: {warn_after: 1h, fail_after: 2h}
    automation: freshness
  in_time:
    query: select count(*) as orders from staging.orders
    freshness: {deadline: "30 1 * * *", within: 90m}
    automation: freshness
  weekly:
    query: select count(*) as orders from staging.orders
    inputs: {staging.orders: {last: 3}}
    automation: {when: on_missing, depends_on_past: true}
  filled:
    query: select count(*) as orders from staging.orders
    automation: {when: eager, catchup: true}
  total:
    query: select count(*) as orders from staging.orders, staging.prices
    partitions: none
    automation: {cron: "0 * * * *"}
  by_hand:
    query: select count(*) as orders from analytics.stale
    automation: manual
"""
LOGGER = logging.getLogger("automation")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> list[dg.Definitions]:
    """A platform, and the same where one condition was changed."""
    folder = tmp_path_factory.mktemp("histories")
    return [
        _definitions(folder / "first", PIPELINE),
        _definitions(folder / "second", PIPELINE.replace('"0 * * * *"', '"30 * * * *"')),
    ]


def _definitions(folder: Path, text: str) -> dg.Definitions:
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "pipeline.yaml").write_text(text)
    (folder / "platform.yaml").write_text(
        "connections:\n  shop: {type: database, url: postgresql://nowhere}\n"
    )
    loaded = load(Settings(folder, folder / ".data", (folder,)), {})
    assert not loaded.problems, loaded.problems
    shipped = definitions_of(loaded, BEGINNING)
    return dg.Definitions.merge(shipped, dg.Definitions(assets=[*written_by_hand()]))


@pytest.fixture
def nothing() -> Iterator[dg.DagsterInstance]:
    """An instance in memory, where nothing has happened."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def waking(definitions: dg.Definitions) -> Ticking:
    """Automation that looks at nothing twice to be safe: what it misses is to be seen."""
    graph = definitions.resolve_asset_graph()
    return Ticking(graph, Waking(Watching(graph), overlap=0, round=10**9))


def requested(ticked: object) -> set[Wanted]:
    return {
        (key, request.partition_key)
        for request in ticked.requests
        for key in request.asset_selection
    }


def wanted_by_dagster(results: dg.EvaluateAutomationConditionsResult) -> set[Wanted]:
    return {
        (result.key, partition)
        for result in results.results
        for partition in results.get_requested_partitions(result.key)
    }


def play(
    definitions: list[dg.Definitions], instance: dg.DagsterInstance, seed: int, ticks: int
) -> tuple[int, int, int]:
    """A history; gives how many requests, looks and possible looks there were."""
    chance = random.Random(seed)
    current = definitions[0]
    history = History(instance, current.resolve_asset_graph(), chance)
    ours, cursor, full = waking(current), None, None
    requests = looks = every = 0
    for number in range(ticks):
        event = chance.random()
        if event < 0.04:
            ours = waking(current)
        elif event < 0.08:
            current = chance.choice(definitions)
            ours = waking(current)
        ticked = ours.tick(
            instance, cursor, tags={}, backfills=False, logger=LOGGER, now=history.now
        )
        result = dg.evaluate_automation_conditions(
            current, instance, cursor=full, evaluation_time=history.now
        )
        wanted = wanted_by_dagster(result)
        found = requested(ticked)
        assert found == wanted, f"tick {number} of history {seed}, at {history.now}"
        requests, looks = requests + len(found), looks + ticked.looked_at
        every += len(result.results)
        if chance.random() < 0.95:
            cursor, full = ticked.cursor, result.cursor
        history.go_on(found)
    return requests, looks, every


@pytest.mark.parametrize("seed", range(2))
def test_a_history_leads_to_the_same_requests(
    definitions: list[dg.Definitions], nothing: dg.DagsterInstance, seed: int
) -> None:
    requests, looks, every = play(definitions, nothing, seed, ticks=25)
    assert requests > 10
    assert looks < every


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 130))
def test_many_long_histories_lead_to_the_same_requests(
    definitions: list[dg.Definitions], nothing: dg.DagsterInstance, seed: int
) -> None:
    play(definitions, nothing, seed, ticks=150)
