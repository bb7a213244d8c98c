"""Rules and contracts, compiled to checks over an asset's columns.

Called by `plan.staging` and `plan.building`; `quality` runs and judges what comes out.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, assert_never

from sqlglot import exp

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.check_kinds import (
    Check,
    Effect,
    PythonCheck,
    ReconcileCheck,
    RowCheck,
    RowCountCheck,
    UniqueCheck,
)
from data_platform.plan.columns import BindingError, Catalog, catalog
from data_platform.plan.expressions import literal, parse_expression, quoted, render
from data_platform.plan.functions import UserFunction
from data_platform.plan.nodes import Input
from data_platform.plan.parameters import NO_PARAMETERS, RunParameters
from data_platform.plan.schemas import Schema
from data_platform.plan.thresholds import Bounds, Tuning
from data_platform.spec import rules as spec
from data_platform.spec.asset import ColumnContract

ALL_SUFFIX = " (all partitions)"


def relation_of(given: Input) -> str:
    """The name under which an input is read: one asset may be read by partition and as a whole."""
    return f"{given.key.relation}{ALL_SUFFIX}" if given.reads == "all" else given.key.relation


FindFunction = Callable[[str, Location], UserFunction]
"""Finds the function that a rule names, or raises."""
_CompiledRule = (
    spec.NotNull
    | spec.Unique
    | spec.Range
    | spec.AcceptedValues
    | spec.ExpressionRule
    | spec.ForeignKey
    | spec.RowCount
    | spec.Reconcile
)
"""What becomes SQL."""


class Reads(Protocol):
    """Makes the input that a rule reads."""

    def __call__(self, reference: str, location: Location, *, whole: bool) -> Input:
        """The input of a reference; `whole` where the rule asks for all of the upstream."""
        ...


def compile_rules(
    rules: Iterable[spec.AnyRule],
    on_violation: Effect,
    schema: Schema,
    at: Callable[..., Location],
    reads: Reads,
    function: FindFunction,
    parameters: RunParameters = NO_PARAMETERS,
) -> list[Check]:
    """Compile the `quality` of an asset.

    Args:
        rules: as written.
        on_violation: what they do unless they say otherwise.
        schema: the asset's columns, as far as known: a name that isn't among them is a problem.
        at: the location of the keys below `quality`.
        reads: makes the input that a rule reads.
        function: finds the function that a rule names.
        parameters: that rules may name.

    Raises:
        ConfigurationError: all that is wrong with them.
    """
    checks: list[Check] = []
    problems: list[Problem] = []
    for number, rule in enumerate(rules):
        location = at(number)
        try:
            effect = _effect_of(rule, on_violation, location)
            if isinstance(rule, spec.PythonRule):
                checks.append(_python(rule, effect, at(number, rule.kind, "function"), function))
                continue
            for check in _compile(rule, effect, schema, location, reads, parameters):
                _require_known(check, schema, location)
                checks.append(check)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return checks


def compile_contract(
    columns: Mapping[str, ColumnContract],
    on_violation: Effect,
    schema: Schema,
    at: Callable[[str], Location],
    parameters: RunParameters = NO_PARAMETERS,
) -> list[Check]:
    """The rules that a contract says in short, in the order of its columns."""
    set_effect: Effect = "fail" if on_violation == "quarantine" else on_violation
    required = [name for name, promise in columns.items() if not promise.nullable]
    checks: list[Check] = (
        [_not_null(required, "not_null", on_violation, at(required[0]))] if required else []
    )
    for name, promise in columns.items():
        location = at(name)
        if promise.min is not None or promise.max is not None:
            bounds = Bounds(promise.min, promise.max, parameters, location)
            bounds.require_comparable(name, schema, location)
            offends = bounds.offended_by(name, schema)
            about = f"{name} is {_bounds(promise.min, promise.max)}."
            checks.append(
                RowCheck(f"range_{name}", "range", on_violation, offends, (name,), location, about)
            )
        if promise.accepted_values:
            offends = _not_among(name, promise.accepted_values)
            about = f"{name} is one of {_some(promise.accepted_values)}."
            checks.append(
                RowCheck(
                    f"accepted_values_{name}",
                    "accepted_values",
                    on_violation,
                    offends,
                    (name,),
                    location,
                    about,
                )
            )
        if promise.unique:
            checks.append(
                UniqueCheck(
                    f"unique_{name}", set_effect, (name,), location, description=f"{name} is a key."
                )
            )
    return checks


def named_apart(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks, of each name one.

    Raises:
        ConfigurationError: two have the same name.
    """
    seen: dict[str, Check] = {}
    problems: list[Problem] = []
    for check in checks:
        if check.name in seen:
            line = seen[check.name].location.line
            message = f"a check {check.name!r} stands at line {line} already: give it a `name`"
            problems.append(Problem(check.location, message))
        seen.setdefault(check.name, check)
    if problems:
        raise ConfigurationError(problems)
    return tuple(seen.values())


