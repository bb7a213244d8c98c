"""From what a person's function gave to a commit: shaped by its contract, audited, published.

Called by the steps of hand-written assets and by the IO manager. A range of partitions comes as a
frame for each or as one for all; either way its audit and its commit are one.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow comes without types.

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import duckdb
import pyarrow.parquet as pq

from data_platform.engine.discretion import database_words
from data_platform.engine.full_disks import full_disk
from data_platform.engine.given_rows import write_given
from data_platform.engine.inputs import show_inputs
from data_platform.engine.lake_files import duckdb_type
from data_platform.engine.partition_keys import AWARE, time_key
from data_platform.engine.session import Session
from data_platform.engine.shown_rows import show_given
from data_platform.errors import ContractError, FunctionError
from data_platform.plan.conversions import Conversion, converted, inexact, stored_type
from data_platform.plan.naming import HIDDEN_TYPES, PARTITION, WHOLE
from data_platform.plan.nodes import PythonNode
from data_platform.plan.partitions import TIME, Partitions
from data_platform.plan.schemas import Column
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.gate import Gate, Passage
from data_platform.storage.lake import LakeTable
from data_platform.storage.snapshots import rows_read
from data_platform.storage.versions import Snapshot

GIVEN, ROWS = "_given", "_rows"
ALL = "all"
"""Stands for the partitions of a range that came in one frame."""
MAX_NAMED = 5


class Frames:
    """What calls of a function gave for an asset, in files of scratch.

    Args:
        node: the asset.
        scratch: a folder of this step's own.
        keys: the partitions that the function may be called for, or `WHOLE` alone.
    """

    def __init__(self, node: PythonNode, scratch: Path, keys: Sequence[str]) -> None:
        self.node = node
        self.keys = list(keys)
        self._folder = scratch / "given" / "__".join(node.key)
        self._files: dict[str, list[str]] = {}

    @property
    def given(self) -> set[str]:
        """The partitions that a call gave rows of."""
        return set(self._files)

    def add(self, key: str, rows: object) -> None:
        """Keep what a call for one partition gave.

        Its columns are held to the contract here: among those of other partitions, which are
        matched by name, one that is missing would be NULL.

        Raises:
            FunctionError: it is nothing that can be kept.
            ContractError: it has other columns than promised.
        """
        files = self._written(rows, self.keys.index(key) + 1, "rows")
        for file in files:
            schema = pq.read_schema(file)
            _require_columns(self.node, {field.name: duckdb_type(field.type) for field in schema})
        self._files[key] = files

    def add_range(self, keys: Sequence[str], rows: object) -> None:
        """Keep what one call for many partitions gave: a frame for all, or a dict by partition.

        Raises:
            FunctionError: it is nothing that can be kept, or of other partitions.
        """
        if not isinstance(rows, Mapping):
            self._files[ALL] = self._written(rows, 1, "range")
            return
        by_partition = cast("Mapping[str, object]", rows)
        missing = [key for key in keys if key not in by_partition]
        strange = sorted(str(key) for key in by_partition if key not in set(keys))
        if missing or strange:
            what = f"no {_some(missing)}" if missing else f"{_some(strange)} unasked"
            raise FunctionError(f"{self.node.function} gave {what}: asked for {_some(keys)}")
        for key in keys:
            self.add(key, by_partition[key])

    def show(self, session: Session, keys: Sequence[str]) -> None:
        """Make the rows of some partitions readable as `GIVEN`, with `_partition`."""
        contract = self.node.contract
        otherwise = {c.name: c.type for c in contract.columns if c.type} if contract else {}
        if self.by_expression:
            files, numbered = {WHOLE: self._files[ALL]}, [WHOLE]
        else:
            files, numbered = {key: self._files[key] for key in keys}, self.keys
        try:
            show_given(session, GIVEN, files, numbered, otherwise, {})
        except FunctionError as error:
            raise FunctionError(f"{self.node.function} {error}") from None

    @property
    def by_expression(self) -> bool:
        """Whether a column of the rows tells their partition."""
        return ALL in self._files

    def _written(self, rows: object, number: int, stem: str) -> list[str]:
        # It takes pandas: not where definitions load.
        from data_platform.engine.frames import tables_of  # noqa: PLC0415

        try:
            return write_given(tables_of(rows), self._folder, number, stem)
        except FunctionError as error:
            raise FunctionError(f"{self.node.function} {error}") from None


def publish_frames(
    session: Session,
    scratch: Path,
    frames: Frames,
    table: LakeTable,
    keys: Sequence[str],
    upstreams: Mapping[str, Snapshot],
    metadata: Mapping[str, str],
) -> Passage:
    """Hold what a function gave to its contract and rules, and make current what passed.

    Args:
        session: to compute in.
        scratch: a folder of this step's own.
        frames: what it gave.
        table: where the asset is kept.
        keys: the partitions, or `WHOLE` alone.
        upstreams: the snapshots that were read, by relation.
        metadata: kept with the commit.

    Raises:
        FunctionError: the function gave nothing that can be kept.
        ContractError: it isn't what it should be, by columns, types or partitions.
    """
    node = frames.node
    frames.show(session, keys)
    types = session.columns(f"SELECT * EXCLUDE ({', '.join(HIDDEN_TYPES)}) FROM {GIVEN}")
    partition = _partition_of(session, node, types, keys) if frames.by_expression else PARTITION
    _require_columns(node, types)
    tested = _shape(session, node, types, partition)
    if frames.by_expression:
        _require_asked(session, node, keys)
    failed = _drop_inexact(session, node, tested)
    sound = [key for key in keys if key not in failed]
    if not sound:
        return Passage(None, failed, [])
    show_inputs(session, node, sound, upstreams)
    rows_in = {key: rows_read(node, key, upstreams) for key in sound}
    gate = Gate(session, node, table, scratch, sound, metadata)
    passage = gate.pass_computed(ROWS, rows_in, upstreams)
    return replace(passage, failed={**failed, **passage.failed})


def _partition_of(
    session: Session, node: PythonNode, types: Mapping[str, str], keys: Sequence[str]
) -> str:
    """The partition of each row of a range, as SQL."""
    column = node.partition_expr
    kind = types.get(column or "")
    if column is None or kind is None:
        raise ContractError(
            f"{node.function} gave no column {column!r}, by which a row belongs to a partition; "
            f"it gave {', '.join(types)}"
        )
    partitions = node.partitions
    if kind.startswith(("DATE", "TIMESTAMP")) and _tells_day(partitions):
        # Times with a zone are taken in the session's, which is that of the partitions.
        return f"strftime(CAST({quoted(column)} AS DATE), '%Y-%m-%d')"
    if kind.startswith(("DATE", "TIMESTAMP")) and partitions and partitions.dimensions == (TIME,):
        moment = quoted(column) if kind == AWARE else f"CAST({quoted(column)} AS TIMESTAMP)"
        return time_key(session, partitions.timed, keys, moment, kind)
    if kind != "VARCHAR":
        raise ContractError(
            f"{node.function}: {column} is {kind}; a row belongs to a partition of time by a "
            "date or a timestamp, to any by the partition's key as text"
        )
    return quoted(column)


def _tells_day(partitions: Partitions | None) -> bool:
    """Whether keys are days; they are where only Dagster knows the partitions."""
    if partitions is None:
        return True
    return partitions.dimensions == (TIME,) and partitions.timed.every == "day"


def _shape(
    session: Session, node: PythonNode, types: Mapping[str, str], partition: str
) -> list[str]:
    """Keep the rows as `ROWS`, converted to the contract's types; gives the columns that were.

    Beside each of these stands whether the conversion would lose something.
    """
    wanted = {column.name: column for column in (node.contract.columns if node.contract else ())}
    parts = [_kept(name, kind, wanted.get(name)) for name, kind in types.items()]
    tests = {
        name: test
        for name, kind in types.items()
        if (test := _inexact(name, kind, wanted.get(name)))
    }
    flags = [f"{test} AS {quoted(f'_inexact_{name}')}" for name, test in tests.items()]
    select = ", ".join([*parts, *flags, f"{partition} AS {PARTITION}"])
    try:
        session.run(f"CREATE TEMP TABLE {ROWS} AS SELECT {select} FROM {GIVEN}")
    except duckdb.Error as error:
        if full := full_disk(error):
            raise full from error
        about = database_words(error, discreet=node.discreet)
        raise ContractError(f"{node.function}: {about}") from (None if node.discreet else error)
    return list(tests)


def _kept(name: str, kind: str, column: Column | None) -> str:
    if column is None or column.type is None or column.type == stored_type(kind):
        return quoted(name)
    return f"{converted(name, Conversion(column.type, column.type))} AS {quoted(name)}"


def _inexact(name: str, kind: str, column: Column | None) -> str | None:
    if column is None or column.type is None or column.type == stored_type(kind):
        return None
    return inexact(name, Conversion(column.type, column.type))


def _drop_inexact(session: Session, node: PythonNode, columns: Sequence[str]) -> dict[str, str]:
    """Take partitions out in which a conversion would lose something; says why, by partition."""
    failed: dict[str, str] = {}
    for name in columns:
        flag = quoted(f"_inexact_{name}")
        kind = node.contract[name].type if node.contract else None
        rows = session.rows(f"SELECT {PARTITION}, COUNT(*) FROM {ROWS} WHERE {flag} GROUP BY 1")
        for key, count in rows:
            message = f"{node.function} gave {count} values of {name} that are no {kind}"
            failed.setdefault(str(key), message)
        session.run(f"ALTER TABLE {ROWS} DROP COLUMN {flag}")
    if failed:
        session.run(f"DELETE FROM {ROWS} WHERE {PARTITION} IN ({', '.join(map(literal, failed))})")
    return failed


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
    rows = session.rows(f"SELECT DISTINCT {PARTITION} FROM {ROWS}")
    found = [None if key is None else str(key) for (key,) in rows]
    if None in found:
        raise ContractError(
            f"{node.function} gave rows whose {node.partition_expr} is NULL, or of no time that "
            "was asked for: they are of no partition"
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
