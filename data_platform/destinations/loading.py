"""Destinations: published partitions of the lake, carried into a table.

Called by `destinations.assets`. What is loaded is one snapshot of the asset; partitions whose
version the table holds already are left alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from data_platform.engine.work import Work
from data_platform.plan.expressions import quoted
from data_platform.plan.naming import FILE, PARTITION, ROW
from data_platform.plan.nodes import DestinationNode
from data_platform.storage.lake import Snapshot
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.warehouse import Target, Version, load
from data_platform.storage.workbench import Workbench

BATCH_ROWS = 122_880
"""DuckDB's own row group: smaller batches only cost calls."""


@dataclass(frozen=True)
class Loading:
    """What a load did.

    Attributes:
        versions: of the partitions that the table holds now.
        loaded: those that were brought in; the others were there.
        failed: why a partition isn't loaded, by partition.
        upstreams: the snapshot that was read, by relation.
    """

    versions: Mapping[str, Version]
    loaded: frozenset[str]
    failed: Mapping[str, str]
    upstreams: Mapping[str, Snapshot] = field(default_factory=dict)


def deliver(
    node: DestinationNode, keys: Sequence[str], workbench: Workbench, url: str, run_id: str
) -> Loading:
    """Load partitions of an asset into its table.

    Args:
        node: the destination.
        keys: its partitions, or `WHOLE` alone.
        workbench: with the lake.
        url: of the database.
        run_id: for the ledger.

    Raises:
        StorageUnavailable: the database can't be reached.
        StorageError: the table doesn't fit, or the database refuses.
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
    target = target_of(node)
    with workbench.open() as (session, _):
        session.show("_loading", snapshot.files(ready))
        unseen = f"{PARTITION}, {FILE}, {ROW}"
        columns = session.columns(f"SELECT * EXCLUDE ({unseen}) FROM _loading")

        def rows(due: Sequence[str]) -> pa.RecordBatchReader:
            session.show("_loading", snapshot.files(due))
            added = (
                f", {PARTITION} AS {quoted(str(target.partition_column))}"
                if target.adds_partition_column
                else ""
            )
            query = f"SELECT * EXCLUDE ({unseen}){added} FROM _loading"
            return _counted(session.connection.sql(query).to_arrow_reader(BATCH_ROWS), work)

        work = workbench.work
        loaded = load(url, target, versions, columns, rows, run_id, work)
    return Loading(versions, frozenset(loaded), absent, snapshots)


def _counted(reader: pa.RecordBatchReader, work: Work) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            work.go_on()
            work.count(batch.num_rows, batch.nbytes)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def target_of(node: DestinationNode) -> Target:
    """The table of a destination."""
    partitioned = node.partitions is not None
    column = (node.partition_column or PARTITION) if partitioned else None
    return Target(
        node.table, node.write, column, partitioned and node.partition_column is None, node.contract
    )
