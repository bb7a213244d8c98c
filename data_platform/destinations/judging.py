"""Rules on a destination: the table is judged as the transaction that loads it has it.

Called by `destinations.loading`, before the commit. What the database made of the rows is read
back, so what its triggers, types and defaults did to them counts.
"""

import time
from collections.abc import Mapping, Sequence

import duckdb

from data_platform.engine.inputs import show_inputs
from data_platform.engine.session import Session
from data_platform.errors import ContractError
from data_platform.plan.checks.columns_read import columns_read
from data_platform.plan.checks.kinds import UniqueCheck
from data_platform.plan.nodes import DestinationNode
from data_platform.quality.audit import Auditor
from data_platform.quality.outcomes import Audit
from data_platform.storage.versions import Snapshot
from data_platform.targets.deliveries import LoadedRows

HELD, OTHERS = "_held", "_others"


class Judging:
    """The rules of one load.

    Args:
        node: the destination.
        session: in which the rows are judged, with its parameters.
        snapshots: of what rules read besides, by relation.
    """

    def __init__(
        self,
        node: DestinationNode,
        session: Session,
        snapshots: Mapping[str, Snapshot],
    ) -> None:
        self._node, self._session, self._snapshots = node, session, snapshots
        self.audit: Audit | None = None
        """What was found; None where nothing was loaded that could be judged."""
        self.seconds = 0.0
        """That it took."""

    def __call__(self, rows: LoadedRows, keys: Sequence[str]) -> bool:
        """Judge partitions that were loaded.

        Args:
            rows: what the target holds, within the load that is open.
            keys: the partitions, or `WHOLE` alone.

        Returns:
            Whether they may stay.

        Raises:
            ContractError: a value isn't what a rule takes it for.
            StorageError: a column can't be read exactly.
        """
        began = time.monotonic()
        try:
            self.audit = self._audited(rows, keys)
        except (duckdb.DataError, duckdb.ProgrammingError) as error:
            self._session.work.go_on()
            about = " ".join(str(error).split("\n\n")[0].split())
            raise ContractError(f"{self._node.key}: {about}") from error
        finally:
            self.seconds = time.monotonic() - began
        return not self.audit.failed

    def _audited(self, rows: LoadedRows, keys: Sequence[str]) -> Audit:
        node, session = self._node, self._session
        rows.keep(session, HELD, keys, columns_read(node.checks))
        others = self._others(rows, keys)
        show_inputs(session, node, keys, self._snapshots)
        return Auditor(session, HELD, node.checks, keys, others).run()

    def _others(self, rows: LoadedRows, keys: Sequence[str]) -> str | None:
        """The other partitions of the table, for keys that are unique in all of it."""
        unique = {
            column
            for check in self._node.checks
            if isinstance(check, UniqueCheck) and check.whole_asset
            for column in check.columns
        }
        if not unique or not rows.keep_others(self._session, OTHERS, keys, unique):
            return None
        return OTHERS
