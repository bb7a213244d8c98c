"""From what a person's function gave to a commit: shaped by its contract, audited, published.

Called by the steps of hand-written assets and by the IO manager. A range of partitions comes as a
frame for each or as one for all; either way its audit and its commit are one.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from data_platform.engine.frames import arrow_of, together
from data_platform.engine.inputs import show_inputs
from data_platform.engine.session import Session
from data_platform.errors import ContractError
from data_platform.plan.conversions import Conversion, converted, inexact, stored_type
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import Column, PythonNode
from data_platform.quality.gate import Gate, Passage
from data_platform.storage.lake import LakeTable, Snapshot
from data_platform.storage.snapshots import rows_read

GIVEN, ROWS = "_given", "_rows"
MAX_NAMED = 5


def publish_frames(
    session: Session,
    scratch: Path,
    node: PythonNode,
    table: LakeTable,
    given: Mapping[str, object] | object,
    keys: Sequence[str],
    upstreams: Mapping[str, Snapshot],
    metadata: Mapping[str, str],
) -> Passage:
    """Hold what a function gave to its contract and rules, and make current what passed.

    Args:
        session: to compute in.
        scratch: a folder of this step's own.
        node: the asset.
        table: where it is kept.
        given: a frame by partition, or one for all of them.
        keys: the partitions, or `WHOLE` alone.
        upstreams: the snapshots that were read, by relation.
        metadata: kept with the commit.

    Raises:
        ContractError: it isn't what it should be, by type, columns or partitions.
    """
    giver = node.function
    if isinstance(given, Mapping):
        missing = [key for key in keys if key not in given]
        if missing or len(given) != len(keys):
            strange = sorted(str(key) for key in given if key not in keys)
            raise ContractError(
                f"{giver} gave partitions {_some(sorted(map(str, given)))}; "
                + (f"missing: {_some(missing)}" if missing else f"not asked for: {_some(strange)}")
            )
        arrow = _by_partition(given, keys, giver)
    else:
        arrow = arrow_of(given, giver)
    session.register("_form", arrow.schema.empty_table())
    types = session.columns("SELECT * FROM _form")
    partition = _partition_of(node, keys, types)
    types.pop(PARTITION, None)
    _shape(session, node, arrow, types, partition)
    _require_asked(session, node, keys)
    show_inputs(session, node, keys, upstreams)
    gate = Gate(session, node, table, scratch, keys, metadata)
    gate.make_candidate(ROWS, stored=False)
    audit = gate.audit()
    written = gate.write_sound(audit, computed=True)
    publication = gate.publish(written, audit.failed)
    rows_in = {key: rows_read(node, key, upstreams) for key in keys}
    return Passage(publication, audit.failed, audit.outcomes, rows_in, upstreams=upstreams)


def _by_partition(given: Mapping[str, object], keys: Sequence[str], giver: str) -> pa.Table:
    tables: list[pa.Table] = []
    for key in keys:
        arrow = arrow_of(given[key], giver)
        table = arrow if isinstance(arrow, pa.Table) else arrow.read_all()
        tables.append(table.append_column(PARTITION, pa.repeat(pa.scalar(key), table.num_rows)))
    return together(tables, giver)


def _partition_of(node: PythonNode, keys: Sequence[str], types: Mapping[str, str]) -> str:
    """The partition of each row, as SQL."""
    if PARTITION in types:
        return PARTITION
    if not node.by_range or node.partition_expr is None:
        return literal(keys[0])
    kind = types.get(node.partition_expr)
    if kind is None:
        raise ContractError(
            f"{node.function} gave no column {node.partition_expr!r}, by which a row belongs to a "
            f"partition; it gave {', '.join(types)}"
        )
    name = quoted(node.partition_expr)
    if kind.startswith(("DATE", "TIMESTAMP")):
        # Times with a zone are taken in the session's, which is that of the partitions.
        return f"strftime(CAST({name} AS DATE), '%Y-%m-%d')"
    if kind != "VARCHAR":
        raise ContractError(
            f"{node.function}: {node.partition_expr} is {kind}; a row belongs to a partition by a "
            "date, a timestamp, or a partition's key as text"
        )
    return name


def _shape(
    session: Session,
    node: PythonNode,
    arrow: pa.Table | pa.RecordBatchReader,
    types: Mapping[str, str],
    partition: str,
) -> None:
    """Keep the rows as `ROWS`, converted to the contract's types where that loses nothing."""
    _require_columns(node, types)
    wanted = {column.name: column for column in (node.contract.columns if node.contract else ())}
    parts = [_kept(name, kind, wanted.get(name)) for name, kind in types.items()]
    tests = [
        f"{test} AS {quoted(f'_inexact_{name}')}"
        for name, kind in types.items()
        if (test := _inexact(name, kind, wanted.get(name)))
    ]
    session.register(GIVEN, arrow)
    select = ", ".join([*parts, *tests, f"{partition} AS {PARTITION}"])
    try:
        session.run(f"CREATE OR REPLACE TEMP TABLE {ROWS} AS SELECT {select} FROM {GIVEN}")
    except duckdb.Error as error:
        about = " ".join(str(error).split("\n\n")[0].split())
        raise ContractError(f"{node.function}: {about}") from error
    for name in types:
        if _inexact(name, types[name], wanted.get(name)):
            _require_exact(session, node, name, wanted[name])


