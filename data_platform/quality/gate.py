"""The gate: only what passed its audit becomes current, partition by partition.

Called by the stages. `Passage` says what came through, what didn't and why; the stages report it.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from data_platform.engine.discretion import database_words
from data_platform.engine.session import Session
from data_platform.errors import ContractError
from data_platform.plan.naming import HIDDEN_TYPES, PARTITION, WHOLE
from data_platform.plan.nodes import LakeNode, StagingNode
from data_platform.plan.sql.expressions import literal
from data_platform.quality.audit import Auditor
from data_platform.quality.figures import Figures
from data_platform.quality.outcomes import Audit, Outcome
from data_platform.storage.lake import LakeTable
from data_platform.storage.publish import (
    Publication,
    Unwritten,
    Written,
    publish,
    stored_select,
    write,
)
from data_platform.storage.versions import PartitionVersion, Snapshot

CANDIDATE, OTHERS, PARTITIONS = "_candidate", "_others", "_partitions"


@dataclass(frozen=True)
class Passage:
    """What a step did to the partitions that it was asked for.

    Attributes:
        publication: what is current now; None where nothing passed.
        failed: why a partition keeps its last version, by partition.
        outcomes: of the checks.
        rows_in: by partition.
        quarantined: rows held back, by partition, of what was published.
        quarantine: what the quarantine's own commit did.
        upstreams: the snapshots that were read, by relation.
        phases: seconds of auditing, writing and publishing; the rest is reading and computing.
        unread: why a partition couldn't be read, of those that failed.
        kept: why a partition wasn't read, whose last good version stands though it isn't failed.
        skipped: why a partition wasn't asked for at all, though nothing is wrong with it.
        said: what a person's function says of a partition, by partition.
        discarded: rows of quarantine that somebody discarded, by partition.
        unchanged: what stands of partitions on which no work was done, since they would be built
            from the same again.
        standing: the asset's own snapshot, as it was found before, where it is still that.
    """

    publication: Publication | None
    failed: Mapping[str, str]
    outcomes: Sequence[Outcome]
    rows_in: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    quarantine: Publication | None = None
    upstreams: Mapping[str, Snapshot] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    discarded: Mapping[str, int] = field(default_factory=dict)
    unchanged: Mapping[str, PartitionVersion] = field(default_factory=dict)
    standing: Snapshot | None = None


class Gate:
    """The way of one asset's rows from a candidate to a commit.

    Args:
        session: in which the candidate is.
        node: the asset.
        table: where it is kept.
        scratch: a folder of this step's own.
        keys: the partitions of this step.
        metadata: kept with the commit.
    """

    def __init__(
        self,
        session: Session,
        node: LakeNode,
        table: LakeTable,
        scratch: Path,
        keys: Sequence[str],
        metadata: Mapping[str, str],
    ) -> None:
        self.session = session
        self.node = node
        self.table = table
        self.scratch = scratch
        self.keys = keys
        self.metadata = metadata
        self._stored = False
        self._figures: Figures | None = None
        self.others: str | None = None
        """A relation of rows that stay beside the candidate's, where partitions don't tell it."""
        self.phases: dict[str, float] = {}
        """Seconds so far, by what was done."""

    @contextmanager
    def timed(self, phase: str) -> Generator[None]:
        """Count the time of the block as a phase of the step: `audit`, `write` or `publish`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[phase] = self.phases.get(phase, 0.0) + time.monotonic() - began

    def make_candidate(self, relation: str, *, stored: bool) -> None:
        """Show the audit what would be published.

        Args:
            relation: the rows, with `_partition`.
            stored: whether to compute them once and keep them, or to read the relation anew.

        Raises:
            ContractError: a value or column isn't what an expression takes it for.
        """
        kind = "TABLE" if stored else "VIEW"
        self._stored = stored
        numbered = self._numbered() if stored and list(self.keys) != [WHOLE] else ""
        with self._explained():
            self.session.run(
                f"CREATE OR REPLACE TEMP {kind} {CANDIDATE} AS SELECT *{numbered} FROM {relation}"
            )

    def _numbered(self) -> str:
        """Partitions as numbers in memory: text takes 16 bytes a row, and longer to group by."""
        listed = ", ".join(map(literal, sorted(self.keys)))
        self.session.run(f"CREATE OR REPLACE TYPE {PARTITIONS} AS ENUM ({listed})")
        stranger = f"'a row of partition ' || COALESCE({PARTITION}, 'NULL') || ', not asked for'"
        known = f"COALESCE(TRY_CAST({PARTITION} AS {PARTITIONS}), ERROR({stranger}))"
        return f" REPLACE ({known} AS {PARTITION})"

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Say of whom DuckDB says that something is wrong with its rows."""
        try:
            yield
        except (duckdb.DataError, duckdb.ProgrammingError) as error:
            about = database_words(error, discreet=self.node.discreet)
            cause = None if self.node.discreet else error
            raise ContractError(f"{self.node.key}: {about}") from cause

    def audit(self) -> Audit:
        """Judge the candidate.

        Raises:
            ContractError: a value isn't what a rule takes it for.
        """
        auditor = Auditor(
            self.session,
            CANDIDATE,
            self.node.checks,
            self.keys,
            self._other_partitions(),
            self._limit(),
            self.table,
            stored=self._stored,
        )
        with self.timed("audit"), self._explained():
            audit = auditor.run()
        self._figures = audit.figures
        return audit

    def commit_metadata(self, versions: Mapping[str, PartitionVersion]) -> Mapping[str, str]:
        """What the commit of these versions keeps: about the run, and what was measured."""
        return {**self.metadata, **(self._figures.kept(versions) if self._figures else {})}

    def _limit(self) -> float | None:
        """The share of rows that quarantine may take, as the run says."""
        if not isinstance(self.node, StagingNode):
            return None
        given = self.session.parameters.get(self.node.quarantine_parameter or "")
        return (
            float(given) if isinstance(given, int | float) else self.node.max_quarantine_percentage
        )

    def write_sound(self, audit: Audit, *, computed: bool) -> Written | None:
        """Write the rows that passed, of the partitions that passed."""
        sound = [key for key in self.keys if key not in audit.failed]
        if not sound:
            return None
        conversions = [
            name
            for name in self.session.columns(f"SELECT * FROM {CANDIDATE}")
            if name.startswith("_converts_")
        ]
        hidden = [*HIDDEN_TYPES, *conversions]
        select = stored_select(self.session, CANDIDATE, hidden)
        failing = (
            f" AND {PARTITION} NOT IN ({', '.join(map(literal, audit.failed))})"
            if audit.failed
            else ""
        )
        tail = f"FROM {CANDIDATE} WHERE NOT ({audit.held_back}){failing}"
        rows = Unwritten(select, tail, computed, self.node.unversioned, streamed=not self._stored)
        with self.timed("write"):
            return write(self.session, rows, self.scratch / "sound", sound)

    def pass_computed(
        self, relation: str, rows_in: Mapping[str, int], upstreams: Mapping[str, Snapshot]
    ) -> Passage:
        """Judge rows that are computed and kept, and publish what passes.

        Args:
            relation: the rows, with `_partition`.
            rows_in: rows that were read, by partition.
            upstreams: the snapshots that were read, by relation.

        Raises:
            ContractError: as `make_candidate` and `audit` do.
        """
        self.make_candidate(relation, stored=False)
        audit = self.audit()
        publication = self.publish(self.write_sound(audit, computed=True), audit.failed)
        return Passage(
            publication,
            audit.failed,
            audit.outcomes,
            rows_in,
            upstreams=upstreams,
            phases=self.phases,
        )

    def publish(self, written: Written | None, failed: Mapping[str, str]) -> Publication | None:
        """Commit what was written, less what failed after all."""
        if written is None:
            return None
        sound = {key: version for key, version in written.versions.items() if key not in failed}
        if not sound:
            return None
        with self.timed("publish"):
            metadata = self.commit_metadata(sound)
            return publish(self.table, Written(sound, written.schema), metadata)

    def _other_partitions(self) -> str | None:
        """Published partitions besides this step's, for keys unique in all of the asset."""
        if not any(getattr(check, "whole_asset", False) for check in self.node.checks):
            return None
        if self.others is not None:
            return self.others
        snapshot = self.table.snapshot()
        keys = [key for key in snapshot.partitions if key not in set(self.keys)] if snapshot else []
        if snapshot is None or not keys:
            return None
        self.session.show(OTHERS, snapshot.files(keys))
        return OTHERS
