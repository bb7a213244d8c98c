"""Whose values stay unseen: what of each asset tells of a person, once all of them are known.

Called by `plan.building` with what `plan.lineage.personal` followed. What goes into a column that
is marked or masked is hidden in the assets above it too; a masked value may be shown. Quarantine
keeps what is masked masked, and of an asset of personal data nobody else's words are passed on.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import sqlglot
from sqlglot import exp

from data_platform.plan.checks.kinds import Check, PythonCheck, ReconcileCheck
from data_platform.plan.checks.sql_checks import tells
from data_platform.plan.checks.value_kinds import DriftCheck, FreshnessCheck, SqlCheck
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.lineage.nodes import StepsLineage
from data_platform.plan.lineage.personal import Personal
from data_platform.plan.lineage.relations import EVERY, Made, Origin
from data_platform.plan.nodes import (
    DestinationNode,
    LakeNode,
    Node,
    RawNode,
    StagingNode,
)
from data_platform.plan.pipelines import Plan
from data_platform.plan.schemas import NO_MASKING, Masking
from data_platform.plan.sources.kinds import PythonSource
from data_platform.plan.sql.masks import stronger
from data_platform.spec.transformations import MaskMethod

MASKED = "•••"
"""In place of a value."""

_NodeT = TypeVar("_NodeT", bound=Node)


def masked(plan: Plan, personal: Personal) -> Plan:
    """The plan with the masking of every asset, a destination having that of what it loads.

    Args:
        plan: finished.
        personal: what was followed in it, or in a larger one.
    """
    if not personal.relations:
        return plan
    masks = _Hiding(plan, personal).masks()
    pipelines = tuple(
        replace(pipeline, nodes=tuple(_masked(node, masks, personal) for node in pipeline.nodes))
        for pipeline in plan.pipelines
    )
    return Plan(pipelines)


def _masked(node: _NodeT, masks: Mapping[Key, Masking], personal: Personal) -> _NodeT:
    """A node with its masking, and with its checks and functions that must not tell a value."""
    own = masks.get(node.key, NO_MASKING)
    discreet = any(
        masks.get(key, NO_MASKING) != NO_MASKING
        for key in (node.key, *(given.key for given in node.inputs))
    )
    checks = tuple(
        _discreet_check(node.key, check, masks, discreet=discreet) for check in node.checks
    )
    found = replace(node, masking=own, discreet=discreet, checks=checks)
    match found:
        case StagingNode():
            return replace(
                found,
                held_masked=_held_masked(found, personal),
                steps=tuple(
                    replace(
                        step,
                        python=replace(
                            step.python, function=_discreet(step.python.function, discreet=discreet)
                        ),
                    )
                    if step.python
                    else step
                    for step in found.steps
                ),
            )
        case RawNode(source=PythonSource() as source):
            function = _discreet(source.function, discreet=discreet)
            return replace(found, source=replace(source, function=function))
        case _:
            return found


def _discreet(function: UserFunction, *, discreet: bool) -> UserFunction:
    return replace(function, discreet=discreet)


def _discreet_check(
    own: Key, check: Check, masks: Mapping[Key, Masking], *, discreet: bool
) -> Check:
    match check:
        case ReconcileCheck():
            return replace(check, masked=_tells(own, check, masks))
        case FreshnessCheck() | DriftCheck():
            hidden = masks.get(own, NO_MASKING)
            return replace(check, masked=check.column is not None and hidden.hides(check.column))
        case SqlCheck():
            read = [masks.get(key, NO_MASKING) for key in (own, *check.sources)]
            masked, personal = tells(check, lambda name: any(one.hides(name) for one in read))
            return replace(check, masked=masked, personal=personal and discreet)
        case PythonCheck():
            return replace(check, function=_discreet(check.function, discreet=discreet))
        case _:
            return check


def _tells(own: Key, check: ReconcileCheck, masks: Mapping[Key, Masking]) -> bool:
    """Whether a side of a reconciliation is computed from something personal."""
    sides = ((own, check.expression), (check.other, check.other_expression))
    return any(
        masks.get(key, NO_MASKING).hides(column.name)
        for key, expression in sides
        for column in sqlglot.parse_one(expression, read="duckdb").find_all(exp.Column)
    )


# Quarantine -----------------------------------------------------------------------------------


def _held_masked(node: StagingNode, personal: Personal) -> dict[str, MaskMethod]:
    """Columns of a source that quarantine must not keep as they came, and how it keeps them.

    Those whose values the asset masks, by the same method, the stronger of two; and those that
    tell of a person and don't leave the asset as they are: its readers are not to see them here.
    """
    if not node.has_quarantine:
        return {}
    trails = personal.of(node.source)
    found: dict[str, MaskMethod] = {}
    steps = personal.steps.get(node.key)
    for _, method, made in steps.masks if steps else ():
        for origin in _through(made, steps):
            names = [*trails] if origin.column == EVERY else [origin.column]
            for name in names if origin.asset == node.source else ():
                found[name] = stronger(method, found.get(name, method))
    leaving = _leaving(node, personal)
    for name in trails:
        if name not in leaving:
            found.setdefault(name, "redact")
    return {name: method for name, method in found.items() if name != EVERY}


def _leaving(node: StagingNode, personal: Personal) -> set[str]:
    """The columns of its source that leave a staging asset as they are."""
    relation = personal.relations[node.key]
    told = {
        origin.column
        for _, made in relation.columns
        if made.passed
        for origin in made.exposed
        if origin.asset == node.source
    }
    passing = {
        name
        for rest in relation.rest
        if rest.asset == node.source
        for name in personal.of(node.source)
        if name not in rest.without
    }
    return told | passing


def _through(made: Made, steps: StepsLineage | None) -> Iterator[Origin]:
    """Columns of assets of which something is made, also through functions between steps."""
    for origin in made.values:
        got = steps.calls.get(origin.asset) if steps else None
        if got is None:
            yield origin
        else:
            yield from _through(got.whole, steps)


# What is hidden -------------------------------------------------------------------------------


class _Hiding:
    """Gathers what each asset hides.

    Args:
        plan: whose assets.
        personal: what was followed.
    """

    def __init__(self, plan: Plan, personal: Personal) -> None:
        self._plan = plan
        self._personal = personal
        self._hidden: dict[Key, set[str]] = defaultdict(set)
        self._closed: set[Key] = set()
        """Assets of which nothing is shown: what goes into something marked isn't known."""
        self._seen: set[Origin] = set()

    def masks(self) -> dict[Key, Masking]:
        """What each asset hides; destinations what their sources do."""
        for key, trails in self._personal.trails.items():
            self._hidden[key] |= trails.keys()
        for node in self._plan.nodes:
            if isinstance(node, StagingNode):
                for made in self._covered(node):
                    self._hide_above(made, self._personal.steps.get(node.key))
        found = {n.key: self._mask(n.key) for n in self._plan.nodes if isinstance(n, LakeNode)}
        outside = [node for node in self._plan.nodes if isinstance(node, DestinationNode)]
        return found | {node.key: found.get(node.source, NO_MASKING) for node in outside}

    def _mask(self, key: Key) -> Masking:
        hidden = frozenset(self._hidden.get(key, ()))
        if key in self._closed:
            return Masking(hidden - {EVERY}, frozenset())
        if EVERY not in hidden:
            return Masking(hidden)
        names = {name.lower() for name, _ in self._personal.relations[key].columns}
        return Masking(hidden - {EVERY}, frozenset(names - hidden))

    def _covered(self, node: StagingNode) -> Iterator[Made]:
        """What goes into its columns that are marked or masked."""
        steps = self._personal.steps.get(node.key)
        yield from (made for _, _, made in (steps.masks if steps else ()))
        relation = steps.relation if steps else self._personal.relations[node.key]
        for schema in (node.contract, node.schema):
            for column in schema.columns if schema else ():
                if column.pii and (made := relation[column.name]):
                    yield made

    def _hide_above(self, made: Made, steps: StepsLineage | None) -> None:
        for origin in made.values:
            if steps and origin.asset in steps.calls:
                # Which of its columns a function made it of can't be told.
                got = steps.calls[origin.asset]
                self._closed |= {
                    o.asset for o in _through(got.whole, steps) if isinstance(o.asset, Key)
                }
            elif not isinstance(origin.asset, Key):
                continue
            elif origin.column == EVERY:
                self._closed.add(origin.asset)
            elif origin not in self._seen:
                self._seen.add(origin)
                self._hidden[origin.asset].add(origin.column)
                above = self._personal.relations[origin.asset][origin.column]
                if above is not None:
                    self._hide_above(above, self._personal.steps.get(origin.asset))
