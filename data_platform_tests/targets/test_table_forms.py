"""How a table in PostgreSQL looks that the platform makes, and what outlives its loads."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from table_loads import DAY, NEXT_DAY, THIRD_DAY, Loads

from data_platform.errors import StorageError
from data_platform.plan.schemas import Column
from data_platform.targets.deliveries import Version

CONTRACT = (
    Column("id", "INTEGER", "It's the order", nullable=False),
    Column("city", "VARCHAR", "Where; may be empty"),
)
MODES = {
    "replace_partition": {},
    "merge": {"keys": ("id",)},
    "append": {},
    "create": {},
    "replace": {},
}
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'shop' ORDER BY indexname"
OLDER = """
CREATE SCHEMA data_platform;
CREATE TABLE data_platform.loads (
  table_name text, partition text, data_version text NOT NULL, run_id text NOT NULL,
  rows bigint NOT NULL, loaded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, partition)
);
CREATE SCHEMA shop;
CREATE TABLE shop.orders ("id" integer, "city" text, "at" timestamptz, "_partition" text);
CREATE INDEX ON shop.orders ("_partition");
INSERT INTO shop.orders VALUES (1, 'Ulm', '2024-01-01 12:00+00', '2024-01-01'),
  (2, 'Ulm', '2024-01-01 12:00+00', '2024-01-02');
INSERT INTO data_platform.loads (table_name, partition, data_version, run_id, rows) VALUES
  ('shop.orders', '2024-01-01', 'one', 'old', 1), ('shop.orders', '2024-01-02', 'two', 'old', 1)
