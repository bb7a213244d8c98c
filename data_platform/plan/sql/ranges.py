"""One statement for a range of partitions, where a person's SQL allows it.

Called by `plan.sql.queries`. A SELECT that reads one partitioned asset, joins what has no
partitions and groups, gives the same rows for each partition when the partition joins the grouping:
a year is then one statement and not 365. Whatever isn't plainly of that form runs partition by
partition.
"""

from collections.abc import Mapping, Sequence

from sqlglot import exp

from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import Input
from data_platform.plan.partitions import PARAMETERS, TIME, Partitions
from data_platform.plan.sql.expressions import render
from data_platform.plan.sql.sliding import sliding_statement
from data_platform.plan.sql.windows import WINDOWS, bound

ONCE = " (each once)"
"""Ends the name of the relation of a window's rows in which none is repeated."""

_REFUSED = (
    exp.With, exp.SetOperation, exp.Subquery, exp.Exists, exp.Window, exp.Lateral, exp.Unnest,
    exp.Values, exp.Limit, exp.Offset, exp.Fetch, exp.Order, exp.Qualify, exp.Cube, exp.Rollup,
    exp.GroupingSets, exp.Distinct, exp.AnyValue, exp.First, exp.Last, exp.ArrayAgg,
    exp.GroupConcat,
)  # fmt: skip
"""What looks at more than a row and its group, or takes them in some order."""


def range_statement(
    tree: exp.Query, inputs: Mapping[str, Input], partitions: Partitions | None
) -> str | None:
    """The statement for many partitions at once, `_partition` its last column; None without one.

    Args:
        tree: a person's statement, its tables already the relations of its inputs.
        inputs: by relation.
        partitions: of the asset.
    """
    if not isinstance(tree, exp.Select) or not _is_plain(tree):
        return None
    first = _relation(tree.args.get("from_") or tree.args.get("from"))
    if first is None or first.name not in inputs:
        return None  # such as a function that gives a table
    given = inputs[first.name]
    if given.reads in {"whole", "all"}:
        return None
    if not all(_joins_whole(join, inputs) for join in tree.args.get("joins") or ()):
        return None
    if not _is_grouped(tree):
        return None
    binds = list(partitions.binds if partitions else PARAMETERS)
    if given.reads == "last" and _are_days(partitions) and _are_days(given.partitions):
        once = f"{first.name}{ONCE}"
        sliding = sliding_statement(tree, first, once, given.last, binds)
        if sliding is not None:
            return render(sliding, pretty=True)
    return render(_over_range(tree.copy(), first.alias_or_name, binds), pretty=True)


def _are_days(partitions: Partitions | None) -> bool:
    """Whether keys are days, by which windows slide."""
    if partitions is None or partitions.dimensions != (TIME,):
        return False
    return partitions.timed.every == "day"


def _is_plain(tree: exp.Select) -> bool:
    counts = {
        id(node)
        for call in tree.find_all(exp.Count)
        for node in call.find_all(exp.Distinct, exp.Star)
    }
    if any(_is_unnamed(value) for value in tree.expressions):
        return False
    for node in tree.walk():
        if id(node) in counts:
            continue
        if isinstance(node, (*_REFUSED, exp.Star)):
            return False
    return True


def _is_unnamed(value: exp.Expr) -> bool:
    """Whether DuckDB names a column after its text, in which a parameter is written otherwise."""
    return not value.output_name and value.find(exp.Placeholder, exp.Parameter) is not None


def _relation(clause: exp.Expr | None) -> exp.Table | None:
    return clause.this if clause is not None and isinstance(clause.this, exp.Table) else None


def _joins_whole(join: exp.Join, inputs: Mapping[str, Input]) -> bool:
    """Inner and left joins with assets that every partition reads alike."""
    table = _relation(join)
    side, kind = (join.side or "").upper(), (join.kind or "").upper()
    simple = side in {"", "LEFT"} and kind in {"", "INNER", "OUTER", "CROSS"} and not join.method
    # A function that gives a table is none of the inputs.
    given = inputs.get(table.name) if table is not None else None
    return simple and given is not None and given.reads in {"whole", "all"}


def _is_grouped(tree: exp.Select) -> bool:
    """Rows as they are, or groups; a total without them has a row even if nothing is read.

    GROUP BY ALL is such a total where all that isn't an aggregate is the same for every row; and
    it has no place for a partition's moment beside an aggregate.
    """
    group = tree.args.get("group")
    if group is None:
        return not tree.find(exp.AggFunc) and tree.args.get("having") is None
    if not group.args.get("all"):
        return True
    totals = [value for value in tree.expressions if value.find(exp.AggFunc)]
    if any(value.find(exp.Placeholder, exp.Parameter) for value in totals):
        return False
    return any(value.find(exp.Column) for value in tree.expressions if value not in totals)


def _over_range(tree: exp.Select, alias: str, binds: Sequence[str]) -> exp.Select:
    for parameter in list(tree.find_all(exp.Placeholder, exp.Parameter)):
        parameter.replace(bound(parameter.name))
    own = exp.column(PARTITION, alias)
    # The windows come first among the joins, so that conditions of the others may name them.
    windows = exp.Join(
        this=exp.to_table(WINDOWS),
        on=exp.EQ(this=exp.column(PARTITION, WINDOWS), expression=own.copy()),
    )
    joins: list[exp.Expr] = tree.args.get("joins") or []
    tree.set("joins", [windows, *joins])
    group = tree.args.get("group")
    if group is not None and not group.args.get("all"):
        group.set(
            "expressions",
            [*group.expressions, own.copy(), *map(bound, binds)],
        )
    return tree.select(exp.alias_(own.copy(), PARTITION))
