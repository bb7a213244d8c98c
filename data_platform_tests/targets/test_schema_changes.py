"""Rows that no longer fit a table in PostgreSQL: what is done, what is refused, and how it's told.

After a refusal the table is as it was, and the statement that the message names is what it takes.
"""

import re

import pytest
from table_loads import DAY, NEXT_DAY, Loads

from data_platform.errors import StorageError
from data_platform.plan.schemas import Column

BEFORE = "SELECT 1 AS id, 'x' AS name, 1.50::DECIMAL(8,2) AS price"
TYPES = [("id", "integer", False), ("name", "text", False), ("price", "numeric(8,2)", False)]
ALTER = 'ALTER TABLE "shop"."orders"'

REFUSED = {
    "dropped": (
        "SELECT 1 AS id, 2.50::DECIMAL(8,2) AS price",
        "column name isn't in the rows any more",
        f'{ALTER} DROP COLUMN "name"',
    ),
    "a wider integer": (
        "SELECT 1::BIGINT AS id, 'y' AS name, 2.50::DECIMAL(8,2) AS price",
        "column id is integer, and bigint in the rows",
        f'{ALTER} ALTER COLUMN "id" TYPE bigint USING "id"::bigint',
    ),
    "a wider decimal": (
        "SELECT 1 AS id, 'y' AS name, 2.505::DECIMAL(9,3) AS price",
        "column price is numeric(8,2), and numeric(9,3) in the rows",
        f'{ALTER} ALTER COLUMN "price" TYPE numeric(9,3) USING "price"::numeric(9,3)',
    ),
    "another type": (
        "SELECT 1 AS id, 5 AS name, 2.50::DECIMAL(8,2) AS price",
        "column name is text, and integer in the rows",
        f'{ALTER} ALTER COLUMN "name" TYPE integer USING "name"::integer',
    ),
    "text in place of numbers": (
        "SELECT 'a' AS id, 'y' AS name, 2.50::DECIMAL(8,2) AS price",
        "column id is integer, and text in the rows",
        f'{ALTER} ALTER COLUMN "id" TYPE text USING "id"::text',
    ),
    "renamed": (
        "SELECT 1 AS id, 'y' AS title, 2.50::DECIMAL(8,2) AS price",
        "column name isn't in the rows any more; column title is new",
        f'{ALTER} RENAME COLUMN "name" TO "title"',
    ),
}


@pytest.fixture
def filled(loads: Loads) -> Loads:
    loads.bring(BEFORE)
    return loads


@pytest.mark.parametrize("change", REFUSED)
def test_a_change_that_could_hurt_is_refused_with_the_statement_that_makes_it(
    filled: Loads, change: str
) -> None:
    rows, reason, statement = REFUSED[change]
    before, held = filled.ask(), filled.held()
    with pytest.raises(StorageError, match=re.escape(reason)) as caught:
        filled.bring(rows)
    assert "nothing was changed" in str(caught.value)
    assert statement in str(caught.value)
    assert (filled.form(), filled.ask(), filled.held()) == (TYPES, before, held)
    if change != "another type":  # 'x' is no number
        filled.execute(statement)
        assert filled.bring(rows) == [""]


def test_all_that_is_wrong_is_told_at_once(filled: Loads) -> None:
    with pytest.raises(StorageError, match=r"column price .*column id is integer.*DROP.*TYPE"):
        filled.bring("SELECT 1::BIGINT AS id, 'y' AS name")


def test_a_new_column_is_added_and_old_rows_have_none(loads: Loads) -> None:
    daily = loads.daily()
    daily.bring({DAY: "SELECT 1 AS id"})
    daily = daily.promising(Column("id", "INTEGER"), Column("name", "VARCHAR", "Of it", False))
    daily.bring({NEXT_DAY: "SELECT 2 AS id, 'y' AS name"})
    assert daily.ask("SELECT id, name FROM shop.orders ORDER BY 1") == [(1, None), (2, "y")]
    assert daily.said == ["added column name text, which may be NULL: rows of before have none"]
    comment = "SELECT col_description('shop.orders'::regclass, 3)"
    assert daily.ask(comment) == [("Of it",)]


