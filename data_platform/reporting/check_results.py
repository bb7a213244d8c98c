"""The result of a check in Dagster: counts, what was allowed, the worst partitions, examples.

Called by `reporting.events`. Whoever looks at Dagster sees them: what tells of a person is masked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.plan.checks.kinds import RowCheck, UniqueCheck
from data_platform.plan.checks.words import allowed_words
from data_platform.plan.lineage.masking import MASKED
from data_platform.plan.nodes import Node
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.reporting.failure_texts import MAX_NAMED

EXAMPLE_COLUMNS, EXAMPLE_WIDTH = 12, 100
"""Columns of an example, those that the check is about first, and characters of a value."""


def check_result(
    node: Node, outcome: Outcome, failed: Mapping[str, str], standing: Mapping[str, str]
) -> dg.AssetCheckResult:
    """What Dagster records of a check.

    Args:
        node: the asset.
        outcome: of the check.
        failed: why a partition wasn't published, by partition.
        standing: the data version that stands instead, by partition.
    """
    verdict = outcome.verdict
    severity = dg.AssetCheckSeverity.ERROR if verdict == "fail" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        asset_key=asset_key(node.key),
        check_name=outcome.check.name,
        passed=verdict == "pass",
        severity=severity,
        metadata={
            **_counts(outcome),
            **_partitions(outcome),
            **_examples(node, outcome),
            **_candidates(outcome, failed, standing),
        },
    )


def _counts(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"rows": outcome.rows, "offending": outcome.offending}
    if outcome.rows and isinstance(outcome.check, RowCheck | UniqueCheck):
        told["percentage"] = round(100 * outcome.offending / outcome.rows, 4)
    told["threshold"] = allowed_words(outcome.check)
    return told


def _partitions(outcome: Outcome) -> dict[str, Any]:
    findings = list(outcome.findings.values())
    told: dict[str, Any] = {}
    if len(findings) > 1:
        told["partitions"] = len(findings)
        told["partitions_broken"] = sum(finding.verdict != "pass" for finding in findings)
    elif findings and findings[0].found is not None:
        told["found"] = findings[0].found
    if worst := outcome.worst():
        valued = any(finding.found is not None for _, finding in worst)
        told["worst"] = _table([_row(key, finding, valued=valued) for key, finding in worst])
    return told


def _row(key: str, finding: Finding, *, valued: bool) -> dict[str, Any]:
    return {
        "partition": key or "(whole)",
        "rows": finding.rows,
        "offending": finding.offending,
        **({"found": finding.found or ""} if valued else {}),
        "verdict": finding.verdict,
        "detail": finding.detail or "",
    }


def _examples(node: Node, outcome: Outcome) -> dict[str, Any]:
    if not outcome.examples:
        return {}
    return {"examples": _table([_example(node, row) for row in outcome.examples])}


def _example(node: Node, row: Mapping[str, str]) -> dict[str, str]:
    return {
        name: MASKED if node.masking.hides(name) else value[:EXAMPLE_WIDTH]
        for name, value in list(row.items())[:EXAMPLE_COLUMNS]
    }


def _candidates(
    outcome: Outcome, failed: Mapping[str, str], standing: Mapping[str, str]
) -> dict[str, Any]:
    """That what was judged isn't what is there, where it isn't."""
    candidates = [
        key
        for key, finding in outcome.findings.items()
        if finding.verdict == "fail" and key in failed
    ]
    if candidates:
        return {
            "candidate": f"judged before publication; not published: {_listed(candidates)}",
            "standing_version": standing.get(candidates[0], "none"),
        }
    details = [finding.detail for finding in outcome.findings.values()]
    return {"detail": details[0]} if len(details) == 1 and details[0] else {}


def _table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])


def _listed(keys: Sequence[str]) -> str:
    named = ", ".join(key or "(whole)" for key in sorted(keys)[:MAX_NAMED])
    return named if len(keys) <= MAX_NAMED else f"{named} and {len(keys) - MAX_NAMED} more"
