"""Dagster's own storage: where it is, and how a process opens it.

Owns the classes that `dagster.yaml` names and `open_instance` for the command. Everything is in
PostgreSQL, the embedded one unless `DATA_PLATFORM_STORAGE_URL` is set, so that a laptop and a
deployment behave the same; compute logs and artefacts are below the data folder. It must not know
pipelines, nor be imported by anything below `cli`: Dagster loads it by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from dagster import (
    DagsterInstance,
    Field,
    StringSource,
)
from dagster._config import UserConfigSchema
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.runs.base import RunStorage
from dagster._core.storage.schedules.base import ScheduleStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_shared.check import CheckError

import data_platform.partitioning.windows  # noqa: F401 -- all who read Dagster's graph know it
from data_platform.embedded.server import resolve_url
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.instance.compute_logs import PlatformComputeLogs
from data_platform.instance.database import ensure_tables, pooled_engine
from data_platform.instance.freshness import judge_by_newest_due
from data_platform.instance.pooled_storages import PlatformEventLogStorage, PlatformScheduleStorage
from data_platform.instance.run_storage import PlatformRunStorage
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
    pass

EMBEDDED_URL = "embedded://dagster"
ENVIRONMENT = {
    # Read where a range's materializations are written, that is in the run.
    "DAGSTER_EVENT_BATCH_SIZE": "500",
    # Read where runs are made: in the webserver, the daemon and the command.
    "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true",
}
"""Together 10 times faster events of partitioned runs; set unless they are set already."""


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
