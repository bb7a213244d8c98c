"""Row-level rules, compiled to conditions that are true on a row that breaks them.

Called by `plan.checks.compiling` and `plan.checks.contract_checks`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import duckdb
from sqlglot import exp

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.checks.kinds import Effect, RowCheck
from data_platform.plan.checks.rule_context import RuleContext, bounds_in_words, some
from data_platform.plan.checks.thresholds import Bounds
from data_platform.plan.nodes import Input
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.binder import binder
from data_platform.plan.sql.expressions import literal, parse_expression, quoted, render
from data_platform.spec import row_rules as spec


def compile_row_rule(rule: spec.RowRule, context: RuleContext) -> list[RowCheck]:
    """The checks of a rule: one, or one a column where each has a tolerance of its own.

    Args:
        rule: as written.
        context: that it is compiled with.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    match rule:
        case spec.NotNull():
            return _not_nulls(rule, context)
        case spec.Range():
            return [_range(rule, context)]
        case spec.AcceptedValues():
            offends = not_among(rule.column, rule.values)
            about = f"{rule.column} is one of {some(rule.values)}."
            return [_check(rule, context, offends, (rule.column,), about)]
        case spec.Matches():
            return [_matches(rule, context)]
        case spec.ExpressionRule():
            tree = parse_expression(rule.condition, context.location, context.parameters)
            offends = f"({render(tree)}) IS NOT TRUE"
            columns = tuple(dict.fromkeys(column.name for column in tree.find_all(exp.Column)))
            return [_check(rule, context, offends, columns, rule.condition)]
        case spec.ForeignKey():
            given = context.reads(rule.referenced_asset, context.location, whole=True)
            offends, columns = _missing_from(rule, given), rule.own_columns
            about = f"{', '.join(columns)} is found in {rule.referenced_asset}."
            check = _check(rule, context, offends, columns, about)
            return [replace(check, references=given.key)]
        case _:
            assert_never(rule)


def _check(
    rule: spec.RowRule, context: RuleContext, offends: str, columns: tuple[str, ...], about: str
) -> RowCheck:
    return RowCheck(
        rule.name or f"{rule.kind}_{'_'.join(columns)}",
        rule.kind,
        context.effect,
        offends,
        columns,
        context.location,
        rule.description or about,
        rule.on_empty,
    )


def _range(rule: spec.Range, context: RuleContext) -> RowCheck:
    bounds = Bounds(rule.min, rule.max, context.parameters, context.location)
    bounds.require_comparable(rule.column, context.schema, context.location)
    offends = bounds.offended_by(rule.column, context.schema)
    if rule.nulls == "violation":
        offends = f"{offends} OR {quoted(rule.column)} IS NULL"
    about = f"{rule.column} is {bounds_in_words(rule.min, rule.max)}."
    return _check(rule, context, offends, (rule.column,), about)


def _matches(rule: spec.Matches, context: RuleContext) -> RowCheck:
    require_pattern(rule.pattern, context.at("pattern"))
    require_text(rule.column, context.schema, context.location)
    about = f"{rule.column} matches {rule.pattern}"
    return _check(rule, context, not_matching(rule.column, rule.pattern), (rule.column,), about)


def require_pattern(pattern: str, location: Location) -> None:
    """See to it that RE2 can read a pattern, by asking the very engine that will.

    Raises:
        ConfigurationError: it can't.
    """
    with binder() as connection:
        try:
            connection.execute("SELECT regexp_full_match('', $pattern)", {"pattern": pattern})
        except duckdb.Error as error:
            said = " ".join(str(error).split()).removeprefix("Invalid Input Error: ")
            message = (
                f"RE2 can't read the pattern {pattern!r}: {said}; it has no lookahead, no "
                "lookbehind, no back references, and repeats at most 1000 times"
            )
            raise ConfigurationError([Problem(location, message)]) from None


def require_text(column: str, schema: Schema, location: Location) -> None:
    """See to it that a column that a pattern is about is one of text, as far as it is known.

    Raises:
        ConfigurationError: it is another one.
    """
    kind = schema[column].type if column in schema else None
    if kind not in {None, "VARCHAR"}:
        message = f"{column} is {kind}, and a pattern is about text: use range or accepted_values"
        raise ConfigurationError([Problem(location, message)])


def not_matching(column: str, pattern: str) -> str:
    """The condition that a value doesn't match a pattern as a whole; NULL does."""
    text = f"CAST({quoted(column)} AS VARCHAR)"
    return f"{quoted(column)} IS NOT NULL AND NOT regexp_full_match({text}, {literal(pattern)})"


def _not_nulls(rule: spec.NotNull, context: RuleContext) -> list[RowCheck]:
    tuning = context.tuning()
    stem = rule.name or f"not_null_{'_'.join(rule.columns)}"
    if not rule.max_null_percentage or len(rule.columns) == 1:
        checks = [not_null(rule.columns, stem, context.effect, context.location)]
    else:
        checks = [
            not_null([c], f"{rule.name or 'not_null'}_{c}", context.effect, context.location)
            for c in rule.columns
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


def not_null(columns: Sequence[str], name: str, effect: Effect, location: Location) -> RowCheck:
    """That columns are never NULL.

    Args:
        columns: each is a part of the condition.
        name: of the check.
        effect: of the check.
        location: of the check.
    """
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


def not_among(column: str, values: Sequence[object]) -> str:
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
