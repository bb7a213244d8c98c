# ruff: noqa: E501 -- cases stand in tables, one a line
"""MariaDB, SQLite and files of DuckDB: types, partitions, queries, one snapshot, errors."""

import datetime as dt
import functools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from database_project import DatabaseProject
from factories import DAY, NEXT_DAY, Project, outcome
from mariadb import MariaDB

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.sources.database.describing import source_schema

Execute = Callable[..., None]
KINDS = ["mariadb", "sqlite", "duckdb"]


class Other:
    """A database of a kind, what runs statements in it, and a project over it."""

    def __init__(self, kind: str, url: str, execute: Execute, project: Project) -> None:
        self.kind, self.url, self.execute = kind, url, execute
        self.project = DatabaseProject(project, url)


@pytest.fixture(params=KINDS)
def other(request: pytest.FixtureRequest, tmp_path: Path, project: Project) -> Other:
    if request.param == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        in_utc = functools.partial(server.execute, "SET time_zone = '+00:00'")
        return Other("mariadb", server.url, in_utc, project)
    if request.param == "sqlite":
        return Other("sqlite", f"sqlite:///{tmp_path}/shop.db", sqlite_at(tmp_path), project)
    return Other("duckdb", f"duckdb:///{tmp_path}/shop.duckdb", duckdb_at(tmp_path), project)


def sqlite_at(folder: Path) -> Execute:
    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return execute


def duckdb_at(folder: Path) -> Execute:
    def execute(*statements: str) -> None:
        with duckdb.connect(str(folder / "shop.duckdb")) as connection:
            for statement in statements:
                connection.execute(statement)

    return execute


TABLE = "CREATE TABLE orders (id integer, moment timestamp NULL, day date, name varchar(20))"
FILL = (
    "INSERT INTO orders VALUES (1, '2024-01-01 00:00:00', '2024-01-01', 'a'), "
    "(2, '2024-01-01 23:59:59', '2024-01-01', 'it''s'), "
    "(3, '2024-01-02 00:00:00', '2024-01-02', NULL), "
    "(4, '2024-01-03 00:00:00', '2024-01-03', 'x'), (5, NULL, NULL, '')"
)


@pytest.mark.parametrize("cursor", ["moment", "day"])
def test_a_table_is_read_in_partitions(other: Other, cursor: str) -> None:
    other.execute(TABLE, FILL)
    file = other.project.table(daily=True)
    file.write_text(file.read_text().replace("cursor: at", f"cursor: {cursor}"))
    passage = other.project.land(DAY, NEXT_DAY)
    assert [row["id"] for row in other.project.rows(DAY)] == [1, 2]
    assert [row["id"] for row in other.project.rows(NEXT_DAY)] == [3]
    assert outcome(passage, "outside_partitions").offending == 1


def test_an_empty_table_lands_as_empty(other: Other) -> None:
    other.execute(TABLE)
    other.project.table()
    other.project.land()
    assert other.project.rows() == []
    assert other.project.project.table("raw/orders").snapshot() is not None


@pytest.mark.parametrize("value", ["it's", "'; DROP TABLE orders; --", "a\\", "\\' OR 1=1 --", "größe 😀", "%s %(x)s", ":id"])  # fmt: skip
def test_values_of_a_query_are_bound(other: Other, value: str) -> None:
    other.execute(
        "CREATE TABLE orders (id integer, name varchar(99))", "INSERT INTO orders VALUES (1, 'x')"
    )
    written = value.replace("\\", "\\\\")
    # MySQL's strings know backslashes; none is in the text of the query.
    other.project.query(
        "SELECT id, :wanted AS wanted, 'a%b :wanted' AS text FROM orders /* :wanted */\n"
        "WHERE id = 1 AND name <> :wanted -- :wanted %",
        more=f'    parameters:\n      wanted: {{type: str, default: "{written}"}}\n',
    )
    other.project.land()
    assert other.project.rows() == [{"id": 1, "wanted": value, "text": "a%b :wanted"}]


def test_a_query_is_asked_once_a_partition(other: Other) -> None:
    other.execute(TABLE, FILL)
    other.project.query(
        "SELECT count(*) AS n, min(id) AS low, max(name) AS name FROM orders\n"
        "WHERE moment >= :partition_start AND moment < :partition_end;",
        daily=True,
    )
    other.project.land(DAY, NEXT_DAY)
    assert other.project.rows(DAY) == [{"n": 2, "low": 1, "name": "it's"}]
    assert other.project.rows(NEXT_DAY) == [{"n": 1, "low": 3, "name": None}]


