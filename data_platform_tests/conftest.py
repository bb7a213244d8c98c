"""What all tests share: one embedded PostgreSQL for the whole run, xdist's workers included.

`data_dir` is its folder, `postgres_url` an empty database of a test's own on it, `settings` and
`instance` a Dagster instance of a test's own; `project_folder` and `start_dagster_dev` are for
tests of real processes, `project` is a pipelines folder with a lake, in a folder or in a bucket
(`lake_root`). The main process makes the folder, and stops the server and removes the folder at
the end; a run killed by -9 leaves a folder, which the next one removes from memory, but no server.
"""

import fcntl
import gc
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Literal

import psycopg2
import pytest
from dagster import DagsterInstance
from dagster_dev import DagsterDev
from factories import Project
from mariadb import REQUIRED as MARIADB_REQUIRED
from mariadb import MariaDB, program
from object_storage import Bucket, server_apart_url, usual_variables
from reliability_report import write_report
from server_folders import folder_for_servers, remove_what_was_left

from data_platform.embedded.server import server_url, stop_server
from data_platform.instance.storage import PlatformStorage, open_instance
from data_platform.secrets import masker
from data_platform.settings import PACKAGE_DIR, Settings

LakePlace = Literal["folder", "bucket"]
FOLDER_VARIABLE = "DATA_PLATFORM_TESTS_SERVER"
TEMPLATE = "template_dagster"
_OPENED = pytest.StashKey[AbstractContextManager[Path]]()
SLOWEST_FIRST = (
    "instance/test_forked_runs.py",
    "deployment/test_runs_in_pods.py",
    "browser/",
    "instance/test_killed_runs.py",
    "end_to_end/test_run_parameters.py",
    "faults/test_kills.py",
    "end_to_end/test_triggers_live.py",
    "end_to_end/test_told_live.py",
    "test_documentation.py",
    "handwritten/test_making.py",
    "faults/test_interrupts.py",
    "storage/test_faults_of_s3.py",
    "end_to_end/test_stale_and_rebuilt.py",
    "end_to_end/test_bad_days.py",
    "cli/test_init_command.py",
    "end_to_end/test_demo_live.py",
    "deployment/test_image.py",
    "test_benchmarks.py",
    "backfills/test_backfilling.py",
    "faults/",
    "end_to_end/",
    "access/",
    "operations/",
    "embedded/",
    "instance/",
    "handwritten/",
    "cli/",
    "analytics/",
    "test_",
)
"""Files below this folder that take a minute or more, longest first, by how their paths begin; then
folders whose tests take seconds each."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lake-on-s3",
        action="store_true",
        help="keep the lakes of tests in buckets instead of folders; see `make test-s3`",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        remove_what_was_left()
        opened = folder_for_servers()
        config.stash[_OPENED] = opened
        os.environ[FOLDER_VARIABLE] = str(opened.__enter__())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give xdist's workers the slow files first, so that none of them is alone at the end.

    xdist itself would begin with the files that have most tests, which are quick ones; see
    `--no-loadscope-reorder` in pyproject.toml.
    """
    here = Path(__file__).parent

    def turn(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix() if item.path.is_relative_to(here) else ""
        begun = (n for n, start in enumerate(SLOWEST_FIRST) if path.startswith(start))
        return next(begun, len(SLOWEST_FIRST))

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    """Leave what was imported and collected alone when Python looks for garbage: it stays."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    gc.unfreeze()
    if not hasattr(config, "workerinput"):
        write_report(config.rootpath / "docs" / "reliability.md")
        stop_server(Path(os.environ.pop(FOLDER_VARIABLE)))
        config.stash[_OPENED].__exit__(None, None, None)


@pytest.fixture(autouse=True)
def _no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masker, "_masker", masker.Masker())


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder of the shared embedded server. Keep nothing else in it."""
    return Path(os.environ[FOLDER_VARIABLE])


@pytest.fixture(scope="session")
def postgres_admin_url(data_dir: Path) -> str:
    """The shared server's database `postgres`, for making and dropping others."""
    url = server_url(data_dir, "postgres")
    # Data of tests needn't outlive the machine: a database is made in 20 ms instead of 300.
    for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
        _execute(url, f"ALTER SYSTEM SET {name} = off")
    _execute(url, "SELECT pg_reload_conf()")
    return url


@pytest.fixture
def postgres_url(data_dir: Path, postgres_admin_url: str) -> Iterator[str]:
    """An empty database, dropped after the test."""
    with _database(data_dir, postgres_admin_url, "template1") as url:
        yield url


@pytest.fixture
def dagster_url(data_dir: Path, postgres_admin_url: str, dagster_template: str) -> Iterator[str]:
    """A database with Dagster's tables in it, dropped after the test."""
    with _database(data_dir, postgres_admin_url, dagster_template) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, dagster_url: str) -> Settings:
    """Settings with folders of the test's own and Dagster's storage on the shared server."""
    return Settings(
        home=tmp_path,
        data_dir=tmp_path / ".data",
        pipelines_dirs=(PACKAGE_DIR / "pipelines",),
        storage_url=dagster_url,
    )


