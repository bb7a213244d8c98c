# ruff: noqa: E501 -- steps and their readings stand in a table
"""Transformations agree with a plain reading of the language, whatever the rows, alone and in chains.

Rows are dictionaries here, and each step is written once more in Python as its words say. The same
statement runs over two partitions at once and over each by itself. What a step leaves out is
counted by a statement of its own: rows in are rows out and those.
"""

import datetime as dt
import hmac
import math
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from data_platform.errors import Location
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.nodes import statement_of
from data_platform.plan.parameters import NO_PARAMETERS
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.sql.masks import MACROS, blocks_of
from data_platform.plan.staging.other_side import OtherSide
from data_platform.plan.staging.steps import StepBuilder
from data_platform.spec.transformations import Transformation

Row = dict[str, object]
Reading = Callable[[list[Row], list[Row]], list[Row]]
HERE = Location(Path("pipeline.yaml"))
DAYS = ("2024-01-01", "2024-01-02")
TYPES = {"id": "BIGINT", "d": "DOUBLE", "s": "VARCHAR", "x": "DECIMAL(9,2)", "day": "DATE"}
ARROW = pa.schema(
    [
        ("_partition", pa.string()), ("_file", pa.string()), ("_row", pa.int64()),
        ("id", pa.int64()), ("d", pa.float64()), ("s", pa.string()),
        ("x", pa.decimal128(9, 2)), ("day", pa.date32()),
    ]
)  # fmt: skip
SOURCE = Key("raw", "shop", "orders")
OTHER = "others"
KEY = b"a key of more than sixteen signs"

rows = st.fixed_dictionaries(
    {
        "_partition": st.sampled_from(DAYS),
        "id": st.none() | st.integers(-2, 3),
        "d": st.none()
        | st.sampled_from([0.0, 1.5, -2.5, 7.0, 1e300, math.nan, math.inf, -math.inf]),
        "s": st.none() | st.sampled_from(["a", "é", "e\u0301", "", "12", "-7", "1.5", "😀"]),
        "x": st.none() | st.sampled_from([Decimal("0.00"), Decimal("14.99"), Decimal("-5.55")]),
        "day": st.none() | st.sampled_from([dt.date(2024, 2, 29), dt.date(1969, 12, 31)]),
    }
)
frames = st.lists(rows, max_size=12)


def mapped(change: Callable[[Row], Row]) -> Reading:
    return lambda own, _: [change(row) for row in own]


def kept(condition: Callable[[Row], bool]) -> Reading:
    return lambda own, _: [row for row in own if condition(row)]


def plus(value: object, other: int) -> object:
    return None if value is None else value + other  # type: ignore[operator]


def rank(value: object) -> tuple[int, object]:
    """DuckDB's order: NaN is the greatest number."""
    if isinstance(value, float) and math.isnan(value):
        return (1, 0.0)
    return (0, value)


def one_of_each(keep: str) -> Reading:
    """One row of each key: NULL is a key, and comes last in the order whichever row is kept."""

    def read(own: list[Row], _: list[Row]) -> list[Row]:
        groups: dict[object, list[Row]] = {}
        for row in own:
            groups.setdefault((row["_partition"], row["id"]), []).append(row)
        found = []
        for group in groups.values():
            rest = group
            for name in ("d", "s", "x", "day"):
                values = [row[name] for row in rest if row[name] is not None]
                best = (max if keep == "last" else min)(values, key=rank, default=None)  # type: ignore[type-var]
                rest = [row for row in rest if repr(row[name]) == repr(best)]
            found.append(rest[0])
        return found

    return read


def grouped(own: list[Row], _: list[Row]) -> list[Row]:
    groups: dict[tuple[object, object], list[Row]] = {}
    for row in own:
        groups.setdefault((row["_partition"], row["id"]), []).append(row)
    return [
        {
            "_partition": partition, "id": key, "n": len(group),
            "texts": sum(row["s"] is not None for row in group),
            "total": sum(xs, Decimal(0)) if (xs := [r["x"] for r in group if r["x"] is not None]) else None,  # type: ignore[misc]
            "latest": max((r["day"] for r in group if r["day"] is not None), default=None),  # type: ignore[type-var]
        }
        for (partition, key), group in groups.items()
    ]  # fmt: skip


