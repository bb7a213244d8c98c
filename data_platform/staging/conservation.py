"""The count of rows that went into staging against those that came out, partition by partition.

Called by `staging.computing`. What went in and out is counted from files, and what steps left out
by statements of its own, so that the count can fail.
"""

from collections.abc import Mapping, Sequence

from data_platform.engine.session import Session
from data_platform.plan.checks.kinds import ConservationCheck
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import StagingNode, Step, statement_of
from data_platform.quality.outcomes import Audit, Finding, Outcome
from data_platform.storage.publish import Written
from data_platform.storage.versions import Snapshot


def conserved(
    session: Session,
    node: StagingNode,
    keys: Sequence[str],
    snapshots: Mapping[str, Snapshot],
    audit: Audit,
    written: Written | None,
    quarantined: Written | None,
    discarded: Mapping[str, int],
) -> Outcome:
    """Rows in = out + quarantined + discarded + filtered + deduplicated, by partition."""
    check = next(check for check in node.checks if isinstance(check, ConservationCheck))
    kept = _rows_kept_apart(node.steps)
    came = rows_in(node, keys, snapshots)
    lost = {step.name: _counted(session, kept, step.lost) for step in kept if step.lost}
    whole_way = len(kept) == len(node.steps)
    merged = (
        {}
        if whole_way
        else _counted(
            session, kept, f"SELECT {PARTITION}, COUNT(*) FROM {kept[-1].name} GROUP BY 1"
        )
    )
    findings: dict[str, Finding] = {}
    for key in keys:
        if key in audit.failed:
            findings[key] = Finding(came[key], 0, "pass", "not published")
            continue
        out = written.versions[key].rows if written and whole_way else merged.get(key, 0)
        gone = discarded.get(key, 0)
        held = _held(quarantined, key) - gone if node.has_quarantine else 0
        left_out = {name: counts.get(key, 0) for name, counts in lost.items()}
        missing = came[key] - out - held - gone - sum(left_out.values())
        steps = "".join(f" + {count:,} by {name}" for name, count in left_out.items())
        dropped = f" + {gone:,} discarded" if gone else ""
        detail = f"{came[key]:,} in = {out:,} out + {held:,} quarantined{dropped}{steps}"
        if missing:
            detail = f"{detail}: {abs(missing):,} {'lost' if missing > 0 else 'too many'}"
        findings[key] = Finding(came[key], abs(missing), "fail" if missing else "pass", detail)
    return Outcome(check, findings)


def _held(quarantined: Written | None, key: str) -> int:
    """Rows that were written to quarantine, discarded ones included."""
    if quarantined is None or key not in quarantined.versions:
        return 0
    return quarantined.versions[key].rows


def _rows_kept_apart(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps up to the first that multiplies or merges rows."""
    end = next(
        (number for number, step in enumerate(steps) if not step.keeps_rows_apart), len(steps)
    )
    return steps[:end]


def rows_in(
    node: StagingNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> dict[str, int]:
    """Rows of the source, by partition."""
    source = snapshots[node.source.relation]
    if node.partitions is None and source.partitioned:
        return {WHOLE: sum(version.rows for version in source.partitions.values())}
    return {key: source.partitions[key].rows for key in keys}


def _counted(session: Session, steps: tuple[Step, ...], select: str | None) -> dict[str, int]:
    return {str(key): int(count) for key, count in session.rows(statement_of(steps, select or ""))}
