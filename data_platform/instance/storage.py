"""Dagster's own storage: where it is, and how a process opens it.

Owns the classes that `dagster.yaml` names and `open_instance` for the command. Everything is in
PostgreSQL, the embedded one unless `DATA_PLATFORM_STORAGE_URL` is set, so that a laptop and a
deployment behave the same; compute logs and artefacts are below the data folder. It must not know
pipelines, nor be imported by anything below `cli`: Dagster loads it by name.
"""

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import yaml
from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    Field,
    StringSource,
)
from dagster._config import UserConfigSchema
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.instance.ref import InstanceRef
from dagster._core.snap import ExecutionPlanSnapshot
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.runs.base import RunStorage
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable, SnapshotsTable
from dagster._core.storage.runs.sql_run_storage import SnapshotType
from dagster._core.storage.schedules.base import ScheduleStorage
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster._utils.concurrency import ConcurrencyClaimStatus
from dagster_postgres import PostgresRunStorage
from dagster_shared.check import CheckError
from dagster_shared.serdes import serialize_value
from dagster_shared.serdes.utils import hash_str
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection, Engine

import data_platform.partitioning.windows  # noqa: F401 -- all who read Dagster's graph know it
from data_platform.embedded.server import resolve_url
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.instance.audited import AuditedEvents, AuditedRuns, AuditedSchedules
from data_platform.instance.compute_logs import PlatformComputeLogs
from data_platform.instance.database import ensure_tables, limit_statements, pooled_engine
from data_platform.instance.evaluations import BriefSchedules
from data_platform.instance.event_log import BriefEventLog
from data_platform.instance.freshness import judge_by_newest_due
from data_platform.instance.liveness import WORKER_TAG, RunLocks
from data_platform.instance.masked import masked
from data_platform.instance.pool_slots import claim
from data_platform.logs.setting_up import set_up
from data_platform.secrets.masker import know_environment
from data_platform.secrets.written import know_platform
from data_platform.settings import (
    PACKAGE_DIR,
    Settings,
    environment,
    load_settings,
    set_environment_defaults,
)
from data_platform.spec.reading import read_platform

if TYPE_CHECKING:
    from dagster._daemon.types import DaemonHeartbeat

EMBEDDED_URL = "embedded://dagster"
ENVIRONMENT = {
    # Read where a range's materializations are written, that is in the run.
    "DAGSTER_EVENT_BATCH_SIZE": "500",
    # Read where runs are made: in the webserver, the daemon and the command.
    "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true",
}
"""Together 10 times faster events of partitioned runs; set unless they are set already."""

_LAUNCHING_DAEMON = "QUEUED_RUN_COORDINATOR"
_RUN_ENDS = {
    DagsterEventType.RUN_SUCCESS,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_CANCELED,
}
_ENDED = (DagsterRunStatus.FAILURE.value, DagsterRunStatus.CANCELED.value)
_TOLD_OTHERWISE = (GRPC_INFO_TAG, WORKER_TAG)
"""Of runs whose process a launcher tells to end; a command's sees it here alone."""


class _Pooled:
    """What the three storages have in common: one pool of connections, in the webserver too."""

    _engine: Engine

    def _is_there(self, what: str, look: Callable[[], bool]) -> bool:
        """Look for a table or a column until it is there, and no more: none goes away again.

        Dagster looks whenever it is asked for assets or stores an event, which was a third of all
        statements of a run.
        """
        known: set[str] = self.__dict__.setdefault("_known", set())
        if what not in known and look():
            known.add(what)
        return what in known

    def optimize_for_webserver(
        self,
        statement_timeout: int,
        pool_recycle: int,  # noqa: ARG002 -- Dagster's signature
        max_overflow: int,  # noqa: ARG002
    ) -> None:
        """Keep the pool, which outlives a restart of the server; Dagster's would replace it."""
        limit_statements(self._engine, statement_timeout)