def joined(how: str) -> Reading:
    """NULL matches nothing; what has no match is kept on the side that the kind names."""

    def read(own: list[Row], others: list[Row]) -> list[Row]:
        found: list[Row] = []
        taken: set[int] = set()
        for row in own:
            matches = [
                (number, other)
                for number, other in enumerate(others)
                if other["_partition"] == row["_partition"]
                and row["id"] is not None
                and other["id"] == row["id"]
            ]
            taken |= {number for number, _ in matches}
            if how in {"semi", "anti"}:
                found += [row] if bool(matches) == (how == "semi") else []
                continue
            found += [{**row, "region": other["s"]} for _, other in matches]
            if not matches and how in {"left", "full"}:
                found.append({**row, "region": None})
        if how in {"right", "full"}:
            nothing = dict.fromkeys(TYPES)
            found += [
                {
                    **nothing,
                    "_partition": other["_partition"],
                    "id": other["id"],
                    "region": other["s"],
                }
                for number, other in enumerate(others)
                if number not in taken
            ]
        return found

    return read


def rounded(row: Row) -> Row:
    """Half away from zero."""
    x, d, number = row["x"], row["d"], row["id"]
    away = isinstance(d, float) and math.isfinite(d) and abs(d) < 1e15
    return {
        **row,
        "x": x.quantize(Decimal("0.1"), ROUND_HALF_UP) if isinstance(x, Decimal) else None,
        "d": math.copysign(math.floor(abs(d) + 0.5), d) if away else d,  # type: ignore[arg-type]
        "id": 0 if isinstance(number, int) else None,
    }


def token(value: object) -> str | None:
    return None if value is None else hmac.new(KEY, str(value).encode(), "sha256").hexdigest()


