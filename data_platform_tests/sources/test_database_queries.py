# ruff: noqa: E501 -- cases stand in tables, one a line
"""Queries of PostgreSQL: their parameters, their partitions, their one snapshot, their types."""

import datetime as dt
from collections.abc import Generator
from contextlib import closing
from decimal import Decimal

import psycopg2
import pytest
from database_project import DatabaseProject
from factories import DAY, NEXT_DAY, Project, outcome, verdict

from data_platform.errors import ContractError, SourceError, SourceUnavailable
from data_platform.sources.database.describing import source_schema

Shop = psycopg2.extensions.cursor


@pytest.fixture
def shop(postgres_url: str) -> Generator[Shop]:
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


@pytest.fixture
def database(project: Project, postgres_url: str) -> DatabaseProject:
    return DatabaseProject(project, postgres_url)


def test_a_query_without_a_cursor_is_asked_once_a_partition(
    database: DatabaseProject, shop: Shop
) -> None:
    shop.execute(
        "CREATE TABLE orders AS SELECT * FROM (VALUES (1, timestamp '2024-01-01 10:00'), (2, '2024-01-02'), (3, '2024-01-03')) t (id, at)"
    )
    database.query(
        "SELECT :partition_key AS key, count(*) AS n, :partition_end AS until FROM orders\n"
        "WHERE at >= :partition_start AND at < :partition_end",
        daily=True,
    )
    database.land(DAY, NEXT_DAY)
    assert database.rows(DAY) == [{"key": DAY, "n": 1, "until": dt.datetime(2024, 1, 2)}]  # noqa: DTZ001
    assert database.rows(NEXT_DAY) == [{"key": NEXT_DAY, "n": 1, "until": dt.datetime(2024, 1, 3)}]  # noqa: DTZ001


def test_a_query_with_a_cursor_is_asked_once_for_a_range(
    database: DatabaseProject, shop: Shop
) -> None:
    shop.execute(
        "CREATE TABLE orders AS SELECT * FROM (VALUES (1, timestamp '2024-01-01 10:00'), (2, '2024-01-02'), (3, '2024-01-03'), (4, NULL)) t (id, at)"
    )
    database.query(
        "SELECT id, at, :partition_start AS since FROM orders -- a comment at the end",
        daily=True,
        more="    cursor: at\n",
    )
    passage = database.land(DAY, NEXT_DAY)
    since = dt.datetime(2024, 1, 1)  # noqa: DTZ001
    assert [(row["id"], row["since"]) for row in database.rows()] == [(1, since), (2, since)]
    assert verdict(passage, "not_empty") == "pass"


def test_rows_of_no_partition_are_counted_where_a_query_shows_them(
    database: DatabaseProject, shop: Shop
) -> None:
    shop.execute(
        "CREATE TABLE orders AS SELECT * FROM (VALUES (1, date '2024-01-01'), (2, NULL), (3, '2023-12-31')) t (id, at)"
    )
    database.query("SELECT * FROM orders;", daily=True, more="    cursor: at\n")
    passage = database.land(DAY)
    assert outcome(passage, "outside_partitions").offending == 2


