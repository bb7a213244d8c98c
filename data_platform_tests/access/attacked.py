"""An installation that somebody attacks: runs, sensors, schedules, partitions, backfills, pools.

Made by `conftest.attacked`, for each file of tests one of its own.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psycopg2
from attacked_location import defs, greeting
from dagster._core.definitions.selector import (
    PartitionRangeSelector,
    PartitionsByAssetSelector,
    PartitionsSelector,
)
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.workspace.load_target import WorkspaceFileTarget
from forgeries import LOCATION, SCHEDULE, SENSOR
from webserver_process import Webserver

from data_platform.settings import PACKAGE_DIR, Settings

JOB = "greeting"
BACKFILL, OLD_BACKFILL = "begunnow", "endedago"
CODE = Path(__file__).with_name("attacked_location.py")
_STATES = """
query ($sensor: SensorSelector!, $schedule: ScheduleSelector!) {
    sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState { id } } }
    scheduleOrError(scheduleSelector: $schedule) { ... on Schedule { scheduleState { id } } }
}
"""
_HASH = """
SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM {} AS t
"""
WORKSPACE = f"""
load_from:
  - python_file: {{relative_path: {CODE}, location_name: {LOCATION}}}
"""


@dataclass(frozen=True)
class Attacked:
    """What is there to be changed.

    Attributes:
        folder: with dagster.yaml and workspace.yaml; also DAGSTER_HOME.
        url: of the database.
        ended: a run that succeeded.
        waiting: a run that waits in the queue.
    """

    folder: Path
    url: str
    ended: str = ""
    waiting: str = ""

    @property
    def trace(self) -> Path:
        """What code of pipelines writes to when it is run."""
        return self.folder / "trace"

    @property
    def environ(self) -> dict[str, str]:
        return {
            "DAGSTER_HOME": str(self.folder),
            "DATA_PLATFORM_HOME": str(self.folder),
            "DATA_PLATFORM_DATA_DIR": str(self.folder / ".data"),
            "DATA_PLATFORM_STORAGE_URL": self.url,
            "ATTACKED_TRACE": str(self.trace),
        }

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.folder,
            data_dir=self.folder / ".data",
            pipelines_dirs=(PACKAGE_DIR / "pipelines",),
            storage_url=self.url,
        )

    def names(self, server: Webserver) -> dict[str, str]:
        """Of what is there, as requests name it."""
        states = server.post(_STATES, sensor=SENSOR, schedule=SCHEDULE).data
        return {
            "ended": self.ended,
            "waiting": self.waiting,
            "backfill": BACKFILL,
            "old_backfill": OLD_BACKFILL,
            "sensor": states["sensorOrError"]["sensorState"]["id"],
            "schedule": states["scheduleOrError"]["scheduleState"]["id"],
        }

    def contents(self) -> dict[str, str]:
        """All that is kept: of each table, and of each file but logs, a hash."""
        return {**_tables(self.url), **_files(self.folder)}


def fill(instance: dg.DagsterInstance, folder: Path) -> tuple[str, str]:
    """A run that ended, one that waits, and all that can be changed besides."""
    key = dg.AssetKey("orders")
    [location] = WorkspaceFileTarget([str(folder / "workspace.yaml")]).create_origins()
    origin = RemoteRepositoryOrigin(location, "__repository__").get_job_origin(JOB)
    ended, waiting = (
        instance.create_run_for_job(greeting, status=status, remote_job_origin=origin)
        for status in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.QUEUED)
    )
    instance.report_engine_event("it was so", ended)
    for partition in ("2024-01-01", "2024-01-02"):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    instance.add_dynamic_partitions("files", ["a.csv", "b.csv"])
    instance.event_log_storage.set_concurrency_slots("shop", 2)
    graph = defs.resolve_asset_graph()
    day = PartitionRangeSelector(start="2024-01-02", end="2024-01-02")
    wanted = PartitionsByAssetSelector(asset_key=key, partitions=PartitionsSelector(ranges=[day]))
    for name, status in (
        (BACKFILL, BulkActionStatus.REQUESTED), (OLD_BACKFILL, BulkActionStatus.COMPLETED_SUCCESS),
    ):  # fmt: skip
        backfill = PartitionBackfill.from_partitions_by_assets(
            backfill_id=name, asset_graph=graph, backfill_timestamp=1_700_000_000.0, tags={},
            dynamic_partitions_store=instance, partitions_by_assets=[wanted], title=None,
            description=None, run_config=None,
        )  # fmt: skip
        instance.add_backfill(backfill.with_status(status))
    return ended.run_id, waiting.run_id


def _tables(url: str) -> dict[str, str]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        found: dict[str, str] = {}
        for (name,) in cursor.fetchall():
            cursor.execute(_HASH.format(name))
            found |= {f"table {name}": text for (text,) in cursor.fetchall()}
    connection.close()
    return found


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".log"
    }
