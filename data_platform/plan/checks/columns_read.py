"""Which columns of its asset a check reads.

Asked by `destinations.judging`, which reads no more of a table back than rules need.
"""

from collections.abc import Iterable

import sqlglot
from sqlglot import exp

from data_platform.plan.checks.kinds import (
    Check,
    ConservationCheck,
    ReconcileCheck,
    RowCheck,
    RowCountCheck,
    UniqueCheck,
)
from data_platform.plan.checks.value_kinds import FreshnessCheck, ScoreCheck


def columns_read(checks: Iterable[Check]) -> frozenset[str] | None:
    """The columns in lower case, with some that aren't the asset's; None where it may be any."""
    found: set[str] = set()
    for check in checks:
        names = _read_by(check)
        if names is None:
            return None
        found.update(name.lower() for name in names)
    return frozenset(found)


def _read_by(check: Check) -> set[str] | None:
    match check:
        case RowCheck():
            return {*check.columns, *_named_in(check.offends)}
        case UniqueCheck():
            return {*check.columns}
        case ReconcileCheck():
            return _named_in(check.expression)
        case FreshnessCheck():
            return {check.column}
        case RowCountCheck() | ConservationCheck() | ScoreCheck():
            return set()
        case _:  # what a person wrote, and may look at everything
            return None


def _named_in(sql: str) -> set[str]:
    return {column.name for column in sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Column)}