HOSTILE = [
    "it's",
    "'; DROP TABLE orders; --",
    "back\\slash' OR 1=1 --",
    "\\'",
    "$$ $x$ '",
    "/* :name */ -- x",
    "größe 😀 \u202e",
    "line\nbreak",
    ":partition_key %s {} $1",
    "",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_text_is_itself_whatever_is_in_it(
    database: DatabaseProject, shop: Shop, value: str
) -> None:
    shop.execute("CREATE TABLE orders (name text)")
    shop.execute("INSERT INTO orders VALUES (%s), ('another')", (value,))
    written = "".join(f"\\x{ord(c):02x}" if ord(c) < 128 else c for c in value)
    database.query(
        "SELECT name, :wanted AS wanted, ':wanted' AS text, $$:wanted$$ AS dollars, E'\\':wanted' AS e\n"
        "FROM orders /* :wanted /* :wanted */ */ WHERE name=:wanted -- :wanted",
        more=f'    parameters:\n      wanted: {{type: str, default: "{written}"}}\n',
    )
    database.land()
    assert database.rows() == [
        {"name": value, "wanted": value, "text": ":wanted", "dollars": ":wanted", "e": "':wanted"}
    ]


@pytest.mark.parametrize(
    ("kind", "value", "sql", "expected"),
    [
        ("int", "-5", "SELECT 3-:v AS v", 8),
        ("float", "0.1", "SELECT :v::float8 AS v", 0.1),
        ("bool", "false", "SELECT NOT :v AS v", True),
        ("date", "2024-02-29", "SELECT :v + 1 AS v", dt.date(2024, 3, 1)),
        ("int", "2", "SELECT (array[1,2,3])[1:2] AS v LIMIT :v", "{1,2}"),
    ],
)
def test_values_have_their_types(
    database: DatabaseProject, shop: Shop, kind: str, value: str, sql: str, expected: object
) -> None:
    del shop
    database.query(sql, more=f"    parameters:\n      v: {{type: {kind}, default: {value}}}\n")
    database.land()
    assert database.rows() == [{"v": expected}]


def test_all_partitions_of_a_step_are_of_one_snapshot(
    database: DatabaseProject, shop: Shop, postgres_url: str
) -> None:
    """Each question writes a row by a connection of its own, which the next one must not see."""
    shop.execute("CREATE EXTENSION IF NOT EXISTS dblink")
    shop.execute("CREATE TABLE orders AS SELECT 1 AS id")
    shop.execute(
        "CREATE FUNCTION add(url text) RETURNS text LANGUAGE sql VOLATILE AS "
        "$$ SELECT dblink_exec(url, 'INSERT INTO orders VALUES (2)') $$"
    )
    database.query(
        f"SELECT :partition_key AS key, (SELECT count(*) FROM orders) AS n, add('{postgres_url}') AS added",
        daily=True,
    )
    database.land(DAY, NEXT_DAY)
    assert [row["n"] for row in database.rows()] == [1, 1]
    shop.execute("SELECT count(*) FROM orders")
    assert shop.fetchone() == (3,)


def test_a_query_can_not_write(database: DatabaseProject, shop: Shop) -> None:
    shop.execute("CREATE TABLE orders AS SELECT 1 AS id")
    shop.execute(
        "CREATE FUNCTION add() RETURNS int LANGUAGE sql AS 'INSERT INTO orders VALUES (2) RETURNING id'"
    )
    database.query("SELECT add() AS id")
    with pytest.raises(SourceError, match="cannot execute INSERT in a read-only transaction"):
        database.land()


TYPES = [
    ("1.50::numeric(12,2)", "DECIMAL(12,2)", Decimal("1.50")),
    ("'NaN'::numeric", "VARCHAR", "NaN"),
    ("(SELECT n FROM odd)", "DECIMAL(5,0)", Decimal(1200)),
    ("0.00012::numeric(2,5)", "DECIMAL(5,5)", Decimal("0.00012")),
    ("sum(1.5)", "VARCHAR", "1.5"),
    ("count(*)", "BIGINT", 1),
    ("'x'", "VARCHAR", "x"),
    ("NULL", "VARCHAR", None),
    ("'{{1,2},{3,NULL}}'::int[]", "VARCHAR", "{{1,2},{3,NULL}}"),
    ("'0044-03-15 BC'::date::text", "VARCHAR", "0044-03-15 BC"),
    ("'10:00:00.5'::time", "VARCHAR", "10:00:00.5"),
    ("'10:00+02'::timetz", "VARCHAR", "10:00:00+02"),
    ("(-12.5)::numeric::money", "DECIMAL(21,4)", Decimal("-12.5000")),
    ("'[1,5)'::int4range", "VARCHAR", "[1,5)"),
    ("row(1,'a')", "VARCHAR", "(1,a)"),
    ("b'101'", "VARCHAR", "101"),
    ("'10.0.0.0/8'::cidr", "VARCHAR", "10.0.0.0/8"),
    ("'08:00:2b:01:02:03'::macaddr", "VARCHAR", "08:00:2b:01:02:03"),
    ("'a=>1'::hstore", "VARCHAR", '"a"=>"1"'),
    ("'1 year 2 days'::interval", "VARCHAR", "1 year 2 days"),
    ("7::positive", "INTEGER", 7),
    ("1::oid", "BIGINT", 1),
    ("'{\"a\":1}'::jsonb", "VARCHAR", '{"a": 1}'),
    ("'x'::name", "VARCHAR", "x"),
    ("repeat('ä', 3000000)", "VARCHAR", "ä" * 3_000_000),
]


def test_every_type_survives(database: DatabaseProject, shop: Shop, postgres_url: str) -> None:
    shop.execute(
        "CREATE EXTENSION IF NOT EXISTS hstore; CREATE VIEW odd AS SELECT 1200::numeric(3,-2) AS n; CREATE DOMAIN positive AS integer CHECK (VALUE > 0)"
    )
    database.query("SELECT\n" + ",\n".join(f"{sql} AS c{n}" for n, (sql, _, _) in enumerate(TYPES)))
    told = source_schema(postgres_url, database.node)
    assert {c.name: c.type for c in told.columns} == {
        f"c{n}": kind for n, (_, kind, _) in enumerate(TYPES)
    }
    database.land()
    (row,) = database.rows()
    assert row == {f"c{n}": value for n, (_, _, value) in enumerate(TYPES)}


@pytest.mark.parametrize(
    "sql",
    [
        "'infinity'::timestamp",
        "'-infinity'::timestamptz",
        "'infinity'::date",
        "'294276-12-31'::timestamp",
    ],
)
def test_a_time_that_arrow_has_not_is_an_error_with_a_way_out(
    database: DatabaseProject, shop: Shop, sql: str
) -> None:
    del shop
    database.query(f"SELECT {sql} AS valid_to")
    with pytest.raises(SourceError, match=r"column valid_to holds infinity.*NULLIF\(valid_to"):
        database.land()


def test_a_number_that_is_none_is_an_error_that_names_its_column(
    database: DatabaseProject, shop: Shop
) -> None:
    del shop
    database.query("SELECT 'NaN'::numeric(9,2) AS price")
    with pytest.raises(SourceError, match=r"column price holds NaN, which is no DECIMAL\(9,2\)"):
        database.land()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nope FROM pg_class", 'column "nope" does not exist'),
        ("SELECT * FROM nope", 'relation "nope" does not exist'),
        ("SELECT 1 AS a, 2 AS a", "two columns 'a' and 'a'"),
        ('SELECT 1 AS "a", 2 AS "A"', "two columns 'a' and 'A'"),
        ("SELECT 1/(i-30000) AS a FROM generate_series(1, 60000) i", "division by zero"),
        ("SELECT 'x'::int AS a", "invalid input syntax"),
    ],
)
def test_what_a_database_refuses_is_no_reason_to_try_again(
    database: DatabaseProject, shop: Shop, sql: str, message: str
) -> None:
    del shop
    database.query(sql)
    with pytest.raises(SourceError, match=message):
        database.land()


