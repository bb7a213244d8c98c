# ruff: noqa: E501 -- cases stand in tables, one a line
"""What a PostgreSQL table holds lands without loss, in the partition that its cursor says."""

import datetime as dt
from collections.abc import Generator
from contextlib import closing
from decimal import Decimal

import psycopg2
import pytest
from factories import DAY, NEXT_DAY, Project, outcome, verdict

from data_platform.errors import SourceError, SourceUnavailable, StorageError
from data_platform.plan.nodes import RawNode
from data_platform.sources.database.describing import source_schema


@pytest.fixture
def shop(postgres_url: str) -> Generator[psycopg2.extensions.cursor]:
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'America/New_York'")
            yield cursor


def land_whole(project: Project, url: str, body: str = "") -> list[dict[str, object]]:
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: orders, partitions: none}\n"
        + body
    )
    assert not project.land_source("orders", url=url).failed
    return project.rows("raw/orders")


VALUES = [
    ("smallint", "7", 7),
    ("integer", "-7", -7),
    ("bigint", "9007199254740993", 9007199254740993),
    ("numeric(12,2)", "12.30", Decimal("12.30")),
    ("numeric(10)", "12", Decimal(12)),
    ("numeric", "0.123456789012345678901234567890", "0.123456789012345678901234567890"),
    ("numeric(38,10)", "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ("numeric(50,2)", "1.50", "1.50"),
    ("real", "0.5", 0.5),
    ("double precision", "'Infinity'", float("inf")),
    ("boolean", "true", True),
    ("text", "'größe 😀'", "größe 😀"),
    ("varchar(9)", "'a''b'", "a'b"),
    ("char(3)", "'ab'", "ab"),
    ("bytea", "'\\x00ff'", b"\x00\xff"),
    ("uuid", "'0B0E9A1E-0000-4000-8000-000000000001'", "0b0e9a1e-0000-4000-8000-000000000001"),
    ("json", "'{\"a\": [1, 2]}'", '{"a": [1, 2]}'),
    ("jsonb", "'{\"a\":1}'", '{"a": 1}'),
    ("mood", "'sad'", "sad"),
    ("integer[]", "'{1,2,NULL}'", "{1,2,NULL}"),
    ("text[]", "'{a,\"b c\"}'", '{a,"b c"}'),
    ("date", "'2024-02-29'", dt.date(2024, 2, 29)),
    ("timestamp", "'2024-01-01 10:00:00.123456'", dt.datetime(2024, 1, 1, 10, 0, 0, 123456)),  # noqa: DTZ001
    ("timestamp(3)", "'2024-01-01 10:00:00.123'", dt.datetime(2024, 1, 1, 10, 0, 0, 123000)),  # noqa: DTZ001
    ("timestamptz", "'2024-01-01 10:00:00+02'", dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)),
    ("timestamptz(0)", "'2024-01-01 10:00:00+00'", dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)),
    ("time", "'10:30'", "10:30:00"),
    ("interval", "'1 day 02:00'", "1 day 02:00:00"),
    ("inet", "'10.0.0.1'", "10.0.0.1/32"),
    ("point", "'(1,2)'", "(1,2)"),
    ("positive", "5", 5),
]  # fmt: skip


