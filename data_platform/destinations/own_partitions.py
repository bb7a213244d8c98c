"""A column of the rows that tells their partition is taken at its word only where it keeps it.

Asked by `destinations.loading` before rows are given out. By that column the rows of a partition
are found in a table again: a row with another day in it would stay there forever, or take one of
another partition along.
"""

from collections.abc import Mapping

from data_platform.engine.partition_keys import time_key, times_of
from data_platform.engine.session import Session
from data_platform.errors import StorageError
from data_platform.plan.destinations.kinds import (
    KEY,
    RedshiftTarget,
    TableTarget,
    added_columns,
    told_columns,
)
from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.partitions import TIME
from data_platform.plan.partitions.kinds import BETWEEN
from data_platform.plan.sql.expressions import literal, quoted

_EXAMPLES = 3
_MOMENTS = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})


def require_own_partitions(
    session: Session, node: DestinationNode, columns: Mapping[str, str], relation: str
) -> None:
    """See to it that the partition column of rows says what partition they are of.

    Args:
        session: that shows the rows.
        node: the destination.
        columns: of the rows, with DuckDB's types.
        relation: of the rows, with `_partition`.

    Raises:
        StorageError: there is no such column, or rows that say something else.
    """
    target, partitions = node.target, node.partitions
    if not isinstance(target, TableTarget | RedshiftTarget) or partitions is None:
        return
    added = added_columns(target, partitions, columns)
    for dimension, column in told_columns(target, partitions).items():
        if column not in added:
            _require_own(session, node, columns, relation, dimension, column)


def _require_own(
    session: Session,
    node: DestinationNode,
    columns: Mapping[str, str],
    relation: str,
    dimension: str,
    column: str,
) -> None:
    """The same of one column, which tells one dimension."""
    advice = f"leave `partition_column` out, and {PARTITION} is added"
    if dimension not in {TIME, KEY}:
        advice = "rename the column, and one is added"
    there = {name.lower(): kind for name, kind in columns.items()}
    if column.lower() not in there:
        known = ", ".join(columns)
        raise StorageError(f"{node.key}: there is no column {column}; there are {known}; {advice}")
    kind = there[column.lower()]
    told = _told(session, node, dimension, quoted(column), kind, relation)
    if told is None:
        about = f"column {column} is {kind}, which tells no partition"
        raise StorageError(f"{node.key}: {about}; {advice}")
    wrong = session.rows(
        f"SELECT {PARTITION}, count(*) FROM {relation} "
        f"WHERE {told} IS DISTINCT FROM {part_of(node, dimension)} "
        f"GROUP BY 1 ORDER BY 1 LIMIT {_EXAMPLES}"
    )
    if wrong:
        examples = ", ".join(f"{rows:,} of partition {partition}" for partition, rows in wrong)
        raise StorageError(
            f"{node.key}: {column} says another partition than the rows are of, or none: "
            f"{examples}. By it rows are found again in the table: {advice}; or mend the column"
        )


def part_of(node: DestinationNode, dimension: str) -> str:
    """An expression over `_partition` that gives the value of a dimension, or the whole key."""
    partitions = node.partitions
    names = partitions.dimensions if partitions else ()
    if dimension == KEY or len(names) == 1:
        return PARTITION
    return f"split_part({PARTITION}, {literal(BETWEEN)}, {names.index(dimension) + 1})"


def _told(
    session: Session, node: DestinationNode, dimension: str, name: str, kind: str, relation: str
) -> str | None:
    """The part of a key that a value tells; None where none does."""
    if dimension not in {TIME, KEY}:
        return f"CAST({name} AS VARCHAR)"
    partitions = node.partitions
    if kind == "VARCHAR":
        return name
    if partitions is None or partitions.time is None or kind not in _MOMENTS:
        return None
    if kind == "DATE" and partitions.time.every == "hour":
        return None
    keys = [str(row[0]) for row in session.rows(f"SELECT DISTINCT {PARTITION} FROM {relation}")]
    times = times_of(partitions, keys)
    return time_key(session, partitions.time, times, name, kind)
