"""The names under which an asset's statement and its checks read other assets.

Called by all that shows inputs to a session or names them in SQL.
"""

from data_platform.plan.nodes import Input

ALL_SUFFIX = " (all partitions)"


def relation_of(given: Input) -> str:
    """The name under which an input is read: one asset may be read by partition and as a whole."""
    return f"{given.key.relation}{ALL_SUFFIX}" if given.reads == "all" else given.key.relation
