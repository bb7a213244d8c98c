"""A pipelines folder over CSV files with an `assets.py`, run as Dagster runs it."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from data_platform.definitions import definitions_of
from data_platform.loading import Loaded, load
from data_platform.observability.querying import ask
from data_platform.plan.keys import Key
from data_platform.settings import Settings
from data_platform.storage.lake import LakeTable

NOW = datetime(2024, 3, 1, tzinfo=UTC)
PIPELINE = """
version: 1
pipeline: sales
owner: team:sales
partitions: {every: day, start: 2024-01-01, end: 2024-02-01}
sources:
  orders: {type: file, settle: 0s, path: "data/orders-{partition_key}.csv"}
  rates: {type: file, settle: 0s, path: data/rates.csv, partitions: none}
staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      day: {type: date, nullable: false}
      country: {type: varchar}
      amount: {type: "decimal(12,2)"}
"""
ORDERS = {
    "2024-01-01": ["1,2024-01-01,DE,10.50", "2,2024-01-01,FR,20.00"],
    "2024-01-02": ["3,2024-01-02,DE,-1.25"],
    "2024-01-03": ["4,2024-01-03,,7.00", "5,2024-01-03,DE,"],
}
DAYS = tuple(ORDERS)
HEADER = "import dagster as dg\nimport pandas as pd\nimport pyarrow as pa\nimport duckdb\n\n"
DAILY = 'daily = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")\n'


@dataclass
class Sales:
    """The pipeline, its settings and its instance."""

    folder: Path
    settings: Settings
    instance: dg.DagsterInstance

    def write(self, code: str, more: str = "") -> None:
        """Write `assets.py`, below the usual imports, and further YAML."""
        text = f"{HEADER}{DAILY}\n{textwrap.dedent(code)}"
        (self.folder / "pipelines" / "sales" / "assets.py").write_text(text)
        path = self.folder / "pipelines" / "sales" / "pipeline.yaml"
        path.write_text(PIPELINE + textwrap.dedent(more))

    def load(self) -> Loaded:
        """All pipelines, as they are now."""
        return load(self.settings, {})

    def problems(self) -> list[str]:
        """What is wrong, by file name, line and text."""
        return [
            f"{p.location.file.name}:{p.location.line}: {p.message}" for p in self.load().problems
        ]

    def definitions(self) -> dg.Definitions:
        """What Dagster loads."""
        loaded = self.load()
        assert [problem for problem in loaded.problems if not problem.warning] == []
        return definitions_of(loaded, NOW)

    def run(
        self,
        days: Sequence[str] = DAYS[:1],
        select: Sequence[str] | None = None,
        **more_tags: str,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets, `layer/name` or all, for some days in one run."""
        keys = [
            dg.AssetKey([layer, "sales", name])
            for layer, name in (text.split("/") for text in select or ())
        ]
        definitions = self.definitions()
        job = definitions.resolve_implicit_global_asset_job_def()
        match list(days):
            case []:
                tags = {}
            case [day]:
                tags = {"dagster/partition": day}
            case [first, *_, last]:
                tags = {
                    "dagster/asset_partition_range_start": first,
                    "dagster/asset_partition_range_end": last,
                }
        return job.get_subset(asset_selection=set(keys) if keys else None).execute_in_process(
            instance=self.instance, tags={**tags, **more_tags}, raise_on_error=False
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the lake answers."""
        loaded = self.load()
        return [tuple(row) for row in ask(sql, loaded.plan, loaded.workbench(), None).rows]

    def materialization(self, name: str) -> dg.AssetMaterialization:
        """The newest materialization of an asset."""
        layer, asset = name.split("/")
        event = self.instance.get_latest_materialization_event(dg.AssetKey([layer, "sales", asset]))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization

    def versions(self, name: str) -> dict[str, str]:
        """The data versions of an asset's partitions."""
        snapshot = self._table(name).snapshot()
        return {key: v.data_version for key, v in snapshot.partitions.items()} if snapshot else {}

    def version(self, name: str) -> int:
        """The number of the table's last commit, from 0."""
        snapshot = self._table(name).snapshot()
        assert snapshot is not None
        return snapshot.version

    def commits(self, name: str) -> list[dict[str, object]]:
        """The commits of an asset's table, newest first."""
        return [*self._table(name).history()]

    def types(self, name: str) -> dict[str, str]:
        """The columns of an asset's table and their types."""
        snapshot = self._table(name).snapshot()
        assert snapshot is not None
        return {field.name: str(field.type) for field in snapshot.schema}

    def _table(self, name: str) -> LakeTable:
        layer, asset = name.split("/")
        return self.load().lake().table(Key(layer, "sales", asset))
