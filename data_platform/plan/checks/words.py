"""What a check asks, in words or in SQL, and what it allows.

Called by `plan.describing`, for who reads a plan, and by `reporting.check_results`, for who looks
at what came out.
"""

from typing import assert_never

from data_platform.plan.checks.comparisons import in_words
from data_platform.plan.checks.kinds import (
    Check,
    ConservationCheck,
    PythonCheck,
    ReconcileCheck,
    RowCheck,
    RowCountCheck,
    UniqueCheck,
)
from data_platform.plan.checks.value_kinds import (
    DriftCheck,
    FreshnessCheck,
    ScoreCheck,
    SqlCheck,
    ValueCheck,
)
from data_platform.plan.functions import UserFunction
from data_platform.spec.times import duration_words


def function_words(function: UserFunction) -> str:
    """A function and where it stands."""
    return f"{function.written} ({function.place})" if function.place else function.written


def tuned_words(check: Check) -> str:
    """Which numbers a run may give."""
    if isinstance(check, ConservationCheck | PythonCheck) or not check.tuned:
        return ""
    named = ", ".join(f"{field} is :{name}" for field, name in check.tuned.items())
    return f" ({named})"


def condition_words(check: Check) -> str:
    """When a check passes, in words or in SQL."""
    match check:
        case RowCheck():
            most = (
                f" on more than {check.max_percentage:g} % of the rows"
                if check.max_percentage
                else ""
            )
            return f"offends where {check.offends}{most}"
        case UniqueCheck():
            columns = ", ".join(check.columns)
            scope = " in the whole asset" if check.whole_asset else ""
            nulls = ", NULL counted" if check.count_nulls else ""
            return (
                f"at most {check.max_duplicates} rows beyond one of each ({columns}){scope}{nulls}"
            )
        case RowCountCheck():
            return f"rows {_bounds(check.min_rows, check.max_rows)}"
        case ReconcileCheck():
            kept = " with quarantined rows" if check.including_quarantine else ""
            return (
                f"{check.expression}{kept} = {check.other_expression} of {check.other}, "
                f"within {check.tolerance:g}"
            )
        case PythonCheck():
            return f"what {function_words(check.function)} says"
        case ConservationCheck():
            return "rows in = out + quarantined + filtered + deduplicated"
        case _:
            return _value_words(check)


def allowed_words(check: Check) -> str:
    """What is wanted, in a few words: the threshold of a result."""
    match check:
        case RowCheck():
            most = f"at most {check.max_percentage:g} % of the rows"
            return most if check.max_percentage else "no row"
        case UniqueCheck():
            return f"at most {check.max_duplicates:,} rows beyond the first of each key"
        case RowCountCheck():
            return f"rows {_bounds(check.min_rows, check.max_rows)}"
        case ReconcileCheck():
            return f"a difference of at most {check.tolerance:g}" if check.tolerance else "the same"
        case PythonCheck():
            return "that the function says so"
        case ConservationCheck():
            return "no row lost and none too many"
        case _:
            return _allowed_value(check)


def _allowed_value(check: ValueCheck) -> str:
    match check:
        case SqlCheck():
            return in_words(check.operator, check.expected)
        case FreshnessCheck():
            return f"at most {duration_words(check.max_age)} old"
        case DriftCheck():
            return _near(check)
        case ScoreCheck():
            return f"at least {check.min_score:g}"
        case _:
            assert_never(check)


def _value_words(check: ValueCheck) -> str:
    match check:
        case SqlCheck():
            statement = " ".join(check.sql.split())
            return f"{statement} {in_words(check.operator, check.expected)}"
        case FreshnessCheck():
            timed = check.partitions is not None and check.partitions.time is not None
            end = "the end of the partition" if timed else "now"
            return f"max({check.column}) is {allowed_words(check)} at {end}"
        case DriftCheck():
            return f"{check.figure} is {_near(check)} of the last {check.against} partitions"
        case ScoreCheck():
            pairs = f"right pairs of a row and a rule ({', '.join(check.rules)})"
            return f"share of {pairs} is {allowed_words(check)}"
        case _:
            assert_never(check)


def _near(check: DriftCheck) -> str:
    if check.max_change_percentage is not None:
        return f"within {check.max_change_percentage:g} % of the mean"
    return f"within {check.max_z_score:g} standard deviations of the mean"


def _bounds(least: int | None, most: int | None) -> str:
    parts = [
        f">= {least:,}" if least is not None else "",
        f"<= {most:,}" if most is not None else "",
    ]
    return " and ".join(part for part in parts if part) or "of any number"
