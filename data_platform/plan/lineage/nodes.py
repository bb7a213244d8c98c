"""What the columns of one asset are made of, which decide about its rows, and what its checks read.

Called by `plan.lineage.assets` with the columns of the plan, and by steps with the columns that a
run really read. What runs is looked at, not what was written: the SQL of staging's steps and of
analytics. Something that can't be looked into is made of all columns of its inputs.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from data_platform.plan.checks.kinds import Check, ReconcileCheck, RowCheck, UniqueCheck
from data_platform.plan.checks.sql_checks import TABLE, as_read_by_rule
from data_platform.plan.checks.value_kinds import SqlCheck
from data_platform.plan.keys import Key
from data_platform.plan.lineage.queries import QueryLineage
from data_platform.plan.lineage.relations import (
    NOTHING,
    Asset,
    Made,
    Origin,
    Outside,
    Relation,
    Rest,
    Use,
    names_of,
    opaque,
    relation_over,
    unfollowed,
    union_of,
)
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import (
    AnalyticsNode,
    DestinationNode,
    Node,
    RawNode,
    StagingNode,
    Step,
)
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import Schema
from data_platform.plan.sources.kinds import address_of
from data_platform.plan.sql.expressions import quoted
from data_platform.spec.transformations import MaskMethod

Schemas = Callable[[Key], Schema]
"""The columns of an asset, as far as they are known."""


@runtime_checkable
class TellsLineage(Protocol):
    """A node that says itself what its columns are made of."""

    @property
    def column_lineage(self) -> Mapping[str, Iterable[tuple[Key, str]]]:
        """By column: `(upstream, column)`."""
        ...


Checks = Mapping[str, frozenset[Origin]]
_FUNCTION = "function"
"""In place of a connection: what a function between two steps gives."""


@dataclass(frozen=True)
class StepsLineage:
    """What goes into the steps of a staging asset that lineage as a whole doesn't tell.

    Attributes:
        relation: its columns; those of a function are made of the function.
        calls: what each function between two steps gets, by what stands for it in `relation`.
        masks: each column that is masked, how, and what it is made of.
    """

    relation: Relation
    calls: Mapping[Asset, Relation]
    masks: tuple[tuple[str, MaskMethod, Made], ...]


@dataclass(frozen=True)
class NodeLineage:
    """How an asset hangs on columns of others.

    Attributes:
        relation: its columns and what they are made of.
        uses: columns of others that it uses otherwise, in which ways.
        reads: the assets whose rows it is made of.
        transparent: whether its columns could be followed.
    """

    relation: Relation
    uses: Mapping[Origin, frozenset[Use]] = field(default_factory=dict[Origin, frozenset[Use]])
    reads: frozenset[Asset] = frozenset()
    transparent: bool = True
    _find_checks: Callable[[], Checks] = field(default=dict, repr=False, compare=False)

    @functools.cached_property
    def checks(self) -> Checks:
        """By name, the columns that a check reads: its own and others'."""
        return self._find_checks()


def lineage_of(node: Node, schemas: Schemas) -> NodeLineage:
    """How an asset hangs on columns of others.

    Args:
        node: the asset.
        schemas: of its upstreams.
    """
    match node:
        case RawNode():
            return _raw(node, schemas)
        case StagingNode() | AnalyticsNode():
            return _computed(node, schemas)
        case DestinationNode():
            leaving = _leaving(node, relation_over(node.source, schemas(node.source)))
            checks = functools.partial(_checks, node, leaving, schemas)
            return NodeLineage(leaving, reads=frozenset({node.source}), _find_checks=checks)
        case _:
            return _opaque(node, schemas)


def steps_of(node: StagingNode, schemas: Schemas) -> StepsLineage | None:
    """What goes into the steps of a staging asset; None where its SQL can't be followed.

    Args:
        node: the asset.
        schemas: of its upstreams.
    """
    seen: list[tuple[Step, Relation]] = []
    try:
        relation = _last_step(node, QueryLineage(_bases(node, schemas, hidden=True)), seen)
    except (SqlglotError, RecursionError):
        return None
    calls: dict[Asset, Relation] = {
        _given_by(step): got for step, got in seen if step.python is not None
    }
    masks: list[tuple[str, MaskMethod, Made]] = [
        (column, method, after[column] or NOTHING)
        for step, after in seen
        for column, method in step.masks
    ]
    return StepsLineage(_leaving(node, relation), calls, tuple(masks))