@pytest.mark.parametrize(
    ("rows", "seen"),
    [
        ("SELECT 7::SMALLINT AS id, 'y' AS name, 2.50::DECIMAL(8,2) AS price", "7|y|2.50"),
        ("SELECT 7::TINYINT AS id, 'y' AS name, 2.5::DECIMAL(4,1) AS price", "7|y|2.50"),
        ("SELECT 7 AS id, 'y' AS name, 7::SMALLINT AS price", "7|y|7.00"),
    ],
)
def test_narrower_values_are_cast(filled: Loads, rows: str, seen: str) -> None:
    filled.bring(rows)
    assert filled.form() == TYPES
    assert filled.ask("SELECT concat_ws('|', id, name, price) FROM shop.orders") == [(seen,)]


def test_narrower_values_are_cast_by_merge_too(loads: Loads) -> None:
    merged = loads.given("merge", keys=("id",))
    merged.bring("SELECT 1::BIGINT AS id, 1.5::DOUBLE AS price")
    merged.bring("SELECT 1::INTEGER AS id, 2.5::FLOAT AS price")
    assert merged.ask() == [(1, 2.5)]


def test_a_contract_that_no_longer_promises_values_is_refused(loads: Loads) -> None:
    promised = loads.promising(Column("id", "INTEGER"), Column("name", "VARCHAR", None, False))
    promised.bring("SELECT 1 AS id, 'x' AS name")
    statement = f'{ALTER} ALTER COLUMN "name" DROP NOT NULL'
    freed = loads.promising(Column("id", "INTEGER"), Column("name", "VARCHAR"))
    with pytest.raises(StorageError, match="column name is NOT NULL, and may be NULL now") as told:
        freed.bring("SELECT 1 AS id, NULL::VARCHAR AS name")
    assert statement in str(told.value)
    assert promised.ask() == [(1, "x")]
    freed.execute(statement)
    freed.bring("SELECT 1 AS id, NULL::VARCHAR AS name")
    assert freed.ask() == [(1, None)]


def test_a_contract_that_promises_more_leaves_the_table_as_it_is(loads: Loads) -> None:
    loads.bring("SELECT 1 AS id, NULL::VARCHAR AS name")
    promised = loads.promising(Column("name", "VARCHAR", None, False))
    promised.bring("SELECT 1 AS id, 'x' AS name")
    assert loads.form()[1] == ("name", "text", False)


def test_columns_that_the_platform_never_filled_are_left_alone(filled: Loads) -> None:
    filled.execute(
        f"{ALTER} ADD COLUMN seen timestamptz NOT NULL DEFAULT now(), "
        "ADD COLUMN gross numeric GENERATED ALWAYS AS (price * 2) STORED"
    )
    filled.bring(BEFORE.replace("1.50", "2.50"))
    found = filled.ask("SELECT id, gross::text, seen IS NOT NULL FROM shop.orders")
    assert found == [(1, "5.00", True)]


def test_what_a_person_keeps_under_another_name_is_theirs(filled: Loads) -> None:
    filled.execute(f"{ALTER} RENAME COLUMN name TO name_of_before")
    filled.bring("SELECT 1 AS id, 2.50::DECIMAL(8,2) AS price")
    assert [name for name, *_ in filled.form()] == ["id", "name_of_before", "price"]


