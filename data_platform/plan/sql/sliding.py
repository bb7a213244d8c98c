"""Windows over the last days as one statement that reads each day once.

Called by `plan.sql.ranges` for a SELECT of its form that reads the last days of a partitioned
asset. Sums, counts and extremes of a window are those of its days put together. What is counted
once a window, as `COUNT(DISTINCT x)`, counts on the last day on which it was there: from that day
on until it is there again or the window has left the day behind. Whatever isn't plainly of that
form reads each day as often as there are windows with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import quoted
from data_platform.plan.sql.windows import WINDOWS, bound

ROWS, DAYS_ROWS, SPREAD = "_rows", "_of_day", "_spread"
_PAST, _DAY, _FROM, _LENGTH = "_past", "_day", "_from", "_length"
_PUT_TOGETHER: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.Sum: exp.Sum,
    exp.Count: exp.Sum,
    exp.Min: exp.Min,
    exp.Max: exp.Max,
}
"""What makes of the days' results the window's."""

_SCALAR = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Coalesce, exp.Cast,
    exp.TryCast, exp.DataType, exp.DataTypeParam, exp.Paren, exp.Binary, exp.Unary, exp.Case,
    exp.If, exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.TimestampTrunc, exp.DateTrunc,
    exp.Extract, exp.Var,
)  # fmt: skip
"""Of what an expression may be made that rows are grouped by: of a row's own values, plainly."""


@dataclass(frozen=True)
class _Parts:
    """A SELECT, taken apart.

    Attributes:
        keys: expressions over a row that it groups by, under their names in the statement's own
            tables; a column keeps its name, so that it comes out as its table writes it.
        counted: arguments of `COUNT(DISTINCT ...)`.
        totals: the other aggregates.
        columns: what is selected, over the columns of `SPREAD` and of the partitions' table.
    """

    keys: dict[str, exp.Expr] = field(default_factory=dict[str, exp.Expr])
    counted: list[exp.Expr] = field(default_factory=list[exp.Expr])
    totals: list[exp.Expr] = field(default_factory=list[exp.Expr])
    columns: list[exp.Expr] = field(default_factory=list[exp.Expr])


def sliding_statement(
    tree: exp.Select, relation: exp.Table, once: str, days: int, binds: Sequence[str]
) -> exp.Select | None:
    """The statement for many windows; None where the form doesn't allow it.

    Args:
        tree: of the form that `plan.sql.ranges` allows.
        relation: the table in it that has the days.
        once: the relation of the same rows, each of them once, with the day in `_partition`.
        days: the length of a window.
        binds: the names of the bind parameters that there are.
    """
    group = tree.args.get("group")
    if group is None or not group.args.get("all") or tree.args.get("having") is not None:
        return None
    if _names_an_alias(tree):
        return None
    if any(not _in_selection(node) for node in tree.find_all(exp.Placeholder, exp.Parameter)):
        return None
    parts = _taken_apart(tree)
    if parts is None:
        return None
    rows = _rows(tree, relation, once, parts)
    spread = [_totals(parts, days)]
    spread += [_counted(parts, number, days) for number in range(len(parts.counted))]
    return _windows_of(parts, rows, spread, binds)


def _in_selection(node: exp.Expr) -> bool:
    """Whether it stands in what is selected: a day's rows must be the same for all windows."""
    inside = node
    while inside.parent is not None and not isinstance(inside.parent, exp.Select):
        inside = inside.parent
    return inside.arg_key == "expressions"


def _names_an_alias(tree: exp.Select) -> bool:
    """Whether an expression may use another's alias: that one isn't in sight where it would run."""
    aliases = {alias.alias.lower() for alias in tree.expressions if isinstance(alias, exp.Alias)}
    return any(not c.table and c.name.lower() in aliases for c in tree.find_all(exp.Column))


def _taken_apart(tree: exp.Select) -> _Parts | None:
    parts = _Parts()
    for selected in tree.expressions:
        column = _column_of(selected, parts)
        if column is None:
            return None
        parts.columns.append(column)
    return parts if len(parts.columns) > len(parts.counted) + len(parts.totals) else None


def _column_of(selected: exp.Expr, parts: _Parts) -> exp.Expr | None:
    """What is selected, over the statement's own tables."""
    if isinstance(selected, exp.Column):
        return _key(selected, selected.name, parts) if selected.name[:1] != "_" else None
    if not isinstance(selected, exp.Alias):
        return None
    value = selected.this
    if value.find(exp.AggFunc):
        column = _put_together(value.copy(), parts)
    elif value.find(exp.Column):
        plain = all(isinstance(node, _SCALAR) for node in value.walk())
        column = _key(value, f"_key_{len(parts.keys)}", parts) if plain else None
    else:
        column = exp.Paren(this=value.copy())
        for parameter in list(column.find_all(exp.Placeholder, exp.Parameter)):
            parameter.replace(bound(parameter.name))
    return exp.alias_(column, selected.args["alias"].copy()) if column is not None else None


def _key(value: exp.Expr, name: str, parts: _Parts) -> exp.Expr:
    parts.keys[name] = value.copy()
    return exp.column(exp.to_identifier(name, quoted=True), SPREAD)


