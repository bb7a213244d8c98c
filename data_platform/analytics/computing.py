"""Analytics: a person's SQL over just what each partition reads, at once where its form allows it.

Called by `analytics.assets`. Results of all partitions gather in one candidate, so that the audit
and the commit are one for the whole range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import duckdb

from data_platform.engine.discretion import database_words
from data_platform.engine.full_disks import full_disk
from data_platform.engine.inputs import partitions_read, show_by_reader, show_inputs
from data_platform.engine.session import Session
from data_platform.engine.windows import show_windows
from data_platform.errors import ContractError, PermanentError
from data_platform.plan.checks.kinds import ReconcileCheck, RowCheck
from data_platform.plan.checks.value_kinds import SqlCheck
from data_platform.plan.conversions import stored_type
from data_platform.plan.naming import FILE, PARTITION, ROW
from data_platform.plan.nodes import AnalyticsNode
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.plan.sql.ranges import ONCE
from data_platform.quality.gate import Gate, Passage
from data_platform.storage.snapshots import missing_inputs, rows_read, snapshots_of
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench

RESULT = "_result"


def compute(
    node: AnalyticsNode, keys: Sequence[str], workbench: Workbench, metadata: Mapping[str, str]
) -> Passage:
    """Compute partitions of an analytics asset.

    Args:
        node: the asset.
        keys: its partitions, or `WHOLE` alone.
        workbench: with the lake.
        metadata: kept with the commit.

    Raises:
        ContractError: the SQL doesn't fit its inputs' columns, or gives others than promised.
    """
    snapshots = snapshots_of(node, workbench.lake)
    absent = missing_inputs(node, keys, snapshots)
    ready = [key for key in keys if key not in absent]
    if not ready:
        return Passage(None, absent, [])
    timezone = node.partitions.timezone if node.partitions else "UTC"
    with workbench.open(timezone=timezone, node=node) as (session, scratch):
        rows_in = _gather(session, node, ready, snapshots)
        _hold_to_contract(session, node)
        _show_for_checks(session, node, ready, snapshots)
        gate = Gate(session, node, workbench.lake.table(node.key), scratch, ready, metadata)
        passage = gate.pass_computed(RESULT, rows_in, snapshots)
        return replace(passage, failed={**absent, **passage.failed})


def _gather(
    session: Session, node: AnalyticsNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> dict[str, int]:
    """Fill `RESULT`; gives the rows that each partition read."""
    at_once = node.range_sql is not None and len(keys) > 1
    try:
        if at_once:
            _show_range(session, node, keys, snapshots)
            session.run(f"CREATE TEMP TABLE {RESULT} AS {node.range_sql}")
        else:
            _gather_one_by_one(session, node, keys, snapshots)
    except duckdb.BinderException as error:
        raise ContractError(f"{node.key}: {_first_part(error)}") from error
    except duckdb.Error as error:
        if full := full_disk(error):
            raise full from error
        if node.discreet:
            about = database_words(error, discreet=True)
            raise PermanentError(f"{node.key}: {about}") from None
        raise PermanentError(f"{node.key}: {_first_part(error)}") from error
    return {key: rows_read(node, key, snapshots) for key in keys}


def _show_range(
    session: Session, node: AnalyticsNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> None:
    """Inputs for the statement that does all partitions at once."""
    if node.partitions is not None:
        show_windows(session, node.partitions, keys)
    for given in node.inputs:
        relation, snapshot = relation_of(given), snapshots[relation_of(given)]
        if given.reads in {"whole", "all"}:
            session.show(relation, snapshot.files(snapshot.partitions), hidden=False)
            continue
        rows = once = f"{relation} (with files)"
        if given.reads == "same":
            session.show(rows, snapshot.files(keys))
        else:
            pairs = {key: partitions_read(given, node, [key], snapshot.partitions) for key in keys}
            once = show_by_reader(session, rows, snapshot, pairs)
        for name, source in ((relation, rows), (f"{relation}{ONCE}", once)):
            session.run(
                f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS "
                f"SELECT * EXCLUDE ({FILE}, {ROW}) FROM {quoted(source)}"
            )


def _gather_one_by_one(
    session: Session, node: AnalyticsNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> None:
    """Run the statement once for each partition; what all read alike is read from files once."""
    for given in node.inputs:
        if given.reads in {"whole", "all"}:
            relation, snapshot = relation_of(given), snapshots[relation_of(given)]
            session.show(relation, snapshot.files(snapshot.partitions), hidden=False)
            if len(keys) > 1:
                session.keep(relation)
    for number, key in enumerate(keys):
        for given in node.inputs:
            if given.reads not in {"whole", "all"}:
                snapshot = snapshots[relation_of(given)]
                wanted = partitions_read(given, node, [key], snapshot.partitions)
                session.show(relation_of(given), snapshot.files(wanted), hidden=False)
        verb = f"CREATE TEMP TABLE {RESULT} AS" if number == 0 else f"INSERT INTO {RESULT} BY NAME"
        bound = node.partitions.bound(key) if node.partitions else {}
        parameters = {name: bound[name] for name in node.parameters}
        session.run(
            f"{verb} SELECT *, {literal(key)} AS {PARTITION} FROM ({node.sql}\n)", parameters
        )


def _show_for_checks(
    session: Session, node: AnalyticsNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> None:
    """Checks read upstreams with partitions, over the whole range, under names of their own."""
    checks = [
        c
        for c in node.checks
        if isinstance(c, ReconcileCheck)
        or (isinstance(c, RowCheck) and c.references)
        or (isinstance(c, SqlCheck) and c.reads)
    ]
    if not checks:
        return
    for given in node.inputs:
        session.forget(relation_of(given))
    show_inputs(session, node, keys, snapshots)


def _hold_to_contract(session: Session, node: AnalyticsNode) -> None:
    given = session.columns(f"SELECT * EXCLUDE ({PARTITION}) FROM {RESULT}")
    promised = node.contract.columns if node.contract else ()
    wrong = [
        f"{c.name} {c.type or ''}".strip()
        for c in promised
        if c.name not in given or (c.type and c.type != stored_type(given[c.name]))
    ]
    if wrong:
        found = ", ".join(f"{name} {kind}" for name, kind in given.items())
        raise ContractError(
            f"{node.key}: the contract promises {', '.join(wrong)}; the SQL gives {found}"
        )


def _first_part(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())
