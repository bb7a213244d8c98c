"""The part of a job that a run asks for is the one that Dagster makes from all assets."""

import random
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster import JobDefinition
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME as WHOLE
from dagster._core.execution.api import create_execution_plan
from dagster._core.snap import snapshot_from_execution_plan
from dagster_shared.serdes import serialize_value
from factories import Project

from data_platform.definitions import build_definitions
from data_platform.repository import PlatformDefinitions, PlatformRepository
from data_platform.settings import Settings

DAYS = dg.DailyPartitionsDefinition("2024-01-01")
SHOPS = dg.MultiPartitionsDefinition(
    {"day": DAYS, "shop": dg.StaticPartitionsDefinition(["here", "there"])}
)

TIED = {"left", "alone"}


def asset(name: str, *deps: str, checks: tuple[str, ...] = (), **options: Any) -> Any:
    @dg.multi_asset(
        name=name,
        specs=[dg.AssetSpec(name, deps=deps)],
        check_specs=[dg.AssetCheckSpec(check, asset=name) for check in checks],
        can_subset=True,
        **options,
    )
    def made(): ...

    return made


def definitions() -> Iterator[dg.AssetsDefinition]:
    """All that a selection can cut through."""
    yield asset("orders", "outside", checks=("unique", "complete"), partitions_def=DAYS)
    yield asset("prices", checks=("positive",))
    yield asset("split", "orders", partitions_def=SHOPS)
    yield asset("board", "both_a", "alone", "split")

    @dg.multi_asset(
        name="both",
        specs=[dg.AssetSpec(name, deps=["orders", "prices"]) for name in ("both_a", "both_b")],
        check_specs=[dg.AssetCheckSpec("fits", asset=name) for name in ("both_a", "both_b")],
        can_subset=True,
    )
    def both(): ...

    @dg.multi_asset(
        name="tied", specs=[dg.AssetSpec("left", deps=["orders"]), dg.AssetSpec("alone")]
    )
    def tied(): ...

    @dg.asset_check(asset="orders", additional_deps=["prices"], blocking=True)
    def compared() -> dg.AssetCheckResult: ...

    @dg.multi_asset_check(
        specs=[dg.AssetCheckSpec("told", asset="prices"), dg.AssetCheckSpec("told", asset="board")],
        can_subset=True,
    )
    def told(): ...

    yield from (both, tied, compared, told)


@pytest.fixture(scope="module")
def repository() -> PlatformRepository:
    listed = list(definitions())
    checks = [one for one in listed if isinstance(one, dg.AssetChecksDefinition)]
    assets = [one for one in listed if one not in checks]
    job = dg.define_asset_job("named", dg.AssetSelection.assets("orders", "prices"))
    found = dg.Definitions(assets=assets, asset_checks=checks, jobs=[job])
    return PlatformDefinitions.of(found).get_repository_def()


def told_of(job: JobDefinition) -> tuple[str, ...]:
    """All that Dagster tells of a job and its plan."""
    name = job.get_job_snapshot_id()
    plan = create_execution_plan(job, run_config={})
    source = job.asset_layer.asset_graph.source_asset_graph
    return (
        name,
        serialize_value(job.get_job_snapshot()),
        serialize_value(snapshot_from_execution_plan(plan, name)),
        str(sorted(map(str, job.asset_layer.selected_asset_keys))),
        str(len(source.get_all_asset_keys())),
        str(job.partitions_def),
    )


def both_ways(
    repository: PlatformRepository, assets: set[str], checks: set[str] | None, job: str = WHOLE
) -> list[tuple[str, ...] | str]:
    """What the repository and Dagster make of a selection, be it an error."""
    keys = {dg.AssetKey(one) for one in assets}
    named = None
    if checks is not None:
        named = {
            dg.AssetCheckKey(dg.AssetKey(one.split(":")[0]), one.split(":")[1]) for one in checks
        }
    found: list[tuple[str, ...] | str] = []
    for make in (
        lambda: repository.get_maybe_subset_job_def(job, None, keys, named),
        lambda: repository.get_job(job).get_subset(
            asset_selection=keys, asset_check_selection=named
        ),
    ):
        try:
            found.append(told_of(make()))
        except dg.DagsterError as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


