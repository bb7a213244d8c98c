"""Rules about the age, the drift and the score of an asset, compiled to checks.

Called by `plan.checks.set_checks`; names of a score's rules are looked up by
`plan.checks.compiling`, which knows all of an asset.
"""

from data_platform.errors import ConfigurationError, Problem
from data_platform.plan.checks.rule_context import RuleContext
from data_platform.plan.checks.value_kinds import DriftCheck, FreshnessCheck, ScoreCheck
from data_platform.spec import set_rules as spec
from data_platform.spec.times import duration_words

_NUMBERS = ("DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "BIGINT", "INTEGER", "SMALLINT", "TINYINT")


def compile_freshness(rule: spec.Freshness, context: RuleContext) -> FreshnessCheck:
    """The check of a rule.

    Raises:
        ConfigurationError: the column is known to have neither dates nor times.
    """
    _require_kind(rule.column, ("DATE", "TIMESTAMP"), "dates or times", context)
    age = duration_words(rule.max_age)
    timed = context.partitions is not None and context.partitions.time is not None
    end = "the end of the partition" if timed else "now"
    return FreshnessCheck(
        rule.name or f"freshness_{rule.column}",
        context.effect,
        rule.column,
        rule.max_age,
        context.partitions,
        context.location,
        rule.description or f"The newest {rule.column} is at most {age} before {end}.",
        rule.on_empty,
    )


def compile_drift(rule: spec.Drift, context: RuleContext) -> DriftCheck:
    """The check of a rule.

    Raises:
        ConfigurationError: the column is known to have no numbers, and they are needed.
    """
    if rule.column and rule.metric in {"mean", "stddev"}:
        _require_kind(rule.column, _NUMBERS, "numbers", context)
    tuning = context.tuning()
    change, score = rule.max_change_percentage, rule.max_z_score
    about = f"{rule.metric} of {rule.column}" if rule.column else rule.metric
    return DriftCheck(
        rule.name or "_".join(filter(None, ("drift", rule.metric, rule.column))),
        context.effect,
        rule.metric,
        rule.column,
        rule.against,
        None if change is None else tuning.distance("max_change_percentage", change),
        None if score is None else tuning.distance("max_z_score", score),
        context.partitions,
        context.location,
        rule.description or f"{about} is near to that of the last {rule.against} before.",
        rule.on_empty,
        tuned=tuning.tuned,
    )


def compile_score(rule: spec.Score, context: RuleContext) -> ScoreCheck:
    """The check of a rule."""
    tuning = context.tuning()
    twice = [name for name in rule.rules if rule.rules.count(name) > 1]
    if twice:
        message = f"a score counts {twice[0]!r} once: leave it out the second time"
        raise ConfigurationError([Problem(context.location, message)])
    return ScoreCheck(
        rule.name or "score",
        context.effect,
        tuple(rule.rules),
        tuning.fraction("min_score", rule.min_score),
        context.location,
        rule.description or f"Of all pairs of a row and one of {', '.join(rule.rules)}.",
        rule.on_empty,
        tuned=tuning.tuned,
    )


def _require_kind(column: str, kinds: tuple[str, ...], wanted: str, context: RuleContext) -> None:
    kind = context.schema[column].type if column in context.schema else None
    if kind is not None and not kind.removeprefix("U").startswith(kinds):
        message = f"{column} is {kind}, and {wanted} are needed: convert it by convert_types first"
        raise ConfigurationError([Problem(context.location, message)])