def _put_together(value: exp.Expr, parts: _Parts) -> exp.Expr | None:
    """An expression over aggregates, with each replaced by what the days give together."""
    top = exp.Paren(this=value)
    for call in list(top.find_all(exp.AggFunc)):
        made = _aggregate(call, parts)
        if made is None or isinstance(call.parent, exp.Filter | exp.WithinGroup | exp.IgnoreNulls):
            return None
        call.replace(made)
    used = [column for column in top.find_all(exp.Column) if column.table != SPREAD]
    allowed = (*_SCALAR, exp.Round, *_PUT_TOGETHER)
    if used or not all(isinstance(node, allowed) for node in top.walk()):
        return None
    return top.this


def _aggregate(call: exp.Expr, parts: _Parts) -> exp.Expr | None:
    together = _PUT_TOGETHER.get(type(call))
    if together is None or call.args.get("expressions"):
        return None
    argument = call.this
    if argument is None or argument.find(exp.Placeholder, exp.Parameter, exp.AggFunc):
        return None
    if isinstance(argument, exp.Distinct):
        if not isinstance(call, exp.Count) or len(argument.expressions) != 1:
            return None
        parts.counted.append(argument.expressions[0].copy())
        return _count(f"_count_{len(parts.counted) - 1}")
    if argument.find(exp.Distinct, exp.Order, exp.Limit):
        return None
    parts.totals.append(call.copy())
    name = f"_total_{len(parts.totals) - 1}"
    return _count(name) if isinstance(call, exp.Count) else together(this=exp.column(name, SPREAD))


def _count(name: str) -> exp.Expr:
    whole = exp.Coalesce(
        this=exp.Sum(this=exp.column(name, SPREAD)), expressions=[exp.Literal.number(0)]
    )
    return exp.cast(whole, "BIGINT")


def _rows(tree: exp.Select, relation: exp.Table, once: str, parts: _Parts) -> exp.Select:
    """Groups of a day's rows that differ in nothing that counts."""
    rows = tree.copy()
    rows.args["from_"].this.set("this", exp.to_identifier(once, quoted=True))
    day = exp.alias_(exp.column(PARTITION, relation.alias_or_name), _PAST)
    keys = [
        value.copy() if isinstance(value, exp.Column) else exp.alias_(value.copy(), name)
        for name, value in parts.keys.items()
    ]
    values = [exp.alias_(v.copy(), f"_value_{n}") for n, v in enumerate(parts.counted)]
    totals = [exp.alias_(v.copy(), f"_total_{n}") for n, v in enumerate(parts.totals)]
    rows.set("expressions", [day, *keys, *values, *totals])
    return rows


def _totals(parts: _Parts, days: int) -> exp.Select:
    """Each day's totals, in all windows that the day is in."""
    totals = [
        exp.alias_(_PUT_TOGETHER[type(call)](this=exp.column(f"_total_{n}")), f"_total_{n}")
        for n, call in enumerate(parts.totals)
    ]
    day = f"CAST({_PAST} AS DATE) AS {_FROM}"
    return _grouped(exp.select(day, f"{days} AS {_LENGTH}", *_keys(parts), *totals).from_(ROWS))


def _counted(parts: _Parts, number: int, days: int) -> exp.Select:
    """What is counted once: how much of it there is on a day, by how long the day stands for it."""
    keys, value = _keys(parts), f"_value_{number}"
    known = exp.select(f"CAST({_PAST} AS DATE) AS {_FROM}", *keys, value)
    known = known.distinct().from_(ROWS).where(f"{value} IS NOT NULL")
    of_one = ", ".join([*keys, value])
    until = f"LEAD({_FROM}) OVER (PARTITION BY {of_one} ORDER BY {_FROM}) - {_FROM}"
    stands = exp.select(_FROM, *keys, f"LEAST({days}, COALESCE({until}, {days})) AS {_LENGTH}")
    return _grouped(
        exp.select(_FROM, _LENGTH, *keys, f"COUNT(*) AS _count_{number}").from_(
            stands.from_(known.subquery("_known")).subquery("_stands")
        )
    )


def _keys(parts: _Parts) -> list[str]:
    return [quoted(name) for name in parts.keys]


def _grouped(select: exp.Select) -> exp.Select:
    select.set("group", exp.Group(all=True))
    return select


def _windows_of(
    parts: _Parts, rows: exp.Select, spread: list[exp.Select], binds: Sequence[str]
) -> exp.Select:
    together: exp.Query = spread[0]
    for more in spread[1:]:
        together = exp.Union(this=together, expression=more, distinct=False, by_name=True)
    day = f"{_FROM} + CAST(UNNEST(RANGE({_LENGTH})) AS INTEGER) AS {_DAY}"
    own = exp.column(PARTITION, WINDOWS)
    return (
        exp.select(*parts.columns, exp.alias_(own.copy(), PARTITION))
        .from_(SPREAD)
        .join(
            WINDOWS,
            on=exp.EQ(this=exp.cast(own.copy(), "DATE"), expression=exp.column(_DAY, SPREAD)),
        )
        .group_by(
            *(f"{SPREAD}.{name}" for name in _keys(parts)),
            own.copy(),
            *map(bound, binds),
        )
        .with_(ROWS, as_=rows)
        .with_(DAYS_ROWS, as_=together)
        .with_(SPREAD, as_=exp.select("*", day).from_(DAYS_ROWS))
    )
