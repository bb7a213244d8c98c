"""A shop whose runs are told in OpenLineage: files, what is made of them, a file for others."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from data_platform.definitions import definitions_of
from data_platform.loading import Loaded, load
from data_platform.observability.openlineage.describing import Descriptions
from data_platform.observability.openlineage.sensor import described, lineage_sensor
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings
from data_platform.spec.telemetry import Lineage

PLATFORM = """
lake: {root: "${SHOP}/lake"}
lineage: {file: lineage/events.jsonl, namespace: shops}
masking: {key: "${MASKING_KEY}"}
"""
PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
description: What is sold.
tags: {domain: sales}
partitions: {every: day, start: 2024-01-01, end: 2024-01-04}
sources:
  orders: {type: file, path: "in/{partition_key}.csv", settle: 0s}
staging:
  orders:
    from: raw.orders
    description: Orders as they were placed.
    transformations:
      - filter_rows: amount > 0
      - mask: {email: hash}
    columns:
      id: {type: bigint, description: Its number.}
      email: {type: varchar, pii: true}
      amount: {type: "decimal(10,2)"}
    quality:
      - {range: {column: id, max: 100, on_violation: quarantine}}
analytics:
  revenue:
    query: |
      SELECT email, SUM(amount) AS revenue FROM shop.staging.orders GROUP BY email
destinations:
  revenue: {type: file, from: analytics.revenue, path: "out/{partition_key}.csv"}
"""
NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAYS = ["2024-01-01", "2024-01-02"]


class Silent:
    """Hears of a run and says nothing."""

    def started(self, key: Key, partitions: int) -> None:
        """Nothing."""

    def finished(self, report: AssetReport) -> None:
        """Nothing."""


class LineageShop:
    """The shop, its instance, and what was told of it."""

    platform = PLATFORM
    text = PIPELINE
    _loaded: Loaded | None = None

    def __init__(
        self, folder: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.instance = instance
        self.environ = {"MASKING_KEY": "a key for tests only", "SHOP": str(folder)}
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)
        self.pipeline = folder / "pipelines" / "shop"
        self.pipeline.mkdir(parents=True)
        (folder / "in").mkdir()
        self.declare()
        for day in DAYS:
            self.orders(day, (1, "ann@shop.example", "2.50"), (2, "bob@shop.example", "0"))

    def declare(self, platform: str = PLATFORM, pipeline: str = PIPELINE) -> None:
        """Write what is to be read from now on."""
        (self.folder / "pipelines" / "platform.yaml").write_text(platform)
        (self.pipeline / "pipeline.yaml").write_text(pipeline)
        self._loaded = None

    def orders(self, day: str, *rows: tuple[object, ...]) -> None:
        """Write the file of a day."""
        lines = ["id,email,amount", *(",".join(map(str, row)) for row in rows)]
        (self.folder / "in" / f"{day}.csv").write_text("\n".join(lines) + "\n")

    @property
    def loaded(self) -> Loaded:
        """What is written."""
        if self._loaded is None:
            pipelines = self.folder / "pipelines"
            settings = Settings(self.folder, self.folder / ".data", (pipelines,))
            self._loaded = load(settings, self.environ)
            assert not self._loaded.problems, self._loaded.problems
        return self._loaded

    def tells(self, **lineage: str) -> None:
        """Tell lineage to somebody else from now on."""
        platform = self.loaded.workspace.platform
        written = Lineage(**lineage) if lineage else None
        changed = platform.model_copy(update={"lineage": written})
        workspace = replace(self.loaded.workspace, platform=changed)
        self._loaded = replace(self.loaded, workspace=workspace)

    def descriptions(self) -> Descriptions:
        """What is known of the assets."""
        lineage = self.loaded.workspace.platform.lineage
        assert lineage is not None
        return described(self.loaded, lineage)

    def run(self, *days: str) -> RunReport:
        """Run all of it for days."""
        definitions = definitions_of(self.loaded, NOW)
        request = Request("shop", keys=days or DAYS)
        return run_pipeline(definitions, self.loaded, self.instance, request, Silent(), NOW)

    def sensor(self) -> dg.SensorDefinition | None:
        """The sensor, if there is one."""
        return lineage_sensor(self.loaded)

    def tick(self) -> str:
        """One tick of the sensor, and what it says."""
        sensor = self.sensor()
        assert sensor is not None
        skipped = sensor(dg.build_sensor_context(self.instance))
        assert isinstance(skipped, dg.SkipReason)
        return skipped.skip_message or ""

    def told(self) -> list[dict[str, Any]]:
        """The events in the file."""
        file = self.folder / "lineage" / "events.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def names(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What happened to which job."""
    return [(event["job"]["name"], event["eventType"]) for event in events]


def dataset(event: Mapping[str, Any], ending: str) -> dict[str, Any]:
    """The dataset of an event whose name ends so."""
    [found] = [one for one in (*event["inputs"], *event["outputs"]) if one["name"].endswith(ending)]
    return found