def test_texts_go_into_types_that_a_person_chose(loads: Loads) -> None:
    loads.execute(
        "CREATE SCHEMA shop",
        "CREATE TYPE shop.state AS ENUM ('new', 'paid')",
        "CREATE DOMAIN shop.code AS text CHECK (value <> '')",
        "CREATE TABLE shop.orders (id uuid, about jsonb, state shop.state, code shop.code, "
        "short varchar(3), host inet)",
    )
    uuid = "00000000-0000-0000-0000-000000000001"
    rows = f"SELECT '{uuid}' AS id, '{{}}' AS about, 'paid' AS state, 'c' AS code, 'abc' AS short"
    loads.bring(f"{rows}, '10.0.0.1' AS host")
    seen = loads.ask("SELECT concat_ws('|', id, about, state, code, short, host) FROM shop.orders")
    assert seen == [(f"{uuid}|{{}}|paid|c|abc|10.0.0.1",)]
    with pytest.raises(StorageError, match=r"table shop\.orders in .*value too long"):
        loads.bring(f"{rows.replace('abc', 'abcd')}, '10.0.0.1' AS host")
    assert loads.ask("SELECT short FROM shop.orders") == [("abc",)]


class TestValuesThatPostgresHasNot:
    """The driver would send something else, or stop with words about bytes."""

    @pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMPTZ"])
    @pytest.mark.parametrize("value", ["infinity", "-infinity"])
    def test_times_without_end(self, loads: Loads, kind: str, value: str) -> None:
        with pytest.raises(StorageError, match=r"column at holds infinity.* make it NULL"):
            loads.bring(f"SELECT 1 AS id, '{value}'::{kind} AS at UNION ALL SELECT 2, NULL")

    def test_dates_that_it_cannot_hold(self, loads: Loads) -> None:
        with pytest.raises(StorageError, match=r"date out of range \(column day\)"):
            loads.bring("SELECT 'infinity'::DATE AS day")

    def test_texts_with_nul(self, loads: Loads) -> None:
        with pytest.raises(StorageError, match=r"\(column name\); text in PostgreSQL can't hold"):
            loads.bring("SELECT 1 AS id, 'a' || chr(0) AS name")
        assert loads.held() == {}

    def test_lists_of_lists(self, loads: Loads) -> None:
        with pytest.raises(StorageError, match=r"column a is INTEGER\[\]\[\], and PostgreSQL has"):
            loads.bring("SELECT [[1]] AS a")


def test_every_type_of_the_lake_has_one(loads: Loads) -> None:
    loads.bring(
        "SELECT 1::TINYINT AS a, 2::SMALLINT AS b, 3 AS c, 4::BIGINT AS d, "
        "99999999999999999999999999999999999999::DECIMAL(38,0) AS e, 1.5::DECIMAL(38,10) AS f, "
        "'NaN'::DOUBLE AS g, '-Infinity'::FLOAT AS h, 'ü€😀' AS i, true AS j, '\\x00\\xFF'::BLOB "
        "AS k, DATE '4000-01-01 (BC)' AS l, TIMESTAMP '9999-12-31 23:59:59.999999' AS m, "
        "TIMESTAMPTZ '2024-03-31 01:30:00+01' AS n, [1, NULL] AS o, [1.5::DECIMAL(4,1)] AS p, "
        "['a', NULL] AS q, [DATE '2024-01-01'] AS r, []::BIGINT[] AS s, NULL::DOUBLE[] AS t"
    )
    seen = loads.ask("SELECT whole::text FROM shop.orders AS whole")[0][0]
    assert seen == (
        "(1,2,3,4,99999999999999999999999999999999999999,1.5000000000,NaN,-Infinity,ü€😀,t,"
        '"\\\\x00ff","4000-01-01 BC","9999-12-31 23:59:59.999999",'
        '"2024-03-31 00:30:00+00","{1,NULL}",{1.5},"{a,NULL}",{2024-01-01},{},)'
    )
    kinds = [kind for _, kind, _ in loads.form()]
    assert kinds[:6] == [
        "smallint", "smallint", "integer", "bigint", "numeric(38,0)", "numeric(38,10)"
    ]  # fmt: skip
    assert kinds[11:16] == [
        "date", "timestamp without time zone", "timestamp with time zone", "integer[]",
        "numeric(4,1)[]",
    ]  # fmt: skip
