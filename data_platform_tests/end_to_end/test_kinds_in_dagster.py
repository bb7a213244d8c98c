"""Partitions of every kind through all layers in steps of Dagster, by key and by range."""

from collections.abc import Sequence

import dagster as dg
import pytest
from dagster_steps import failure_of, materialized, run_assets
from factories import Project

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
    result = run_assets(project, instance, *LAYERS, partition_key=keys[-1])
    assert result.success, failure_of(result)
    assert project.column("analytics/totals", "key", keys[-1]) == [keys[-1]]
