"""The audit: all checks of an asset over what would be published, before it is.

Called by the stages with a relation that has the asset's columns and `_partition`. Row-level checks
are one scan grouped by partition, each unique key one more grouping, each foreign key one join.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from data_platform.engine.session import Session
from data_platform.plan.checks.kinds import (
    Check,
    ConservationCheck,
    PythonCheck,
    ReconcileCheck,
    RowCheck,
    RowCountCheck,
    UniqueCheck,
    with_values,
)
from data_platform.plan.checks.value_kinds import (
    DriftCheck,
    FreshnessCheck,
    ScoreCheck,
    SqlCheck,
)
from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import literal
from data_platform.quality.candidates import Candidate, examples
from data_platform.quality.drift import judge_drifts
from data_platform.quality.outcomes import MAX_EXAMPLES, Audit, Finding, Outcome
from data_platform.quality.python_checks import judge
from data_platform.quality.row_counts import (
    breaking,
    count_rows,
    held_back,
    judge_rows,
    numbered,
)
from data_platform.quality.set_rules import judge_reconcile, judge_row_count, judge_unique
from data_platform.quality.sql_rules import judge_sql
from data_platform.quality.value_rules import judge_freshness, judge_score
from data_platform.storage.lake import LakeTable

SMALLEST_JUDGED_BY_PERCENTAGE = 100
"""Rows of a partition from which on a quarantine percentage counts."""


class Auditor:
    """One audit.

    Args:
        session: in which the relation is.
        relation: with the asset's columns and `_partition`.
        checks: of the asset.
        keys: the partitions to judge, those without rows included.
        other_partitions: a relation of the asset's other published partitions, for keys that are
            unique in the whole asset; None where there are none.
        max_quarantine_percentage: of a partition; None means no limit.
        table: of the asset, with the figures of earlier versions; None means that none are known.
        stored: whether the relation is a table of this session, whose rows have numbers.
    """

    def __init__(
        self,
        session: Session,
        relation: str,
        checks: Sequence[Check],
        keys: Sequence[str],
        other_partitions: str | None = None,
        max_quarantine_percentage: float | None = None,
        table: LakeTable | None = None,
        *,
        stored: bool = False,
    ) -> None:
        self._session = session
        self._relation = relation
        self._checks = [with_values(check, session.parameters) for check in checks]
        self._keys = keys
        self._others = other_partitions
        self._limit = max_quarantine_percentage
        self._table = table
        self._stored = stored

    def run(self) -> Audit:
        """Judge everything."""
        session, relation, checks = self._session, self._relation, self._checks
        conditions = breaking(session, relation, checks)
        counts = count_rows(session, relation, conditions, self._keys)
        rows = counts.rows
        findings = {
            number: {
                key: judge_rows(check, rows[key], counts.broken[number][key]) for key in self._keys
            }
            for number, check in numbered(checks)
        }
        held, quarantined = held_back(
            session, relation, checks, conditions, findings, stored=self._stored
        )
        candidate = Candidate(
            self._session, self._relation, held, self._keys, rows, quarantined, self._others
        )
        broken = {checks[number].name: counts.broken[number] for number in conditions}
        outcomes = {
            check.name: self._row_outcome(check, conditions[number], findings[number])
            if isinstance(check, RowCheck)
            else _judged(candidate, check, broken)
            for number, check in enumerate(checks)
            # Staging judges the first kind, and the other is judged when all else is.
            if not isinstance(check, ConservationCheck | DriftCheck)
        }
        failed = self._failed(list(outcomes.values()), rows, quarantined)
        drifts = [check for check in checks if isinstance(check, DriftCheck)]
        drifted, figures = judge_drifts(candidate, drifts, self._table, failed)
        outcomes |= {outcome.check.name: outcome for outcome in drifted}
        ordered = [outcomes[check.name] for check in checks if check.name in outcomes]
        failed = self._failed(ordered, rows, quarantined)
        named = {checks[number].name: condition for number, condition in conditions.items()}
        return Audit(tuple(ordered), rows, quarantined, held, failed, named, figures)

    def _row_outcome(
        self, check: RowCheck, condition: str, findings: Mapping[str, Finding]
    ) -> Outcome:
        outcome = Outcome(check, findings)
        if outcome.verdict == "pass" or not outcome.offending:
            return outcome
        # Of the partitions with most of them alone: the others needn't be looked at again.
        worst = ", ".join(literal(key) for key, _ in outcome.worst(MAX_EXAMPLES))
        query = f"SELECT * FROM {self._relation} WHERE {PARTITION} IN ({worst}) AND ({condition})"
        return Outcome(check, findings, examples(self._session, query, check.columns))

    def _failed(
        self, outcomes: Sequence[Outcome], rows: Mapping[str, int], quarantined: Mapping[str, int]
    ) -> dict[str, str]:
        failed: dict[str, str] = {}
        for key in self._keys:
            reasons = [
                _reason(outcome, key)
                for outcome in outcomes
                if outcome.findings[key].verdict == "fail"
            ]
            share = 100 * quarantined.get(key, 0) / rows[key] if rows[key] else 0.0
            if (
                self._limit is not None
                and rows[key] >= SMALLEST_JUDGED_BY_PERCENTAGE
                and share > self._limit
            ):
                reasons.append(
                    f"{share:.2f}% of {rows[key]:,} rows would be quarantined, "
                    f"at most {self._limit:g}% may"
                )
            if reasons:
                failed[key] = "; ".join(reasons)
        return failed


def _judged(
    candidate: Candidate,
    check: UniqueCheck
    | RowCountCheck
    | ReconcileCheck
    | PythonCheck
    | SqlCheck
    | FreshnessCheck
    | ScoreCheck,
    broken: Mapping[str, Mapping[str, int]],
) -> Outcome:
    match check:
        case UniqueCheck():
            return judge_unique(candidate, check)
        case RowCountCheck():
            return judge_row_count(candidate, check)
        case ReconcileCheck():
            return judge_reconcile(candidate, check)
        case SqlCheck():
            return judge_sql(candidate, check)
        case FreshnessCheck():
            return judge_freshness(candidate, check)
        case ScoreCheck():
            return judge_score(candidate, check, broken)
        case PythonCheck():
            left = {key: candidate.left(key) for key in candidate.keys}
            return judge(candidate.session, check, candidate.good, left)
        case _:
            assert_never(check)


def _reason(outcome: Outcome, key: str) -> str:
    finding = outcome.findings[key]
    if finding.detail:
        return f"{outcome.check.name}: {finding.detail}"
    if finding.rows == 0:
        return f"{outcome.check.name}: the partition is empty"
    return f"{outcome.check.name}: {finding.offending:,} of {finding.rows:,} rows"
