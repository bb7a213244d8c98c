"""A join as SQL: which rows and columns it gives, and which rows it loses.

Called by `plan.staging.steps`. A row whose key didn't convert stays where a join would lose it:
what it belongs to isn't known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from data_platform.errors import Location
from data_platform.plan.declared import refused
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.plan.sql.free_names import require_free
from data_platform.plan.staging.other_side import OtherSide
from data_platform.plan.staging.step_sql import aliased, count
from data_platform.spec.transformations import Join


@dataclass(frozen=True)
class JoinSql:
    """A join between `l`, the rows so far, and `r`, the other asset's.

    Attributes:
        select: the columns.
        tail: what stands behind the rows so far in FROM.
        effect: what it does to rows.
        lost: a SELECT `(_partition, rows)` of the rows that it loses, where it loses some.
    """

    select: str
    tail: str
    effect: Literal["row-wise", "filters", "reshapes"]
    lost: str | None = None


def join_of(
    join: Join, other: OtherSide, last: str, bad: str, before: Schema, at: Callable[..., Location]
) -> JoinSql:
    """The SQL of a join.

    Args:
        join: as written.
        other: the other asset.
        last: the step whose rows are joined.
        bad: a condition over `l`: a value of its key didn't convert; empty where none was.
        before: the columns so far, as far as they are known.
        at: the location of the keys below it.

    Raises:
        ConfigurationError: its columns aren't known or taken, or it doesn't fit the partitions.
    """
    on = [*join.on, *([PARTITION] if other.by_partition else [])]
    condition = " AND ".join(f"l.{quoted(name)} = r.{quoted(name)}" for name in on)
    there = f"{quoted(other.relation)} AS r"
    tail = _tail(join.how, there, condition, on[0], bad)
    inverse = "SEMI" if join.how == "anti" else "ANTI"
    known = f" WHERE NOT {bad}" if bad else ""
    lost = count(last, f"AS l {inverse} JOIN {there} ON {condition}{known}", "l.")
    if join.how in {"semi", "anti"}:
        return JoinSql("SELECT l.*", tail, "filters", lost)
    own = _merged(on, other, at("how"), join.how) if join.how in {"right", "full"} else "l.*"
    added = "".join(f", r.{quoted(name)}" for name in _added_by(join, other, before, at))
    select = f"SELECT {own}{added}"
    if join.how in {"right", "full"} or not other.is_unique_on(on):
        return JoinSql(select, tail, "reshapes")
    if join.how == "inner":
        return JoinSql(select, tail, "filters", lost)
    return JoinSql(select, tail, "row-wise")


def _tail(how: str, there: str, condition: str, key: str, bad: str) -> str:
    if how == "semi" and bad:
        return f"AS l\nWHERE EXISTS (FROM {there} WHERE {condition}) OR {bad}"
    if how == "inner" and bad:
        found = f"r.{quoted(key)} IS NOT NULL"
        return f"AS l\nLEFT JOIN {there} ON {condition}\nWHERE {found} OR {bad}"
    return f"AS l\n{how.upper()} JOIN {there} ON {condition}"


def _merged(on: Sequence[str], other: OtherSide, location: Location, how: str) -> str:
    """This side's columns, the key from the other side where only that has the row."""
    if not other.fits_row_by_row:
        raise refused(location, f"a {how} join needs the same partitions on both sides")
    merged = {name: f"COALESCE(l.{quoted(name)}, r.{quoted(name)})" for name in on}
    if not other.into_partitions:
        merged[PARTITION] = literal(WHOLE)
    return f"l.* REPLACE ({aliased(merged)})"


def _added_by(
    join: Join, other: OtherSide, before: Schema, at: Callable[..., Location]
) -> Sequence[str]:
    """The columns that a join adds: those that were named, or all that this side doesn't have."""
    if join.columns is not None:
        require_free(join.columns, before.names, lambda name: at("columns", name))
        return join.columns
    if not other.columns:
        message = f"the columns of {join.with_} aren't known: name those to add in `columns`"
        raise refused(at("with"), message)
    taken = {name.lower() for name in (*join.on, *before.names)}
    return [name for name in other.columns if name.lower() not in taken]