def ending(value: object) -> str | None:
    """At most four characters, and at most a third."""
    shown = min(4, len(str(value)) // 3)
    return None if value is None else f"***{str(value)[-shown:] if shown else ''}"


def whole(value: object) -> int | None:
    sound = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
    return int(value) if sound else None  # type: ignore[call-overload]


STEPS: dict[str, tuple[dict[str, object], Reading]] = {
    "add": (
        {"add_columns": {"next": "id + 1", "id": "id * 2", "said": "concat(s, '-', id)", "long": "s || 'x'"}},
        mapped(lambda r: {**r, "next": plus(r["id"], 1), "id": None if r["id"] is None else r["id"] * 2,  # type: ignore[operator]
                          "said": f"{r['s'] or ''}-{'' if r['id'] is None else r['id']}",
                          "long": None if r["s"] is None else f"{r['s']}x"}),
    ),
    "rename": ({"rename_columns": {"d": "dd"}}, mapped(lambda r: {("dd" if k == "d" else k): v for k, v in r.items()})),
    "drop": ({"drop_columns": ["day", "nothing"]}, mapped(lambda r: {k: v for k, v in r.items() if k != "day"})),
    "select": ({"select_columns": ["s", "id"]}, mapped(lambda r: {k: r[k] for k in ("_partition", "s", "id")})),
    "filter": ({"filter_rows": "id > 0"}, kept(lambda r: r["id"] is not None and r["id"] > 0)),  # type: ignore[operator]
    "filter either": (
        {"filter_rows": "s = 'a' or d > 1"},
        kept(lambda r: r["s"] == "a" or (r["d"] is not None and (math.isnan(r["d"]) or r["d"] > 1))),  # type: ignore[operator, arg-type]
    ),
    "filter not": ({"filter_rows": "not s = 'a'"}, kept(lambda r: r["s"] is not None and r["s"] != "a")),
    "first": ({"deduplicate": {"by": ["id"], "order_by": ["d", "s", "x", "day"], "keep": "first"}}, one_of_each("first")),
    "last": ({"deduplicate": {"by": ["id"], "order_by": ["d", "s", "x", "day"]}}, one_of_each("last")),
    "aggregate": (
        {"aggregate": {"group_by": ["id"], "columns": {"n": "count(*)", "texts": "count(s)", "total": "sum(x)", "latest": "max(day)"}}},
        grouped,
    ),
    "fill": (
        {"fill_nulls": {"s": "-", "id": 0, "d": 2}},
        mapped(lambda r: {**r, "s": "-" if r["s"] is None else r["s"], "id": r["id"] or 0, "d": 2.0 if r["d"] is None else r["d"]}),
    ),
    "mask": (
        {"mask": {"s": "hash", "id": "partial", "x": "redact"}},
        mapped(lambda r: {**r, "s": token(r["s"]), "id": ending(r["id"]), "x": None if r["x"] is None else "[redacted]"}),
    ),
    "round": ({"round": {"x": 1, "d": 0, "id": -1}}, mapped(rounded)),
    "convert": (
        {"convert_types": {"d": {"type": "bigint", "on_error": "set_null"}, "id": "varchar"}},
        mapped(lambda r: {**r, "d": whole(r["d"]), "id": None if r["id"] is None else str(r["id"])}),
    ),
    **{how: ({"join": {"with": "raw.others", "on": ["id"], "how": how, "columns": ["region"]}}, joined(how))
       for how in ("left", "inner", "right", "full", "semi", "anti")},
    "union": (
        {"union": ["raw.others"]},
        lambda own, others: [{**row, "region": None} for row in own]
        + [{**dict.fromkeys(TYPES), "_partition": other["_partition"], "id": other["id"], "region": other["s"]} for other in others],
    ),
}  # fmt: skip
ROW_WISE = [
    "add",
    "drop",
    "filter",
    "filter either",
    "filter not",
    "first",
    "last",
    "fill",
    "round",
]
"""Steps after which all columns that the others need are still there, but `day`."""


@pytest.fixture(scope="module")
def database() -> Generator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        for macro in MACROS:
            connection.execute(macro)
        for name, block in blocks_of(KEY.decode()).items():
            connection.execute(f"SET VARIABLE {name} = CAST(? AS BLOB)", [block])
        yield connection


def other_side(_: str, __: Location) -> OtherSide:
    return OtherSide(OTHER, ("id", "region"), True, True, ())


def no_function(written: str, _: Location) -> UserFunction:
    raise AssertionError(written)


def built(names: Sequence[str]) -> StepBuilder:
    builder = StepBuilder(SOURCE, HERE, "quarantine", other_side, no_function, NO_PARAMETERS)
    schema = Schema(tuple(Column(name, kind) for name, kind in TYPES.items()), closed=False)
    for name in names:
        step = TypeAdapter(Transformation).validate_python(STEPS[name][0])
        builder.add(step, lambda *_: HERE, schema)
    return builder


def table(own: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(
        [{**row, "_file": "f", "_row": n} for n, row in enumerate(own)], ARROW
    )


def comparable(found: list[Row]) -> Counter[str]:
    """Rows without the platform's own columns but the partition; all kinds of zero are one."""
    return Counter(
        repr(sorted((k, plain(v)) for k, v in row.items() if k not in {"_file", "_row"} and not k.startswith("_converts")))
        for row in found
    )  # fmt: skip


def plain(value: object) -> object:
    if isinstance(value, float | Decimal) and value == 0:
        return 0
    return Decimal(value).normalize() if isinstance(value, Decimal | int) else value


def ran(
    database: duckdb.DuckDBPyConnection, builder: StepBuilder, own: list[Row], others: list[Row]
) -> list[Row]:
    database.register(SOURCE.relation, table(own))
    right = [{k: row[k] for k in ("_partition", "id")} | {"region": row["s"]} for row in others]
    kinds = pa.schema([("_partition", pa.string()), ("id", pa.int64()), ("region", pa.string())])
    database.register("_right", pa.Table.from_pylist(right, kinds))
    database.execute(
        f"CREATE OR REPLACE TEMP VIEW {OTHER} AS SELECT *, 'g' AS _file, 0 AS _row FROM _right"
    )
    sql = statement_of(tuple(builder.steps), f"SELECT * FROM {builder.last}")
    return database.sql(sql).to_arrow_table().to_pylist()


def lost(database: duckdb.DuckDBPyConnection, builder: StepBuilder) -> int:
    """What the steps say that they leave out."""
    return sum(
        int(count)
        for step in builder.steps
        if step.lost
        for (_, count) in database.execute(statement_of(tuple(builder.steps), step.lost)).fetchall()
    )


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=10, deadline=None)
@given(own=frames, others=frames)
def test_a_step_does_what_its_words_say(
    database: duckdb.DuckDBPyConnection, name: str, own: list[Row], others: list[Row]
) -> None:
    builder = built([name])
    found = ran(database, builder, own, others)
    assert comparable(found) == comparable(STEPS[name][1](own, others))
    if all(step.keeps_rows_apart for step in builder.steps):
        assert len(own) == len(found) + lost(database, builder)


@settings(max_examples=20, deadline=None)
@given(
    own=frames, others=frames, names=st.lists(st.sampled_from(ROW_WISE[2:]), min_size=2, max_size=4)
)
def test_a_chain_of_steps_does_what_its_words_say(
    database: duckdb.DuckDBPyConnection, own: list[Row], others: list[Row], names: list[str]
) -> None:
    builder = built(names)
    expected = own
    for name in names:
        expected = STEPS[name][1](expected, others)
    found = ran(database, builder, own, others)
    assert comparable(found) == comparable(expected)
    assert len(own) == len(found) + lost(database, builder)


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=4, deadline=None)
@given(own=frames, others=frames)
def test_a_range_gives_what_its_partitions_give_one_by_one(
    database: duckdb.DuckDBPyConnection, name: str, own: list[Row], others: list[Row]
) -> None:
    builder = built([name])
    at_once = ran(database, builder, own, others)
    one_by_one = [
        row
        for day in DAYS
        for row in ran(
            database,
            builder,
            [row for row in own if row["_partition"] == day],
            [row for row in others if row["_partition"] == day],
        )
    ]
    assert comparable(at_once) == comparable(one_by_one)