"""
"""What a version made that knew replace_partition and replace alone."""
MAY_READ = "SELECT has_table_privilege('shop_reader', 'shop.orders', 'SELECT')"


@pytest.fixture
def reader(loads: Loads) -> Iterator[Loads]:
    """With a role that may do nothing yet."""
    loads.execute("CREATE ROLE shop_reader")
    yield loads
    loads.execute("DROP SCHEMA IF EXISTS shop CASCADE", "DROP ROLE shop_reader")


def row(number: int) -> str:
    return f"SELECT {number} AS id, 'Ulm' AS city"


def test_a_table_is_made_of_the_contract(reader: Loads) -> None:
    made = reader.promising(*CONTRACT).daily(
        "merge",
        keys=("id",),
        indexes=(("city",), ("city", "id")),
        grants={"shop_reader": ("select", "insert"), "public": ("select",)},
    )
    made.description = "Orders of the shop"
    made.bring({DAY: row(1)})
    assert made.form() == [
        ("id", "integer", True),
        ("city", "text", False),
        ("_partition", "text", False),
    ]
    comments = "SELECT obj_description(c), col_description(c, 1), col_description(c, 2)"
    assert made.ask(f"{comments} FROM (SELECT 'shop.orders'::regclass::oid) AS t(c)") == [
        ("Orders of the shop", "It's the order", "Where; may be empty")
    ]
    assert [definition.partition(" ON ")[2] for (definition,) in made.ask(INDEXES)] == [
        "shop.orders USING btree (_partition)",
        "shop.orders USING btree (city, id)",
        "shop.orders USING btree (city)",
        "shop.orders USING btree (id)",
    ]
    privileges = (
        "SELECT privilege_type, grantee FROM information_schema.role_table_grants "
        "WHERE table_schema = 'shop' AND grantee IN ('shop_reader', 'PUBLIC') ORDER BY 2, 1"
    )
    assert made.ask(privileges) == [
        ("SELECT", "PUBLIC"),
        ("INSERT", "shop_reader"),
        ("SELECT", "shop_reader"),
    ]
    assert made.ask("SELECT has_schema_privilege('shop_reader', 'shop', 'USAGE')") == [(True,)]


@pytest.mark.parametrize("write", MODES)
def test_views_grants_indexes_and_comments_outlive_every_mode(reader: Loads, write: str) -> None:
    made = reader.promising(*CONTRACT)
    made = made.given(write) if write == "replace" else made.daily(write, **MODES[write])
    made.bring(row(1) if write == "replace" else {DAY: row(1)})
    made.execute(
        "CREATE VIEW shop.seen AS SELECT id FROM shop.orders",
        "CREATE INDEX own ON shop.orders (city)",
        "COMMENT ON COLUMN shop.orders.id IS 'a word of ours'",
        "GRANT SELECT ON shop.orders TO shop_reader",
    )
    oid = made.ask("SELECT 'shop.orders'::regclass::oid")
    made.bring(row(2) if write == "replace" else {NEXT_DAY: row(2), THIRD_DAY: row(3)})
    seen = [(2,)] if write == "replace" else [(1,), (2,), (3,)]
    assert made.ask("SELECT id FROM shop.seen ORDER BY 1") == seen
    assert made.ask("SELECT 'shop.orders'::regclass::oid") == oid
    assert any("own ON shop.orders" in text for (text,) in made.ask(INDEXES))
    assert made.ask("SELECT col_description('shop.orders'::regclass, 1)") == [("a word of ours",)]
    assert made.ask(MAY_READ) == [(True,)]


def test_what_is_declared_later_is_brought_in_and_told(reader: Loads) -> None:
    reader.bring(row(1))
    later = reader.given("replace", indexes=(("city",),), grants={"shop_reader": ("select",)})
    assert later.bring(row(1)) == []
    assert later.said == [
        "made an index on city",
        'GRANT USAGE ON SCHEMA "shop" TO "shop_reader"',
        'GRANT SELECT ON "shop"."orders" TO "shop_reader"',
    ]
    assert later.ask(MAY_READ) == [(True,)]
    later.bring(row(2))
    assert len(later.said) == 3


def test_a_role_that_is_not_there_is_refused_and_leaves_nothing(loads: Loads) -> None:
    granted = loads.given("replace", grants={"nobody here": ("select",)})
    with pytest.raises(StorageError, match=r"no role 'nobody here'.*CREATE ROLE \"nobody here\""):
        granted.bring(row(1))
    assert loads.ask("SELECT to_regclass('shop.orders') IS NULL") == [(True,)]


@pytest.mark.parametrize("write", ["replace_partition", "merge"])
def test_a_ledger_and_a_table_of_an_older_version_are_taken_over(loads: Loads, write: str) -> None:
    loads.execute(*OLDER.strip().split(";\n"))
    daily = loads.promising(*CONTRACT).daily(write, **MODES[write])
    columns = {"id": "INTEGER", "city": "VARCHAR", "at": "TIMESTAMP WITH TIME ZONE"}

    def rows(due: Sequence[str]) -> pa.RecordBatchReader:
        assert due == [NEXT_DAY]
        at = pa.array([datetime(2024, 1, 2, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        table = pa.table({"id": pa.array([2], pa.int32()), "city": ["Bonn"], "at": at})
        return table.append_column("_partition", pa.array([NEXT_DAY])).to_reader()

    versions = {DAY: Version("one", 1), NEXT_DAY: Version("three", 1)}
    assert daily.deliver(versions, columns, rows) == [NEXT_DAY]
    assert daily.ask("SELECT id, city FROM shop.orders ORDER BY 1") == [(1, "Ulm"), (2, "Bonn")]
    noted = daily.ask("SELECT table_name, destination, columns FROM data_platform.tables")
    assert [(name, of) for name, of, _ in noted] == [("shop.orders", "destinations/shop/orders")]
    assert list(json.loads(noted[0][2])) == ["id", "city", "at", "_partition"]


def test_the_ledger_names_run_rows_and_time(loads: Loads) -> None:
    loads.daily().bring({DAY: f"{row(1)} UNION ALL {row(2)}"})
    asked = "SELECT partition, run_id, rows, loaded_at <= now() FROM data_platform.loads"
    assert loads.ask(asked) == [(DAY, "run", 2, True)]


@pytest.mark.parametrize("write", ["replace", "merge"])
def test_rows_are_never_held_as_a_whole(loads: Loads, write: str) -> None:
    """100 MB pass, of which a few batches of 2 MB are in memory at a time."""
    before, peak = pa.total_allocated_bytes(), 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal peak
        for number in range(50):
            ids = pa.array(range(number * 1000, number * 1000 + 1000), pa.int64())
            texts = pa.array([f"{number:02}" * 1000] * 1000)
            at = pa.array([0] * 1000, pa.timestamp("us"))
            peak = max(peak, pa.total_allocated_bytes() - before)
            yield pa.record_batch({"id": ids, "text": texts, "at": at})

    def rows(due: Sequence[str]) -> pa.RecordBatchReader:
        schema = pa.schema({"id": pa.int64(), "text": pa.string(), "at": pa.timestamp("us")})
        return pa.RecordBatchReader.from_batches(schema, batches())

    columns = {"id": "BIGINT", "text": "VARCHAR", "at": "TIMESTAMP"}
    filled = loads.given(write, keys=("id",) if write == "merge" else ())
    filled.deliver({"": Version("one", 50_000)}, columns, rows)
    assert 0 < peak < 20_000_000
    seen = filled.ask("SELECT count(*), sum(length(text))::bigint FROM shop.orders")
    assert seen == [(50_000, 100_000_000)]


def test_what_goes_wrong_while_rows_are_read_is_told_as_it_is(loads: Loads) -> None:
    """Out of the driver it came as a broken connection, with a traceback in its words."""
    loads.bring(row(1))

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"id": pa.array([2], pa.int32()), "city": pa.array(["Bonn"])})
        raise StorageError("the lake is gone")

    def rows(due: Sequence[str]) -> pa.RecordBatchReader:
        schema = pa.schema({"id": pa.int32(), "city": pa.string()})
        return pa.RecordBatchReader.from_batches(schema, batches())

    columns = {"id": "INTEGER", "city": "VARCHAR"}
    with pytest.raises(StorageError, match=r"^the lake is gone$"):
        loads.deliver({"": Version("new", 2)}, columns, rows)
    assert loads.ask() == [(1, "Ulm")]
