"""Rows of quarantine as somebody sees them who mends them: every value as text.

Read by `correcting` alone. A row that was corrected before is shown with what was corrected; a
column that quarantine keeps masked is shown masked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from data_platform.engine.session import Session
from data_platform.errors import PermanentError
from data_platform.observability.quarantine import DISCARDED, OWN, show_held
from data_platform.plan.cells import text_of
from data_platform.plan.naming import PARTITION_FIELD, PROVENANCE
from data_platform.plan.nodes import StagingNode
from data_platform.plan.sql.expressions import quoted
from data_platform.staging.held import REASONS
from data_platform.staging.identities import ROW_ID
from data_platform.storage.decisions import Decision, decisions_table, newest_decisions
from data_platform.storage.lake import Lake

Cells = Mapping[str, str | None]


@dataclass(frozen=True)
class HeldRow:
    """A row of quarantine.

    Attributes:
        row_id: its identity.
        partition: its key; `WHOLE` where the asset has none.
        reasons: the rules that it broke.
        cells: what is shown of it, by column.
        discarded: why it was given up; None where it waits.
    """

    row_id: str
    partition: str
    reasons: tuple[str, ...]
    cells: Cells
    discarded: str | None = None

    def broke(self, rule: str) -> bool:
        """Whether it broke a rule; one of several columns is named with or without the column."""
        return any(reason == rule or reason.startswith(f"{rule}: ") for reason in self.reasons)


@dataclass(frozen=True)
class HeldTable:
    """All rows of an asset's quarantine.

    Attributes:
        node: the asset.
        kinds: the row's own columns and their types in the source, in order.
        masked: the columns that quarantine keeps masked.
        rows: by identity.
        decisions: the newest about each row, also of rows that aren't in quarantine any more.
    """

    node: StagingNode
    kinds: Mapping[str, str]
    masked: frozenset[str]
    rows: Mapping[str, HeldRow]
    decisions: Mapping[str, Decision]

    def correction(self, row_id: str) -> Cells | None:
        """What was corrected of a row; None where nothing is."""
        decision = self.decisions.get(row_id)
        return decision.patch if decision and decision.kind == "correct" else None


def read_held(session: Session, node: StagingNode, lake: Lake) -> HeldTable:
    """The rows of an asset's quarantine.

    Raises:
        PermanentError: rows are from a version that gave them no identity.
    """
    decisions = newest_decisions(session, decisions_table(lake, node.key))
    source = lake.table(node.source).snapshot()
    held = lake.table(node.quarantine_key).snapshot()
    if source is None or held is None or lake.table(node.key).snapshot() is None:
        return HeldTable(node, {}, frozenset(), {}, decisions)
    session.show("_source_columns", source.files([]), hidden=False)
    raw = session.columns("SELECT * FROM _source_columns")
    relation = quoted(show_held(session, node, lake))
    there = session.columns(f"SELECT * FROM {relation}")
    unseen = {PARTITION_FIELD, *OWN, *PROVENANCE}
    names = [name for name in there if name not in unseen]
    kinds = {name: raw.get(name, there[name]) for name in [*names, *raw] if name not in unseen}
    masked = frozenset(name for name in kinds if name.lower() in node.held_masked)
    cells = "".join(f", {text_of(name)}" for name in names)
    rows: dict[str, HeldRow] = {}
    own = f"{ROW_ID}, {PARTITION_FIELD}, {REASONS}, {DISCARDED}"
    for identity, partition, reasons, discarded, *texts in session.rows(
        f"SELECT {own}{cells} FROM {relation} ORDER BY {PARTITION_FIELD}, {ROW_ID}"
    ):
        if identity is None:
            raise PermanentError(
                f"{node.quarantine_key}: rows of {partition or 'the table'} are from an older "
                f"version of the platform: run {node.key} again, which gives them an identity"
            )
        shown: dict[str, str | None] = dict.fromkeys(kinds)
        shown |= dict(zip(names, texts, strict=True))
        decision = decisions.get(identity)
        if decision and decision.kind == "correct" and decision.patch:
            shown |= {
                name: text
                for name, text in decision.patch.items()
                if name in kinds and name not in masked
            }
        rows[identity] = HeldRow(identity, partition, tuple(reasons), shown, discarded)
    return HeldTable(node, kinds, masked, rows, decisions)
