"""What Dagster has recorded, read back for tests."""

from collections import defaultdict
from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from retail_platform import RetailPlatform

Materializations = dict[str, list[dg.AssetMaterialization]]


def key_of(asset: str) -> dg.AssetKey:
    """Dagster's key of `layer/name`."""
    layer, _, name = asset.partition("/")
    return dg.AssetKey([layer, "retail", name])


def materializations(platform: RetailPlatform, asset: str) -> Materializations:
    """All of an asset's, oldest first, by partition; the empty key where it has none."""
    records = platform.instance.fetch_materializations(key_of(asset), limit=10_000).records
    found: Materializations = defaultdict(list)
    for record in reversed(records):
        materialization = record.asset_materialization
        assert materialization is not None
        found[materialization.partition or ""].append(materialization)
    return found


def data_versions(platform: RetailPlatform, asset: str) -> dict[str, str]:
    """Of each partition's last materialization."""
    return {
        key: (recorded[-1].tags or {})["dagster/data_version"]
        for key, recorded in materializations(platform, asset).items()
    }


def evaluations(
    platform: RetailPlatform, run_id: str, asset: str
) -> dict[str, dg.AssetCheckEvaluation]:
    """The results of an asset's checks in a run, by name."""
    records = platform.instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    found = [
        record.event_log_entry.dagster_event.asset_check_evaluation_data  # ty: ignore
        for record in records
    ]
    return {one.check_name: one for one in found if one.asset_key == key_of(asset)}


def not_fresh(platform: RetailPlatform, partitions: Iterable[str]) -> dict[str, list[str]]:
    """What Dagster calls stale or missing, with its reasons: `layer/name partition` -> reasons."""
    graph = platform.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(
        platform.instance, graph, LoadingContextForTest(platform.instance)
    )
    found: dict[str, list[str]] = {}
    wanted = list(partitions)
    for key in sorted(graph.materializable_asset_keys):
        for partition in wanted if graph.get(key).is_partitioned else [None]:
            status = resolver.get_status(key, partition)
            if status != StaleStatus.FRESH:
                causes = resolver.get_stale_causes(key, partition)
                name = f"{key.path[0]}/{key.path[2]} {partition or ''}".strip()
                found[name] = [status.value, *(f"{c.reason} {c.dependency}" for c in causes)]
    return found
