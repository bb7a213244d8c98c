"""Rows of the lake as a person's function takes them: DataFrames, Arrow, DuckDB relations.

Called by the IO manager and by the steps of hand-written assets; `engine.frames` is the way back.
Nothing is lost on the way: pandas gets Arrow-backed columns, in which NULL isn't NaN and a decimal
stays one.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow and pandas come without types.

import importlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import duckdb

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session
from data_platform.errors import ContractError
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW
from data_platform.plan.sql.expressions import quoted

FrameKind = Literal["pandas", "arrow", "reader", "duckdb", "polars"]
ALLOWED = (
    "pandas.DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, duckdb.DuckDBPyRelation, "
    "polars.DataFrame"
)
"""What a parameter may be."""
_KINDS: Mapping[str, FrameKind] = {
    "DataFrame": "pandas",
    "Table": "arrow",
    "RecordBatchReader": "reader",
    "DuckDBPyRelation": "duckdb",
}
_LIBRARIES = {"pandas", "pyarrow", "duckdb", "_duckdb"}
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class FrameType:
    """How a function wants its rows.

    Attributes:
        kind: as what.
        by_partition: in a dict, by partition.
    """

    kind: FrameKind = "pandas"
    by_partition: bool = False


def frame_type(annotation: object) -> FrameType | None:
    """The type that an annotation asks for; pandas where there is none, None for an unknown one."""
    if annotation is Any or annotation is None:
        return FrameType()
    if get_origin(annotation) in {dict, Mapping}:
        of, values = (*get_args(annotation), None, None)[:2]
        inner = frame_type(values)
        return FrameType(inner.kind, by_partition=True) if of is str and inner else None
    library = str(getattr(annotation, "__module__", "")).partition(".")[0]
    name = str(getattr(annotation, "__name__", ""))
    if library == "polars" and name == "DataFrame":
        return FrameType("polars")
    kind = _KINDS.get(name) if library in _LIBRARIES else None
    return FrameType(kind) if kind else None


def read_frame(
    session: Session, files: LakeFiles, kind: FrameKind, columns: Sequence[str] | None = None
) -> Any:
    """Rows of the lake, in the order in which they were written; a relation has no order.

    Args:
        session: that stays open as long as a relation or reader is used, and does nothing else.
        files: of one snapshot.
        kind: as what.
        columns: only these; None means all.

    Raises:
        ContractError: there is no such column.
    """
    known = [field.name for field in files.schema]
    unknown = [name for name in columns or () if name not in known]
    if unknown:
        raise ContractError(f"there is no column {unknown[0]!r}; there are {', '.join(known)}")
    view = f"_frame_{next(_NUMBERS)}"
    ordered = kind != "duckdb"
    session.show(view, files, hidden=ordered)
    wanted = ", ".join(map(quoted, columns)) if columns else "*"
    if ordered and not columns:
        wanted = f"* EXCLUDE ({', '.join(HIDDEN_TYPES)})"
    order = f" ORDER BY {PARTITION}, {FILE}, {ROW}" if ordered else ""
    return as_frame(session.connection.sql(f"SELECT {wanted} FROM {view}{order}"), kind)


def as_frame(relation: duckdb.DuckDBPyRelation, kind: FrameKind) -> Any:
    """The rows of a statement; a relation or reader is read later, while its session is open."""
    match kind:
        case "duckdb":
            return relation
        case "reader":
            return relation.to_arrow_reader()
        case "arrow":
            return relation.to_arrow_table()
        case "pandas":
            # It takes a third of a second to import: not where definitions load.
            import pandas as pd  # noqa: PLC0415

            return relation.to_arrow_table().to_pandas(types_mapper=pd.ArrowDtype)
        case "polars":
            return importlib.import_module("polars").from_arrow(relation.to_arrow_table())
