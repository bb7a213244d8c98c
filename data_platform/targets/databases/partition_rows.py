"""Which rows of a table belong to which partition, in SQL that every database understands.

Used by `loading`, which removes them, and by what reads them back. A column of a time holds rows of
a whole day, so a partition is a span there; elsewhere it is the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from data_platform.plan.destinations.kinds import Dialect
from data_platform.plan.partitions import Partitions
from data_platform.plan.sql.expressions import literal, quoted

DAY_OF = "data_platform_day"
"""A function that gives the day of a time in a zone, in SQLite, which knows no zones."""


@dataclass(frozen=True)
class PartitionRows:
    """The rows of partitions.

    Attributes:
        column: of the table, which tells the partition.
        declared: its type there.
        partitions: all that there are.
        dialect: of the table's database.
    """

    column: str
    declared: str
    partitions: Partitions
    dialect: Dialect = "postgres"

    @property
    def is_span(self) -> bool:
        """Whether a partition is a span of times."""
        return self.declared.lower().startswith("timestamp")

    @property
    def _is_aware(self) -> bool:
        return self.is_span and self.declared.lower().endswith(("with time zone", "timestamptz"))

    def condition(self, keys: Sequence[str]) -> str:
        """What is true of rows of partitions."""
        name = quoted(self.column)
        if not self.is_span:
            return f"{name} IN ({', '.join(literal(key) for key in keys)})"
        ranges = [
            (self._bounds(some[0])[0], self._bounds(some[-1])[1])
            for some in self.partitions.contiguous(keys)
        ]
        within = " OR ".join(
            f"({name} >= {self._moment(start)} AND {name} < {self._moment(end)})"
            for start, end in ranges
        )
        return f"({within})"

    def due(self, keys: Sequence[str]) -> tuple[str, str]:
        """A relation `(key, first, beyond)` as VALUES, and when a row `held` belongs to its `key`.

        What isn't a span has its key as `first`, in the table's own type: a day may be a date.
        """
        held = f"held.{quoted(self.column)}"
        if not self.is_span:
            values = ", ".join(f"({literal(key)}, {self._typed(key)}, NULL)" for key in keys)
            return f"VALUES {values}", f"{held} = due.first"
        spans = [(key, *self._bounds(key)) for key in keys]
        values = ", ".join(
            f"({literal(key)}, {self._moment(start)}, {self._moment(end)})"
            for key, start, end in spans
        )
        return f"VALUES {values}", f"{held} >= due.first AND {held} < due.beyond"

    def key_of(self, relation: str) -> str:
        """An expression by which rows of partitions can be told apart and be put into order."""
        name = f"{relation}.{quoted(self.column)}"
        if self.dialect == "sqlite" and self.is_span:
            return f"{DAY_OF}({name}, {literal(self.partitions.timezone)})"
        if self._is_aware:
            name = f"({name} AT TIME ZONE {literal(self.partitions.timezone)})"
        return f"CAST({name} AS date)" if self.is_span else name

    def _bounds(self, key: str) -> tuple[datetime, datetime]:
        aware = self._is_aware
        return self.partitions.window(key) if aware else self.partitions.local_window(key)

    def _moment(self, moment: datetime) -> str:
        if self.dialect == "sqlite" and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        return self._typed(moment.isoformat(sep=" "))

    def _typed(self, text: str) -> str:
        """A value of the column's type; SQLite, which has times as texts, would make a number."""
        return (
            literal(text)
            if self.dialect == "sqlite"
            else f"CAST({literal(text)} AS {self.declared})"
        )