class PlatformRunStorage(_Pooled, AuditedRuns, PostgresRunStorage):
    """Runs; the process that starts one holds its lock of life until it has ended."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine
        self._locks = RunLocks(url, self._overruled)

    def has_run_stats_index_cols(self) -> bool:
        """Asked until it is so."""
        return self._is_there("start and end", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """Asked until it is there."""
        return self._is_there("backfill_id", super().has_backfill_id_column)

    def has_execution_plan_snapshot(self, execution_plan_snapshot_id: str) -> bool:
        """Look for it; Dagster's reads all of it."""
        return self._has_snapshot_id(execution_plan_snapshot_id)

    def add_execution_plan_snapshot(self, execution_plan_snapshot: ExecutionPlanSnapshot) -> str:
        """Keep it under the hash of its text; Dagster's writes the text once for each."""
        text = serialize_value(execution_plan_snapshot)
        row = {
            "snapshot_id": hash_str(text),
            "snapshot_body": zlib.compress(text.encode()),
            "snapshot_type": SnapshotType.EXECUTION_PLAN.value,
        }
        with self.connect() as connection:
            insert = postgresql.insert(SnapshotsTable).values(row)
            connection.execute(insert.on_conflict_do_nothing())
        return row["snapshot_id"]

    def handle_run_event(
        self, run_id: str, event: DagsterEvent, update_timestamp: datetime | None = None
    ) -> None:
        """Hold the lock before the run becomes STARTED: no started run is ever without one."""
        if event.event_type == DagsterEventType.RUN_START:
            self._locks.hold(run_id)
        elif event.event_type in _RUN_ENDS:
            self._locks.ends(run_id)
        super().handle_run_event(run_id, event, update_timestamp)
        if event.event_type in _RUN_ENDS:
            self._locks.release(run_id)

    def _overruled(self, run_ids: Collection[str]) -> set[str]:
        """Those of runs of this process that others ended, or that only it can end."""
        tags, runs = RunTagsTable.c, RunsTable.c
        told = sa.exists().where(tags.run_id == runs.run_id, tags.key.in_(_TOLD_OTHERWISE))
        query = sa.select(runs.run_id).where(
            runs.run_id.in_(run_ids),
            runs.status.in_(_ENDED) | ((runs.status == DagsterRunStatus.CANCELING.value) & ~told),
        )
        with self.connect() as connection:
            return set(connection.scalars(query))

    def tags_in_queue(self, prefix: str) -> dict[str, str]:
        """Tags of runs that wait in the queue, by name; where several have one, the newest run's.

        Args:
            prefix: of their names.
        """
        tags, runs = RunTagsTable.c, RunsTable.c
        query = (
            sa.select(tags.key, tags.value)
            .join_from(RunTagsTable, RunsTable, tags.run_id == runs.run_id)
            .where(runs.status == DagsterRunStatus.QUEUED.value, tags.key.startswith(prefix))
            .order_by(runs.id)
        )
        with self.connect() as connection:
            return {str(key): str(value) for key, value in connection.execute(query).all()}

    def add_daemon_heartbeat(self, daemon_heartbeat: "DaemonHeartbeat") -> None:
        """Tell the launcher that this process launches runs, when its queue shows life."""
        super().add_daemon_heartbeat(masked(daemon_heartbeat))
        if daemon_heartbeat.daemon_type == _LAUNCHING_DAEMON:
            prepare = getattr(self._instance.run_launcher, "prepare", None)
            if prepare:
                prepare()

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Keep a backfill of Dagster's own, without secrets."""
        super().add_backfill(masked(partition_backfill))

    def update_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Keep how far it is, and what it failed of."""
        super().update_backfill(masked(partition_backfill))

    def dispose(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()


class PlatformEventLogStorage(_Pooled, AuditedEvents, BriefEventLog):
    """Events, over the pooled connections."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine

    def has_table(self, table_name: str) -> bool:
        """Asked until it is there."""
        return self._is_there(table_name, partial(super().has_table, table_name))

    def has_asset_key_col(self, column_name: str) -> bool:
        """Asked until it is there."""
        column = f"asset_keys.{column_name}"
        return self._is_there(column, partial(super().has_asset_key_col, column_name))

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        """Claim the slots of a step, several where it says so. Called while it waits, too."""
        step = (run_id, step_key)
        with self.index_transaction() as connection:
            return claim(connection, self._instance, concurrency_key, step, priority or 0)

    def assign_pending_steps(self, concurrency_keys: Sequence[str]) -> None:
        """Nothing is kept for those that wait: they take slots by themselves, in their order."""


