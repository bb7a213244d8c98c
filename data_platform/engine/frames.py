"""What a person's function gives, as Arrow tables of columns that the lake can keep.

Called by `engine.calls`. Takes pandas, pyarrow, anything that speaks Arrow's stream interface, and
dicts, one or many, at once or one by one; says which column it can't take, and what to do.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from data_platform.errors import FunctionError
from data_platform.plan.naming import RESERVED_COLUMNS

DICTS_AT_ONCE = 10_000
"""Rows of a table that is made of dicts; its columns' types are told from these."""
MOST_DECIMALS = 38
ALLOWED = "pandas, pyarrow or dicts, or an iterator of these"
OWN_COLUMNS = frozenset({*RESERVED_COLUMNS, "file_row_number", "_call"})
"""Names that no column of a function's result may have."""


def tables_of(given: object) -> Iterator[pa.Table]:
    """What a function gave, table by table.

    Args:
        given: by the function; a generator is run on as tables are asked for.

    Raises:
        FunctionError: it is none of the above, or has a column that the lake can't keep.
    """
    if isinstance(given, str | bytes) or given is None:
        raise FunctionError(f"returned {_kind(given)}: {ALLOWED} is needed")
    if isinstance(given, Mapping):
        yield _from_dicts([cast("Mapping[Any, Any]", given)])
    elif _is_tabular(given):
        yield from _from_tabular(given)
    elif isinstance(given, Iterable):
        yield from _from_items(cast("Iterable[object]", given))
    else:
        raise FunctionError(f"returned {_kind(given)}: {ALLOWED} is needed")


def _is_tabular(given: object) -> bool:
    known = (pd.DataFrame, pd.Series, pa.Table, pa.RecordBatch, pa.RecordBatchReader)
    return isinstance(given, known) or hasattr(given, "__arrow_c_stream__")


def _from_tabular(given: Any) -> Iterator[pa.Table]:
    match given:
        case pd.DataFrame():
            yield _from_pandas(given)
        case pd.Series():
            raise FunctionError("returned a pandas Series: return a DataFrame, as by .to_frame()")
        case pa.Table():
            yield _kept(given)
        case pa.RecordBatch():
            yield _kept(pa.Table.from_batches([given]))
        case _:
            reader = pa.RecordBatchReader.from_stream(given)
            yield _kept(reader.schema.empty_table())
            for batch in reader:
                yield _kept(pa.Table.from_batches([batch]))