def test_a_database_that_is_not_there_is_a_mistake(project: Project, postgres_url: str) -> None:
    database = DatabaseProject(project, postgres_url.replace("/test_", "/none_"))
    database.query("SELECT 1 AS a")
    with pytest.raises(SourceError, match=r'database "none_\w+" does not exist'):
        database.land()


def test_a_lock_that_somebody_holds_may_pass(
    database: DatabaseProject, shop: Shop, postgres_url: str
) -> None:
    shop.execute("CREATE TABLE orders AS SELECT 1 AS id")
    name = postgres_url.rpartition("/test_")[2].partition("?")[0]
    shop.execute(f"ALTER DATABASE test_{name} SET lock_timeout = '100ms'")
    database.query("SELECT id FROM orders")
    with closing(psycopg2.connect(postgres_url)) as other, other.cursor() as holder:
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceUnavailable, match="lock timeout"):
            database.land()


INCREMENTAL = "    incremental: {cursor: id%s}\n"


def test_a_table_grows_by_what_is_new(database: DatabaseProject, shop: Shop) -> None:
    shop.execute("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 3) i")
    database.table(more=INCREMENTAL % "")
    database.land()
    shop.execute("DELETE FROM orders WHERE id = 1; INSERT INTO orders VALUES (4), (NULL)")
    database.land()
    assert sorted(str(row["id"]) for row in database.rows()) == ["1", "2", "3", "4"]


def test_a_first_run_begins_at_the_start_that_is_said(
    database: DatabaseProject, shop: Shop
) -> None:
    shop.execute("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 3) i")
    database.table(more=INCREMENTAL % ", start: 2")
    database.land()
    assert [row["id"] for row in database.rows()] == [2, 3]


def test_a_query_is_asked_from_its_watermark_on(database: DatabaseProject, shop: Shop) -> None:
    shop.execute("CREATE TABLE orders (id int, at timestamptz)")
    shop.execute("INSERT INTO orders VALUES (1, '2024-01-01 10:00+02'), (2, '2024-01-02 10:00+02')")
    database.query(
        "SELECT id, at FROM orders WHERE at >= :watermark",
        more="    incremental: {cursor: at, start: 2024-01-01}\n",
    )
    database.land()
    shop.execute("INSERT INTO orders VALUES (3, '2024-01-03 10:00+02')")
    database.land()
    assert [row["id"] for row in database.rows()] == [1, 2, 3]


def test_a_cursor_that_the_table_has_not_is_named(database: DatabaseProject, shop: Shop) -> None:
    shop.execute("CREATE TABLE orders (id int)")
    database.table(more="    incremental: {cursor: changed}\n")
    with pytest.raises(
        (SourceError, ContractError), match="has no column changed to be the cursor; it has id"
    ):
        database.land()
