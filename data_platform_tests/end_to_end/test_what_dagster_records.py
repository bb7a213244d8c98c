"""What a run leaves in Dagster, and what the assets say of themselves."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata
from dagster_records import data_versions, evaluations, key_of, materializations
from retail_platform import RetailPlatform, days

from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.run_reports import RunReport

Built = tuple[RetailPlatform, RunReport]
PARTITIONED = ["raw/transactions", "staging/transactions", "analytics/daily_revenue",
               "analytics/weekly_revenue"]  # fmt: skip


@pytest.mark.parametrize("asset", [*PARTITIONED, "staging/products", "analytics/customer_metrics"])
def test_each_partition_has_one_materialization_with_the_version_of_its_rows(
    built: Built, asset: str
) -> None:
    platform, report = built
    recorded = materializations(platform, asset)
    assert all(len(found) == 1 for found in recorded.values()), (
        "Dagster has other materializations than `reporting.events` writes: look at what it does "
        "with batches, and with the key that tells it that they are written already"
    )
    assert set(recorded) == (set(days()) if asset in PARTITIONED else {WHOLE})
    assert data_versions(platform, asset) == platform.versions()[asset]
    for key in recorded:
        record = platform.instance.get_latest_data_version_record(
            key_of(asset), partition_key=key or None
        )
        assert record is not None
        assert record.run_id == report.run_ids[0]


@pytest.mark.parametrize("asset", PARTITIONED)
def test_a_materialization_says_rows_bytes_and_where(built: Built, asset: str) -> None:
    platform, _ = built
    snapshot = platform.snapshot(asset)
    assert snapshot is not None
    for key, [found] in materializations(platform, asset).items():
        assert found.metadata["dagster/partition_row_count"].value == snapshot.partitions[key].rows
        assert found.metadata["bytes"].value == snapshot.partitions[key].bytes
        assert found.metadata["delta_version"].value == str(snapshot.version)
        # The same for all of a table, so it is said once a step.
        assert ("dagster/uri" in found.metadata) == (key == days()[-1])
    uri = platform.lake.table(Key(*asset.replace("/", "/retail/").split("/"))).uri
    assert found.metadata["dagster/uri"].value == uri


def test_quarantine_is_materialized_beside_each_day_empty_or_not(built: Built) -> None:
    platform, _ = built
    snapshot = platform.snapshot("quarantine/transactions")
    assert snapshot is not None
    recorded = materializations(platform, "quarantine/transactions")
    assert set(recorded) == set(days())
    for key, [found] in recorded.items():
        rows = snapshot.partitions[key].rows if key in snapshot.partitions else 0
        assert found.metadata["dagster/partition_row_count"].value == rows
    held = platform.versions()["quarantine/transactions"]
    assert held.items() <= data_versions(platform, "quarantine/transactions").items()


def test_checks_have_counts_and_at_most_five_examples(built: Built) -> None:
    platform, report = built
    checks = evaluations(platform, report.run_ids[0], "staging/transactions")
    names = {key.name for key in platform.definitions.resolve_asset_graph().asset_check_keys
             if key.asset_key == key_of("staging/transactions")}  # fmt: skip
    assert set(checks) == names
    known = checks["known_product"]
    assert not known.passed
    assert known.metadata["rows"].value > known.metadata["offending"].value > 0
    for check in checks.values():
        if "examples" in check.metadata:
            assert 1 <= len(check.metadata["examples"].records) <= 5


def test_assets_point_to_their_lines_and_say_whose_they_are(built: Built) -> None:
    platform, _ = built
    graph = platform.definitions.resolve_asset_graph()
    keys = [key for key in graph.materializable_asset_keys if key.path[0] != "platform"]
    assert len(keys) == 12
    for key in keys:
        node = graph.get(key)
        [reference] = node.metadata["dagster/code_references"].code_references
        lines = Path(reference.file_path).read_text().splitlines()[reference.line_number - 1 :]
        # A function's place is that of its decorator.
        begins = f"def {key.path[-1]}(" if lines[0].startswith("@") else key.path[-1]
        head = next(line for line in lines if not lines[0].startswith("@") or "def " in line)
        assert begins in head, (key, head)
        assert node.group_name == "retail"
        assert node.owners == ["team:retail-data"]
        assert node.tags["domain"] == "sales"
        assert key.path[0] in node.kinds
        if key.path[0] in {"staging", "analytics"}:
            assert node.metadata["dagster/column_schema"].columns
        if "sql" in node.kinds:
            shown = node.metadata["sql"].value if key.path[0] == "staging" else node.description
            assert "```sql\n" in shown


def test_the_internals_that_events_are_written_with_are_still_there() -> None:
    changed = "Dagster has changed what data_platform/reporting/events.py is built on: "
    assert DagsterEventBatchMetadata("id", True)._fields == ("id", "is_end"), changed
    assert callable(DagsterEvent.asset_materialization), changed
    assert SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION == "__source_asset_observation__", changed


def test_the_suppressing_key_keeps_dagster_from_writing_a_second_materialization() -> None:
    @dg.asset
    def one() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([one], instance=instance)
        assert result.success
        written = instance.fetch_materializations(one.key, limit=10).records
    assert not written, (
        "Dagster writes its own materialization now: see data_platform/reporting/events.py"
    )
