"""What a database is asked for some partitions: pure decisions, before anything is asked.

Used by `arriving`. A query that names a partition's values is asked once for each of them; of other
rows a cursor and the columns of dimensions tell where they belong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_platform.plan.naming import PARTITION
from data_platform.plan.partitions import TIME, Dimension, Partitions
from data_platform.plan.sources.kinds import DatabaseQuery, DatabaseTable
from data_platform.plan.sources.told import told_dimensions
from data_platform.sources.arrivals import Question
from data_platform.sources.database.statements import (
    Condition,
    named,
    outside,
    quoted_by,
    span_of,
    within,
)


@dataclass(frozen=True)
class Group:
    """Partitions that are asked for by one statement.

    Attributes:
        keys: of them.
        fixed: what all rows of the answer are of: texts by the column that they get on the way.
    """

    keys: Sequence[str]
    fixed: Mapping[str, str]


@dataclass(frozen=True)
class Telling:
    """What rows tell of their partition.

    Attributes:
        partitions: of the asset.
        cursor: the column of the time; None where rows don't tell it.
        kind: DuckDB's type of the cursor.
        dimensions: that rows tell.
    """

    partitions: Partitions
    cursor: str | None
    kind: str
    dimensions: Sequence[Dimension]

    def of(self, group: Group, dialect: str, quote: str) -> Condition:
        """What is true of rows of some partitions."""
        conditions = list[Condition]()
        if self.cursor is not None:
            span = span_of(self.partitions, group.keys)
            conditions.append(within(quoted_by(self.cursor, quote), self.kind, span, dialect))
        for number, one in enumerate(self.dimensions):
            asked = {self.partitions.values_of(key)[one.name] for key in group.keys}
            column = quoted_by(one.column, quote)
            conditions.append(named(column, sorted(asked), dialect, f"_asked_{number}_"))
        return _joined(conditions, " AND ")

    def of_none(self, group: Group, dialect: str, quote: str, *, timed: bool) -> Condition:
        """What is true of rows that belong to no partition.

        Args:
            group: partitions that are asked for together.
            dialect: of the database.
            quote: around its names.
            timed: whether those count whose time is no partition's.
        """
        conditions = list[Condition]()
        if self.cursor is not None and timed:
            span = span_of(self.partitions, group.keys)
            conditions.append(outside(quoted_by(self.cursor, quote), self.kind, span, dialect))
        for number, one in enumerate(self.dimensions):
            column = quoted_by(one.column, quote)
            known, bound = named(column, one.values, dialect, f"_known_{number}_")
            conditions.append((f"{column} IS NULL OR NOT {known}", bound))
        return _joined(conditions, " OR ")


def groups_of(question: Question, source: DatabaseTable | DatabaseQuery) -> list[Group]:
    """The partitions of a question, those together that one statement asks for."""
    partitions = question.node.partitions
    told = told_dimensions(source, partitions)
    if partitions is None or not told:
        return [Group([key], {PARTITION: key}) for key in question.keys]
    fixed = [name for name in partitions.dimensions if name not in told]
    found: dict[tuple[str, ...], list[str]] = {}
    for key in question.keys:
        values = partitions.values_of(key)
        found.setdefault(tuple(values[name] for name in fixed), []).append(key)
    columns = [fixed_column(name) for name in fixed]
    return [Group(k, dict(zip(columns, values, strict=True))) for values, k in found.items()]


def told_by_columns(partitions: Partitions, told: Sequence[str]) -> list[Dimension]:
    """The dimensions of named values among those that rows tell."""
    return [one for one in partitions.by if one.name in told]


def fixed_column(dimension: str) -> str:
    """The column of a dimension that is asked for, on the way."""
    return f"_of_{dimension.lower()}" if dimension != TIME else "_of_time"


def _joined(conditions: Sequence[Condition], word: str) -> Condition:
    bound = {name: value for _, values in conditions for name, value in values.items()}
    return word.join(f"({text})" for text, _ in conditions) or "TRUE", bound
