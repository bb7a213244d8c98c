"""`data-platform migrate`: tables made, and changed from an older version, once whoever asks."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from click.testing import CliRunner, Result
from dagster._core.storage.sql import run_alembic_downgrade
from dagster_postgres.event_log import event_log
from dagster_postgres.utils import pg_alembic_config

from data_platform.cli import main
from data_platform.commands.migrating import WITH_TABLES
from data_platform.instance.database import newest_migration, pooled_engine
from data_platform.instance.migrating import migrate, wait_for_database
from data_platform.instance.storage import open_instance
from data_platform.settings import PACKAGE_DIR, Settings

LAST_BEFORE = "701913684cb4"
"""A migration of Dagster after which several tables came."""
NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(url: str, *arguments: str) -> Result:
    environ = {"DATA_PLATFORM_STORAGE_URL": url, "DATA_PLATFORM_HOME": None}
    return CliRunner().invoke(main, ["migrate", *arguments], env=environ, catch_exceptions=False)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def tables(url: str) -> dict[str, list[str]]:
    """The columns of each table."""
    rows = ask(
        url,
        "SELECT table_name, array_agg(column_name::text ORDER BY column_name)"
        " FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1",
    )
    return {str(name): list(columns) for name, columns in rows}  # type: ignore[call-overload]


def declared() -> dict[str, str]:
    """Modules that write what makes their tables, and how they call these."""
    texts = {file: file.read_text() for file in PACKAGE_DIR.rglob("*.py")}
    found = {file: re.search(r"\bTables\(\s*\"(\w+)\"", text) for file, text in texts.items()}
    return {
        ".".join(file.relative_to(PACKAGE_DIR.parent).with_suffix("").parts): name[1]
        for file, name in found.items()
        if name
    }


def test_an_empty_database_gets_all_tables(postgres_url: str, tmp_path: Path) -> None:
    result = command(postgres_url)
    assert result.exit_code == 0, result.output
    assert f"dagster: none -> {newest_migration()}" in result.stdout.splitlines()
    rows = ask(postgres_url, "SELECT name FROM data_platform_tables")
    assert {name for (name,) in rows} >= set(declared().values())
    assert not list(tmp_path.iterdir())


def test_whoever_opens_the_storage_after_it_finds_nothing_to_make(
    postgres_url: str, tmp_path: Path
) -> None:
    migrate(postgres_url)
    made = tables(postgres_url)
    settings = Settings(tmp_path, tmp_path / ".data", (PACKAGE_DIR / "pipelines",), postgres_url)
    with open_instance(settings) as instance:
        assert instance.get_runs() == []
    assert tables(postgres_url) == made


def test_a_second_time_it_says_that_there_is_nothing_to_do(dagster_url: str) -> None:
    migrate(dagster_url)
    result = command(dagster_url)
    assert result.exit_code == 0
    assert result.stdout == (
        f"nothing to do: Dagster's tables are of migration {newest_migration()}\n"
    )


def test_tables_of_an_older_dagster_are_changed(postgres_url: str, dagster_url: str) -> None:
    migrate(postgres_url)
    newest = tables(postgres_url)
    go_back(postgres_url, LAST_BEFORE)
    assert "concurrency_limits" not in tables(postgres_url)
    result = command(postgres_url, "--format", "json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["changed"]
    assert told["tables"]["dagster"] == {"before": LAST_BEFORE, "after": newest_migration()}
    assert tables(postgres_url) == newest


def test_tables_of_an_older_platform_are_changed(postgres_url: str) -> None:
    migrate(postgres_url)
    ask(postgres_url, "DROP TABLE data_platform_locations")
    ask(postgres_url, "DELETE FROM data_platform_tables WHERE name = 'locations'")
    done = migrate(postgres_url)
    assert not done.dagster.changed
    assert [name for name, step in done.own.items() if step.changed] == ["locations"]
    assert "data_platform_locations" in tables(postgres_url)


def test_steps_of_a_newer_platform_stay(postgres_url: str) -> None:
    migrate(postgres_url)
    ask(postgres_url, "UPDATE data_platform_tables SET version = 99 WHERE name = 'audit'")
    assert not migrate(postgres_url).changed
    rows = ask(postgres_url, "SELECT version FROM data_platform_tables WHERE name = 'audit'")
    assert rows == [(99,)]


def test_tables_of_a_newer_dagster_are_refused(postgres_url: str) -> None:
    migrate(postgres_url)
    ask(postgres_url, "UPDATE alembic_version SET version_num = 'fffffffffff0'")
    result = command(postgres_url)
    assert result.exit_code == 1
    assert "of migration fffffffffff0, which this version doesn't know" in result.stderr


def test_two_at_once_do_it_once(postgres_url: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(migrate, [postgres_url, postgres_url]))
    assert sorted(one.changed for one in done) == [False, True]


def test_a_database_that_never_answers_is_an_error() -> None:
    result = command(NOBODY, "--wait", "0")
    assert result.exit_code == 1
    assert "Dagster's storage doesn't answer within 0 seconds" in result.stderr
    assert "DATA_PLATFORM_STORAGE_URL" in result.stderr


@pytest.fixture
def later_url(postgres_admin_url: str) -> Iterator[str]:
    """A database that isn't there yet; dropped after the test."""
    yield urlsplit(postgres_admin_url)._replace(path="/comes_later").geturl()
    ask(postgres_admin_url, "DROP DATABASE IF EXISTS comes_later")


def test_a_database_that_comes_later_is_waited_for(later_url: str, postgres_admin_url: str) -> None:
    told: list[str] = []

    def make(reason: str) -> None:
        told.append(reason)
        ask(postgres_admin_url, "CREATE DATABASE comes_later")

    wait_for_database(later_url, 60, make)
    assert len(told) == 1
    assert "comes_later" in told[0]


def test_no_module_with_tables_is_forgotten() -> None:
    assert sorted(declared()) == sorted(WITH_TABLES)


def go_back(url: str, revision: str) -> None:
    """Make the tables those of an older version of Dagster."""
    engine = pooled_engine(url, None)
    try:
        with engine.connect() as connection:
            run_alembic_downgrade(pg_alembic_config(event_log.__file__), connection, revision)
    finally:
        engine.dispose()
