"""A small pipeline with a history, over Dagster's storage on the tests' server.

`History` writes it and runs it; days that are named in `bad.txt` can't be read.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import dagster as dg

from data_platform.backfills.choosing import Which
from data_platform.backfills.commanding import (
    Ground,
    Limits,
    Planned,
    Result,
    begin,
    plan_backfill,
    resume,
)
from data_platform.definitions import definitions_of
from data_platform.instance.storage import open_instance
from data_platform.loading import Loaded, load
from data_platform.plan.keys import Key
from data_platform.range_runs.outcomes import Outcome
from data_platform.range_runs.parts import Part
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import load_settings

NOW = datetime(2024, 12, 1, tzinfo=UTC)
HEAD = """
version: 1
pipeline: history
owner: team:history
partitions: {every: day, start: 2024-01-01, end: 2024-02-10}
"""
BODY = """
sources:
  paid: {type: python, function: paid:fetch, retries: {attempts: 0}}
staging:
  paid: {from: raw.paid}
analytics:
  daily: {query: SELECT COUNT(*) AS n FROM staging.paid}
  recent:
    inputs: {staging.paid: {last: 2}}
    query: SELECT COUNT(*) AS n FROM staging.paid
"""
MODULE = """
import pathlib, time

FOLDER = pathlib.Path(__file__).parent

def fetch(partition):
    if partition.key in (FOLDER / "bad.txt").read_text().split():
        raise ValueError(f"{partition.key} can't be read")
    time.sleep(float((FOLDER / "slow.txt").read_text()))
    rows = int((FOLDER / "rows.txt").read_text())
    return [{"day": partition.key, "amount": amount} for amount in range(rows)]
"""


@dataclass
class Watched:
    """What was told of a backfill."""

    parts: list[tuple[str, str]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def started(self, key: Key, partitions: int) -> None: ...

    def finished(self, report: AssetReport) -> None:
        self.steps.append(f"{report.key.layer}/{report.key.name}")

    def began(self, part: Part, left: int) -> None:
        self.parts.append((part.keys[0], part.keys[-1]))

    def ended(self, part: Part, run: dg.DagsterRun, outcomes: Mapping[Key, Outcome]) -> None: ...


class History:
    """The pipeline in a folder of its own."""

    def __init__(self, folder: Path, dagster_url: str, body: str = BODY, head: str = HEAD) -> None:
        self.folder = folder
        self.pipeline = folder / "pipelines" / "history"
        self.pipeline.mkdir(parents=True)
        (self.pipeline.parent / "platform.yaml").write_text(f"lake: {{root: '{folder}/lake'}}\n")
        (self.pipeline / "paid.py").write_text(MODULE)
        self.declare(head + body)
        self.set(bad="", slow="0", rows="2")
        self.environ = {
            "DATA_PLATFORM_HOME": str(folder),
            "DATA_PLATFORM_PIPELINES": str(folder / "pipelines"),
            "DATA_PLATFORM_STORAGE_URL": dagster_url,
        }
        self.settings = load_settings(self.environ)
        self._patched = mock.patch.dict(os.environ, self.environ)
        self._patched.start()
        self.instance = open_instance(self.settings)

    def close(self) -> None:
        """Let go of the connections and of the environment."""
        self.instance.dispose()
        self._patched.stop()

    def declare(self, text: str) -> None:
        """Write the pipeline."""
        (self.pipeline / "pipeline.yaml").write_text(text)

    def set(self, **texts: str) -> None:
        """Tell the source how it is: `bad` days, how `slow`, how many `rows`."""
        for name, text in texts.items():
            (self.pipeline / f"{name}.txt").write_text(text)

    @property
    def loaded(self) -> Loaded:
        """The pipeline as it is now."""
        loaded = load(self.settings, self.environ)
        assert not loaded.problems, loaded.problems
        return loaded

    @property
    def ground(self) -> Ground:
        loaded = self.loaded
        definitions = definitions_of(loaded, NOW)
        return Ground(loaded, definitions, self.instance, self.folder, lambda: self.loaded.plan)

    def run(self, **request: object) -> RunReport:
        """As `data-platform run`."""
        wanted = Request("history", **request)  # type: ignore[arg-type]
        ground = self.ground
        return run_pipeline(
            ground.definitions, ground.loaded, self.instance, wanted, Watched(), NOW
        )

    def plan(
        self, which: Which | None = None, limits: Limits | None = None, **request: object
    ) -> Planned | None:
        """What a backfill would do."""
        wanted = Request("history", **request)  # type: ignore[arg-type]
        return plan_backfill(self.loaded, self.instance, wanted, which, limits or Limits(), NOW)

    def backfill(
        self, which: Which | None = None, limits: Limits | None = None, **request: object
    ) -> tuple[str, Result]:
        """Plan and run one; its id, and what came of it."""
        planned = self.plan(which, limits, **request)
        assert planned is not None
        return planned.backfill.backfill_id, begin(planned, self.ground, Watched())

    def resume(self, backfill_id: str, **how: bool) -> Result:
        return resume(backfill_id, self.ground, Watched(), **how)

    def events(self, asset: str) -> Counter[str]:
        """How often each partition was materialized, by the event log."""
        layer, name = asset.split("/")
        key = dg.AssetKey([layer, "history", name])
        records = self.instance.fetch_materializations(key, limit=10_000).records
        return Counter(str(one.partition_key) for one in records)

    def published(self, asset: str) -> dict[str, int]:
        """Rows by partition, by the lake."""
        layer, name = asset.split("/")
        snapshot = self.loaded.lake().table(Key(layer, "history", name)).snapshot()
        return {key: one.rows for key, one in snapshot.partitions.items()} if snapshot else {}

    def backfills(self) -> list[str]:
        """The statuses of Dagster's own record, newest first."""
        return [one.status.value for one in self.instance.get_backfills()]


def wanted_of(planned: Planned | None) -> dict[str, tuple[str, ...]]:
    """The partitions of each asset, by `layer/name`."""
    if planned is None:
        return {}
    return {f"{k.layer}/{k.name}": keys for k, keys in planned.backfill.wanted.items()}
