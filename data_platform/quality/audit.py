"""The audit: all checks of an asset over what would be published, before it is.

Called by the stages with a relation that has the asset's columns and `_partition`. Row-level checks
are one scan grouped by partition, each unique key one more grouping, each foreign key one join.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import assert_never

from data_platform.engine.session import Session
from data_platform.plan.check_kinds import (
    Check,
    ConservationCheck,
    PythonCheck,
    ReconcileCheck,
    RowCheck,
    RowCountCheck,
    UniqueCheck,
    with_values,
)
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.masking import MASKED
from data_platform.plan.naming import FILE, PARTITION, ROW, WHOLE
from data_platform.quality.outcomes import MAX_EXAMPLES, Audit, Finding, Outcome, Verdict
from data_platform.quality.python_checks import judge

SMALLEST_JUDGED_BY_PERCENTAGE = 100
"""Rows of a partition from which on a quarantine percentage counts."""


def flag(number: int) -> str:
    """The name of the column that says whether a row breaks the check of this number."""
    return f"_breaks_{number}"


def flagged(relation: str, checks: Sequence[Check]) -> str:
    """A SELECT of a relation with a flag for each row-level check."""
    flags = "".join(
        f",\n  COALESCE({check.offends}, FALSE) AS {flag(number)}"
        for number, check in enumerate(checks)
        if isinstance(check, RowCheck)
    )
    return f"SELECT *{flags}\nFROM {relation}"


def flag_names(checks: Sequence[Check]) -> list[str]:
    """The names of the columns that `flagged` adds."""
    return [flag(number) for number, check in enumerate(checks) if isinstance(check, RowCheck)]


class Auditor:
    """One audit.

    Args:
        session: in which the relation is.
        relation: as `flagged` makes it.
        checks: in the order in which they were flagged.
        keys: the partitions to judge, those without rows included.
        other_partitions: a relation of the asset's other published partitions, for keys that are
            unique in the whole asset; None where there are none.
        max_quarantine_percentage: of a partition; None means no limit.
    """

    def __init__(
        self,
        session: Session,
        relation: str,
        checks: Sequence[Check],
        keys: Sequence[str],
        other_partitions: str | None = None,
        max_quarantine_percentage: float | None = None,
    ) -> None:
        self._session = session
        self._relation = relation
        self._checks = [with_values(check, session.parameters) for check in checks]
        self._keys = keys
        self._others = other_partitions
        self._limit = max_quarantine_percentage

    def run(self) -> Audit:
        """Judge everything."""
        rows, broken = self._count()
        row_findings = {
            number: {
                key: self._judge_rows(check, rows[key], broken[number][key]) for key in self._keys
            }
            for number, check in self._numbered(RowCheck)
        }
        held_back = self._held_back(row_findings)
        quarantined = self._by_partition(
            f"SELECT {PARTITION}, COUNT(*) FROM {self._relation} WHERE {held_back} GROUP BY 1"
        )
        good = f"(SELECT * FROM {self._relation} WHERE NOT ({held_back}))"
        outcomes: list[Outcome] = []
        for number, check in enumerate(self._checks):
            match check:
                case RowCheck():
                    outcomes.append(self._outcome(number, check, row_findings[number]))
                case UniqueCheck():
                    outcomes.append(self._unique(check, good, rows, quarantined))
                case RowCountCheck():
                    outcomes.append(self._row_count(check, rows, quarantined))
                case ReconcileCheck():
                    outcomes.append(self._reconcile(check, good, rows, quarantined))
                case PythonCheck():
                    left = {key: rows[key] - quarantined.get(key, 0) for key in self._keys}
                    outcomes.append(judge(self._session, check, good, left))
                case ConservationCheck():
                    pass  # judged by staging, which knows what its steps left out
                case _:
                    assert_never(check)
        failed = self._failed(outcomes, rows, quarantined)
        return Audit(tuple(outcomes), rows, quarantined, held_back, failed)

    def _numbered(self, kind: type[RowCheck]) -> list[tuple[int, RowCheck]]:
        return [
            (number, check) for number, check in enumerate(self._checks) if isinstance(check, kind)
        ]

    def _count(self) -> tuple[dict[str, int], dict[int, dict[str, int]]]:
        """Rows, and offending rows of each row-level check, in one scan."""
        numbers = [number for number, _ in self._numbered(RowCheck)]
        counts = "".join(f", COUNT_IF({flag(number)})" for number in numbers)
        found = self._session.rows(
            f"SELECT {PARTITION}, COUNT(*){counts} FROM {self._relation} GROUP BY 1"
        )
        by_key = {str(row[0]): row[1:] for row in found}
        nothing = (0,) * (len(numbers) + 1)
        rows = {key: int(by_key.get(key, nothing)[0]) for key in self._keys}
        broken = {
            number: {key: int(by_key.get(key, nothing)[position + 1]) for key in self._keys}
            for position, number in enumerate(numbers)
        }
        return rows, broken

    @staticmethod
    def _judge_rows(check: RowCheck, rows: int, offending: int) -> Finding:
        if rows == 0:
            return Finding(0, 0, check.on_empty)
        tolerated = 100 * offending <= check.max_percentage * rows
        return Finding(rows, offending, "pass" if tolerated else check.effect)

    def _held_back(self, findings: Mapping[int, Mapping[str, Finding]]) -> str:
        """Rows that a check with effect quarantine acts on: none where its tolerance holds."""
        parts: list[str] = []
        for number, check in self._numbered(RowCheck):
            acting = [
                key for key, finding in findings[number].items() if finding.verdict == "quarantine"
            ]
            if not acting:
                continue
            where = (
                f" AND {PARTITION} IN ({', '.join(map(literal, acting))})"
                if check.max_percentage
                else ""
            )
            parts.append(f"({flag(number)}{where})")
        return " OR ".join(parts) or "FALSE"

    def _outcome(self, number: int, check: RowCheck, findings: Mapping[str, Finding]) -> Outcome:
        outcome = Outcome(check, findings)
        if outcome.verdict == "pass" or not outcome.offending:
            return outcome
        return Outcome(
            check,
            findings,
            self._examples(f"SELECT * FROM {self._relation} WHERE {flag(number)}", check.columns),
        )

    def _unique(
        self, check: UniqueCheck, good: str, rows: Mapping[str, int], quarantined: Mapping[str, int]
    ) -> Outcome:
        names = [quoted(name) for name in check.columns]
        keys = ", ".join(names)
        present = (
            "TRUE" if check.count_nulls else " AND ".join(f"{name} IS NOT NULL" for name in names)
        )
        source = f"SELECT {PARTITION}, {keys}, TRUE AS _own FROM {good} WHERE {present}"
        if check.whole_asset:
            others = (
                f" UNION ALL SELECT {PARTITION}, {keys}, FALSE FROM {self._others} WHERE {present}"
                if self._others
                else ""
            )
            # The first of a key is the one that is published already, else that of the first day.
            first = (
                f"BOOL_AND(_own) OVER (PARTITION BY {keys}) "
                f"AND {PARTITION} = MIN({PARTITION}) OVER (PARTITION BY {keys})"
            )
            counted = (
                f"SELECT {PARTITION}, {keys}, _own, COUNT(*) AS copies "
                f"FROM ({source}{others}) GROUP BY ALL"
            )
            repeated = (
                f"SELECT {PARTITION}, {keys}, "
                f"copies - CASE WHEN {first} THEN 1 ELSE 0 END AS beyond "
                f"FROM ({counted})"
            )
        else:
            repeated = (
                f"SELECT {PARTITION}, {keys}, COUNT(*) - 1 AS beyond FROM ({source}) "
                "GROUP BY ALL HAVING COUNT(*) > 1"
            )
        beyond = self._by_partition(f"SELECT {PARTITION}, SUM(beyond) FROM ({repeated}) GROUP BY 1")
        findings: dict[str, Finding] = {}
        for key in self._keys:
            count, judged = beyond.get(key, 0), rows[key] - quarantined.get(key, 0)
            verdict: Verdict = check.effect if count > check.max_duplicates else "pass"
            findings[key] = Finding(judged, count, verdict if rows[key] else check.on_empty)
        outcome = Outcome(check, findings)
        if outcome.verdict == "pass" or not outcome.offending:
            return outcome
        broken = ", ".join(literal(key) for key, _ in outcome.worst(MAX_EXAMPLES))
        query = f"SELECT * FROM ({repeated}) WHERE beyond > 0 AND {PARTITION} IN ({broken})"
        return Outcome(check, findings, self._examples(query, check.columns))

    def _row_count(
        self, check: RowCountCheck, rows: Mapping[str, int], quarantined: Mapping[str, int]
    ) -> Outcome:
        findings: dict[str, Finding] = {}
        for key in self._keys:
            count = rows[key] - quarantined.get(key, 0)
            low = check.min_rows is not None and count < check.min_rows
            high = check.max_rows is not None and count > check.max_rows
            wanted = " to ".join(
                str(bound) for bound in (check.min_rows, check.max_rows) if bound is not None
            )
            detail = (
                f"{count:,} rows, wanted {'at least ' if check.max_rows is None else ''}{wanted}"
                if low or high
                else None
            )
            findings[key] = Finding(count, 0, check.effect if low or high else "pass", detail)
        return Outcome(check, findings)

    def _reconcile(
        self,
        check: ReconcileCheck,
        good: str,
        rows: Mapping[str, int],
        quarantined: Mapping[str, int],
    ) -> Outcome:
        own_side = self._relation if check.including_quarantine else good
        partitioned = list(self._keys) != [WHOLE]
        own = self._values(check.expression, own_side, grouped=True)
        other = self._values(
            check.other_expression, quoted(check.other_relation), grouped=partitioned
        )
        findings: dict[str, Finding] = {}
        for key in self._keys:
            left, right = own[key], other[key]
            agree = _agree(left, right, check.tolerance)
            shown = (MASKED, MASKED) if check.masked else (left, right)
            detail = None if agree else f"{shown[0]} here, {shown[1]} in {check.other}"
            findings[key] = Finding(
                rows[key] - quarantined.get(key, 0), 0, "pass" if agree else check.effect, detail
            )
        return Outcome(check, findings)

    def _values(self, expression: str, relation: str, *, grouped: bool) -> dict[str, object]:
        """An aggregate by partition; over no rows where a partition has none."""
        key = PARTITION if grouped else literal(WHOLE)
        query = f"SELECT {key} AS key, {expression} AS value FROM {relation}"
        nothing = self._session.rows(f"SELECT {expression} FROM {relation} WHERE FALSE")[0][0]
        found = {str(k): value for k, value in self._session.rows(f"{query} GROUP BY ALL")}
        return {key: found.get(key, nothing) for key in self._keys}

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

    def _by_partition(self, query: str) -> dict[str, int]:
        return {str(key): int(count) for key, count in self._session.rows(query)}

    def _examples(self, query: str, columns: Sequence[str]) -> list[dict[str, str]]:
        """At most five rows as text, what the check is about first."""
        hidden = {FILE, ROW, *flag_names(self._checks)}
        there = [
            name
            for name in self._session.columns(query)
            if name not in hidden and not name.startswith("_converts_")
        ]
        first = [name for name in columns if name in there]
        chosen = [*first, *[name for name in there if name not in first]]
        few = (
            f"SELECT {', '.join(map(quoted, chosen))} FROM ({query}) "
            f"ORDER BY ALL LIMIT {MAX_EXAMPLES}"
        )
        listed = ", ".join(f"LEFT(CAST({quoted(name)} AS VARCHAR), 200)" for name in chosen)
        found = self._session.rows(f"SELECT {listed} FROM ({few}) ORDER BY ALL")
        return [
            dict(zip(chosen, ("NULL" if v is None else str(v) for v in row), strict=True))
            for row in found
        ]


def _agree(left: object, right: object, tolerance: float) -> bool:
    """NULL equals NULL and NaN equals NaN; a tolerance is for numbers."""
    if left is None or right is None:
        return left is right
    numbers = (int, float, Decimal)
    if not isinstance(left, numbers) or not isinstance(right, numbers):
        return left == right
    if not (math.isfinite(left) and math.isfinite(right)):
        return left == right or (math.isnan(left) and math.isnan(right))
    return abs(Decimal(str(left)) - Decimal(str(right))) <= Decimal(str(tolerance))


def _reason(outcome: Outcome, key: str) -> str:
    finding = outcome.findings[key]
    if finding.detail:
        return f"{outcome.check.name}: {finding.detail}"
    if finding.rows == 0:
        return f"{outcome.check.name}: the partition is empty"
    return f"{outcome.check.name}: {finding.offending:,} of {finding.rows:,} rows"
