"""Partitions of every kind through all layers in steps of Dagster, by key and by range."""

from collections.abc import Sequence
from datetime import UTC, datetime
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_materialized_multipartitions
from dagster_steps import assets_of, failure_of, materialized, run_assets
from factories import Project

from data_platform.asset_specs import asset_key
from data_platform.errors import PermanentError
from data_platform.loading import load
from data_platform.partitioning.definitions import definition_of
from data_platform.resources import LAKE, LakeResource, platform_resources
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings

FEEDS = """
def fetch(partition):
    row = {"key": partition.key, "at": partition.start and partition.start.isoformat()}
    yield {**row, "region": partition.values.get("region"), "n": 1}
"""
BODY = """
sources:
  sales: {type: python, function: feeds:fetch, partitions: %s}
staging:
  sales: {from: raw.sales, quality: [unique: key]}
analytics:
  totals:
    partitions: %s
    query: SELECT key, SUM(n) AS n FROM staging.sales GROUP BY key
"""
LAYERS = ("raw/sales", "staging/sales", "analytics/totals")


def declare(project: Project, kind: str) -> None:
    project.declare(BODY % (kind, kind))
    (project.pipelines / "shop" / "feeds.py").write_text(FEEDS)


def run_range(
    project: Project, instance: dg.DagsterInstance, first: str, last: str
) -> dg.ExecuteInProcessResult:
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return run_assets(project, instance, *LAYERS, tags=tags)


def shown_in_dagster(project: Project, instance: dg.DagsterInstance, name: str) -> set[str]:
    """The materialized partitions, as Dagster's pages ask for them."""
    node = project.node(name)
    assert node.partitions is not None
    definition = definition_of(node.partitions)
    key = asset_key(node.key)
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return set(get_materialized_multipartitions(instance, key, definition))
    return instance.get_materialized_partitions(key)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (
            "{every: hour, start: 2024-10-27, timezone: Europe/Berlin}",
            ["2024-10-27-01:00", "2024-10-27-02:00", "2024-10-27-02:00+0100", "2024-10-27-03:00"],
        ),
        ("{every: week, start: 2024-01-01}", ["2024-01-08", "2024-01-15"]),
        ("{every: month, start: 2024-01-01}", ["2024-01-01", "2024-02-01"]),
        ("{by: {region: {values: [eu, us, Zürich & Bern]}}}", ["eu", "us", "Zürich & Bern"]),
        (
            "{every: day, start: 2024-01-01, by: {region: {values: [eu, us]}}}",
            ["2024-01-01|eu", "2024-01-01|us", "2024-01-02|eu", "2024-01-02|us"],
        ),
        (
            "{by: {region: {values: [eu, us]}, kind: {values: [a, b]}}}",
            ["a|eu", "a|us", "b|eu", "b|us"],
        ),
    ],
    ids=["hour", "week", "month", "values", "day and values", "two of values"],
)
def test_a_range_goes_through_all_layers(
    project: Project, instance: dg.DagsterInstance, kind: str, keys: Sequence[str]
) -> None:
    declare(project, kind)
    result = run_range(project, instance, keys[0], keys[-1])
    assert result.success, failure_of(result)
    for layer in LAYERS:
        assert materialized(instance, project, layer) == keys
        assert sorted(project.column(layer, "key")) == sorted(keys)
    assert shown_in_dagster(project, instance, "staging/sales") == set(keys)
    result = run_assets(project, instance, *LAYERS, partition_key=keys[-1])
    assert result.success, failure_of(result)
    assert project.column("analytics/totals", "key", keys[-1]) == [keys[-1]]


def test_a_registered_key_needs_no_reload(project: Project, instance: dg.DagsterInstance) -> None:
    declare(project, "{dynamic: customers}")
    assets = assets_of(project, *LAYERS)
    resources = {
        **platform_resources(project.workspace().platform),
        LAKE: LakeResource(root=str(project.workbench.lake.root)),
    }
    for key in ("anna", "2024|x/y"):
        instance.add_dynamic_partitions("customers", [key])
        assert dg.materialize(
            assets, instance=instance, resources=resources, partition_key=key
        ).success
    assert project.column("analytics/totals", "key") == ["2024|x/y", "anna"]


def test_a_month_is_built_from_days_of_another_run(
    project: Project, instance: dg.DagsterInstance
) -> None:
    """And the other way: days of two regions from months, in one range."""
    project.declare(
        "sources:\n"
        "  daily: {type: python, function: feeds:fetch, "
        "partitions: {every: day, start: 2024-01-01}}\n"
        "analytics:\n"
        "  monthly:\n"
        "    partitions: {every: month, start: 2024-01-01}\n"
        "    query: SELECT SUM(n) AS n FROM raw.daily\n"
        "  regional:\n"
        "    partitions: {every: day, start: 2024-01-01, by: {region: {values: [eu, us]}}}\n"
        "    query: SELECT :region AS region, n FROM analytics.monthly\n"
    )
    (project.pipelines / "shop" / "feeds.py").write_text(FEEDS)
    ranges = {
        "raw/daily": ("2024-01-01", "2024-02-29"),
        "analytics/monthly": ("2024-01-01", "2024-02-01"),
        "analytics/regional": ("2024-01-31|eu", "2024-02-01|us"),
    }
    for name, (first, last) in ranges.items():
        tags = {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
        result = run_assets(project, instance, name, tags=tags)
        assert result.success, failure_of(result)
    assert project.column("analytics/monthly", "n") == [29, 31]
    assert [tuple(row.values()) for row in project.rows("analytics/regional")] == [
        ("eu", 29), ("eu", 31), ("us", 29), ("us", 31),
    ]  # fmt: skip


def test_what_is_no_key_is_not_registered(project: Project, instance: dg.DagsterInstance) -> None:
    declare(project, "{dynamic: customers}")
    loaded = load(Settings(project.folder, project.folder / ".data", (project.pipelines,)), {})
    request = Request("shop", partition="é" * 200, register=True)
    with pytest.raises(PermanentError, match="there is no partition"):
        run_pipeline(dg.Definitions(), loaded, instance, request, Mock(), datetime.now(UTC))
    assert instance.get_dynamic_partitions("customers") == []
