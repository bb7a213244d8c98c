"""Staging: one statement over a range of partitions, its audit, quarantine and commit.

Called by `staging.assets`. The rows are computed once, flagged, and then written where they belong;
what went in and out is counted from files and by statements of its own, so that the count can fail.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from data_platform.engine.inputs import show_inputs
from data_platform.engine.python_steps import run_calls
from data_platform.engine.session import Session
from data_platform.errors import ContractError
from data_platform.plan.check_kinds import ConservationCheck, RowCheck
from data_platform.plan.conversions import stored_type
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW, WHOLE
from data_platform.plan.nodes import StagingNode, Step, statement_of
from data_platform.quality.audit import flag
from data_platform.quality.gate import CANDIDATE, Gate, Passage
from data_platform.quality.outcomes import Audit, Finding, Outcome
from data_platform.storage.lake import Snapshot
from data_platform.storage.publish import Publication, Written, publish, stored_select, write
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.workbench import Workbench

STAGED = "_staged"
RUN, MOMENT, VERSION, REASONS, SOURCE = (
    "_run_id",
    "_quarantined_at",
    "_data_version",
    "_reasons",
    "_source_version",
)
"""What quarantine keeps with a row: run, moment, published version beside it, why, from where."""


def compute(
    node: StagingNode, keys: Sequence[str], workbench: Workbench, metadata: Mapping[str, str]
) -> Passage:
    """Compute partitions of a staging asset.

    Args:
        node: the asset.
        keys: its partitions, or `WHOLE` alone.
        workbench: with the lake.
        metadata: kept with the commits; `run_id` goes into quarantine too.

    Raises:
        ContractError: columns that the asset needs don't arrive, or others that it doesn't allow.
    """
    snapshots = snapshots_of(node, workbench.lake)
    absent = missing_inputs(node, keys, snapshots)
    ready = [key for key in keys if key not in absent]
    if not ready:
        return Passage(None, absent, [])
    with workbench.open(node=node) as (session, scratch):
        show_inputs(session, node, ready, snapshots)
        if broken := run_calls(session, node, ready, scratch):
            absent = {**absent, **broken}
            ready = [key for key in ready if key not in broken]
            if not ready:
                return Passage(None, absent, [])
            show_inputs(session, node, ready, snapshots)
        _stage(session, node)
        gate = Gate(session, node, workbench.lake.table(node.key), scratch, ready, metadata)
        gate.make_candidate(STAGED, stored=True)
        audit = gate.audit()
        written = gate.write_sound(audit, computed=True)
        with gate.timed("write"):
            quarantined = _write_quarantine(
                session, node, audit, written, scratch, workbench, metadata
            )
        with gate.timed("audit"):
            conservation = _conservation(
                session, node, ready, snapshots, audit, written, quarantined
            )
        failed = {
            **absent,
            **audit.failed,
            **{k: f.detail or "" for k, f in conservation.findings.items() if f.verdict == "fail"},
        }
        # Quarantine first: its rows name the version that they stand beside, so they don't count
        # until that version is published.
        with gate.timed("publish"):
            beside = _publish_quarantine(node, quarantined, failed, workbench, metadata)
        publication = gate.publish(written, failed)
        sound = {key: count for key, count in audit.quarantined.items() if key not in failed}
        return Passage(
            publication,
            failed,
            [conservation, *audit.outcomes],
            _rows_in(node, ready, snapshots),
            sound,
            beside,
            snapshots,
            gate.phases,
        )


def _stage(session: Session, node: StagingNode) -> None:
    """Make the statement readable as `STAGED`, and hold its columns to the contract."""
    try:
        session.run(f"CREATE TEMP VIEW {STAGED} AS {node.sql}")
        columns = session.columns(f"SELECT * FROM {STAGED}")
    except duckdb.BinderException as error:
        raise ContractError(f"{node.key}: {_about(error)}") from error
    if node.contract is None:
        return
    visible = [
        name for name in columns if name not in HIDDEN_TYPES and not name.startswith("_converts_")
    ]
    for column in node.contract.columns:
        kind = stored_type(columns[column.name]) if column.name in visible else None
        if kind is None:
            found = ", ".join(visible)
            raise ContractError(f"{node.key}: no column {column.name} arrives; there are {found}")
        if column.type is not None and kind != column.type:
            raise ContractError(
                f"{node.key}: {column.name} arrives as {kind}, the contract says {column.type}: "
                "load the pipelines anew, or convert it by convert_types"
            )
    extra = [name for name in visible if name not in node.contract]
    if not extra or node.extra_columns == "keep":
        return
    if node.extra_columns == "fail":
        raise ContractError(
            f"{node.key}: columns that the contract doesn't name arrive: {', '.join(extra)}; "
            "name them, drop them, or set extra_columns to keep or drop"
        )
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {STAGED} AS "
        f"SELECT * EXCLUDE ({', '.join(map(quoted, extra))}) FROM ({node.sql})"
    )


def _write_quarantine(
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
        for number, check in enumerate(node.checks)
        if isinstance(check, RowCheck) and check.effect == "quarantine"
        for label, condition in _reasons(number, check).items()
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


def _reasons(number: int, check: RowCheck) -> dict[str, str]:
    """Labels and conditions: a check of several columns names the one that is broken."""
    if len(check.parts) > 1:
        return {f"{check.name}: {column}": condition for column, condition in check.parts.items()}
    return {check.name: flag(number)}


def _publish_quarantine(
    node: StagingNode,
    quarantined: Written | None,
    failed: Mapping[str, str],
    workbench: Workbench,
    metadata: Mapping[str, str],
) -> Publication | None:
    if quarantined is None:
        return None
    sound = {key: version for key, version in quarantined.versions.items() if key not in failed}
    table = workbench.lake.table(node.quarantine_key)
    return publish(table, Written(sound, quarantined.schema), metadata) if sound else None


def _had_rows(standing: Snapshot | None, key: str) -> bool:
    return standing is not None and key in standing.partitions and standing.partitions[key].rows > 0


def _conservation(
    session: Session,
    node: StagingNode,
    keys: Sequence[str],
    snapshots: Mapping[str, Snapshot],
    audit: Audit,
    written: Written | None,
    quarantined: Written | None,
) -> Outcome:
    """Rows in = out + quarantined + filtered + deduplicated, by partition."""
    check = next(check for check in node.checks if isinstance(check, ConservationCheck))
    kept = _rows_kept_apart(node.steps)
    rows_in = _rows_in(node, keys, snapshots)
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
            findings[key] = Finding(rows_in[key], 0, "pass", "not published")
            continue
        out = written.versions[key].rows if written and whole_way else merged.get(key, 0)
        held = quarantined.versions[key].rows if quarantined and key in quarantined.versions else 0
        left_out = {name: counts.get(key, 0) for name, counts in lost.items()}
        missing = rows_in[key] - out - held - sum(left_out.values())
        steps = "".join(f" + {count:,} by {name}" for name, count in left_out.items())
        detail = f"{rows_in[key]:,} in = {out:,} out + {held:,} quarantined{steps}"
        if missing:
            detail = f"{detail}: {abs(missing):,} {'lost' if missing > 0 else 'too many'}"
        findings[key] = Finding(rows_in[key], abs(missing), "fail" if missing else "pass", detail)
    return Outcome(check, findings)


def _rows_kept_apart(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps up to the first that multiplies or merges rows."""
    end = next(
        (number for number, step in enumerate(steps) if not step.keeps_rows_apart), len(steps)
    )
    return steps[:end]


def _rows_in(
    node: StagingNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> dict[str, int]:
    source = snapshots[node.source.relation]
    if node.partitions is None and source.partitioned:
        return {WHOLE: sum(version.rows for version in source.partitions.values())}
    return {key: source.partitions[key].rows for key in keys}


def _counted(session: Session, steps: tuple[Step, ...], select: str | None) -> dict[str, int]:
    return {str(key): int(count) for key, count in session.rows(statement_of(steps, select or ""))}


def _about(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split()).removeprefix("Binder Error: ")