@pytest.mark.parametrize("cursor", ["id", "moment"])
def test_a_table_grows_by_what_is_new(other: Other, cursor: str) -> None:
    other.execute(TABLE, FILL)
    other.project.table(more=f"    incremental: {{cursor: {cursor}}}\n")
    other.project.land()
    before = {row["id"] for row in other.project.rows()}
    other.execute(
        "DELETE FROM orders WHERE id = 1",
        "INSERT INTO orders VALUES (6, '2024-01-04 00:00:00.5', '2024-01-04', 'new')",
    )
    other.project.land()
    assert {row["id"] for row in other.project.rows()} == before | {6}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nope FROM orders", "nope"),
        ("SELECT * FROM none", "none"),
        ("SELECT no_such_function(id) FROM orders", "no_such_function"),
    ],
)
def test_what_is_refused_is_no_reason_to_try_again(other: Other, sql: str, message: str) -> None:
    other.execute(TABLE, FILL)
    other.project.query(sql)
    with pytest.raises(SourceError, match=message):
        other.project.land()


def test_what_check_tells_is_what_lands(other: Other) -> None:
    other.execute(TABLE, FILL)
    other.project.table()
    other.project.land()
    snapshot = other.project.project.table("raw/orders").snapshot()
    assert snapshot is not None
    told = source_schema(other.url, other.project.node)
    assert [column.name for column in told.columns] == snapshot.schema.names
    types = [column.type for column in told.columns]
    zoned = "TIMESTAMP WITH TIME ZONE" if other.kind == "mariadb" else "TIMESTAMP"
    integer = "BIGINT" if other.kind == "sqlite" else "INTEGER"
    assert types == [integer, zoned, "DATE", "VARCHAR"]


MARIADB = [
    ("tinyint", "-7", -7),
    ("tinyint unsigned", "255", 255),
    ("boolean", "1", 1),
    ("smallint unsigned", "65535", 65535),
    ("mediumint", "-8388608", -8388608),
    ("int unsigned", "4294967295", 4294967295),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("bigint unsigned", "18446744073709551615", Decimal(2**64 - 1)),
    ("decimal(12,2)", "-12.30", Decimal("-12.30")),
    ("decimal(10)", "12", Decimal(12)),
    ("decimal(5,2) unsigned", "999.99", Decimal("999.99")),
    (
        "decimal(65,30)",
        "12345678901234567890.123456789012345678901234567890",
        "12345678901234567890.123456789012345678901234567890",
    ),
    ("float", "0.1", 0.10000000149011612),
    ("double", "0.1", 0.1),
    ("double", "1.7976931348623157e308", 1.7976931348623157e308),
    ("bit(10)", "b'1111111111'", 1023),
    ("bit(64)", "0xffffffffffffffff", Decimal(2**64 - 1)),
    ("date", "'2024-02-29'", dt.date(2024, 2, 29)),
    ("datetime", "'2024-01-01 10:00'", dt.datetime(2024, 1, 1, 10)),  # noqa: DTZ001
    ("datetime(6)", "'2024-01-01 10:00:00.123456'", dt.datetime(2024, 1, 1, 10, 0, 0, 123456)),  # noqa: DTZ001
    (
        "timestamp NULL",
        "'2024-07-01 10:00:00'",
        dt.datetime(2024, 7, 1, 8, tzinfo=dt.UTC),
    ),  # the server is at +02:00
    ("time", "'-838:59:59'", "-838:59:59"),
    ("year", "2024", 2024),
    ("json", "'{\"a\": 1}'", '{"a": 1}'),
    ("enum('a','b')", "'b'", "b"),
    ("set('a','b')", "'a,b'", "a,b"),
    ("blob", "x'00ff'", b"\x00\xff"),
    ("varbinary(5)", "x'ff'", b"\xff"),
    ("text", "'größe 😀 100% :x'", "größe 😀 100% :x"),
    ("varchar(9) CHARACTER SET latin1", "'größe'", "größe"),
    ("uuid", "'76681732-e5df-11f1-acc2-02fc00000001'", "76681732-e5df-11f1-acc2-02fc00000001"),
    ("inet6", "'::1'", "::1"),
]


def test_all_types_of_mariadb_land_as_they_are(mariadb: MariaDB, project: Project) -> None:
    columns = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(MARIADB))
    mariadb.execute(
        f"CREATE TABLE orders ({columns})",
        f"INSERT INTO orders VALUES ({', '.join(value for _, value, _ in MARIADB)})",
        "INSERT INTO orders () VALUES ()",
    )
    database = DatabaseProject(project, mariadb.url)
    database.table()
    database.land()
    first = next(row for row in database.rows() if row["c0"] is not None)
    assert first == {f"c{n}": value for n, (_, _, value) in enumerate(MARIADB)}
    nothing = next(row for row in database.rows() if row["c0"] is None)
    assert set(nothing.values()) == {None}


