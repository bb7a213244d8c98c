"""Which rows of a table belong to which partition, in SQL that every database understands.

Used by `targets`, which remove them, and by what reads them back. A column of a time holds rows of
a whole partition, so that one is a span there; elsewhere it is the key, or a value of a dimension.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from data_platform.plan.destinations.kinds import KEY, Dialect
from data_platform.plan.partitions import TIME, Partitions, TimePartitions
from data_platform.plan.sql.expressions import literal, quoted

TIME_KEY_OF = "data_platform_time_key"
"""A function that gives the key of a time's partition, in SQLite, which knows no zones. It takes
the time, the length of partitions, their first day, and their zone."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class TellingColumn:
    """A column of a table that tells partitions.

    Attributes:
        name: of the column.
        declared: its type there.
    """

    name: str
    declared: str


@dataclass(frozen=True)
class PartitionRows:
    """The rows of partitions.

    Attributes:
        columns: of the table, which tell the partition, by dimension; `KEY` is all of it.
        partitions: all that there are.
        dialect: of the table's database.
        keyed: whether the column of the time holds keys, whatever its type is.
        written: writes a text as a literal.
    """

    columns: Mapping[str, TellingColumn]
    partitions: Partitions
    dialect: Dialect = "postgres"
    keyed: bool = False
    written: Callable[[str], str] = literal

    @property
    def names(self) -> list[str]:
        """The columns' names, in the order of a key."""
        return [one.name for one in self.columns.values()]

    def condition(self, keys: Sequence[str]) -> str:
        """What is true of rows of partitions."""
        if len(self.columns) == 1 and not self._spans:
            (column,) = self.columns.values()
            return self._among(column, keys)
        blocks = [self._block(some) for some in self.partitions.contiguous(keys)]
        return f"({' OR '.join(blocks)})"

    def due(self, keys: Sequence[str]) -> tuple[str, str, str]:
        """A relation of partitions as VALUES, the names of its columns, when `held` is of one.

        What isn't a span has its value as the table's own type: a day may be a date.
        """
        names, belongs = ["key"], list[str]()
        for number, (dimension, column) in enumerate(self.columns.items()):
            held = f"held.{quoted(column.name)}"
            if dimension == TIME and self._spans:
                names += ["first", "beyond"]
                belongs.append(f"{held} >= due.first AND {held} < due.beyond")
            else:
                names.append(f"value_{number}")
                belongs.append(f"{held} = due.value_{number}")
        rows = ", ".join(f"({', '.join(self._due(key))})" for key in keys)
        return f"VALUES {rows}", ", ".join(names), " AND ".join(belongs)

    def key_of(self, relation: str) -> str:
        """An expression by which rows of partitions can be told apart and be put into order."""
        parts = [
            self._time_of(f"{relation}.{quoted(column.name)}")
            if dimension == TIME and self._spans
            else f"{relation}.{quoted(column.name)}"
            for dimension, column in self.columns.items()
        ]
        if len(parts) == 1:
            return parts[0]
        return " || '|' || ".join(f"CAST({part} AS VARCHAR)" for part in parts)

    @property
    def _spans(self) -> bool:
        """Whether a partition of time is a span of the column's values."""
        column = self.columns.get(TIME)
        if column is None or self.keyed:
            return False
        declared = column.declared.lower()
        return declared.startswith("timestamp") or (
            declared == "date" and self.partitions.timed.every in {"week", "month"}
        )

    @property
    def _is_aware(self) -> bool:
        declared = self.columns[TIME].declared.lower()
        return declared.endswith(("with time zone", "timestamptz"))

    def _block(self, keys: Sequence[str]) -> str:
        """What is true of rows of all combinations of a range of each dimension."""
        values = [self._values(key) for key in keys]
        conditions: list[str] = []
        for dimension, column in self.columns.items():
            wanted = sorted({one[dimension] for one in values})
            name = quoted(column.name)
            if dimension == TIME and self._spans:
                (start, _), (_, end) = self._bounds(wanted[0]), self._bounds(wanted[-1])
                within = f"{name} >= {self._moment(start)} AND {name} < {self._moment(end)}"
                conditions.append(within)
            else:
                conditions.append(self._among(column, wanted))
        return f"({' AND '.join(conditions)})"

    def _among(self, column: TellingColumn, values: Sequence[str]) -> str:
        return f"{quoted(column.name)} IN ({', '.join(map(self.written, values))})"

    def _due(self, key: str) -> list[str]:
        found = [self.written(key)]
        for dimension, value in self._values(key).items():
            if dimension == TIME and self._spans:
                found += [self._moment(moment) for moment in self._bounds(value)]
            else:
                found.append(self._typed(value, self.columns[dimension].declared))
        return found

    def _values(self, key: str) -> dict[str, str]:
        if KEY in self.columns:
            return {KEY: key}
        values = self.partitions.values_of(key)
        return {dimension: values[dimension] for dimension in self.columns}

    def _bounds(self, time: str) -> tuple[datetime, datetime]:
        of = self.partitions.timed
        return of.window(time) if self._is_aware else of.local_window(time)

    def _moment(self, moment: datetime) -> str:
        declared = self.columns[TIME].declared
        if declared.lower() == "date":
            return self._typed(moment.date().isoformat(), declared)
        if self.dialect == "sqlite" and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        return self._typed(moment.isoformat(sep=" "), declared)

    def _typed(self, text: str, declared: str) -> str:
        """A value of a column's type; SQLite, which has times as texts, would make a number."""
        value = self.written(text)
        return value if self.dialect == "sqlite" else f"CAST({value} AS {declared})"

    def _time_of(self, moment: str) -> str:
        """An expression that is the same for times of one partition, and rises with them."""
        time = self.partitions.timed
        if self.dialect == "sqlite":
            told = [time.every, time.start.isoformat(), time.timezone]
            return f"{TIME_KEY_OF}({moment}, {', '.join(map(literal, told))})"
        if time.every == "hour":
            first = (
                time.starts
                if self._is_aware
                else datetime.combine(time.start, datetime.min.time(), UTC)
            )
            ahead = (first - _EPOCH).seconds % 3600
            return f"floor((extract(epoch FROM {moment}) - {ahead}) / 3600)"
        if self._is_aware:
            moment = f"({moment} AT TIME ZONE {literal(time.timezone)})"
        day = f"CAST({moment} AS date)"
        match time.every:
            case "day":
                return day
            case "week":
                ahead = (time.start - date(1970, 1, 1)).days % 7
                return f"floor(({day} - DATE '1970-01-01' - {ahead}) / 7.0)"
            case "month":
                return f"date_trunc('month', {day})"


def time_key_of(text: str | None, every: str, start: str, zone: str) -> str | None:
    """What `TIME_KEY_OF` does; a time without a zone is in the partitions' own."""
    if text is None:
        return None
    time = TimePartitions(every, date.fromisoformat(start), None, zone)  # pyright: ignore[reportArgumentType]
    moment = datetime.fromisoformat(text)
    return time.key_at(moment if moment.tzinfo else moment.replace(tzinfo=time.zone))