class PlatformScheduleStorage(_Pooled, AuditedSchedules, BriefSchedules):
    """Schedules and sensors, over the pooled connections."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine

    def has_instigators_table(self) -> bool:
        """Asked until it is there."""
        return self._is_there("instigators", super().has_instigators_table)

    def _has_instigators_table(self, conn: Connection) -> bool:
        return self._is_there("instigators", partial(super()._has_instigators_table, conn))

    def _has_asset_daemon_asset_evaluations_table(self, conn: Connection) -> bool:
        look = super()._has_asset_daemon_asset_evaluations_table
        return self._is_there("evaluations", partial(look, conn))

    def has_built_index(self, migration_name: str) -> bool:
        """Asked until it is built."""
        return self._is_there(migration_name, partial(super().has_built_index, migration_name))


class PlatformStorage(DagsterStorage, ConfigurableClass):
    """All of Dagster's storage in one PostgreSQL database, over one pool of connections.

    In `dagster.yaml`: `storage: {custom: {module: data_platform.instance.storage,
    class: PlatformStorage, config: {}}}`. The configuration is what `open_instance` passes on to
    child processes; people use the environment, see `settings`.
    """

    def __init__(
        self,
        url: str,
        inst_data: ConfigurableClassData | None = None,
        revive: Callable[[], object] | None = None,
    ) -> None:
        """Open the storage, and make its tables if they are missing.

        Args:
            url: of the database.
            inst_data: what the instance was configured with; given by Dagster.
            revive: starts the server again; called when it can't be reached. None if it isn't ours.
        """
        super().__init__()
        set_environment_defaults(ENVIRONMENT)
        judge_by_newest_due()
        self._inst_data = inst_data
        ensure_tables(url)
        engine = pooled_engine(url, revive)
        self._run_storage = PlatformRunStorage(url, engine)
        self._event_log_storage = PlatformEventLogStorage(url, engine)
        self._schedule_storage = PlatformScheduleStorage(url, engine)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What the instance was configured with."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Both default to the settings."""
        return {
            "url": Field(StringSource, is_required=False),
            "data_dir": Field(StringSource, is_required=False),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PlatformStorage":
        """Start the embedded server if it is the one to use, and open the storage."""
        settings = _configured(config_value)
        know_environment(environment())
        for folder in settings.pipelines_dirs[:1]:
            know_platform(read_platform(folder)[0], environment())
        set_up(settings.log_format, settings.log_level)
        wanted = settings.storage_url or EMBEDDED_URL

        def resolve() -> str:
            return resolve_url(wanted, settings.data_dir)

        url = resolve()
        return cls(url, inst_data, revive=None if url == wanted else resolve)

    @property
    def run_storage(self) -> RunStorage:
        """Runs, snapshots, backfills, daemon heartbeats, cursors."""
        return self._run_storage

    @property
    def event_log_storage(self) -> EventLogStorage:
        """Events, assets, checks, pools."""
        return self._event_log_storage

    @property
    def schedule_storage(self) -> ScheduleStorage:
        """Ticks of schedules and sensors, evaluations of automation conditions."""
        return self._schedule_storage


class PlatformArtifacts(LocalArtifactStorage):
    """What Dagster itself keeps in files, in `<data_dir>/dagster`."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """The folder defaults to the settings'."""
        return {"data_dir": Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PlatformArtifacts":
        """Make the folder if it is missing."""
        return cls(str(_folder(config_value, "dagster")), inst_data=inst_data)


def open_instance(settings: Settings) -> DagsterInstance:
    """Open the instance that `dagster dev` uses in `settings.home`, without DAGSTER_HOME.

    The file is `dagster.yaml` in `$DAGSTER_HOME` if that is set, else in `settings.home`, else the
    one that ships with the package. Close it with `dispose()`, or use it in a `with` statement.

    Raises:
        ConfigurationError: the file names a class that there isn't, as one of another version may.
    """
    config_dir = Path(environment().get("DAGSTER_HOME") or settings.home)
    if not (config_dir / "dagster.yaml").exists():
        config_dir = PACKAGE_DIR
    base_dir = settings.data_dir / "dagster"
    base_dir.mkdir(parents=True, exist_ok=True)
    reference = InstanceRef.from_dir(str(base_dir), config_dir=str(config_dir))
    try:
        return DagsterInstance.from_ref(_with_settings(reference, settings))
    except (CheckError, ImportError) as error:
        about = " ".join(str(error).split())
        message = f"{about}; the one of this version is {PACKAGE_DIR / 'dagster.yaml'}"
        place = Location(config_dir / "dagster.yaml")
        raise ConfigurationError([Problem(place, message)]) from error


def _with_settings(reference: InstanceRef, settings: Settings) -> InstanceRef:
    """Tell the platform's own classes of `reference` the settings that the environment doesn't."""
    ambient = load_settings()
    config: dict[str, str] = {}
    if settings.data_dir != ambient.data_dir:
        config["data_dir"] = str(settings.data_dir)
    storage = dict(config)
    # A URL may hold a password, and references appear in the arguments of processes.
    if settings.storage_url and settings.storage_url != ambient.storage_url:
        storage["url"] = settings.storage_url
    changed = {
        "storage_data": (PlatformStorage, storage),
        "compute_logs_data": (PlatformComputeLogs, config),
        "local_artifact_storage_data": (PlatformArtifacts, config),
    }
    replacements = {
        name: _class_data(kind, values)
        for name, (kind, values) in changed.items()
        if values and _names(getattr(reference, name), kind)
    }
    return reference._replace(**replacements)


def _names(data: ConfigurableClassData | None, kind: type) -> bool:
    return data is not None and (data.module_name, data.class_name) == (
        kind.__module__,
        kind.__name__,
    )


def _class_data(kind: type, config: Mapping[str, str]) -> ConfigurableClassData:
    return ConfigurableClassData(kind.__module__, kind.__name__, yaml.safe_dump(dict(config)))


def _configured(config: Mapping[str, Any]) -> Settings:
    settings = load_settings()
    if "url" in config:
        settings = replace(settings, storage_url=config["url"])
    if "data_dir" in config:
        settings = replace(settings, data_dir=Path(config["data_dir"]))
    return settings


def _folder(config: Mapping[str, Any], name: str) -> Path:
    folder = _configured(config).data_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
