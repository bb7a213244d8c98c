"""The partitions of a step as rows, for statements that do several of them at once.

Called by analytics and by rules in SQL, with statements of `plan.sql.ranges`.
"""

from collections.abc import Sequence
from datetime import datetime

from data_platform.engine.session import Session
from data_platform.plan.naming import PARTITION
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal
from data_platform.plan.sql.windows import WINDOWS, bind_name


def show_windows(session: Session, partitions: Partitions, keys: Sequence[str]) -> None:
    """Make `WINDOWS` a table: the key of each partition, and the values of bind parameters.

    Args:
        session: in which statements run.
        partitions: of the asset.
        keys: those of the step.
    """
    names = partitions.binds
    columns = ", ".join([PARTITION, *map(bind_name, names)])
    rows = ", ".join(
        f"({literal(key)}, {', '.join(_literal(values[name]) for name in names)})"
        for key, values in ((key, partitions.bound(key)) for key in keys)
    )
    session.forget(WINDOWS)
    session.run(f"CREATE TEMP TABLE {WINDOWS} AS SELECT * FROM (VALUES {rows}) w({columns})")


def _literal(value: str | datetime) -> str:
    if isinstance(value, datetime):
        return f"TIMESTAMP {literal(value.isoformat(sep=' '))}"
    return literal(value)