def _kept(name: str, kind: str, column: Column | None) -> str:
    if column is None or column.type is None or column.type == stored_type(kind):
        return quoted(name)
    return f"{converted(name, Conversion(column.type, column.type))} AS {quoted(name)}"


def _inexact(name: str, kind: str, column: Column | None) -> str | None:
    if column is None or column.type is None or column.type == stored_type(kind):
        return None
    return inexact(name, Conversion(column.type, column.type))


def _require_exact(session: Session, node: PythonNode, name: str, column: Column) -> None:
    flag = quoted(f"_inexact_{name}")
    [(count, partition)] = session.rows(
        f"SELECT COUNT(*), MIN({PARTITION}) FROM {ROWS} WHERE {flag}"
    )
    if count:
        where = f", the first in partition {partition}" if partition else ""
        raise ContractError(
            f"{node.function} gave {count} values of {name} that are no {column.type}{where}"
        )
    session.run(f"ALTER TABLE {ROWS} DROP COLUMN {flag}")


def _require_columns(node: PythonNode, types: Mapping[str, str]) -> None:
    if node.contract is None:
        return
    found = ", ".join(f"{name} {kind}" for name, kind in types.items())
    missing = [name for name in node.contract.names if name not in types]
    if missing:
        raise ContractError(
            f"{node.function} gave no column {missing[0]!r}, which is in its contract; "
            f"it gave {found}"
        )
    extra = [name for name in types if name not in node.contract]
    if extra:
        raise ContractError(
            f"{node.function} gave {extra[0]!r}, which isn't in its contract: "
            f"{', '.join(node.contract.names)}"
        )


def _require_asked(session: Session, node: PythonNode, keys: Sequence[str]) -> None:
    """Rows must be of the partitions that were asked for, all of them."""
    if node.partition_expr is None or not node.by_range:
        return
    rows = session.rows(f"SELECT DISTINCT {PARTITION} FROM {ROWS}")
    found = [None if key is None else str(key) for (key,) in rows]
    if None in found:
        raise ContractError(
            f"{node.function} gave rows whose {node.partition_expr} is NULL: they are of no "
            "partition"
        )
    strange = sorted(str(key) for key in found if key not in set(keys))
    if strange:
        raise ContractError(
            f"{node.function} gave rows of {_some(strange)} by {node.partition_expr}; "
            f"asked for {keys[0]}" + (f" to {keys[-1]}" if len(keys) > 1 else "")
        )


def _some(keys: Sequence[str]) -> str:
    named = ", ".join(keys[:MAX_NAMED]) or "none"
    return named if len(keys) <= MAX_NAMED else f"{named} and {len(keys) - MAX_NAMED} more"