def outside_of(node: RawNode) -> Outside:
    """Where the rows of a source come from."""
    return Outside(*address_of(node.source))


# Kinds of assets ------------------------------------------------------------------------------


def _raw(node: RawNode, schemas: Schemas) -> NodeLineage:
    """A source is taken as it is; a cursor decides about partitions."""
    outside = outside_of(node)
    cursor = getattr(node.source, "cursor", None)
    uses = {Origin(outside, cursor.lower()): frozenset({Use.CURSOR})} if cursor else {}
    relation = relation_over(outside, node.schema)
    checks = functools.partial(_checks, node, Relation(), schemas)
    return NodeLineage(relation, uses, frozenset({outside}), _find_checks=checks)


def _computed(node: StagingNode | AnalyticsNode, schemas: Schemas) -> NodeLineage:
    if isinstance(node, StagingNode) and node.calls:
        return _opaque(node, schemas)
    follower = QueryLineage(_bases(node, schemas, hidden=isinstance(node, StagingNode)))
    try:
        relation = (
            _last_step(node, follower)
            if isinstance(node, StagingNode)
            else follower.follow(_parsed(node.sql))
        )
    except (SqlglotError, RecursionError):
        return _opaque(node, schemas)
    checks = functools.partial(_checks, node, relation, schemas)
    leaving = _leaving(node, relation)
    return NodeLineage(leaving, _uses(follower, leaving), _read_by(node), _find_checks=checks)


def _opaque(node: Node, schemas: Schemas) -> NodeLineage:
    """Its own word where it gives one, for the columns that it tells about."""
    keys = [given.key for given in node.inputs]
    relation = opaque(keys, node.schema)
    if isinstance(node, TellsLineage):
        told = {
            name: Made(frozenset(Origin(key, column.lower()) for key, column in origins))
            for name, origins in node.column_lineage.items()
        }
        columns = [*told.items(), *(c for c in relation.columns if c[0] not in told)]
        relation = Relation(tuple(columns), relation.rest, relation.mixed)
    checks = functools.partial(_checks, node, Relation(), schemas)
    return NodeLineage(relation, {}, frozenset(keys), transparent=False, _find_checks=checks)


def _last_step(
    node: StagingNode, follower: QueryLineage, seen: list[tuple[Step, Relation]] | None = None
) -> Relation:
    """Step by step, so that what deduplicates is told from what filters.

    Args:
        node: the asset.
        follower: of its SQL.
        seen: gets what functions get, and what comes out of masks; with it, what a function gives
            is made of the function.
    """
    tables: dict[str, Relation] = {}
    relation = Relation()
    carried = _own_columns(node)
    for step in node.steps:
        if step.effect == "python":
            before, relation = relation, unfollowed(relation, carried)
            if seen is not None:
                seen.append((step, before))
                rest = Rest(_given_by(step), frozenset(names_of(relation.columns)))
                relation = Relation(relation.columns, (rest,))
            tables[step.name.lower()] = relation
            continue
        if step.converts:
            relation = tables[step.name.lower()] = _converted(step, relation, follower)
            continue
        own = follower
        if step.effect == "deduplicates":
            own = QueryLineage(follower.base)
        relation = own.follow(_parsed(step.sql), tables)
        if own is not follower:
            for origin in own.rows:
                follower.rows.setdefault(origin, set()).add(Use.DEDUPLICATE)
        tables[step.name.lower()] = relation
        if seen is not None and step.masks:
            seen.append((step, relation))
    return relation


def _given_by(step: Step) -> Outside:
    return Outside(_FUNCTION, step.name)


def _converted(step: Step, relation: Relation, follower: QueryLineage) -> Relation:
    """A column that is converted is made of itself, and so is its flag.

    The SQL says the same, but to read it takes ten times as long as all other steps together.
    """
    told: list[tuple[str, Made]] = []
    for column, flag in step.converts:
        made = relation[column] or NOTHING
        follower.named.update(made.all)
        if relation.known(column) is None:
            told.append((column, made))
        if flag is not None:
            told.append((flag, made))
    names = frozenset(names_of(told))
    rest = tuple(Rest(each.asset, each.without | names) for each in relation.rest)
    return Relation((*relation.columns, *told), rest, relation.mixed)


# Parts ----------------------------------------------------------------------------------------