@pytest.mark.parametrize(
    ("assets", "checks"),
    [
        pytest.param({"orders"}, None, id="one with its checks"),
        pytest.param({"orders"}, set(), id="one without its checks"),
        pytest.param({"orders"}, {"orders:unique"}, id="one with one of its checks"),
        pytest.param(set(), {"orders:unique", "orders:complete"}, id="checks of an asset only"),
        pytest.param(set(), {"orders:compared"}, id="a function that checks"),
        pytest.param(set(), {"prices:told"}, id="a part of a function that checks"),
        pytest.param({"orders", "split"}, None, id="partitions of two kinds"),
        pytest.param({"both_a"}, None, id="a part of what one step makes"),
        pytest.param({"both_a", "board"}, {"both_b:fits"}, id="another one's check"),
        pytest.param({"left", "alone"}, None, id="what one step makes"),
        pytest.param({"left"}, None, id="half of what can't be parted"),
        pytest.param({"outside"}, None, id="what nobody makes"),
        pytest.param({"nothing"}, None, id="what isn't there"),
        pytest.param({"orders"}, {"orders:nothing"}, id="a check that isn't there"),
        pytest.param(set(), None, id="all"),
    ],
)
def test_a_part_is_the_one_that_dagster_makes(
    repository: PlatformRepository, assets: set[str], checks: set[str] | None
) -> None:
    ours, dagsters = both_ways(repository, assets, checks)
    assert ours == dagsters


@pytest.mark.parametrize("seed", range(40))
def test_any_part_is_the_one_that_dagster_makes(repository: PlatformRepository, seed: int) -> None:
    chance = random.Random(seed)
    graph = repository.asset_graph
    assets = {
        key.to_user_string() for key in graph.materializable_asset_keys if chance.random() < 0.4
    }
    if assets & TIED:
        assets |= TIED
    checks = {
        f"{key.asset_key.to_user_string()}:{key.name}"
        for key in graph.asset_check_keys
        if chance.random() < 0.4
    }
    ours, dagsters = both_ways(repository, assets, chance.choice([None, checks]))
    assert ours == dagsters
    assert isinstance(ours, tuple)


def test_a_part_of_a_job_of_some_assets_is_the_one_that_dagster_makes(
    repository: PlatformRepository,
) -> None:
    ours, dagsters = both_ways(repository, {"orders"}, None, "named")
    assert ours == dagsters


def test_parts_by_ops_are_dagsters(repository: PlatformRepository) -> None:
    part = repository.get_maybe_subset_job_def(WHOLE, ["prices"])
    assert [node.name for node in part.nodes] == ["prices"]


def test_the_same_part_is_made_once(repository: PlatformRepository) -> None:
    keys = {dg.AssetKey("orders")}
    part = repository.get_maybe_subset_job_def(WHOLE, asset_selection=keys)
    assert repository.get_maybe_subset_job_def(WHOLE, asset_selection={*keys}) is part
    bare = repository.get_maybe_subset_job_def(
        WHOLE, asset_selection=keys, asset_check_selection=set()
    )
    assert bare is not part


def test_the_definitions_of_pipelines_have_this_repository(
    project: Project, settings: Settings
) -> None:
    project.declare("sources:\n  orders: {type: python, function: feeds:fetch}")
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch():\n    yield {'id': 1}\n")
    repository = build_definitions(settings, {}).get_repository_def()
    assert isinstance(repository, PlatformRepository)
    ours, dagsters = both_ways(repository, {"raw/shop/orders"}, None)
    assert ours == dagsters
