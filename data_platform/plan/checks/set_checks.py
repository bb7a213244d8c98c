"""Rules that judge all rows of a partition together, compiled to checks.

Called by `plan.checks.compiling`.
"""

from typing import assert_never

from data_platform.errors import ConfigurationError, Problem
from data_platform.plan.checks.kinds import (
    PythonCheck,
    ReconcileCheck,
    RowCountCheck,
    UniqueCheck,
)
from data_platform.plan.checks.rule_context import RuleContext
from data_platform.plan.checks.sql_checks import compile_sql
from data_platform.plan.checks.value_checks import compile_drift, compile_freshness, compile_score
from data_platform.plan.checks.value_kinds import ValueCheck
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.expressions import parse_expression, render
from data_platform.spec import set_rules as spec
from data_platform.spec.sql_rule import SqlRule

SetCheck = UniqueCheck | RowCountCheck | ReconcileCheck | PythonCheck | ValueCheck


def compile_set_rule(rule: spec.SetRule, context: RuleContext) -> SetCheck:
    """The check of a rule.

    Args:
        rule: as written.
        context: that it is compiled with.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    match rule:
        case spec.Unique():
            return _unique(rule, context)
        case spec.RowCount():
            return _row_count(rule, context)
        case SqlRule():
            return compile_sql(rule, context)
        case spec.Freshness():
            return compile_freshness(rule, context)
        case spec.Drift():
            return compile_drift(rule, context)
        case spec.Score():
            return compile_score(rule, context)
        case spec.Reconcile():
            return _reconcile(rule, context)
        case spec.PythonRule():
            return _python(rule, context)
        case _:
            assert_never(rule)


def _unique(rule: spec.Unique, context: RuleContext) -> UniqueCheck:
    tuning = context.tuning()
    return UniqueCheck(
        rule.name or f"unique_{'_'.join(rule.columns)}",
        context.effect,
        tuple(rule.columns),
        context.location,
        tuning.count("max_duplicates", rule.max_duplicates) or 0,
        rule.nulls == "count",
        rule.scope == "asset",
        rule.description or f"{', '.join(rule.columns)}: one row each.",
        rule.on_empty,
        tuned=tuning.tuned,
    )


def _row_count(rule: spec.RowCount, context: RuleContext) -> RowCountCheck:
    tuning = context.tuning()
    return RowCountCheck(
        rule.name or "row_count",
        context.effect,
        tuning.count("min_rows", rule.min_rows),
        tuning.count("max_rows", rule.max_rows),
        context.location,
        rule.description,
        tuned=tuning.tuned,
    )


def _reconcile(rule: spec.Reconcile, context: RuleContext) -> ReconcileCheck:
    given = context.reads(rule.with_, context.location, whole=False)
    if context.partitions is not None and given.reads == "whole":
        message = f"{given.key} has no partitions that this asset's could be compared with"
        raise ConfigurationError([Problem(context.location, message)])
    tuning = context.tuning()
    own, other = (
        render(parse_expression(text, context.location, context.parameters))
        for text in (rule.expression, rule.with_expression or rule.expression)
    )
    return ReconcileCheck(
        rule.name or f"reconcile_{given.key.name}",
        context.effect,
        own,
        given.key,
        relation_of(given),
        other,
        tuning.distance("tolerance", rule.tolerance),
        rule.including_quarantine,
        context.location,
        rule.description or f"{rule.expression} agrees with {rule.with_}.",
        tuned=tuning.tuned,
    )


def _python(rule: spec.PythonRule, context: RuleContext) -> PythonCheck:
    location = context.location
    found = context.function(rule.function, location)
    name = rule.name or f"python_{found.written.rpartition(':')[2].replace('.', '_')}"
    about = rule.description or f"{found.written} says that the rows are right."
    return PythonCheck(name, context.effect, found, location, about, rule.on_empty)