def _effect_of(rule: spec.AnyRule, on_violation: Effect, location: Location) -> Effect:
    row_level = isinstance(
        rule,
        spec.NotNull | spec.Range | spec.AcceptedValues | spec.ExpressionRule | spec.ForeignKey,
    )
    if rule.on_violation == "quarantine" and not row_level:
        message = f"{rule.kind} judges the whole set: on_violation is fail or warn, not quarantine"
        raise ConfigurationError([Problem(location, message)])
    effect: Effect = rule.on_violation or on_violation
    return "fail" if effect == "quarantine" and not row_level else effect


def _python(
    rule: spec.PythonRule, effect: Effect, location: Location, function: FindFunction
) -> PythonCheck:
    found = function(rule.function, location)
    name = rule.name or f"python_{found.written.rpartition(':')[2].replace('.', '_')}"
    about = rule.description or f"{found.written} says that the rows are right."
    return PythonCheck(name, effect, found, location, about, rule.on_empty)


def _compile(
    rule: _CompiledRule,
    effect: Effect,
    schema: Schema,
    location: Location,
    reads: Reads,
    parameters: RunParameters,
) -> list[Check]:
    about = rule.description
    tuning = Tuning(parameters, location)
    match rule:
        case spec.NotNull():
            return _not_nulls(rule, effect, location, tuning)
        case spec.Unique():
            name = rule.name or f"unique_{'_'.join(rule.columns)}"
            return [
                UniqueCheck(
                    name, effect, tuple(rule.columns), location,
                    tuning.count("max_duplicates", rule.max_duplicates) or 0,
                    rule.nulls == "count", rule.scope == "asset",
                    about or f"{', '.join(rule.columns)}: one row each.", rule.on_empty,
                    tuned=tuning.tuned,
                )
            ]  # fmt: skip
        case spec.Range():
            bounds = Bounds(rule.min, rule.max, parameters, location)
            bounds.require_comparable(rule.column, schema, location)
            offends = bounds.offended_by(rule.column, schema)
            if rule.nulls == "violation":
                offends = f"{offends} OR {quoted(rule.column)} IS NULL"
            columns, about = (
                (rule.column,),
                about or f"{rule.column} is {_bounds(rule.min, rule.max)}.",
            )
        case spec.AcceptedValues():
            offends, columns = _not_among(rule.column, rule.values), (rule.column,)
            about = about or f"{rule.column} is one of {_some(rule.values)}."
        case spec.ExpressionRule():
            tree = parse_expression(rule.condition, location, parameters)
            offends = f"({render(tree)}) IS NOT TRUE"
            columns = tuple(dict.fromkeys(column.name for column in tree.find_all(exp.Column)))
            about = about or rule.condition
        case spec.ForeignKey():
            given = reads(rule.referenced_asset, location, whole=True)
            offends, columns = _missing_from(rule, given), rule.own_columns
            about = about or f"{', '.join(columns)} is found in {rule.referenced_asset}."
            name = rule.name or f"foreign_key_{'_'.join(columns)}"
            return [
                RowCheck(
                    name,
                    "foreign_key",
                    effect,
                    offends,
                    columns,
                    location,
                    about,
                    rule.on_empty,
                    0,
                    given.key,
                )
            ]
        case spec.RowCount():
            return [
                RowCountCheck(
                    rule.name or "row_count",
                    effect,
                    tuning.count("min_rows", rule.min_rows),
                    tuning.count("max_rows", rule.max_rows),
                    location,
                    about,
                    tuned=tuning.tuned,
                )
            ]
        case spec.Reconcile():
            return [_reconcile(rule, effect, location, reads, parameters)]
        case _:
            assert_never(rule)
    name = rule.name or f"{rule.kind}_{'_'.join(columns)}"
    return [RowCheck(name, rule.kind, effect, offends, columns, location, about, rule.on_empty)]


def _not_nulls(
    rule: spec.NotNull, effect: Effect, location: Location, tuning: Tuning
) -> list[Check]:
    """One check, or one a column where each has a tolerance of its own."""
    stem = rule.name or f"not_null_{'_'.join(rule.columns)}"
    if not rule.max_null_percentage or len(rule.columns) == 1:
        checks = [_not_null(rule.columns, stem, effect, location)]
    else:
        checks = [
            _not_null([c], f"{rule.name or 'not_null'}_{c}", effect, location) for c in rule.columns
        ]
    tolerance, about = tuning.share("max_percentage", rule.max_null_percentage), rule.description
    written = f"{tolerance:g}" if not tuning.tuned else str(rule.max_null_percentage)
    allowed = (
        f"{', '.join(rule.columns)}: NULL in at most {written}% of the rows."
        if rule.max_null_percentage
        else None
    )
    return [
        replace(
            check,
            max_percentage=tolerance,
            tuned=tuning.tuned,
            on_empty=rule.on_empty,
            description=about or allowed or check.description,
        )
        for check in checks
    ]


def _not_null(columns: Sequence[str], name: str, effect: Effect, location: Location) -> RowCheck:
    parts = {column: f"{quoted(column)} IS NULL" for column in columns}
    about = f"{', '.join(columns)}: never NULL."
    return RowCheck(
        name,
        "not_null",
        effect,
        " OR ".join(parts.values()),
        tuple(columns),
        location,
        about,
        parts=parts,
    )