def test_a_date_that_is_none_names_its_column(mariadb: MariaDB, project: Project) -> None:
    mariadb.execute(
        "SET sql_mode = ''",
        "CREATE TABLE orders (day date)",
        "INSERT INTO orders VALUES ('0000-00-00')",
    )
    database = DatabaseProject(project, mariadb.url)
    database.table()
    with pytest.raises(SourceError, match="column day holds 0000-00-00, which is no DATE"):
        database.land()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("root:@", "nobody:s3cret@"), SourceError, "Access denied"),
        (("/shop", "/none"), SourceError, "Unknown database 'none'"),
    ],
)
def test_mariadb_says_what_is_wrong(
    mariadb: MariaDB,
    project: Project,
    change: tuple[str, str],
    error: type[Exception],
    message: str,
) -> None:
    database = DatabaseProject(project, mariadb.url.replace(*change))
    database.query("SELECT 1 AS a")
    with pytest.raises(error, match=message) as caught:
        database.land()
    assert "s3cret" not in str(caught.value)


def test_a_mariadb_that_is_not_there_may_come_back(project: Project) -> None:
    database = DatabaseProject(project, "mysql+pymysql://someone:s3cret@127.0.0.1:1/shop")
    database.query("SELECT 1 AS a")
    with pytest.raises(
        SourceUnavailable, match=r"mysql://127\.0\.0\.1:1/shop: Can't connect"
    ) as caught:
        database.land()
    assert "s3cret" not in str(caught.value)


SQLITE = [
    ("INTEGER", "9223372036854775807", 2**63 - 1),
    ("int", "-1", -1),
    ("decimal(12,2)", "12.3", Decimal("12.30")),
    ("DECIMAL(20,0)", "9007199254740993", Decimal(9007199254740993)),
    ("numeric", "0.1", "0.1"),
    ("real", "2", 2.0),
    ("boolean", "1", True),
    ("varchar(3)", "'äöü'", "äöü"),
    ("text", "5", "5"),
    ("blob", "x'00ff'", b"\x00\xff"),
    ("date", "'2024-02-29'", dt.date(2024, 2, 29)),
    ("datetime", "'2024-01-01 10:00:00.123456'", dt.datetime(2024, 1, 1, 10, 0, 0, 123456)),  # noqa: DTZ001
    ("timestamp", "'2024-01-01T10:00'", dt.datetime(2024, 1, 1, 10)),  # noqa: DTZ001
    ("timestamptz", "'2024-01-01 10:00:00+00:00'", dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)),
    ("decimal_text(20,1)", "'1234567890123456789.5'", Decimal("1234567890123456789.5")),
    ("json", "'{}'", "{}"),
    ("", "'of no type'", "of no type"),
    ("", "7", 7),
    ("", "7.5", 7.5),
    ("", "x'ff'", b"\xff"),
]


def test_all_types_of_sqlite_land_as_they_are(tmp_path: Path, project: Project) -> None:
    columns = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(SQLITE))
    sqlite_at(tmp_path)(
        f"CREATE TABLE orders ({columns})",
        f"INSERT INTO orders VALUES ({', '.join(value for _, value, _ in SQLITE)})",
        "INSERT INTO orders DEFAULT VALUES",
    )
    database = DatabaseProject(project, f"sqlite:///{tmp_path}/shop.db")
    database.table()
    database.land()
    first = next(row for row in database.rows() if row["c0"] is not None)
    assert first == {f"c{n}": value for n, (_, _, value) in enumerate(SQLITE)}


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("int", "'many'", "column c is INT, and holds 'many' of type str, which is no BIGINT"),
        ("int", "1.5", "holds 1.5 of type float, which is no BIGINT"),
        ("decimal(5,2)", "1.234", r"holds 1.234 of type float, which is no DECIMAL\(5,2\)"),
        ("decimal(5,2)", "123456", r"holds .*123456.*which is no DECIMAL\(5,2\)"),
        ("boolean", "2", "holds 2 of type int, which is no BOOLEAN"),
        ("date", "'2024-01-01 10:00'", "which is no DATE"),
        ("datetime", "1704103200", "holds 1704103200 of type int, which is no TIMESTAMP"),
        ("datetime", "'yesterday'", "which is no TIMESTAMP"),
        ("text", "x'00'", r"holds b'\\x00' of type bytes, which is no VARCHAR"),
        ("real", "'x'", "which is no DOUBLE"),
    ],
)
def test_a_value_that_sqlite_let_in_is_told_with_its_column(
    tmp_path: Path, project: Project, kind: str, value: str, message: str
) -> None:
    sqlite_at(tmp_path)(f"CREATE TABLE orders (c {kind})", f"INSERT INTO orders VALUES ({value})")
    database = DatabaseProject(project, f"sqlite:///{tmp_path}/shop.db")
    database.table()
    with pytest.raises(SourceError, match=message):
        database.land()