def _from_items(items: Iterable[object]) -> Iterator[pa.Table]:
    dicts: list[Mapping[Any, Any]] = []
    for item in items:
        if isinstance(item, Mapping):
            dicts.append(cast("Mapping[Any, Any]", item))
            if len(dicts) < DICTS_AT_ONCE:
                continue
        elif not _is_tabular(item):
            raise FunctionError(f"gave {_kind(item)} in an iterator: {ALLOWED} is needed")
        if dicts:
            yield _from_dicts(dicts)
            dicts = []
        if not isinstance(item, Mapping):
            yield from _from_tabular(item)
    if dicts:
        yield _from_dicts(dicts)


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Levels of the index that have a name are columns, others are row numbers and dropped."""
    named = [name for name in frame.index.names if name is not None]
    if len(frame) and not named and not len(frame.columns):
        raise FunctionError("gave rows without columns")
    _require_names([*named, *frame.columns])
    if named:
        unnamed = [n for n, name in enumerate(frame.index.names) if name is None]
        frame = frame.reset_index(level=unnamed, drop=True) if unnamed else frame
        frame = frame.reset_index()
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        about = " ".join(str(part) for part in error.args) or type(error).__name__
        raise FunctionError(f"gave a DataFrame that can't be kept: {about}") from None
    return _kept(table.replace_schema_metadata(None))


def _from_dicts(rows: Sequence[Mapping[Any, Any]]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise FunctionError("gave rows without columns")
    _require_names(names)
    return _kept(pa.table({name: _column(name, [row.get(name) for row in rows]) for name in names}))


def _column(name: str, values: list[Any]) -> pa.Array:
    values = [None if value is pd.NA or value is pd.NaT else value for value in values]
    if any(map(_is_nested, values)):
        return _as_json(values)
    moments = [value for value in values if isinstance(value, datetime)]
    if len({moment.tzinfo is None for moment in moments}) > 1:
        raise FunctionError(f"column {name} has times with a zone and times without: give all one")
    if moments and len(moments) < sum(value is not None for value in values):
        raise FunctionError(f"column {name} has times and other values: give it one kind")
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise FunctionError(f"column {name} has values of several kinds: {error}") from None


def _is_nested(value: object) -> bool:
    if isinstance(value, Mapping):
        return True
    items = cast("list[object]", value) if isinstance(value, list | tuple) else []
    return any(isinstance(item, Mapping | list | tuple) for item in items)


def _as_json(values: Iterable[object]) -> pa.Array:
    texts = [
        None if value is None else json.dumps(value, default=str, ensure_ascii=False)
        for value in values
    ]
    return pa.array(texts, pa.string())


def _require_names(names: Sequence[object]) -> None:
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name:
            shown = repr(name) if isinstance(name, str) else f"{name!r} ({type(name).__name__})"
            raise FunctionError(f"has a column named {shown}: names are texts, as by .rename()")
        if name.lower() in OWN_COLUMNS:
            raise FunctionError(f"has a column {name}, a name that the platform needs: rename it")
        if name.lower() in seen:
            message = f"has two columns {name}: names differ by more than upper and lower case"
            raise FunctionError(message)
        seen.add(name.lower())


def _kept(table: pa.Table) -> pa.Table:
    """The table in types that come through Parquet and DuckDB without loss."""
    _require_names(table.column_names)
    columns = [
        _kept_column(name, column)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def _kept_column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if kinds.is_run_end_encoded(kind):
        column = pa.chunked_array(
            [pc.call_function("run_end_decode", [chunk]) for chunk in column.chunks],
            kind.value_type,
        )
        return _kept_column(name, column)
    if isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType):
        return _kept_column(name, column.cast(kind.storage_type))
    if _holds_nested(kind):
        return pa.chunked_array([_as_json(column.to_pylist())])
    if kinds.is_timestamp(kind) and kind.unit == "ns":
        return _converted(name, column, pa.timestamp("us", kind.tz), "nanoseconds, the lake keeps "
                          "microseconds: round it, as by .dt.floor('us')")  # fmt: skip
    if kinds.is_float16(kind):
        return column.cast(pa.float32())
    if kinds.is_decimal256(kind):
        return _converted(name, column, pa.decimal128(MOST_DECIMALS, kind.scale),
                          f"more than {MOST_DECIMALS} digits: round it")  # fmt: skip
    if kinds.is_duration(kind) or kinds.is_interval(kind):
        raise FunctionError(
            f"column {name} is {kind}, which the lake can't keep: "
            "give seconds as a number, as by .dt.total_seconds()"
        )
    return column


def _holds_nested(kind: pa.DataType) -> bool:
    """Whether values have an inside that the lake has no type for: they become JSON."""
    if kinds.is_struct(kind) or kinds.is_map(kind) or kinds.is_union(kind):
        return True
    lists = (
        kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list,
        kinds.is_list_view, kinds.is_large_list_view,
    )  # fmt: skip
    if any(is_list(kind) for is_list in lists):
        inner = kind.value_type
        return any(is_list(inner) for is_list in lists) or _holds_nested(inner)
    return False


def _converted(
    name: str, column: pa.ChunkedArray, kind: pa.DataType, otherwise: str
) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        raise FunctionError(f"column {name} has {otherwise}") from None


def _kind(value: object) -> str:
    return "nothing (None)" if value is None else type(value).__name__
