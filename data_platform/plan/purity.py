"""Whether the same inputs give an asset the same rows: only then may a step leave its work undone.

Asked by `lake_steps`. SQL gives something else at another time where it reads the clock. A column
that does is no matter, since it doesn't count for the version of the rows; a clock that decides
about rows, or about another column, is. Of functions nobody can tell: their authors say it.
"""

import re

import sqlglot
from sqlglot import exp

from data_platform.plan.nodes import AnalyticsNode, LakeNode, PythonNode, StagingNode
from data_platform.plan.sql.expressions import reads_clock

_MAY_READ_CLOCK = re.compile(r"\b(current_|now\b|today\b|age\b|localtime)", re.IGNORECASE)
"""Texts without any of these needn't be parsed."""
_DECIDES = (exp.Where, exp.Having, exp.Qualify, exp.Join, exp.Group, exp.Order, exp.Limit)


def same_from_same(node: LakeNode) -> bool:
    """Whether an asset's rows hang on nothing but its inputs, code and configuration."""
    match node:
        case StagingNode() | AnalyticsNode():
            return not _decided_by_clock(node.sql, node.unversioned)
        case PythonNode():
            return node.skip_unchanged
        case _:
            return False


def _decided_by_clock(sql: str, unversioned: tuple[str, ...]) -> bool:
    """Whether more than columns that don't count is read from the clock."""
    if not _MAY_READ_CLOCK.search(sql):
        return False
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    if any(_reads(part, unversioned) for part in tree.find_all(*_DECIDES)):
        return True
    for alias in list(tree.find_all(exp.Alias)):
        if alias.alias in unversioned:
            alias.set("this", exp.Null())
    return reads_clock(tree)


def _reads(part: exp.Expr, unversioned: tuple[str, ...]) -> bool:
    """Whether a clause reads the clock, or a column that does."""
    return reads_clock(part) or any(
        column.name in unversioned for column in part.find_all(exp.Column)
    )