def test_a_column_of_several_kinds_without_a_type_is_text(tmp_path: Path, project: Project) -> None:
    sqlite_at(tmp_path)("CREATE TABLE orders (c)", "INSERT INTO orders VALUES (1), ('b'), (0.1)")
    database = DatabaseProject(project, f"sqlite:///{tmp_path}/shop.db")
    database.table()
    database.land()
    assert [row["c"] for row in database.rows()] == ["0.1", "1", "b"]


DUCKDB = [
    ("hugeint", "1", Decimal(1)),
    ("ubigint", "18446744073709551615", Decimal(2**64 - 1)),
    (
        "decimal(38,10)",
        "1234567890123456789012345678.0123456789",
        Decimal("1234567890123456789012345678.0123456789"),
    ),
    ("uuid", "'76681732-e5df-11f1-acc2-02fc00000001'", "76681732-e5df-11f1-acc2-02fc00000001"),
    ("struct(a int, b varchar)", "{a: 1, b: 'x'}", '{"a":1,"b":"x"}'),
    ("map(varchar, int)", "map {'a': 1}", '{"a":1}'),
    ("int[]", "[1, NULL]", [1, None]),
    ("timestamptz", "'2024-01-01 10:00:00+02'", dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)),
    ("timestamp_s", "'2024-01-01 10:00:00'", dt.datetime(2024, 1, 1, 10)),  # noqa: DTZ001
    ("interval", "interval 1 day", "1 day"),
    ("enum('a', 'b')", "'a'", "a"),
    ("uhugeint", "340282366920938463463374607431768211455", str(2**128 - 1)),
    ("blob", "'\\xFF'::blob", b"\xff"),
    ("json", "'{}'", "{}"),
]


def test_all_types_of_duckdb_land_as_they_are(tmp_path: Path, project: Project) -> None:
    columns = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(DUCKDB))
    duckdb_at(tmp_path)(
        f"CREATE TABLE orders ({columns})",
        f"INSERT INTO orders VALUES ({', '.join(value for _, value, _ in DUCKDB)})",
    )
    database = DatabaseProject(project, f"duckdb:///{tmp_path}/shop.duckdb")
    database.table()
    database.land()
    assert database.rows() == [{f"c{n}": value for n, (_, _, value) in enumerate(DUCKDB)}]


def test_a_file_of_duckdb_may_be_called_like_a_schema_in_it(
    tmp_path: Path, project: Project
) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path}/shop.duckdb' AS made")
        connection.execute("CREATE SCHEMA made.shop")
        connection.execute("CREATE TABLE made.shop.orders AS SELECT 1 AS id")
    database = DatabaseProject(project, f"duckdb:///{tmp_path}/shop.duckdb")
    database.query("SELECT id FROM shop.orders")
    database.land()
    assert database.rows() == [{"id": 1}]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_moments_of_sqlite_are_told_apart_by_day_in_the_zone(
    tmp_path: Path, project: Project, zone: str
) -> None:
    sqlite_at(tmp_path)(
        "CREATE TABLE orders (id integer, at timestamptz)",
        "INSERT INTO orders VALUES (1, '2023-12-31 23:30:00+00:00')",
        "INSERT INTO orders VALUES (2, '2024-01-01 00:00:00.000000+00:00')",
        "INSERT INTO orders VALUES (3, '2024-01-01 23:30:00+00:00')",
    )
    database = DatabaseProject(project, f"sqlite:///{tmp_path}/shop.db")
    path = database.table(daily=True)
    path.write_text(path.read_text().replace("end: 2024-02-01", f"timezone: {zone}"))
    database.land(DAY)
    found = [row["id"] for row in database.rows(DAY)]
    assert found == ([2, 3] if zone == "UTC" else [1, 2])


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_a_file_that_is_not_there_is_named_and_not_made(
    tmp_path: Path, project: Project, scheme: str
) -> None:
    database = DatabaseProject(project, f"{scheme}:///{tmp_path}/none")
    database.query("SELECT 1 AS a")
    with pytest.raises(SourceError, match="none: there is no such file"):
        database.land()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "mssql+pyodbc://u:s3cret@h/x",
            "no driver for mssql.pyodbc; install one, such as `pip install pyodbc`",
        ),
        ("oracle://u:s3cret@h/x", "pip install oracledb"),
        ("mysql+mysqldb://u:s3cret@h/x", "pip install mysqlclient"),
    ],
)
def test_a_missing_driver_says_what_to_install(project: Project, url: str, message: str) -> None:
    database = DatabaseProject(project, url)
    database.table()
    with pytest.raises(SourceError, match=message) as caught:
        database.land()
    assert "s3cret" not in str(caught.value)
