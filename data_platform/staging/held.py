"""Quarantine: rows that are held back, as they came, with all their reasons.

Called by `staging.computing` once the audit has told which rows they are. Committed before the rows
that it stands beside, whose version it names.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from data_platform.engine.session import Session
from data_platform.plan.check_kinds import RowCheck
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.naming import FILE, PARTITION, ROW
from data_platform.plan.nodes import StagingNode
from data_platform.quality.gate import CANDIDATE
from data_platform.quality.outcomes import Audit
from data_platform.storage.lake import Snapshot
from data_platform.storage.publish import Publication, Written, publish, stored_select, write
from data_platform.storage.workbench import Workbench

RUN, MOMENT, VERSION, REASONS, SOURCE = (
    "_run_id",
    "_quarantined_at",
    "_data_version",
    "_reasons",
    "_source_version",
)
"""What quarantine keeps with a row: run, moment, published version beside it, why, from where."""


def write_quarantine(
    session: Session,
    node: StagingNode,
    audit: Audit,
    written: Written | None,
    scratch: Path,
    workbench: Workbench,
    metadata: Mapping[str, str],
) -> Written | None:
    """The rows that are held back, as they came, with all their reasons."""
    if not node.has_quarantine or written is None:
        return None
    standing = workbench.lake.table(node.quarantine_key).snapshot()
    held = [
        key for key in written.versions if audit.quarantined.get(key) or _had_rows(standing, key)
    ]
    if not held:
        return None
    relation = _quarantine_relation(session, node, audit, written, metadata)
    select = stored_select(session, relation, [PARTITION])
    keys = ", ".join(map(literal, held))
    tail = f"FROM {relation} WHERE {PARTITION} IN ({keys})"
    return write(
        session,
        select,
        tail,
        scratch / "quarantine",
        held,
        computed=False,
        unversioned=[RUN, MOMENT],
    )


def _quarantine_relation(
    session: Session, node: StagingNode, audit: Audit, written: Written, metadata: Mapping[str, str]
) -> str:
    reasons = [
        f"CASE WHEN {condition} THEN {literal(label)} END"
        for check in node.checks
        if isinstance(check, RowCheck) and check.effect == "quarantine"
        for label, condition in _reasons(check, audit.conditions[check.name]).items()
    ]
    versions = ", ".join(
        f"({literal(key)}, {literal(version.data_version)})"
        for key, version in written.versions.items()
    )
    session.run(
        f"CREATE TEMP TABLE _held AS SELECT {FILE}, {ROW}, "
        f"list_filter([{', '.join(reasons)}], lambda r: r IS NOT NULL) "
        f"AS {REASONS} FROM {CANDIDATE} WHERE {audit.held_back}"
    )
    moment = datetime.now(UTC).isoformat()
    session.run(
        f"CREATE TEMP VIEW _quarantine AS SELECT s.* EXCLUDE ({FILE}, {ROW}), h.{REASONS}, "
        f"v.version AS {VERSION}, SPLIT_PART(parse_filename(s.{FILE}, true), '-', 1) AS {SOURCE}, "
        f"{literal(metadata.get('run_id', ''))} AS {RUN}, "
        f"TIMESTAMPTZ {literal(moment)} AS {MOMENT} "
        f"FROM {quoted(node.source.relation)} s "
        f"JOIN _held h ON s.{FILE} = h.{FILE} AND s.{ROW} = h.{ROW} "
        f"JOIN (VALUES {versions}) v(key, version) ON v.key = s.{PARTITION}"
    )
    return "_quarantine"


def _reasons(check: RowCheck, breaks: str) -> dict[str, str]:
    """Labels and conditions: a check of several columns names the one that is broken."""
    if len(check.parts) > 1:
        return {f"{check.name}: {column}": condition for column, condition in check.parts.items()}
    return {check.name: breaks}


def publish_quarantine(
    node: StagingNode,
    quarantined: Written | None,
    failed: Mapping[str, str],
    workbench: Workbench,
    metadata: Mapping[str, str],
) -> Publication | None:
    """Commit what is held back beside partitions that are published."""
    if quarantined is None:
        return None
    sound = {key: version for key, version in quarantined.versions.items() if key not in failed}
    table = workbench.lake.table(node.quarantine_key)
    return publish(table, Written(sound, quarantined.schema), metadata) if sound else None


def _had_rows(standing: Snapshot | None, key: str) -> bool:
    return standing is not None and key in standing.partitions and standing.partitions[key].rows > 0
