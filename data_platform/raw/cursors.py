"""The column that rises from row to row of an incremental source, as statements compare it.

Used by `raw.increments` and `raw.known_rows`. A row has a place in the order or it hasn't: NULL,
infinity and NaN are none, since a watermark can't stand behind them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from data_platform.engine.session import Session
from data_platform.errors import SourceError
from data_platform.plan.naming import HIDDEN_TYPES, PROVENANCE, WHOLE, WITHOUT_CURSOR
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.kinds import Increments
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.arrivals import Notice

_FLOATS = {"FLOAT", "DOUBLE"}
_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}


@dataclass(frozen=True)
class Cursor:
    """The column that rises, as statements order rows by it.

    Attributes:
        name: of it.
        type: DuckDB's.
    """

    name: str
    type: str

    @property
    def value(self) -> str:
        """What is compared."""
        return self.value_of(quoted(self.name))

    def value_of(self, text: str) -> str:
        """What is compared of an expression: a text stands for the time that it names."""
        if self.type != "VARCHAR":
            return text
        return f"TRY_CAST({text} AS TIMESTAMP WITH TIME ZONE)"

    @property
    def positioned(self) -> str:
        """Whether a row has a place in the order: infinity comes after everything else."""
        if self.type in _FLOATS:
            return f"COALESCE(ISFINITE({self.value}), FALSE)"
        if self.type in _NUMBERS or self.type.startswith("DECIMAL"):
            return f"{self.value} IS NOT NULL"
        # What Python's calendar has: the watermark goes through it.
        return f"COALESCE(YEAR({self.value}) BETWEEN 1 AND 9999, FALSE)"

    def at_least(self, bound: str | float | None) -> str:
        """Whether a row is to be looked at; `bound` as `increments.written` gives it."""
        if bound is None:
            return self.positioned
        kind = "TIMESTAMP WITH TIME ZONE" if self.type == "VARCHAR" else self.type
        return f"{self.positioned} AND {self.value} >= CAST({literal(f'{bound}')} AS {kind})"


def cursor_of(node: RawNode, increments: Increments, columns: Mapping[str, str]) -> Cursor:
    """The cursor of rows that have these columns.

    Raises:
        SourceError: there is none, or no column of the key, or it can't be a cursor.
    """
    spelled = {name.lower(): name for name in columns}
    for name in (increments.cursor or "", *increments.key):
        if name.lower() not in spelled:
            own = ", ".join(c for c in columns if c not in {*HIDDEN_TYPES, *PROVENANCE})
            what = "cursor" if name == increments.cursor else "key"
            raise SourceError(f"{node.key}: there is no column {name} to be its {what}: {own}")
    name = spelled[(increments.cursor or "").lower()]
    kind = columns[name]
    known = kind in _TIMES | _FLOATS | _NUMBERS | {"VARCHAR"} or kind.startswith("DECIMAL")
    if not known:
        raise SourceError(
            f"{node.key}: cursor {name} is {kind}: it must be a time, a date or a number"
        )
    return Cursor(name, kind)


def rows_without_position(session: Session, node: RawNode, cursor: Cursor, relation: str) -> Notice:
    """Rows that can't be landed, since nothing would tell later whether they are known.

    Raises:
        SourceError: a text isn't a time.
    """
    missing, unread, example = session.rows(
        f"SELECT COUNT(*) FILTER (NOT {cursor.positioned}), "
        f"COUNT(*) FILTER ({cursor.value} IS NULL AND {quoted(cursor.name)} IS NOT NULL), "
        f"MIN({quoted(cursor.name)}) FILTER ({cursor.value} IS NULL) FROM {relation}"
    )[0]
    if unread:
        shown = f", such as {str(example)[:40]!r}" if not node.masking.hides(cursor.name) else ""
        raise SourceError(
            f"{node.key}: cursor {cursor.name} is a text that is no time in {unread:,} rows"
            f"{shown}: name the type of the column under `columns`"
        )
    detail = f"{missing:,} rows whose {cursor.name} is NULL or infinite: they aren't landed"
    return Notice(WITHOUT_CURSOR, WHOLE, missing, detail)
