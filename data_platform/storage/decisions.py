"""Decisions about rows of quarantine: corrected, discarded, or neither any more.

Written by `correcting`, read by `staging`, which acts on them, and by `observability`. A table
beside the lake's others that only grows, `corrections/<pipeline>/<asset>`: the newest decision of a
row counts, and all others tell what was decided before.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.engine.session import Session
from data_platform.errors import StorageUnavailable
from data_platform.plan.keys import Key
from data_platform.plan.sql.expressions import quoted
from data_platform.storage.batches import Batches
from data_platform.storage.lake import Lake, LakeTable
from data_platform.storage.scratch import scratch_folder
from data_platform.storage.versions import DataFile, PartitionVersion

Kind = Literal["correct", "discard", "restore"]
TRIES = 30
"""How often a decision is taken anew because somebody else decided at the same moment."""

_SCHEMA = pa.schema(
    [
        ("decision", pa.int64()),
        ("partition_key", pa.string()),
        ("row_id", pa.string()),
        ("kind", pa.string()),
        ("patch", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("because", pa.string()),
        ("decided_by", pa.string()),
        ("decided_at", pa.timestamp("us", "UTC")),
    ]
)


@dataclass(frozen=True)
class Decision:
    """What somebody decided about a row.

    Attributes:
        partition_key: of the row; `WHOLE` where the asset has none.
        row_id: the row's identity.
        kind: `restore` takes back whatever was decided before.
        decided_by, decided_at: who and when.
        because: why, in their words.
        patch: of a correction, the columns that are others and their values as text.
        reasons: of a discarded row, the rules that it broke.
        decision: its number in the table, which rises with each commit; 0 before it is there.
    """

    partition_key: str
    row_id: str
    kind: Kind
    decided_by: str
    decided_at: datetime
    because: str | None = None
    patch: Mapping[str, str | None] | None = None
    reasons: Sequence[str] = ()
    decision: int = 0

    @property
    def stands(self) -> bool:
        """Whether anything follows from it."""
        return self.kind != "restore"


def decisions_table(lake: Lake, key: Key) -> LakeTable:
    """The table of the decisions about a staging asset's rows, there or not."""
    return lake.table(Key("corrections", key.pipeline, key.name))


def show_decisions(session: Session, table: LakeTable, relation: str) -> bool:
    """Make the newest decision of every row readable; tells whether there are any.

    Args:
        session: in which it is shown.
        table: as `decisions_table` gives it.
        relation: the name.
    """
    snapshot = table.snapshot()
    if snapshot is None:
        return False
    taken = f"{relation}_taken"
    session.show(taken, snapshot.files(snapshot.partitions), hidden=False)
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {quoted(relation)} AS SELECT * FROM {quoted(taken)} "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id ORDER BY decision DESC) = 1"
    )
    return True


def newest_decisions(session: Session, table: LakeTable) -> dict[str, Decision]:
    """The newest decision of every row by its identity, those taken back included."""
    if not show_decisions(session, table, "_newest"):
        return {}
    names = [*_SCHEMA.names]
    rows = session.rows(f"SELECT {', '.join(names)} FROM _newest ORDER BY row_id")
    return {row[2]: _decision(dict(zip(names, row, strict=True))) for row in rows}


def _decision(row: Mapping[str, object]) -> Decision:
    said = dict(row)
    patch = said["patch"]
    said["patch"] = json.loads(patch) if isinstance(patch, str) else None
    said["reasons"] = tuple(said["reasons"] or ())  # type: ignore[arg-type]
    return Decision(**said)  # type: ignore[arg-type]


def decide(
    lake: Lake,
    table: LakeTable,
    session: Session,
    choose: Callable[[Mapping[str, Decision]], Iterable[Decision]],
    metadata: Mapping[str, str],
) -> list[Decision]:
    """Take decisions in one commit, from what stands at that very moment.

    Args:
        lake: for its scratch.
        table: as `decisions_table` gives it.
        session: for reading what stands.
        choose: gives the decisions from the newest ones of all rows; called again where somebody
            else has decided in between, so that neither loses anything.
        metadata: kept with the commit.

    Returns:
        What was taken; nothing where nothing new was to decide.

    Raises:
        StorageUnavailable: others kept deciding.
    """
    for attempt in range(TRIES):
        before = table.snapshot()
        last = before.batches.number if before and before.batches else 0
        taken = [
            replace(one, decision=last + 1) for one in choose(newest_decisions(session, table))
        ]
        if not taken:
            return []
        try:
            _append(lake, table, taken, last + 1, metadata)
        except StorageUnavailable:
            time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 5)))  # noqa: S311
            continue
        return taken
    raise StorageUnavailable(f"{table.path}: others kept deciding; {TRIES} tries: try again")


def _append(
    lake: Lake, table: LakeTable, taken: Sequence[Decision], number: int, said: Mapping[str, str]
) -> None:
    rows = [
        {**asdict(one), "patch": None if one.patch is None else json.dumps(dict(one.patch))}
        for one in taken
    ]
    with scratch_folder(lake.scratch_root) as scratch:
        path = scratch / "decisions.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path)
        file = DataFile(str(path), len(rows), path.stat().st_size)
        # Two who decide the same at the same moment must not share a file.
        version = PartitionVersion(os.urandom(10).hex(), (file,))
        batches = Batches(number, 0, (), None, "history", None)
        table.append(version, _SCHEMA, batches, said)
