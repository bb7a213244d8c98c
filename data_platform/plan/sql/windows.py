"""The partitions that one statement makes at once, as a relation of their own.

Named in statements by `plan.sql.ranges` and `plan.sql.sliding`, filled by `engine.windows`.
"""

from sqlglot import exp

WINDOWS = "_windows"
"""The relation: `_partition`, and a column for each bind parameter."""


def bind_name(parameter: str) -> str:
    """The column of a bind parameter: none that rows have, which a person may name without table.

    The rows of an asset by region often have a column `region`.
    """
    return f"_bind_{parameter}"


def bound(parameter: str) -> exp.Column:
    """The value of a bind parameter."""
    return exp.column(bind_name(parameter), WINDOWS)