def _not_among(column: str, values: Sequence[object]) -> str:
    """Text is compared as text, whatever kind of value YAML took a word for."""
    name = quoted(column)
    texts = ", ".join(literal(_as_text(value)) for value in values)
    plain = [literal(value) for value in values if not isinstance(value, str)]
    parts = [f"{name} IN ({', '.join(plain)})"] if plain else []
    parts += [
        f"COALESCE({name} = TRY(CAST_TO_TYPE({literal(value)}, {name})), FALSE)"
        for value in values
        if isinstance(value, str)
    ]
    return (
        f"{name} IS NOT NULL AND NOT CASE TYPEOF({name}) "
        f"WHEN 'VARCHAR' THEN {name} IN ({texts}) ELSE {' OR '.join(parts)} END"
    )


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _missing_from(rule: spec.ForeignKey, given: Input) -> str:
    there = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in rule.own_columns)
    known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in rule.referenced_columns)
    own, other = (
        ", ".join(quoted(name) for name in side)
        for side in (rule.own_columns, rule.referenced_columns)
    )
    if len(rule.own_columns) > 1:
        own, other = f"ROW({own})", f"ROW({other})"
    return (
        f"{there} AND {own} NOT IN (SELECT {other} FROM {quoted(relation_of(given))} WHERE {known})"
    )


def _reconcile(
    rule: spec.Reconcile,
    effect: Effect,
    location: Location,
    reads: Reads,
    parameters: RunParameters,
) -> ReconcileCheck:
    given = reads(rule.with_, location, whole=False)
    tuning = Tuning(parameters, location)
    own = render(parse_expression(rule.expression, location, parameters))
    other = rule.with_expression or rule.expression
    other = render(parse_expression(other, location, parameters))
    name = rule.name or f"reconcile_{given.key.name}"
    about = rule.description or f"{rule.expression} agrees with {rule.with_}."
    return ReconcileCheck(
        name,
        effect,
        own,
        given.key,
        relation_of(given),
        other,
        tuning.distance("tolerance", rule.tolerance),
        rule.including_quarantine,
        location,
        about,
        tuned=tuning.tuned,
    )


def _require_known(check: Check, schema: Schema, location: Location) -> None:
    columns = check.columns if isinstance(check, RowCheck | UniqueCheck) else ()
    known = {name.lower() for name in schema.names}
    unknown = [name for name in columns if name.lower() not in known] if schema.closed else []
    if unknown:
        message = f"no column {unknown[0]!r} in this asset; it has {_some(schema.names, 12)}"
        raise ConfigurationError([Problem(location, message)])


def _bounds(low: object, high: object) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"from {low} to {high}"


def _some(values: Iterable[object], most: int = 5) -> str:
    listed = [str(value) for value in values]
    return ", ".join(listed[:most]) + (
        f" and {len(listed) - most} more" if len(listed) > most else ""
    )


def unbound(
    checks: Iterable[Check],
    schema: Schema,
    others: Mapping[str, Schema],
    hidden: Mapping[str, str],
) -> list[Problem]:
    """What DuckDB refuses of the conditions and aggregates of checks.

    Args:
        checks: of one asset.
        schema: of the asset; nothing is found where it isn't known to the end.
        others: the columns of the relations that checks read besides; open ones are left out.
        hidden: the platform's own columns, which are there too.
    """
    if not _is_known(schema):
        return []
    problems: list[Problem] = []
    known = {relation: other for relation, other in others.items() if _is_known(other)}
    with catalog() as relations:
        relations.declare("_candidate", schema, hidden)
        for relation, other in known.items():
            relations.declare(relation, other, hidden)
        asked = [
            (check, f"SELECT {selected} FROM {quoted(relation)}")
            for check in checks
            for selected, relation in _read_by(check, others.keys() - known.keys())
        ]
        if _binds(relations, [sql for _, sql in asked]):
            return []
        for check, sql in asked:
            try:
                relations.describe(sql)
            except BindingError as error:
                problems.append(Problem(check.location, error.message))
    return problems


def _binds(relations: Catalog, statements: Sequence[str]) -> bool:
    """Whether DuckDB takes all of them, asked at once: that is nearly always so, and quick."""
    counts = [f"SELECT count(*) FROM ({sql})" for sql in statements]
    try:
        if counts:
            relations.describe(" UNION ALL ".join(counts))
    except BindingError:
        return False
    return True


def _is_known(schema: Schema) -> bool:
    return schema.closed and all(column.type for column in schema.columns)


def _read_by(check: Check, unknown: Collection[str]) -> list[tuple[str, str]]:
    """What a check selects, and from where."""
    match check:
        case RowCheck():
            hidden = any(quoted(relation) in check.offends for relation in unknown)
            return [] if hidden else [(f"*, {check.offends}", "_candidate")]
        case ReconcileCheck():
            other = [(check.other_expression, check.other_relation)]
            own = [(check.expression, "_candidate")]
            return own if check.other_relation in unknown else own + other
        case _:
            return []
