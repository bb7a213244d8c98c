"""From one database into another: every type, value by value, and what can't go is told.

A source lands a table, a destination writes it, a second source reads what was written: the rows of
both assets are compared as Python has them.
"""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from factories import Project, database_outside

from data_platform.destinations.loading import deliver
from data_platform.engine.postgres import connected
from data_platform.engine.work import Moved, Work
from data_platform.errors import StorageError
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.storage.workbench import Workbench

COLUMNS = {
    "small": ("smallint", ["-32768", "32767", "0"]),
    "whole": ("integer", ["-2147483648", "2147483647", "0"]),
    "big": ("bigint", ["-9223372036854775808", "9223372036854775807", "0"]),
    "single": ("real", ["3.4e38", "'-infinity'", "0.1"]),
    "twice": ("double precision", ["1.7976931348623157e308", "'infinity'", "5e-324"]),
    "price": ("numeric(15,4)", ["12345678901.2345", "-0.0001", "0.1"]),
    "exact": ("numeric(38,10)", ["1234567890123456789012345678.0123456789", "-1e-10", "0.1"]),
    "digits": ("numeric(20,0)", ["99999999999999999999", "-9223372036854775809", "0"]),
    "words": ("text", ["''", "'ä 東京 🎉 ''\"\\ \n'", "repeat('x', 1000000)"]),
    "code": ("varchar(10)", ["'007'", "'1e5'", "' '"]),
    "raw": ("bytea", ["'\\x00ff'", "''", "'\\x27'"]),
    "flag": ("boolean", ["true", "false", "true"]),
    "day": ("date", ["'0001-01-01'", "'9999-12-31'", "'2024-02-29'"]),
    "at": ("timestamp", ["'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'2024-03-31 02:30'"]),
    "moment": (
        "timestamptz",
        ["'2024-03-31 02:30:00.000001+02'", "'1969-12-31 23:59:59.999999+00'", "'2024-01-01Z'"],
    ),
    "key": ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "gen_random_uuid()", "NULL"]),
    "tree": ("jsonb", ["'{\"a\": [1, null]}'", "'[]'", "'\"x\"'"]),
}
"""PostgreSQL's types and three values of each; a fourth row has NULL in all of them."""
PIPELINE = """
sources:
  rows: {{type: database, connection: shop, table: {source}, partitions: none}}
  again: {{type: database, connection: target, table: moved, partitions: none}}
destinations:
  moved: {{from: raw.rows, type: database, connection: target, table: moved}}
"""


class Transfer:
    """A pipeline from one database into another, and back into the lake."""

    def __init__(self, project: Project, source: str, target: str, table: str = "rows") -> None:
        self.project, self.source, self.target = project, source, target
        project.platform(
            "connections:\n"
            f"  shop: {{type: database, url: '{source}'}}\n"
            f"  target: {{type: database, url: '{target}'}}\n"
        )
        project.declare(PIPELINE.format(source=table))

    def run(self, work: Work | None = None) -> None:
        self.project.land_source("rows", url=self.source)
        node = self.project.node("destinations/moved")
        assert isinstance(node, DestinationNode)
        bench = Workbench(self.project.workbench.lake, threads=1, work=work or Work())
        deliver(node, [WHOLE], bench, database_outside(self.target), "run")

    def both(self) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        """What was read from the source, and what the target gives back."""
        self.project.land_source("again", url=self.target)
        return self.project.rows("raw/rows"), self.project.rows("raw/again")


def fill(url: str, *more: str) -> None:
    """A table `rows` with every type."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    with connected(url, autocommit=True) as (_, cursor):
        cursor.execute(f"CREATE TABLE rows (id integer, {columns})")
        for number in range(3):
            values = ", ".join(some[number] for _, some in COLUMNS.values())
            cursor.execute(f"INSERT INTO rows VALUES ({number}, {values})")
        cursor.execute("INSERT INTO rows (id) VALUES (3)")
        for statement in more:
            cursor.execute(statement)


def url_in(kind: str, folder: Path, postgres_url: str) -> str:
    return postgres_url if kind == "postgres" else f"{kind}:///{folder}/target.{kind}"


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "duckdb"])
def test_every_value_arrives_as_it_was(
    project: Project, postgres_url: str, tmp_path: Path, kind: str
) -> None:
    fill(postgres_url)
    transfer = Transfer(project, postgres_url, url_in(kind, tmp_path, postgres_url))
    transfer.run()
    before, after = transfer.both()
    assert len(before) == 4
    for name in before[0]:
        was, is_now = ({row["id"]: row[name] for row in rows} for rows in (before, after))
        assert is_now == was, name


@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_nan_stays_nan_where_the_database_has_it(
    project: Project, postgres_url: str, tmp_path: Path, kind: str
) -> None:
    fill(postgres_url, "UPDATE rows SET twice = 'NaN', single = 'NaN'")
    transfer = Transfer(project, postgres_url, url_in(kind, tmp_path, postgres_url))
    transfer.run()
    _, after = transfer.both()
    assert all(math.isnan(row[name]) for row in after for name in ("twice", "single"))  # type: ignore[arg-type]


def test_sqlite_refuses_what_it_would_make_something_else_of(
    project: Project, postgres_url: str, tmp_path: Path
) -> None:
    fill(postgres_url, "UPDATE rows SET twice = 'NaN'")
    transfer = Transfer(project, postgres_url, f"sqlite:///{tmp_path}/target.db")
    with pytest.raises(StorageError, match="column twice holds NaN, which SQLite makes NULL of"):
        transfer.run()
    with closing(sqlite3.connect(tmp_path / "target.db")) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchall() == [(0,)]


def test_sqlite_goes_into_duckdb(project: Project, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE rows (id integer, amount decimal(12,2), at timestamp)")
        connection.execute("INSERT INTO rows VALUES (1, 0.1, '2024-01-01 10:00:00.5')")
        connection.execute("INSERT INTO rows VALUES (9223372036854775807, NULL, NULL)")
    transfer = Transfer(
        project, f"sqlite:///{tmp_path}/shop.db", f"duckdb:///{tmp_path}/target.duckdb"
    )
    transfer.run()
    before, after = transfer.both()
    assert after == before
    assert len(after) == 2


def test_rows_and_bytes_are_counted_on_their_way(
    project: Project, postgres_url: str, tmp_path: Path
) -> None:
    fill(postgres_url)
    told: list[Moved] = []
    Transfer(project, postgres_url, f"sqlite:///{tmp_path}/target.db").run(Work(told.append))
    assert told[-1].rows == 4
    assert told[-1].bytes > 1_000_000
