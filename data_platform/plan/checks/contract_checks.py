"""The rules that a contract says in short: nullable, ranges, accepted values, keys.

Called by `plan.staging.compiling` and `plan.checks.own_checks`.
"""

from collections.abc import Callable, Mapping

from data_platform.errors import Location
from data_platform.plan.checks.kinds import Check, Effect, RowCheck, UniqueCheck
from data_platform.plan.checks.row_checks import (
    not_among,
    not_matching,
    not_null,
    require_pattern,
    require_text,
)
from data_platform.plan.checks.rule_context import bounds_in_words, some
from data_platform.plan.checks.thresholds import Bounds
from data_platform.plan.parameters import NO_PARAMETERS, RunParameters
from data_platform.plan.schemas import Schema
from data_platform.spec.asset import ColumnContract


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
        [not_null(required, "not_null", on_violation, at(required[0]))] if required else []
    )
    for name, promise in columns.items():
        location = at(name)
        if promise.min is not None or promise.max is not None:
            bounds = Bounds(promise.min, promise.max, parameters, location)
            bounds.require_comparable(name, schema, location)
            offends = bounds.offended_by(name, schema)
            about = f"{name} is {bounds_in_words(promise.min, promise.max)}."
            checks.append(
                RowCheck(f"range_{name}", "range", on_violation, offends, (name,), location, about)
            )
        if promise.accepted_values:
            offends = not_among(name, promise.accepted_values)
            about = f"{name} is one of {some(promise.accepted_values)}."
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
        if promise.matches:
            require_pattern(promise.matches, location)
            require_text(name, schema, location)
            offends = not_matching(name, promise.matches)
            about = f"{name} matches {promise.matches}"
            checks.append(
                RowCheck(
                    f"matches_{name}", "matches", on_violation, offends, (name,), location, about
                )
            )
        if promise.unique:
            checks.append(
                UniqueCheck(
                    f"unique_{name}", set_effect, (name,), location, description=f"{name} is a key."
                )
            )
    return checks