@pytest.fixture
def instance(settings: Settings) -> Iterator[DagsterInstance]:
    """A Dagster instance like the platform's own, empty."""
    with open_instance(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def dagster_template(data_dir: Path, postgres_admin_url: str) -> str:
    """A database with Dagster's tables, to make others from: 20 ms each instead of 900."""
    with (data_dir / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        query = f"SELECT 1 FROM pg_database WHERE datname = '{TEMPLATE}'"
        if not _execute(postgres_admin_url, query):
            storage = PlatformStorage(server_url(data_dir, f"{TEMPLATE}_new"))
            storage.run_storage.dispose()
            _execute(postgres_admin_url, f"ALTER DATABASE {TEMPLATE}_new RENAME TO {TEMPLATE}")
    return TEMPLATE


@pytest.fixture
def lake_place(request: pytest.FixtureRequest) -> LakePlace:
    """Where the lake of a test is; `--lake-on-s3` decides, or a folder's conftest."""
    wanted: LakePlace = getattr(request, "param", "folder")
    return "bucket" if request.config.getoption("--lake-on-s3") else wanted


@pytest.fixture
def lake_root(lake_place: LakePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The root of a test's lake as platform.yaml names it, reachable by the usual variables."""
    if lake_place == "folder":
        return str(tmp_path / "lake")
    for name, value in usual_variables().items():
        monkeypatch.setenv(name, value)
    return f"{Bucket(server_apart_url()).url}/a-lake"


@pytest.fixture
def project(tmp_path: Path, lake_root: str) -> Project:
    """An empty pipelines folder with a lake beside it."""
    return Project(tmp_path, lake_root)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """A MariaDB of this process's tests; skipped where none is installed."""
    if program() is None:
        assert MARIADB_REQUIRED not in os.environ, "mariadbd isn't installed"
        pytest.skip("needs MariaDB: apt-get install mariadb-server")
    with folder_for_servers() as folder:
        server = MariaDB(folder)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def mariadb(mariadb_server: MariaDB) -> MariaDB:
    """The same with an empty database `shop`."""
    mariadb_server.make_database()
    return mariadb_server


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """An empty folder that an embedded server of a test's own may be in; `tmp_path` can't."""
    with folder_for_servers() as folder:
        yield folder


@pytest.fixture(scope="module")
def project_folder() -> Iterator[Path]:
    """An empty folder with the project's dagster.yaml, which may have a server of its own."""
    with folder_for_servers() as folder:
        shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
        yield folder
        stop_server(folder / ".data")


@pytest.fixture(scope="module")
def start_dagster_dev() -> Iterator[Callable[..., DagsterDev]]:
    """Call it like `DagsterDev(folder, *arguments, **environ)`; stopped after the module."""
    started: list[DagsterDev] = []

    def start(folder: Path, *arguments: str, **environ: str) -> DagsterDev:
        started.append(DagsterDev(folder, *arguments, **environ))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@contextmanager
def _database(data_dir: Path, admin_url: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:16]}"
    _execute(admin_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield server_url(data_dir, name)
    finally:
        _execute(admin_url, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