def test_all_common_types_land_as_they_are(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    shop.execute("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
    columns = ", ".join(f"c{n} {kind}" for n, (kind, _, _) in enumerate(VALUES))
    shop.execute(f"CREATE TABLE orders ({columns})")
    shop.execute(f"INSERT INTO orders VALUES ({', '.join(value for _, value, _ in VALUES)})")
    shop.execute("INSERT INTO orders DEFAULT VALUES")
    found = land_whole(project, postgres_url)
    first = next(row for row in found if row["c0"] is not None)
    assert {kind: first[f"c{n}"] for n, (kind, _, _) in enumerate(VALUES)} == {
        kind: expected.strip() if isinstance(expected, str) else expected
        for kind, _, expected in VALUES
    }
    nothing = next(row for row in found if row["c0"] is None)
    assert set(nothing.values()) == {None}


def test_the_schema_that_is_asked_for_is_the_one_that_lands(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders (a numeric(9,2), b uuid, c timestamptz, d integer[], e real)")
    land_whole(project, postgres_url)
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    with project.workbench.open() as (session, _):
        session.show("landed", snapshot.files([""]), hidden=False)
        landed = session.columns("SELECT * FROM landed")
    node = project.node("raw/orders")
    assert isinstance(node, RawNode)
    asked = {c.name: c.type for c in source_schema(postgres_url, node).columns}
    assert asked == landed


def test_strange_names_of_tables_and_columns(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute('CREATE SCHEMA s; CREATE TABLE s."orders" ("Größe" int, "select" int, "a b" int)')
    shop.execute("INSERT INTO s.orders VALUES (1, 2, 3)")
    project.declare(
        "sources:\n  orders:\n    {type: database, connection: shop, table: s.orders, partitions: none}\n"
    )
    project.land_source("orders", url=postgres_url)
    assert project.rows("raw/orders") == [{"Größe": 1, "select": 2, "a b": 3}]


def test_rows_whose_cursor_is_null_or_out_of_range_are_counted(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders (id int, at timestamp)")
    shop.execute(
        "INSERT INTO orders VALUES (1, '2024-01-01 23:59:59.999999'), (2, '2024-01-02'), (3, NULL),"
        " (4, '2023-12-31 23:59:59'), (5, '2024-02-01'), (6, '2024-01-15')"
    )
    project.declare("", daily=True)
    passage = project.land_source("orders", DAY, NEXT_DAY, url=postgres_url)
    assert project.column("raw/orders", "id", DAY) == [1]
    assert project.column("raw/orders", "id", NEXT_DAY) == [2]
    assert (verdict(passage, "outside_partitions"), outcome(passage, "outside_partitions").offending) == ("warn", 3)  # fmt: skip


def test_a_day_without_rows_is_published_as_empty(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders (id int, at timestamp, price numeric(9,2))")
    project.declare("", daily=True)
    project.land_source("orders", DAY, NEXT_DAY, url=postgres_url)
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    assert {key: version.rows for key, version in snapshot.partitions.items()} == {DAY: 0, NEXT_DAY: 0}  # fmt: skip
    again = project.land_source("orders", DAY, url=postgres_url).publication
    assert again is not None
    assert not again.changed


BERLIN = """version: 1
pipeline: shop
owner: team:shop
partitions: {every: day, start: 2017-01-01, end: 2018-01-01, timezone: Europe/Berlin}
sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
"""


@pytest.mark.parametrize(
    ("kind", "day", "inside", "outside"),
    [
        # summer time begins: the day has 23 hours
        ("timestamptz", "2017-03-26", ["2017-03-25 23:00+00", "2017-03-26 21:59:59+00"], ["2017-03-25 22:59:59+00", "2017-03-26 22:00+00"]),
        # it ends: 25 hours
        ("timestamptz", "2017-10-29", ["2017-10-28 22:00+00", "2017-10-29 22:59:59+00"], ["2017-10-28 21:59:59+00", "2017-10-29 23:00+00"]),
        ("timestamp", "2017-03-26", ["2017-03-26 00:00", "2017-03-26 02:30", "2017-03-26 23:59:59"], ["2017-03-25 23:59:59", "2017-03-27 00:00"]),
        ("timestamp", "2017-10-29", ["2017-10-29 00:00", "2017-10-29 02:30", "2017-10-29 23:59:59"], ["2017-10-28 23:59:59", "2017-10-30 00:00"]),
        ("date", "2017-10-29", ["2017-10-29"], ["2017-10-28", "2017-10-30"]),
    ],
)  # fmt: skip
def test_a_day_is_the_zones_day(
    project: Project,
    postgres_url: str,
    shop: psycopg2.extensions.cursor,
    kind: str,
    day: str,
    inside: list[str],
    outside: list[str],
) -> None:
    shop.execute(f"CREATE TABLE orders (name text, at {kind})")
    for moment in [*inside, *outside]:
        shop.execute(f"INSERT INTO orders VALUES ('{moment}', '{moment}')")
    project.declare("").write_text(BERLIN)
    before, after = (
        (dt.date.fromisoformat(day) + dt.timedelta(days=n)).isoformat() for n in (-1, 1)
    )
    project.land_source("orders", day, url=postgres_url)
    assert project.column("raw/orders", "name") == sorted(inside)
    project.land_source("orders", before, day, after, url=postgres_url)
    assert project.column("raw/orders", "name", day) == sorted(inside)
    assert len(project.rows("raw/orders")) == len(inside) + len(outside)


def test_a_midnight_that_the_zone_skips_begins_the_day_all_the_same(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders (id int, at timestamp)")
    shop.execute("INSERT INTO orders VALUES (1, '2017-10-14 23:30'), (2, '2017-10-15 00:30')")
    project.declare("").write_text(BERLIN.replace("Europe/Berlin", "America/Sao_Paulo"))
    project.land_source("orders", "2017-10-14", url=postgres_url)
    project.land_source("orders", "2017-10-15", url=postgres_url)
    assert project.column("raw/orders", "id", "2017-10-14") == [1]
    assert project.column("raw/orders", "id", "2017-10-15") == [2]


def test_a_missing_table_is_named(project: Project, postgres_url: str) -> None:
    project.declare("", daily=True)
    with pytest.raises(SourceError, match=r'table orders in .*relation "orders" does not exist'):
        project.land_source("orders", DAY, url=postgres_url)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("id int", "table orders has no column at to be the cursor; it has id"),
        (
            "id int, at text",
            "cursor at of table orders is VARCHAR: it must be a date or a timestamp",
        ),
    ],
)
def test_a_cursor_that_is_none_is_an_error(
    project: Project,
    postgres_url: str,
    shop: psycopg2.extensions.cursor,
    columns: str,
    message: str,
) -> None:
    shop.execute(f"CREATE TABLE orders ({columns})")
    project.declare("", daily=True)
    with pytest.raises(SourceError, match=message):
        project.land_source("orders", DAY, url=postgres_url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:s3cret@127.0.0.1:1/shop",
        "postgresql://someone:s3cret@no-such-host.invalid/shop",
        "postgresql://someone:s3cret@127.0.0.1:99999/shop",
        "postgresql://someone:s3cret@[/shop",
        "host=127.0.0.1 port=1 user=someone password=s3cret",
    ],
)
def test_an_unreachable_database_is_told_without_its_password(project: Project, url: str) -> None:
    project.declare("", daily=True)
    with pytest.raises((SourceUnavailable, SourceError)) as caught:
        project.land_source("orders", DAY, url=url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in str(error)
        error = error.__cause__


def test_a_refused_connection_may_come_back(project: Project) -> None:
    project.declare("", daily=True)
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1/shop"):
        project.land_source("orders", DAY, url="postgresql://127.0.0.1:1/shop")


def test_a_connection_that_breaks_off_may_come_back(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders AS SELECT i AS id, repeat('x', 500) AS t FROM generate_series(1, 60000) i")  # fmt: skip
    shop.execute(
        "CREATE FUNCTION die(bigint) RETURNS bigint LANGUAGE sql VOLATILE AS "
        "$$ SELECT $1 + CASE WHEN pg_terminate_backend(pg_backend_pid()) THEN 0 ELSE 1 END $$"
    )
    shop.execute("CREATE VIEW dying AS SELECT CASE WHEN id = 50000 THEN die(id) ELSE id END AS id, t FROM orders")  # fmt: skip
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: dying, partitions: none, fetch_size: 100}\n"
    )
    with pytest.raises(SourceUnavailable, match=r"terminating|closed"):
        project.land_source("orders", url=postgres_url)
    assert project.table("raw/orders").snapshot() is None


def test_a_value_that_its_type_can_not_hold_is_an_error(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders AS SELECT 'NaN'::numeric(9,2) AS price")
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: orders, partitions: none}\n"
    )
    with pytest.raises(SourceError, match=r"orders: .*NaN"):
        project.land_source("orders", url=postgres_url)


def test_a_new_column_is_added_with_a_warning_and_a_lost_one_is_told(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders AS SELECT 1 AS id, 'a' AS name")
    land_whole(project, postgres_url)
    shop.execute("ALTER TABLE orders ADD COLUMN extra int DEFAULT 5; ALTER TABLE orders DROP name")
    passage = project.land_source("orders", url=postgres_url)
    assert verdict(passage, "new_columns") == "warn"
    detail = outcome(passage, "new_columns").findings[""].detail
    assert detail == "columns new: extra; gone: name"
    assert project.rows("raw/orders") == [{"id": 1, "name": None, "extra": 5}]


def test_a_column_that_changed_its_type_is_refused(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders AS SELECT 1 AS id")
    land_whole(project, postgres_url)
    shop.execute("ALTER TABLE orders ALTER id TYPE text")
    with pytest.raises(Exception, match="column id is int32 in the table and string"):
        project.land_source("orders", url=postgres_url)
    assert project.rows("raw/orders") == [{"id": 1}]


def test_a_reserved_column_is_refused(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute('CREATE TABLE orders AS SELECT 1 AS partition, 2 AS "_file"')
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: orders, partitions: none}\n"
    )
    with pytest.raises((SourceError, StorageError), match="columns _file, partition have names"):
        project.land_source("orders", url=postgres_url)


def test_what_a_source_promises_is_held_to(
    project: Project, postgres_url: str, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE orders AS SELECT 'x' AS id")
    project.declare(
        "sources:\n  orders:\n    type: database\n    connection: shop\n    table: orders\n"
        "    partitions: none\n    columns: {id: {type: bigint}}\n"
    )
    with pytest.raises(Exception, match="promises id BIGINT; it comes as VARCHAR"):
        project.land_source("orders", url=postgres_url)