def _bases(node: Node, schemas: Schemas, *, hidden: bool) -> Callable[[str], Relation | None]:
    """The relations of an asset's inputs by the names under which its statements read them."""
    keys = {relation_of(given): given.key for given in node.inputs}
    keys |= {given.key.relation: given.key for given in node.inputs}
    found: dict[str, Relation] = {}

    def base(name: str) -> Relation | None:
        key = keys.get(name)
        if key is not None and name not in found:
            found[name] = relation_over(key, schemas(key), HIDDEN_TYPES if hidden else ())
        return found.get(name)

    return base


def _read_by(node: StagingNode | AnalyticsNode) -> frozenset[Asset]:
    """The assets that a statement reads, those that only its checks read not included."""
    text = node.sql
    return frozenset(given.key for given in node.inputs if quoted(relation_of(given)) in text)


def _leaving(node: Node, relation: Relation) -> Relation:
    """The columns that leave an asset, under the names that its schema gives them."""
    names = node.schema.names
    if node.schema.closed and not relation.rest and len(names) == len(relation.columns):
        makes = [made for _, made in relation.columns]
        return Relation(tuple(zip(names, makes, strict=True)))
    known = [(name, relation[name]) for name in names]
    columns = [(name, relation.whole if made is None else made) for name, made in known]
    if node.schema.closed:
        return Relation(tuple(columns))
    told = {*(name.lower() for name in names), *_own_columns(node)}
    columns += [(name, made) for name, made in relation.columns if name.lower() not in told]
    without = frozenset({*told, *names_of(columns)})
    rest = tuple(Rest(each.asset, each.without | without) for each in relation.rest)
    return Relation(tuple(columns), rest, relation.mixed)


def _own_columns(node: Node) -> set[str]:
    """The platform's own columns of a step in lower case: hidden ones, and flags of conversions."""
    steps = node.steps if isinstance(node, StagingNode) else ()
    flags = {flag.lower() for step in steps for _, flag in step.converts if flag is not None}
    return flags | set(HIDDEN_TYPES)


def _uses(follower: QueryLineage, leaving: Relation) -> dict[Origin, frozenset[Use]]:
    """In which ways columns are used, those that make a value not named besides."""
    uses = {origin: frozenset(found) for origin, found in follower.rows.items()}
    for origin in follower.named - uses.keys() - leaving.whole.all:
        uses[origin] = frozenset({Use.NAMED})
    return uses


# Checks ---------------------------------------------------------------------------------------


def _checks(node: Node, steps: Relation, schemas: Schemas) -> Checks:
    """The columns that checks read.

    Args:
        node: their asset.
        steps: its last step, which has the flags of conversions.
        schemas: of other assets.
    """
    columns = node.schema.names
    flags = _own_columns(node) - set(HIDDEN_TYPES)
    own = relation_over(node.key, node.schema, HIDDEN_TYPES)
    flagged = tuple((flag, steps[flag] or NOTHING) for flag in flags)
    candidate = Relation((*own.columns, *flagged), own.rest)
    base = _bases(node, schemas, hidden=True)
    found: dict[str, frozenset[Origin]] = {}
    for check in node.checks:
        made = _read_by_check(check, candidate, base)
        named = {
            Origin(node.key, name.lower())
            for name in getattr(check, "columns", ())
            if not node.schema.closed or name.lower() in {c.lower() for c in columns}
        }
        if made.all or named:
            found[check.name] = made.all | named
    return found


def _read_by_check(
    check: Check, candidate: Relation, base: Callable[[str], Relation | None]
) -> Made:
    """What a check reads, of its own asset and of others."""
    follower = QueryLineage(base)
    try:
        match check:
            case RowCheck():
                made = follower.follow_expression(_parsed(check.offends), candidate)
            case UniqueCheck():
                return NOTHING
            case ReconcileCheck():
                other = base(check.other_relation) or Relation()
                made = union_of(
                    follower.follow_expression(_parsed(text), relation)
                    for text, relation in (
                        (check.expression, candidate),
                        (check.other_expression, other),
                    )
                )
            case SqlCheck():
                others = {as_read_by_rule(name).lower(): base(name) for name in check.reads}
                known = {name: one for name, one in others.items() if one is not None}
                given = follower.follow(_parsed(check.sql), {TABLE: candidate, **known})
                made = union_of(value for _, value in given.columns)
            case _:
                return NOTHING
    except (SqlglotError, RecursionError):
        return NOTHING
    return made | Made(frozenset(follower.rows))


def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect="duckdb")
