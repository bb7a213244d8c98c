"""What reading a table back is in every database: which columns, whose rows, where they are kept.

Used by the `*_rows` of each database, which know how their values travel.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false
# pyarrow comes without types.

from collections.abc import Callable, Collection, Iterable, Mapping

import pyarrow as pa

from data_platform.engine.session import Session
from data_platform.engine.streams import TellingStream
from data_platform.plan.destinations.kinds import Dialect, TableTarget, told_columns
from data_platform.plan.destinations.partition_rows import PartitionRows, TellingColumn
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import quoted

_ARRIVING = "_read_back"
"""The relation of the batches, while they come."""


def is_read(target: TableTarget, name: str, columns: Collection[str] | None) -> bool:
    """Whether a column is read: the one that the platform added isn't.

    Args:
        target: the table.
        name: of the column.
        columns: that are asked for, in any letters; None means all.
    """
    if target.adds_partition_column and name == target.partition_column:
        return False
    return columns is None or name.lower() in {wanted.lower() for wanted in columns}


def partitions_in(
    target: TableTarget,
    partitions: Partitions | None,
    declared: Callable[[], Mapping[str, str]],
    dialect: Dialect,
) -> PartitionRows | None:
    """Which rows of a table belong to which partition; None where there are none.

    Args:
        target: the table.
        partitions: of the destination.
        declared: asks for the types of the table's columns.
        dialect: of the database.
    """
    if partitions is None:
        return None
    types = {name.lower(): kind for name, kind in declared().items()}
    told = told_columns(target, partitions)
    columns = {one: TellingColumn(name, types[name.lower()]) for one, name in told.items()}
    return PartitionRows(columns, partitions, dialect, keyed=target.adds_partition_column)


def kept(
    session: Session,
    relation: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    taken: str = "*",
) -> None:
    """Keep batches as a table of the session; what goes wrong in them comes out as it is.

    Args:
        session: in which rules are judged.
        relation: the table's name.
        schema: of the batches.
        batches: asked one at a time.
        taken: what of them is kept, as SQL.
    """
    stream = TellingStream(schema, batches)
    with stream.telling():
        session.register(_ARRIVING, stream.reader)
        session.run(
            f"CREATE OR REPLACE TEMP TABLE {quoted(relation)} AS SELECT {taken} FROM {_ARRIVING}"
        )
        session.connection.unregister(_ARRIVING)
