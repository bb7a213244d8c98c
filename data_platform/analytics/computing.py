"""Analytics: a person's SQL, run once for each partition over just what that partition reads.

Called by `analytics.assets`. Results of all partitions gather in one candidate, so that the audit
and the commit are one for the whole range.
"""

from collections.abc import Mapping, Sequence

import duckdb

from data_platform.engine.inputs import partitions_read, show_inputs
from data_platform.engine.session import Session
from data_platform.errors import ContractError, PermanentError
from data_platform.plan.checks import relation_of
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import AnalyticsNode, ReconcileCheck, RowCheck
from data_platform.quality.gate import Gate, Passage
from data_platform.storage.lake import Snapshot
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.workbench import Workbench

RESULT = "_result"


def compute(node: AnalyticsNode, keys: Sequence[str], workbench: Workbench, metadata: Mapping[str, str]) -> Passage:
    """Compute partitions of an analytics asset.

    Args:
        node: the asset.
        keys: its partitions, or `WHOLE` alone.
        workbench: with the lake.
        metadata: kept with the commit.

    Raises:
        ContractError: the SQL doesn't fit the columns that its inputs have, or gives others than promised.
    """
    snapshots = snapshots_of(node, workbench.lake)
    absent = missing_inputs(node, keys, snapshots)
    ready = [key for key in keys if key not in absent]
    if not ready:
        return Passage(None, absent, [])
    with workbench.open() as (session, scratch):
        rows_in = _gather(session, node, ready, snapshots)
        _hold_to_contract(session, node)
        _show_for_checks(session, node, ready, snapshots)
        gate = Gate(session, node, workbench.lake.table(node.key), scratch, ready, metadata)
        gate.make_candidate(RESULT, stored=False)
        audit = gate.audit()
        written = gate.write_sound(audit, computed=True)
        publication = gate.publish(written, audit.failed)
        return Passage(publication, {**absent, **audit.failed}, audit.outcomes, rows_in, upstreams=snapshots)


def _gather(
    session: Session, node: AnalyticsNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> dict[str, int]:
    """Fill `RESULT` partition by partition; gives the rows that each read."""
    read_whole = _keep_what_is_read_whole(session, node, snapshots) if len(keys) > 1 else set()
    by_partition = [given for given in node.inputs if relation_of(given) not in read_whole]
    rows_in: dict[str, int] = {}
    for number, key in enumerate(keys):
        rows_in[key] = 0
        for given in node.inputs:
            snapshot = snapshots[relation_of(given)]
            wanted = partitions_read(given, node, [key], snapshot.partitions)
            rows_in[key] += sum(snapshot.partitions[past].rows for past in wanted)
            if given in by_partition:
                session.show(relation_of(given), snapshot.files(wanted), hidden=False)
        verb = f"CREATE TEMP TABLE {RESULT} AS" if number == 0 else f"INSERT INTO {RESULT} BY NAME"
        try:
            session.run(f"{verb} SELECT *, {literal(key)} AS {PARTITION} FROM ({node.sql}\n)", _parameters(node, key))  # noqa: S608
        except duckdb.BinderException as error:
            raise ContractError(f"{node.key}: {_first_part(error)}") from error
        except duckdb.Error as error:
            raise PermanentError(f"{node.key}{f' {key}' if key else ''}: {_first_part(error)}") from error
    return rows_in


def _keep_what_is_read_whole(
    session: Session, node: AnalyticsNode, snapshots: Mapping[str, Snapshot]
) -> set[str]:
    """Inputs that every partition reads alike are read from their files once."""
    kept: set[str] = set()
    for given in node.inputs:
        relation = relation_of(given)
        if given.reads not in {"whole", "all"}:
            continue
        snapshot = snapshots[relation]
        session.show("_whole", snapshot.files(snapshot.partitions), hidden=False)
        session.run(f"CREATE TEMP TABLE {quoted(relation)} AS SELECT * FROM _whole")
        kept.add(relation)
    return kept


def _show_for_checks(
    session: Session, node: AnalyticsNode, keys: Sequence[str], snapshots: Mapping[str, Snapshot]
) -> None:
    """The checks read their upstreams with partitions, over the whole range."""
    others = {check.other for check in node.checks if isinstance(check, ReconcileCheck)}
    others |= {check.references for check in node.checks if isinstance(check, RowCheck) and check.references}
    if not others:
        return
    for given in node.inputs:
        session.run(f"DROP TABLE IF EXISTS {quoted(relation_of(given))}") if len(keys) > 1 and given.reads in {
            "whole",
            "all",
        } else session.hide(relation_of(given))
    show_inputs(session, node, keys, snapshots)


def _parameters(node: AnalyticsNode, key: str) -> dict[str, object]:
    if node.partitions is None or key == WHOLE:
        return {}
    start, end = node.partitions.window(key)
    values = {
        "partition_key": key,
        "partition_start": start.replace(tzinfo=None),
        "partition_end": end.replace(tzinfo=None),
    }
    return {name: values[name] for name in node.parameters}


def _hold_to_contract(session: Session, node: AnalyticsNode) -> None:
    given = session.columns(f"SELECT * EXCLUDE ({PARTITION}) FROM {RESULT}")  # noqa: S608
    promised = node.contract.columns if node.contract else ()
    wrong = [f"{c.name} {c.type or ''}".strip() for c in promised if c.name not in given or (c.type and c.type != given[c.name])]
    if wrong:
        found = ", ".join(f"{name} {kind}" for name, kind in given.items())
        raise ContractError(f"{node.key}: the contract promises {', '.join(wrong)}; the SQL gives {found}")


def _first_part(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())
