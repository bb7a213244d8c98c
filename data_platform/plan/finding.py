"""An asset by what a person calls it: `layer/pipeline/name`, `layer/name`, or with dots as in SQL.

Called by the command.
"""

import difflib

from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode, LakeNode, Plan


def find_asset(plan: Plan, text: str) -> AnyNode:
    """The asset of a name; that of a quarantine is the asset whose rows it holds.

    Raises:
        PermanentError: there is none, or there are several.
    """
    names = {node.key: _names(node) for node in plan.nodes}
    found = [key for key, known in names.items() if text in known]
    if len(found) == 1:
        return plan[found[0]]
    if found:
        raise PermanentError(f"{text} is in several pipelines: {', '.join(map(str, found))}")
    near = difflib.get_close_matches(text, [name for known in names.values() for name in known], 1)
    hint = f"did you mean {near[0]}?" if near else "a key is layer/pipeline/name"
    raise PermanentError(f"there is no asset {text!r}; {hint}")


def _names(node: AnyNode) -> list[str]:
    keys = [node.key]
    if isinstance(node, LakeNode) and node.has_quarantine:
        keys.append(node.quarantine_key)
    return [name for key in keys for name in _names_of(key)]


def _names_of(key: Key) -> tuple[str, ...]:
    return (str(key), key.relation, f"{key.layer}.{key.name}", f"{key.layer}/{key.name}")
