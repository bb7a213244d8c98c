import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dagster as dg
import psutil
import psycopg2
import pytest
from dagster._core.storage.runs import RunStorageSqlMetadata
from sqlalchemy import create_engine, event, text

from data_platform.embedded.server import stop_server
from data_platform.errors import ConfigurationError
from data_platform.instance.run_storage import PlatformRunStorage
from data_platform.instance.storage import ENVIRONMENT, PlatformStorage, open_instance
from data_platform.settings import Settings, load_settings

OPEN = """
import sys
from dagster_shared.serdes.serdes import _WHITELIST_MAP
from data_platform.instance.storage import PlatformStorage
PlatformStorage(sys.argv[1])
assert "TimeAloneMapping" in _WHITELIST_MAP.object_deserializers
"""


@dg.asset
def small(context: dg.AssetExecutionContext) -> None:
    print("printed by the step")  # noqa: T201


def connections(url: str) -> int:
    """Of others to this database, locks of runs not counted."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND application_name <> 'data_platform run lock'"
        " AND backend_type = 'client backend'"
    )
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def test_run_is_stored_and_read_by_another_process_of_the_same_instance(
    instance: dg.DagsterInstance,
) -> None:
    result = dg.materialize([small], instance=instance)
    with dg.DagsterInstance.from_ref(instance.get_ref()) as other:
        assert other.get_run_by_id(result.run_id).is_success
        assert other.get_latest_materialization_event(small.key).run_id == result.run_id


def test_output_of_steps_is_below_the_data_folder(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    result = dg.materialize([small], instance=instance)
    files = list((settings.data_dir / "compute_logs" / result.run_id).rglob("*.out"))
    assert ["printed by the step" in file.read_text() for file in files] == [True]
    assert Path(instance.storage_directory()).is_relative_to(settings.data_dir)


def test_event_settings_reach_the_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    with open_instance(settings):
        assert {name: os.environ[name] for name in ENVIRONMENT} == ENVIRONMENT


def test_event_settings_that_are_set_are_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "7")
    with open_instance(settings):
        assert os.environ["DAGSTER_EVENT_BATCH_SIZE"] == "7"


def test_instance_keeps_few_connections_and_closes_them(
    instance: dg.DagsterInstance, dagster_url: str
) -> None:
    dg.materialize([small], instance=instance)
    assert 1 <= connections(dagster_url) <= 2
    instance.dispose()
    assert connections(dagster_url) == 0


def test_instance_survives_the_loss_of_its_connections(
    instance: dg.DagsterInstance, dagster_url: str
) -> None:
    instance.get_runs()
    with closing(psycopg2.connect(dagster_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert instance.get_runs() == []


def test_tables_and_columns_are_looked_for_once(instance: dg.DagsterInstance) -> None:
    job = dg.Definitions([small]).resolve_implicit_global_asset_job_def()
    asked: list[str] = []

    def ask() -> None:
        instance.all_instigator_state()
        instance.create_run_for_job(job)
        assert instance.schedule_storage.supports_auto_materialize_asset_evaluations

    ask()
    storage = instance.run_storage
    assert isinstance(storage, PlatformRunStorage)
    event.listen(storage._engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    ask()
    assert asked
    assert not [statement for statement in asked if "pg_catalog" in statement]


def test_webserver_keeps_the_pool_with_a_limit_on_statements(
    instance: dg.DagsterInstance, dagster_url: str
) -> None:
    instance.get_runs()
    instance.optimize_for_webserver(statement_timeout=1234, pool_recycle=60, max_overflow=5)
    with instance.event_log_storage._connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "1234ms"
    instance.get_runs()
    assert 1 <= connections(dagster_url) <= 2


def test_embedded_server_that_was_killed_is_started_again(public_folder: Path) -> None:
    settings = load_settings({"DATA_PLATFORM_HOME": str(public_folder)})
    try:
        with open_instance(settings) as instance:
            instance.get_runs()
            lines = (settings.data_dir / "postgres/data/postmaster.pid").read_text().split()
            server = psutil.Process(int(lines[0]))
            processes = [server, *server.children()]
            server.kill()
            # Its other processes see that a little later; until then one may answer a ping.
            psutil.wait_procs(processes, timeout=20)
            assert dg.materialize([small], instance=instance).success
    finally:
        stop_server(settings.data_dir)


def test_forked_child_has_connections_of_its_own(instance: dg.DagsterInstance) -> None:
    instance.get_runs()
    child = os.fork()
    if child == 0:
        os._exit(len(instance.get_runs()))
    assert os.waitpid(child, 0)[1] == 0
    assert instance.get_runs() == []


def test_processes_that_start_at_once_make_the_tables_once(postgres_url: str) -> None:
    """And each knows the mapping of ours that may be in Dagster's graph."""
    command = [sys.executable, "-W", "error", "-c", OPEN, postgres_url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate(timeout=120)[1].decode() for process in processes]
    assert errors == ["", "", ""]


def test_tables_that_were_half_made_are_completed(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    RunStorageSqlMetadata.create_all(engine)
    engine.dispose()
    storage = PlatformStorage(postgres_url)
    assert storage.run_storage.has_run_stats_index_cols()
    storage.run_storage.dispose()


@pytest.mark.parametrize(
    "module", ["data_platform.instance", "data_platform.storage_of_another_version"]
)
def test_file_of_another_version_is_told(settings: Settings, module: str) -> None:
    (settings.home / "dagster.yaml").write_text(
        f"storage:\n  custom: {{module: {module}, class: PlatformStorage, config: {{}}}}\n"
    )
    with pytest.raises(ConfigurationError, match=r"dagster\.yaml:1:1: .*the one of this version"):
        open_instance(settings)


def test_file_of_the_folder_is_used(settings: Settings) -> None:
    (settings.home / "dagster.yaml").write_text(
        "storage:\n  custom:\n    {module: data_platform.instance.storage, class: PlatformStorage, "
        "config: {}}\n"
        "run_monitoring: {enabled: false}\n"
    )
    with open_instance(settings) as instance:
        assert not instance.run_monitoring_enabled


def test_file_of_dagster_home_comes_first(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "dagster home"
    home.mkdir()
    (home / "dagster.yaml").write_text("run_monitoring: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with open_instance(settings) as instance:
        assert not instance.run_monitoring_enabled


def test_file_that_ships_is_used_otherwise(instance: dg.DagsterInstance) -> None:
    assert instance.run_monitoring_enabled
    assert instance.run_launcher.supports_check_run_worker_health
    assert not instance.telemetry_enabled


def test_password_of_the_environment_stays_out_of_the_reference(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = settings.storage_url.replace("postgres@", "postgres:s3cret@")
    monkeypatch.setenv("DATA_PLATFORM_STORAGE_URL", url)
    with open_instance(replace(settings, storage_url=url)) as instance:
        assert "s3cret" not in str(instance.get_ref())
        assert instance.get_runs() == []
