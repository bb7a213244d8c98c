# ruff: noqa: E501 -- cases stand in tables, one a line
"""While a database is read: nothing that others write is seen, rows are counted, it can be ended."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg2
import pytest
from database_project import DatabaseProject
from factories import DAY, NEXT_DAY, Project
from mariadb import MariaDB

from data_platform.engine.work import Moved, Work
from data_platform.errors import SourceUnavailable

Run = Callable[[str], None]


class Shop:
    """A database with a table `orders` of `rows` rows, and a project over it."""

    def __init__(self, kind: str, url: str, run: Run, project: Project) -> None:
        self.kind, self.run = kind, run
        self.project = DatabaseProject(project, url)

    def fill(self, rows: int) -> None:
        series = {
            "postgres": f"SELECT i FROM generate_series(1, {rows}) AS s(i)",
            "mariadb": f"SELECT seq FROM seq_1_to_{rows}",
            "sqlite": f"WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {rows}) SELECT i FROM s",
            "duckdb": f"SELECT i FROM range(1, {rows + 1}) AS s(i)",
        }
        self.run("CREATE TABLE orders (id integer)")
        self.run(f"INSERT INTO orders {series[self.kind]}")


@pytest.fixture(params=["postgres", "mariadb", "sqlite", "duckdb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, project: Project) -> Shop:
    kind = request.param
    if kind == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
        return Shop(kind, url, lambda sql: run_in_postgres(url, sql), project)
    if kind == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        return Shop(kind, server.url, server.execute, project)
    file = tmp_path / "shop.db"
    if kind == "sqlite":
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode = wal")  # else a reader keeps writers out
        return Shop(kind, f"sqlite:///{file}", lambda sql: run_in_sqlite(file, sql), project)
    return Shop(kind, f"duckdb:///{file}", lambda sql: run_in_duckdb(file, sql), project)


def run_in_postgres(url: str, sql: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)


def run_in_sqlite(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(sql)


def run_in_duckdb(file: Path, sql: str) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute(sql)


def test_rows_that_are_written_meanwhile_are_not_seen(shop: Shop) -> None:
    if shop.kind == "duckdb":
        pytest.skip("nobody can write to a file of DuckDB that is open to be read")
    shop.fill(5000)
    shop.project.query(
        "SELECT :partition_key AS k, id, (SELECT count(*) FROM orders) AS n FROM orders",
        daily=True,
        more="    fetch_size: 10\n",
    )
    written: list[Moved] = []

    def write(moved: Moved) -> None:
        if not written:
            written.append(moved)
            shop.run("INSERT INTO orders VALUES (0)")

    shop.project.land(DAY, NEXT_DAY, work=Work(write))
    assert written
    rows = shop.project.rows()
    assert len(rows) == 10_000
    assert {row["n"] for row in rows} == {5000}


def test_rows_and_bytes_are_counted(shop: Shop) -> None:
    shop.fill(5000)
    shop.project.table(more="    fetch_size: 100\n")
    told: list[Moved] = []
    shop.project.land(work=Work(told.append))
    assert len(told) > 1
    assert told[-1].rows == 5000
    assert told[-1].bytes >= 5000
    assert [moved.rows for moved in told] == sorted(moved.rows for moved in told)


ENDLESS = {
    "postgres": "SELECT i AS id, CASE WHEN i = 90000 THEN pg_sleep(600)::text END AS t FROM generate_series(1, 100000) AS s(i)",
    "mariadb": "SELECT a.seq AS id, IF(a.seq > 90000, (SELECT sum(b.seq * a.seq) FROM seq_1_to_10000000000 b), 0) AS t FROM seq_1_to_100000 a",
    "sqlite": "SELECT a.id AS id FROM orders a, orders b, orders c, orders d WHERE (a.id = 1 AND b.id = 1 AND c.id < 11) OR d.id < 0",
    "duckdb": "SELECT i AS id FROM range(1, 1000000000000) AS s(i) WHERE i % 1000000000000 < 90000",
}
"""Rows at first, then nothing for longer than anybody waits."""


def test_a_query_that_runs_can_be_ended(shop: Shop) -> None:
    shop.fill(2000)
    shop.project.query(ENDLESS[shop.kind], more="    fetch_size: 100\n")
    begun = threading.Event()
    work = Work(lambda moved: begun.set() if moved.rows > 10_000 else None)
    reason = SourceUnavailable("it took too long")

    def end() -> None:
        assert begun.wait(120)
        work.stop(reason)

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(SourceUnavailable, match="it took too long"):
        shop.project.land(work=work)
    ending.join()
    assert shop.project.project.table("raw/orders").snapshot() is None
