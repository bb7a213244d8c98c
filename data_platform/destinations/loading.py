"""Destinations: published partitions of the lake, carried to a target.

Called by `destinations.assets`. What is loaded is one snapshot of the asset; partitions whose
version the target holds already are left alone. Where there are rules, the table is judged before
the commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from data_platform.destinations.judging import Judging
from data_platform.destinations.own_partitions import part_of, require_own_partitions
from data_platform.engine.outside import Outside
from data_platform.engine.work import Work
from data_platform.plan.destinations.kinds import added_columns
from data_platform.plan.destinations.narrowing import Range
from data_platform.plan.naming import FILE, PARTITION, ROW
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.sql.expressions import quoted
from data_platform.quality.outcomes import Outcome
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench
from data_platform.targets import answering
from data_platform.targets.deliveries import Delivery, Version

ROWS = "_loading"
"""The relation of what is loaded."""
BATCH_ROWS = 122_880
"""DuckDB's own row group: smaller batches only cost calls."""


@dataclass(frozen=True)
class Loading:
    """What a load did.

    Attributes:
        versions: of the partitions that the table holds now.
        loaded: those that were brought in; the others were there.
        absent: why a partition couldn't be loaded at all, by partition.
        broken: which rules a partition broke; then the whole load was rolled back.
        upstreams: the snapshots that were read, by relation.
        outcomes: of the rules, over the partitions that were brought in; none where the table had
            all of them.
        undone: the partitions that broke no rule, but were rolled back with one that did.
        standing: data versions that the table holds on, of partitions that were rolled back.
        judging: seconds of reading back and judging.
        said: what a person should know of the load, as a column that was added.
    """

    versions: Mapping[str, Version]
    loaded: frozenset[str]
    absent: Mapping[str, str]
    broken: Mapping[str, str] = field(default_factory=dict[str, str])
    upstreams: Mapping[str, Snapshot] = field(default_factory=dict)
    outcomes: Sequence[Outcome] = ()
    undone: frozenset[str] = frozenset()
    standing: Mapping[str, str] = field(default_factory=dict[str, str])
    judging: float = 0.0
    said: Sequence[str] = ()

    @property
    def failed(self) -> Mapping[str, str]:
        """Why a partition isn't loaded, those not named that were rolled back with one."""
        return {**self.absent, **self.broken}

    @property
    def rolled_back(self) -> bool:
        """Whether rules undid the load."""
        return bool(self.broken)


def deliver(
    node: DestinationNode,
    keys: Sequence[str],
    workbench: Workbench,
    outside: Outside,
    run_id: str,
) -> Loading:
    """Load partitions of an asset into its target, all of them or none.

    Args:
        node: the destination.
        keys: its partitions, or `WHOLE` alone.
        workbench: with the lake.
        outside: what the target is in.
        run_id: for the ledger.

    Raises:
        StorageUnavailable: the database can't be reached.
        StorageError: the table doesn't fit, or the database refuses.
        ContractError: a value isn't what a rule takes it for.
    """
    snapshots = snapshots_of(node, workbench.lake)
    absent = missing_inputs(node, keys, snapshots)
    ready = [key for key in keys if key not in absent]
    if not ready:
        return Loading({}, frozenset(), absent)
    snapshot = snapshots[node.source.relation]
    versions = {
        key: Version(snapshot.partitions[key].data_version, snapshot.partitions[key].rows)
        for key in ready
    }
    with workbench.open() as (session, scratch):
        session.show(ROWS, snapshot.files(ready))
        unseen = f"{PARTITION}, {FILE}, {ROW}"
        columns = session.columns(f"SELECT * EXCLUDE ({unseen}) FROM {ROWS}")

        def rows(due: Sequence[str]) -> pa.RecordBatchReader:
            session.show(ROWS, snapshot.files(due))
            require_own_partitions(session, node, columns, ROWS)
            named = added_columns(node.target, node.partitions, columns)
            added = "".join(f", {part_of(node, d)} AS {quoted(c)}" for c, d in named.items())
            query = f"SELECT * EXCLUDE ({unseen}){added} FROM {ROWS}"
            return _counted(session.connection.sql(query).to_arrow_reader(BATCH_ROWS), work)

        def ranges(columns: Sequence[str]) -> dict[str, Range]:
            session.show(ROWS, snapshot.files(ready))
            asked = ", ".join(f"min({quoted(name)}), max({quoted(name)})" for name in columns)
            (found,) = session.rows(f"SELECT {asked} FROM {ROWS}")
            pairs = zip(found[::2], found[1::2], strict=True)
            return {
                name: None if low is None else (low, high)
                for name, (low, high) in zip(columns, pairs, strict=True)
            }

        work, said = workbench.work, list[str]()
        judge = Judging(node, session, snapshots) if node.checks else None
        delivery = Delivery(
            node,
            versions,
            columns,
            rows,
            outside,
            scratch,
            run_id,
            work,
            judge,
            said.append,
            ranges,
        )
        loaded = answering.deliver(delivery)
    told = Loading(versions, frozenset(loaded), absent, upstreams=snapshots, said=said)
    return _judged(told, judge, node, outside) if judge else told


def _judged(loading: Loading, judge: Judging, node: DestinationNode, outside: Outside) -> Loading:
    """A load with what its rules found; of one that was rolled back nothing stands."""
    audit = judge.audit
    if audit is None:
        return loading
    loading = replace(loading, outcomes=audit.outcomes, judging=judge.seconds)
    if not audit.failed:
        return loading
    undone = audit.rows.keys() - audit.failed.keys()
    kept = {key: one for key, one in loading.versions.items() if key not in audit.rows}
    held = answering.held(node, outside)
    return replace(
        loading,
        versions=kept,
        broken=audit.failed,
        undone=frozenset(undone),
        standing={key: held[key].data_version for key in audit.rows if key in held},
    )


def _counted(reader: pa.RecordBatchReader, work: Work) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            work.go_on()
            work.count(batch.num_rows, batch.nbytes)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
