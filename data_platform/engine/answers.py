"""What a statement gives to somebody who looks: its first rows, and how many there are in all.

Called by `observability` for the command. All rows are counted as they stream by, and only the ones
that are shown are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_platform.engine.session import Session

_BATCH_ROWS = 8_192


@dataclass(frozen=True)
class Answer:
    """Some rows.

    Attributes:
        columns: their names, each once.
        rows: the first ones, in the statement's order.
        total: how many there are.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int

    @property
    def more(self) -> int:
        """Rows that there are besides those that are shown."""
        return self.total - len(self.rows)


def answer_of(
    session: Session,
    sql: str,
    parameters: Mapping[str, object] | None = None,
    limit: int | None = None,
) -> Answer:
    """Run a SELECT.

    Args:
        session: in which its tables are.
        sql: the statement.
        parameters: its bind parameters.
        limit: of the rows that are kept; None means all.
    """
    relation = session.connection.sql(sql, params=dict(parameters) if parameters else None)
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    kept: list[tuple[Any, ...]] = []
    total = 0
    for batch in reader:
        total += batch.num_rows
        wanted = batch.num_rows if limit is None else limit - len(kept)
        if wanted > 0:
            kept += zip(
                *(column.to_pylist() for column in batch.slice(0, wanted).columns), strict=True
            )
    return Answer(_apart([str(name) for name in reader.schema.names]), tuple(kept), total)


def _apart(names: list[str]) -> tuple[str, ...]:
    """The names, a repeated one with a number, as DuckDB itself numbers those of a subquery."""
    given: list[str] = []
    for name in names:
        number, apart = 0, name
        while apart in given:
            number += 1
            apart = f"{name}_{number}"
        given.append(apart)
    return tuple(given)
