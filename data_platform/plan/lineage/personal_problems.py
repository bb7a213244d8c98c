"""Personal data where it may not be: what is wrong, where, by which way it came, and what to do.

Called by `plan.building` with what `plan.lineage.personal` followed. Each way is told once, at the
first asset of analytics or destination that it reaches.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from sqlglot import exp

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.analytics import place_in_file, sql_text
from data_platform.plan.keys import Key
from data_platform.plan.lineage.personal import Personal, Trail
from data_platform.plan.lineage.relations import EVERY
from data_platform.plan.nodes import DestinationNode, Node, PythonNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.sql.expressions import parse_query
from data_platform.plan.sql.queries import place_of
from data_platform.spec.pipeline import AnalyticsAsset
from data_platform.spec.reading import PipelineFile

Declarations = Mapping[Key, tuple[PipelineFile, Any]]
_REFUSING = frozenset({"analytics", "destinations"})
_TO_DO = "mask it in staging (`- mask: {{{column}: hash}}`), or leave it out"


class Places:
    """Where people wrote assets and their columns.

    Args:
        declared: the file and what it says, by asset.
        at: the location of an asset's keys.
    """

    def __init__(
        self, declared: Declarations, at: Callable[[Key], Callable[..., Location]]
    ) -> None:
        self._declared = declared
        self._at = at

    def of(self, key: Key, column: str) -> Location:
        """Where a column stands: in the SQL, else in the contract, else the asset."""
        file, spec = self._declared[key]
        at = self._at(key)
        if isinstance(spec, AnalyticsAsset) and (place := _in_sql(file, spec, at, column)):
            return place
        if column in getattr(spec, "columns", {}):
            return at("columns", column)
        return at("from") if key.layer == "destinations" else at()


def problems_of(plan: Plan, personal: Personal, places: Places) -> dict[Key, list[Problem]]:
    """What is wrong, by asset.

    Args:
        plan: all nodes.
        personal: what was followed in it.
        places: of columns.
    """
    found: dict[Key, list[Problem]] = {}
    for node in plan.nodes:
        if problems := [*_of(node, personal, places)]:
            found[node.key] = problems
    return found


def warnings_of(personal: Personal, places: Places) -> Iterator[Problem]:
    """Contracts of staging that deny what SQL brings there."""
    for key, trails in personal.refuted.items():
        if key.layer in _REFUSING:
            continue
        for trail in trails.values():
            message = (
                f"`pii: false` doesn't clear {trail.column}, which SQL makes of a person's data: "
                f"{trail}; it counts for what a function gives: mask the column"
            )
            yield Problem(places.of(key, trail.column), message, warning=True)


def _of(node: Node, personal: Personal, places: Places) -> Iterator[Problem]:
    if node.key.layer not in _REFUSING:
        return
    new = [trail for trail in personal.of(node.key).values() if _is_first(trail)]
    made = [trail for trail in new if trail.by_function]
    if made and isinstance(node, PythonNode):
        yield Problem(places.of(node.key, made[0].column), _of_function(made))
        new = [trail for trail in new if not trail.by_function]
    for trail in new:
        yield Problem(places.of(node.key, trail.column), _of_column(node, trail, personal))


def _is_first(trail: Trail) -> bool:
    """Whether nothing before it on its way is refused already."""
    return trail.above is None or trail.above.asset.layer not in _REFUSING


def _of_column(node: Node, trail: Trail, personal: Personal) -> str:
    where = "a destination" if isinstance(node, DestinationNode) else "analytics"
    if trail.above is None:
        return (
            f"{trail.column} is marked `pii: true`, and no data that tells of a person may be in "
            f"{where}: mark it in raw or staging, and {_to_do(trail)}"
        )
    about = f"{trail.column} tells of a person"
    if trail.column == EVERY:
        about = "columns that aren't known before a run may tell of a person"
    denied = (
        "; `pii: false` counts only for what a function gives"
        if trail.column.lower() in personal.refuted.get(node.key, {})
        else ""
    )
    return f"{about}, and may not reach {where}: {trail}; {_to_do(trail)}{denied}"


def _of_function(trails: list[Trail]) -> str:
    """All columns of a function at once: each may be made of all that it reads."""
    names = ", ".join(trail.column for trail in trails if trail.column != EVERY)
    which = f"each of its columns ({names})" if names else "any of its columns"
    return (
        f"the function reads what tells of a person, so {which} may tell it in analytics: "
        f"{trails[0]}; mask it in staging, or give it an input without it, or say `pii: false` "
        "in the contract of each column that tells of nobody"
    )


def _to_do(trail: Trail) -> str:
    """What to do, with the column's name in staging."""
    names = [one.column for one in trail.way if one.asset.layer == "staging"]
    column = next((name for name in reversed(names) if name != EVERY), trail.way[0].column)
    return _TO_DO.format(column=column)


def _in_sql(
    file: PipelineFile, spec: AnalyticsAsset, at: Callable[..., Location], column: str
) -> Location | None:
    """Where the select list of a statement names what becomes a column."""
    text, location = sql_text(file, spec, at)
    with suppress(ConfigurationError):
        select = parse_query(text, location).find(exp.Select)
        for item in select.expressions if select else ():
            named = item.find(exp.Column)
            if item.alias_or_name.lower() == column.lower() and named is not None:
                return place_in_file(spec, at("query"), place_of(named, location))
    return None
