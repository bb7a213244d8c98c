"""Staging: one statement over a range of partitions, its audit, quarantine and commit.

Called by `staging.assets`. The rows are computed once, judged, and then written where they belong.
"""

from collections.abc import Mapping, Sequence

import duckdb

from data_platform.engine.inputs import show_inputs
from data_platform.engine.python_steps import run_calls
from data_platform.engine.session import Session
from data_platform.errors import ContractError
from data_platform.plan.conversions import stored_type
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import StagingNode
from data_platform.plan.sql.expressions import quoted
from data_platform.quality.gate import Gate, Passage
from data_platform.staging.conservation import conserved, rows_in
from data_platform.staging.corrections import apply_decisions, corrections_outcome
from data_platform.staging.held import publish_quarantine, write_quarantine
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.workbench import Workbench

STAGED = "_staged"


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
        corrected = apply_decisions(session, node, ready, snapshots, workbench.lake)
        if broken := run_calls(session, node, ready, scratch):
            absent = {**absent, **broken}
            ready = [key for key in ready if key not in broken]
            if not ready:
                return Passage(None, absent, [])
            show_inputs(session, node, ready, snapshots)
            corrected = apply_decisions(session, node, ready, snapshots, workbench.lake)
        _stage(session, node)
        gate = Gate(session, node, workbench.lake.table(node.key), scratch, ready, metadata)
        gate.make_candidate(STAGED, stored=True)
        audit = gate.audit()
        written = gate.write_sound(audit, computed=True)
        with gate.timed("write"):
            quarantined = write_quarantine(
                session, node, audit, written, scratch, workbench, metadata, corrected
            )
        with gate.timed("audit"):
            conservation = conserved(
                session, node, ready, snapshots, audit, written, quarantined, corrected.discarded
            )
        failed = {
            **absent,
            **audit.failed,
            **{k: f.detail or "" for k, f in conservation.findings.items() if f.verdict == "fail"},
        }
        # Quarantine first: its rows name the version that they stand beside, so they don't count
        # until that version is published.
        with gate.timed("publish"):
            beside = publish_quarantine(node, quarantined, failed, workbench, metadata)
        publication = gate.publish(written, failed)
        sound = {key: count for key, count in audit.quarantined.items() if key not in failed}
        return Passage(
            publication,
            failed,
            [conservation, *corrections_outcome(node, ready, corrected), *audit.outcomes],
            rows_in(node, ready, snapshots),
            sound,
            beside,
            snapshots,
            gate.phases,
            discarded={k: n for k, n in corrected.discarded.items() if k not in failed},
        )


def _stage(session: Session, node: StagingNode) -> None:
    """Make the statement readable as `STAGED`, and hold its columns to the contract."""
    try:
        session.run(f"CREATE TEMP VIEW {STAGED} AS {node.sql}")
        columns = session.columns(f"SELECT * FROM {STAGED}")
    except duckdb.BinderException as error:
        raise ContractError(f"{node.key}: {_not_arriving(node, error) or _about(error)}") from error
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


def _not_arriving(node: StagingNode, error: Exception) -> str | None:
    """That a promised column isn't there to be converted, which DuckDB words by its REPLACE."""
    for column in node.contract.columns if node.contract else ():
        if f'Column "{column.name}" in REPLACE list not found' in str(error):
            return f"no column {column.name} arrives, and the contract promises it"
    return None


def _about(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split()).removeprefix("Binder Error: ")
