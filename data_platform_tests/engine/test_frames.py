"""What functions give becomes Arrow without loss, or is refused in words that help."""

import datetime as dt
import math
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_platform.engine.calls import as_input
from data_platform.engine.frames import DICTS_AT_ONCE, tables_of
from data_platform.errors import FunctionError

UTC = dt.UTC
BERLIN = ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2024, 7, 1, 12)  # noqa: DTZ001 -- a time without a zone


def only(given: object) -> pa.Table:
    (table,) = tables_of(given)
    return table


def rows(given: object) -> list[dict[str, Any]]:
    return [row for table in tables_of(given) for row in table.to_pylist()]


def refusal(given: object) -> str:
    with pytest.raises(FunctionError) as raised:
        list(tables_of(given))
    return str(raised.value)


class Streams:
    """Something of another library that speaks Arrow's stream interface."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


TABLE = pa.table({"a": [1, 2]})


@pytest.mark.parametrize(
    "given",
    [
        TABLE,
        TABLE.to_batches()[0],
        pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches()),
        TABLE.to_pandas(),
        Streams(TABLE),
        [{"a": 1}, {"a": 2}],
        ({"a": n} for n in (1, 2)),
        iter([TABLE.slice(0, 1), TABLE.slice(1)]),
        [TABLE.slice(0, 1), {"a": 2}],
        (TABLE.slice(0, 1).to_pandas(), TABLE.slice(1)),
    ],
)
def test_every_form_of_rows_is_taken(given: object) -> None:
    assert rows(given) == [{"a": 1}, {"a": 2}]


def test_one_dict_is_one_row() -> None:
    assert rows({"a": 1, "b": None}) == [{"a": 1, "b": None}]


def test_a_column_that_only_later_dicts_have_is_not_lost() -> None:
    assert rows([{"a": 1}, {"b": "x"}]) == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_dicts_are_put_together_and_not_held_all() -> None:
    taken: list[int] = []

    def many() -> Iterator[dict[str, int]]:
        for n in range(2 * DICTS_AT_ONCE + 1):
            taken.append(n)
            yield {"n": n}

    tables = tables_of(many())
    assert next(tables).num_rows == DICTS_AT_ONCE
    assert len(taken) == DICTS_AT_ONCE
    assert [table.num_rows for table in tables] == [DICTS_AT_ONCE, 1]


@pytest.mark.parametrize("given", [[], (), iter([]), (row for row in ())])
def test_nothing_at_all_is_no_table(given: object) -> None:
    assert list(tables_of(given)) == []


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"a": pd.Series([], dtype="int64")}),
        pa.table({"a": pa.array([], pa.int64())}),
        pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), []),
    ],
    ids=["pandas", "table", "reader"],
)
def test_no_rows_keep_their_columns(given: object) -> None:
    assert only(given).schema == pa.schema({"a": pa.int64()})


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, None], pa.int64(), [1, None]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([2**62, None], pa.int64(), [2**62, None]),
        (["é", "", None], pa.string(), ["é", "", None]),
        ([True, None], pa.bool_(), [True, None]),
        ([Decimal("1.10"), None], pa.decimal128(3, 2), [Decimal("1.10"), None]),
        ([dt.date(2024, 1, 1), None], pa.date32(), [dt.date(2024, 1, 1), None]),
        ([np.int32(3), pd.NA], pa.int32(), [3, None]),
        ([pd.Timestamp(NOON), pd.NaT], pa.timestamp("us"), [NOON, None]),
        ([NOON, None], pa.timestamp("us"), [NOON, None]),
        ([[1, 2], [], None], pa.list_(pa.int64()), [[1, 2], [], None]),
        ([None, None], pa.null(), [None, None]),
        ([b"\x00"], pa.binary(), [b"\x00"]),
        ([{"b": [1]}, None], pa.string(), ['{"b": [1]}', None]),
        ([[{"b": "ü"}]], pa.string(), ['[{"b": "ü"}]']),
        ([[[1], [2]]], pa.string(), ["[[1], [2]]"]),
        ([{"at": NOON}], pa.string(), ['{"at": "2024-07-01 12:00:00"}']),
    ],
)
def test_values_of_dicts_keep_their_kind(
    values: list[Any], kind: pa.DataType, kept: list[Any]
) -> None:
    table = only([{"a": value} for value in values])
    assert table.schema.field("a").type == kind
    assert table["a"].to_pylist() == kept


def test_nan_of_a_dict_is_not_null() -> None:
    found = only([{"a": math.nan}, {"a": None}])["a"]
    assert found.null_count == 1
    assert math.isnan(found[0].as_py())


def test_times_of_several_zones_are_the_same_moments() -> None:
    given = [dt.datetime(2024, 7, 1, 12, tzinfo=zone) for zone in (UTC, BERLIN)]
    assert only([{"at": at} for at in given])["at"].to_pylist() == given


def test_a_uuid_stays_itself() -> None:
    value = uuid.uuid4()
    with duckdb.connect() as connection:
        connection.register("given", only([{"id": value}]))
        assert connection.sql("SELECT CAST(id AS VARCHAR) FROM given").fetchall() == [(str(value),)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"returned nothing \(None\): pandas, pyarrow or dicts"),
        ("rows", "returned str: "),
        (b"rows", "returned bytes: "),
        (7, "returned int: "),
        ([1, 2], "gave int in an iterator: "),
        ([[{"a": 1}]], "gave list in an iterator: "),
        (pd.Series([1]), r"a pandas Series: return a DataFrame, as by \.to_frame\(\)"),
        ({1: "a"}, r"a column named 1 \(int\): names are texts, as by \.rename\(\)"),
        ({"": 1}, "a column named '': names are texts"),
        ({"a": 1, "A": 2}, "has two columns A"),
        ({"_partition": 1}, "a column _partition, a name that the platform needs: rename it"),
        ({"Partition": 1}, "a column Partition, a name that the platform needs"),
        (pd.DataFrame(index=[1, 2]), "gave rows without columns"),
        ([{}], "gave rows without columns"),
        ([{"a": 1}, {"a": "x"}], "column a has values of several kinds: Could not convert 'x'"),
        ([{"a": 2**60 + 1}, {"a": 0.5}], "column a has values of several kinds: Integer value"),
        ([{"a": 2**70}], "column a has values of several kinds: Python int too large"),
        ([{"a": object()}], "column a has values of several kinds: Could not convert"),
        ([{"at": NOON}, {"at": NOON.replace(tzinfo=UTC)}], "column at has times with a zone and"),
        ([{"at": NOON}, {"at": dt.date(2024, 1, 1)}], "column at has times and other values"),
        ([{"a": dt.timedelta(1)}], r"column a is duration\[us\].*seconds as a number"),
        (pd.DataFrame([[1, 2]]), r"a column named 0 \(int\)"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "has two columns a"),
        (pd.DataFrame({"a": [1, "x"]}), "a DataFrame that can't be kept: Could not convert 'x'"),
        (pd.DataFrame({"a": [1]}, index=pd.Index([1], name="a")), "has two columns a"),
        (pd.DataFrame({("a", "b"): [1]}), r"a column named \('a', 'b'\) \(tuple\)"),
        (pa.table([[1], [2]], names=["a", "a"]), "has two columns a"),
        (pa.table({"a": pa.array([1], pa.timestamp("ns"))}), r"nanoseconds, the lake keeps micro"),
        (pa.table({"a": pa.array([Decimal(10**40)])}), "more than 38 digits: round it"),
    ],
)  # fmt: skip
def test_what_can_not_be_kept_is_refused(given: object, message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        list(tables_of(given))


def test_messages_are_one_line() -> None:
    assert "\n" not in refusal(pd.DataFrame({"a": [1, "x"]}))


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (pa.array([1_000], pa.timestamp("ns")), pa.timestamp("us")),
        (pa.array([1_000], pa.timestamp("ns", "Asia/Tokyo")), pa.timestamp("us", "Asia/Tokyo")),
        (pa.array([np.float16(1.5)], pa.float16()), pa.float32()),
        (pa.array([Decimal("1.5")], pa.decimal256(50, 2)), pa.decimal128(38, 2)),
        (pa.array([{"x": 1}]), pa.string()),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), pa.string()),
        (pa.array([[1]], pa.list_view(pa.int64())), pa.list_view(pa.int64())),
        (pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([7])), pa.int64()),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)  # fmt: skip
def test_arrow_types_without_an_equal_become_their_nearest(
    column: pa.Array, kept: pa.DataType
) -> None:
    assert only(pa.table({"a": column})).schema.field("a").type == kept


def test_only_levels_of_the_index_with_a_name_become_columns() -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 8])
    assert rows(frame) == [{"a": 1}, {"a": 2}]
    grouped = pd.DataFrame({"shop": ["x", "x", "y"], "a": [1, 2, 3]}).groupby("shop").sum()
    assert rows(grouped) == [{"shop": "x", "a": 3}, {"shop": "y", "a": 3}]
    levels = pd.MultiIndex.from_tuples([(1, "p")], names=[None, "kind"])
    assert rows(pd.DataFrame({"a": [1]}, index=levels)) == [{"kind": "p", "a": 1}]


def test_rows_come_back_from_pandas_as_they_went() -> None:
    table = pa.table(
        {
            "whole": pa.array([2**62 + 1, None]),
            "number": pa.array([math.nan, None]),
            "exact": pa.array([Decimal("1.10"), None]),
            "at": pa.array([NOON.replace(tzinfo=UTC), None]),
            "day": pa.array([dt.date(2024, 1, 1), None]),
            "text": pa.array(["", None]),
            "list": pa.array([[1, None], None]),
        }
    )
    back = only(as_input(table, "pandas"))
    assert back.schema == table.schema
    assert [column.null_count for column in back.columns] == [1] * 7
    assert back.drop_columns("number").to_pylist() == table.drop_columns("number").to_pylist()
    assert math.isnan(back["number"][0].as_py())


def test_nan_of_numpy_is_what_pandas_means_by_it() -> None:
    assert rows(pd.DataFrame({"a": [1.5, math.nan]})) == [{"a": 1.5}, {"a": None}]
