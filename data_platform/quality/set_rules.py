"""Rules that judge all rows of a partition together: keys, counts, agreement with other assets.

Called by `quality.audit`. Each unique key is one more grouping, each agreement two.
"""

import math
from decimal import Decimal

from data_platform.plan.checks.kinds import ReconcileCheck, RowCountCheck, UniqueCheck
from data_platform.plan.lineage.masking import MASKED
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.candidates import Candidate, counted, examples
from data_platform.quality.outcomes import MAX_EXAMPLES, Finding, Outcome, Verdict


def judge_unique(candidate: Candidate, check: UniqueCheck) -> Outcome:
    """Rows beyond the first of each key.

    Args:
        candidate: what would be published.
        check: the rule.
    """
    names = [quoted(name) for name in check.columns]
    keys = ", ".join(names)
    present = "TRUE" if check.count_nulls else " AND ".join(f"{name} IS NOT NULL" for name in names)
    source = f"SELECT {PARTITION}, {keys}, TRUE AS _own FROM {candidate.good} WHERE {present}"
    if check.whole_asset:
        others = (
            f" UNION ALL SELECT {PARTITION}, {keys}, FALSE FROM {candidate.others} WHERE {present}"
            if candidate.others
            else ""
        )
        # The first of a key is the one that is published already, else that of the first day.
        first = (
            f"BOOL_AND(_own) OVER (PARTITION BY {keys}) "
            f"AND {PARTITION} = MIN({PARTITION}) OVER (PARTITION BY {keys})"
        )
        copies = (
            f"SELECT {PARTITION}, {keys}, _own, COUNT(*) AS copies "
            f"FROM ({source}{others}) GROUP BY ALL"
        )
        repeated = (
            f"SELECT {PARTITION}, {keys}, "
            f"copies - CASE WHEN {first} THEN 1 ELSE 0 END AS beyond "
            f"FROM ({copies})"
        )
    else:
        repeated = (
            f"SELECT {PARTITION}, {keys}, COUNT(*) - 1 AS beyond FROM ({source}) "
            "GROUP BY ALL HAVING COUNT(*) > 1"
        )
    beyond = counted(
        candidate.session, f"SELECT {PARTITION}, SUM(beyond) FROM ({repeated}) GROUP BY 1"
    )
    findings: dict[str, Finding] = {}
    for key in candidate.keys:
        count, judged = beyond.get(key, 0), candidate.left(key)
        verdict: Verdict = check.effect if count > check.max_duplicates else "pass"
        findings[key] = Finding(judged, count, verdict if judged else check.on_empty)
    outcome = Outcome(check, findings)
    if outcome.verdict == "pass" or not outcome.offending:
        return outcome
    broken = ", ".join(literal(key) for key, _ in outcome.worst(MAX_EXAMPLES))
    query = f"SELECT * FROM ({repeated}) WHERE beyond > 0 AND {PARTITION} IN ({broken})"
    return Outcome(check, findings, examples(candidate.session, query, check.columns))


def judge_row_count(candidate: Candidate, check: RowCountCheck) -> Outcome:
    """The number of rows.

    Args:
        candidate: what would be published.
        check: the rule.
    """
    findings: dict[str, Finding] = {}
    for key in candidate.keys:
        count = candidate.left(key)
        low = check.min_rows is not None and count < check.min_rows
        high = check.max_rows is not None and count > check.max_rows
        broken = low or high
        detail = f"{count:,} rows, wanted {_bounds(check)}" if broken else None
        findings[key] = Finding(
            count, 0, check.effect if broken else "pass", detail, f"{count:,} rows"
        )
    return Outcome(check, findings)


def _bounds(check: RowCountCheck) -> str:
    least, most = check.min_rows, check.max_rows
    if least is None:
        return f"at most {most:,}"
    return f"at least {least:,}" if most is None else f"{least:,} to {most:,}"


def judge_reconcile(candidate: Candidate, check: ReconcileCheck) -> Outcome:
    """An aggregate here and in another asset.

    Args:
        candidate: what would be published.
        check: the rule.
    """
    own_side = candidate.relation if check.including_quarantine else candidate.good
    partitioned = list(candidate.keys) != [WHOLE]
    own = _values(candidate, check.expression, own_side, grouped=True)
    other = _values(
        candidate, check.other_expression, quoted(check.other_relation), grouped=partitioned
    )
    findings: dict[str, Finding] = {}
    for key in candidate.keys:
        left, right = own[key], other[key]
        agree = _agree(left, right, check.tolerance)
        shown = (MASKED, MASKED) if check.masked else (left, right)
        told = f"{shown[0]} here, {shown[1]} in {check.other}"
        findings[key] = Finding(
            candidate.left(key),
            0,
            "pass" if agree else check.effect,
            None if agree else told,
            told,
        )
    return Outcome(check, findings)


def _values(
    candidate: Candidate, expression: str, relation: str, *, grouped: bool
) -> dict[str, object]:
    """An aggregate by partition; over no rows where a partition has none."""
    key = PARTITION if grouped else literal(WHOLE)
    query = f"SELECT {key} AS key, {expression} AS value FROM {relation}"
    nothing = candidate.session.rows(f"SELECT {expression} FROM {relation} WHERE FALSE")[0][0]
    found = {str(k): value for k, value in candidate.session.rows(f"{query} GROUP BY ALL")}
    return {key: found.get(key, nothing) for key in candidate.keys}


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
