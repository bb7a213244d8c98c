"""The tables of an asset by what a person calls it, and who keeps them.

Called by the command.
"""

import getpass
from collections.abc import Iterator

from data_platform.errors import PermanentError
from data_platform.plan.finding import find_asset
from data_platform.plan.keys import Key
from data_platform.plan.nodes import LakeNode, StagingNode
from data_platform.plan.pipelines import Plan


def lake_node(plan: Plan, text: str) -> LakeNode:
    """An asset that is kept in the lake.

    Raises:
        PermanentError: there is none of the name, or it is a destination.
    """
    node = find_asset(plan, text)
    if not isinstance(node, LakeNode):
        raise PermanentError(
            f"{node.key} isn't kept in the lake, so it has no versions: name {node.source}"
        )
    return node


def table_key(plan: Plan, text: str) -> Key:
    """The table that a person means: an asset's, or that of its quarantine.

    Raises:
        PermanentError: there is none of the name, or it is a destination.
    """
    node = lake_node(plan, text)
    if not isinstance(node, StagingNode):
        return node.key
    own = (str(node.quarantine_key), node.quarantine_key.relation)
    short = f"quarantine.{node.key.name}"
    return node.quarantine_key if text in {*own, short} else node.key


def tables_of(node: LakeNode) -> Iterator[Key]:
    """All tables of an asset, there or not."""
    yield node.key
    if isinstance(node, StagingNode):
        yield node.quarantine_key
        yield Key("corrections", node.key.pipeline, node.key.name)


def user_name() -> str:
    """Whoever runs the command, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
