"""A column of the rows that tells their partition is taken at its word only where it keeps it.

Asked by `destinations.loading` before rows are given out. By that column the rows of a partition
are found in a table again: a row with another day in it would stay there forever, or take one of
another partition along.
"""

from collections.abc import Mapping

from data_platform.engine.session import Session
from data_platform.errors import StorageError
from data_platform.plan.destinations.kinds import RedshiftTarget, TableTarget
from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.sql.expressions import literal, quoted

_EXAMPLES = 3


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
    column = target.partition_column
    if column is None or target.adds_partition_column:
        return
    advice = f"leave `partition_column` out, and {PARTITION} is added"
    if column not in columns:
        known = ", ".join(columns)
        raise StorageError(f"{node.key}: there is no column {column}; there are {known}; {advice}")
    key = _key(quoted(column), columns[column], partitions.timezone)
    if key is None:
        about = f"column {column} is {columns[column]}, which tells no partition"
        raise StorageError(f"{node.key}: {about}; {advice}")
    wrong = session.rows(
        f"SELECT {PARTITION}, count(*) FROM {relation} "
        f"WHERE {key} IS DISTINCT FROM {PARTITION} GROUP BY 1 ORDER BY 1 LIMIT {_EXAMPLES}"
    )
    if wrong:
        told = ", ".join(f"{rows:,} of partition {partition}" for partition, rows in wrong)
        raise StorageError(
            f"{node.key}: {column} says another partition than the rows are of, or none: {told}. "
            f"By it rows are found again in the table: {advice}; or mend the column"
        )


def _key(name: str, kind: str, timezone: str) -> str | None:
    """The partition that a value tells; None where none does."""
    match kind:
        case "VARCHAR":
            return name
        case "DATE" | "TIMESTAMP":
            return f"CAST(CAST({name} AS DATE) AS VARCHAR)"
        case "TIMESTAMP WITH TIME ZONE":
            return f"CAST(CAST(timezone({literal(timezone)}, {name}) AS DATE) AS VARCHAR)"
        case _:
            return None
