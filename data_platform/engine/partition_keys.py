"""Which partition a row is of, told by its columns: a time, and values of dimensions.

Called by sources whose rows come for several partitions at once, and by destinations that find rows
again by a column. Windows are those of the plan, so that DuckDB's own time zones decide nothing.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from duckdb.func import PythonUDFType

from data_platform.engine.session import Session
from data_platform.plan.naming import PARTITION
from data_platform.plan.partitions import Dimension, Partitions, TimePartitions
from data_platform.plan.partitions.kinds import BETWEEN
from data_platform.plan.sql.expressions import literal

AWARE = "TIMESTAMP WITH TIME ZONE"
_NUMBERS = itertools.count(1)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- beside one in UTC
_MICROSECOND = timedelta(microseconds=1)


def times_of(partitions: Partitions, keys: Iterable[str]) -> list[str]:
    """The keys of time in those of partitions, in order, each once."""
    return sorted({partitions.time_key(key) for key in keys})


def time_key(
    session: Session, time: TimePartitions, times: Iterable[str], moment: str, kind: str
) -> str:
    """An expression that gives the key of a row's time; NULL where it is none of these.

    Args:
        session: in which it is evaluated.
        time: the partitions of time.
        times: their keys.
        moment: an expression that gives the row's time.
        kind: DuckDB's type of it; times without a zone are in that of the partitions.
    """
    listed = sorted(times)
    windows = [(time.window if kind == AWARE else time.local_window)(key) for key in listed]
    starts = np.array([_microseconds(start) for start, _ in windows], dtype="int64")
    ends = np.array([*(_microseconds(end) for _, end in windows), 0], dtype="int64")
    keys = pa.array([*listed, ""])

    def told(moments: pa.Array | pa.ChunkedArray) -> pa.Array:
        values = np.asarray(moments)
        found = np.searchsorted(starts, values, side="right") - 1
        return keys.take(
            pa.array(np.where((found >= 0) & (values < ends[found]), found, len(listed)))
        )

    name = f"_time_key_{next(_NUMBERS)}"
    session.connection.create_function(name, told, ["BIGINT"], "VARCHAR", type=PythonUDFType.ARROW)
    return f"NULLIF({name}(EPOCH_US({moment})), '')"


def value_of(dimension: Dimension, value: str) -> str:
    """An expression that gives a row's value of a dimension; NULL where there is no such one.

    Args:
        dimension: with all its values.
        value: an expression over the row's columns.
    """
    text = f"CAST({value} AS VARCHAR)"
    known = ", ".join(map(literal, dimension.values))
    return f"CASE WHEN {text} IN ({known}) THEN {text} END"


def key_of(partitions: Partitions, parts: Mapping[str, str]) -> str:
    """An expression that gives a key; NULL where one of its parts is.

    Args:
        partitions: of time, of named values, or of both.
        parts: expressions, by dimension.
    """
    between = f" || {literal(BETWEEN)} || "
    return between.join(f"({parts[name]})" for name in partitions.dimensions)


def asked_for(keys: Iterable[str]) -> str:
    """A condition that is true of rows of some partitions, and of those that are of none."""
    listed = ", ".join(map(literal, keys))
    return f"{PARTITION} IS NULL OR {PARTITION} IN ({listed})"


def _microseconds(moment: datetime) -> int:
    return (moment - (_EPOCH.replace(tzinfo=UTC) if moment.tzinfo else _EPOCH)) // _MICROSECOND
