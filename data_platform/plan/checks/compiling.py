"""Rules, compiled to checks over an asset's columns, each with its effect and a name of its own.

Called by `plan.staging.compiling` and `plan.checks.own_checks`; `quality` runs and judges what
comes out.
"""

import functools
from collections.abc import Callable, Iterable, Mapping

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.checks.kinds import Check, Effect, RowCheck, UniqueCheck
from data_platform.plan.checks.row_checks import compile_row_rule
from data_platform.plan.checks.rule_context import FindFunction, Reads, RuleContext, some
from data_platform.plan.checks.set_checks import compile_set_rule
from data_platform.plan.checks.value_kinds import DriftCheck, FreshnessCheck, ScoreCheck
from data_platform.plan.parameters import NO_PARAMETERS, RunParameters
from data_platform.plan.partitions import Partitions
from data_platform.plan.schemas import Schema
from data_platform.spec.row_rules import RowRule
from data_platform.spec.rules import AnyRule
from data_platform.spec.set_rules import PythonRule
from data_platform.spec.wording import nearest


def compile_rules(
    rules: Iterable[AnyRule],
    on_violation: Effect,
    schema: Schema,
    at: Callable[..., Location],
    reads: Reads,
    function: FindFunction,
    parameters: RunParameters = NO_PARAMETERS,
    partitions: Partitions | None = None,
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
        partitions: of the asset.

    Raises:
        ConfigurationError: all that is wrong with them.
    """
    checks: list[Check] = []
    problems: list[Problem] = []
    for number, rule in enumerate(rules):
        location = at(number)
        try:
            effect = _effect_of(rule, on_violation, location)
            if isinstance(rule, PythonRule):
                location = at(number, rule.kind, "function")
            below = functools.partial(at, number, rule.kind)
            context = RuleContext(
                effect, location, schema, reads, function, parameters, below, partitions
            )
            for check in _compile(rule, context):
                _require_known(check, schema, location)
                checks.append(check)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return checks


def named_apart(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The checks, of each name one; what they say of one another is true.

    Raises:
        ConfigurationError: two have the same name, or a score counts what there isn't.
    """
    seen: dict[str, Check] = {}
    problems: list[Problem] = []
    for check in checks:
        if check.name in seen:
            line = seen[check.name].location.line
            message = f"a check {check.name!r} stands at line {line} already: give it a `name`"
            problems.append(Problem(check.location, message))
        seen.setdefault(check.name, check)
    for check in seen.values():
        if isinstance(check, ScoreCheck):
            problems += _not_to_be_scored(check, seen)
    if problems:
        raise ConfigurationError(problems)
    return tuple(seen.values())


def _not_to_be_scored(score: ScoreCheck, checks: Mapping[str, Check]) -> list[Problem]:
    """The names of a score that are no row-level rules."""
    known = [name for name, check in checks.items() if isinstance(check, RowCheck)]
    problems: list[Problem] = []
    for name in score.rules:
        other = checks.get(name)
        if isinstance(other, RowCheck):
            continue
        if other is not None:
            message = f"{name} judges the whole set; a score counts row-level rules"
        else:
            near = nearest(name, known)
            message = f"there is no rule {name!r}{f'; did you mean {near!r}?' if near else ''}"
        listed = f"; row-level rules here: {some(known, 12) or 'none'}"
        problems.append(Problem(score.location, message + listed))
    return problems


def _effect_of(rule: AnyRule, on_violation: Effect, location: Location) -> Effect:
    row_level = isinstance(rule, RowRule)
    if rule.on_violation == "quarantine" and not row_level:
        message = f"{rule.kind} judges the whole set: on_violation is fail or warn, not quarantine"
        raise ConfigurationError([Problem(location, message)])
    effect: Effect = rule.on_violation or on_violation
    return "fail" if effect == "quarantine" and not row_level else effect


def _compile(rule: AnyRule, context: RuleContext) -> list[Check]:
    if isinstance(rule, RowRule):
        return [*compile_row_rule(rule, context)]
    return [compile_set_rule(rule, context)]


def _require_known(check: Check, schema: Schema, location: Location) -> None:
    named = isinstance(check, RowCheck | UniqueCheck | FreshnessCheck | DriftCheck)
    columns = check.columns if named else ()
    known = {name.lower() for name in schema.names}
    unknown = [name for name in columns if name.lower() not in known] if schema.closed else []
    if unknown:
        message = f"no column {unknown[0]!r} in this asset; it has {some(schema.names, 12)}"
        raise ConfigurationError([Problem(location, message)])
