"""What of an arrival is new: the rows that an incremental source adds as one batch.

Called by `raw.extraction` once what arrived is in scratch, and again after its audit. Rows that are
known are left out, so that reading the same rows again, as lookbacks and ties at the watermark need
it, adds nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from data_platform.engine.session import LakeFiles, Session
from data_platform.errors import SourceError
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.increments import (
    Position,
    goes_on,
    lower_bound,
    position_of,
    watermark_of,
    written,
)
from data_platform.plan.naming import (
    FILE,
    HIDDEN_TYPES,
    PARTITION,
    PROVENANCE,
    ROW,
    WHOLE,
    WITHOUT_CURSOR,
)
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources import Increments
from data_platform.quality.gate import Gate, Passage
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.storage.batches import Batches
from data_platform.storage.lake import LakeTable, Snapshot, merged_schema
from data_platform.storage.publish import WRITTEN, Publication, Written, write

ARRIVED, WANTED, OLDER, KNOWN = "_arrived", "_wanted", "_older", "_known_rows"
STANDING, UNREPLACED = "_standing", "_unreplaced"
_FLOATS = {"FLOAT", "DOUBLE"}
_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}


@dataclass(frozen=True)
class Cursor:
    """The column that rises, as statements order rows by it.

    Attributes:
        name: of it.
        type: DuckDB's.
    """

    name: str
    type: str

    @property
    def value(self) -> str:
        """What is compared."""
        return self.value_of(quoted(self.name))

    def value_of(self, text: str) -> str:
        """What is compared of an expression: a text stands for the time that it names."""
        if self.type != "VARCHAR":
            return text
        return f"TRY_CAST({text} AS TIMESTAMP WITH TIME ZONE)"

    @property
    def positioned(self) -> str:
        """Whether a row has a place in the order: infinity comes after everything else."""
        if self.type in _FLOATS:
            return f"COALESCE(ISFINITE({self.value}), FALSE)"
        if self.type in _NUMBERS or self.type.startswith("DECIMAL"):
            return f"{self.value} IS NOT NULL"
        # What Python's calendar has: the watermark goes through it.
        return f"COALESCE(YEAR({self.value}) BETWEEN 1 AND 9999, FALSE)"

    def at_least(self, bound: str | float | None) -> str:
        """Whether a row is to be looked at; `bound` as `increments.written` gives it."""
        if bound is None:
            return self.positioned
        kind = "TIMESTAMP WITH TIME ZONE" if self.type == "VARCHAR" else self.type
        return f"{self.positioned} AND {self.value} >= CAST({literal(f'{bound}')} AS {kind})"


@dataclass(frozen=True)
class Batch:
    """What a run adds.

    Attributes:
        written: its rows, in scratch; they are readable as `WRITTEN`.
        read: how many rows arrived.
        position: to be committed with them.
        notices: to warn about.
    """

    written: Written
    read: int
    position: Position | None
    notices: Sequence[Notice]


def position_in(node: RawNode, before: Snapshot | None, table: LakeTable) -> Position | None:
    """How far the newest batch of an incremental source got.

    Raises:
        ContractError: the table was landed whole.
    """
    if node.increments is None or before is None:
        return None
    if before.batches is None:
        raise table.not_in_batches()
    return before.batches.position


def new_rows(
    question: Question, before: Snapshot | None, arrival: Arrival, arrived: Written
) -> Batch | None:
    """The rows of an arrival that aren't known; None where a run reads all anew.

    Args:
        question: as the source was asked.
        before: the table as it was then.
        arrival: what the source said.
        arrived: its rows, in scratch.

    Raises:
        SourceError: a row can't be told from another as the pipeline says.
        ContractError: a column changed its type.
    """
    increments = question.node.increments
    if increments is None:
        return None
    total = arrived.versions[WHOLE]
    if increments.cursor is None:
        # As JSON gives it back.
        position = json.loads(json.dumps(arrival.position))
        return Batch(arrived, total.rows, position, ())
    if before is not None:
        merged_schema(before.schema, arrived.schema, f"{question.node.key}")
    session = question.session
    paths = [file.path for file in total.files]
    files = LakeFiles(paths, arrived.schema, partitioned=False, uniform=True)
    session.show(ARRIVED, files, provenance=arrival.provenance)
    columns = session.columns(f"SELECT * FROM {ARRIVED}")
    cursor = _cursor(question.node, increments, columns)
    bound = _bound(increments, question.position)
    wanted = cursor.at_least(bound)
    try:
        without = _without_position(session, question.node, cursor)
        position = _position(session, increments, question.position, cursor, wanted)
        query = _new(session, increments, before, cursor, wanted, arrived.schema.names)
        own = [*arrived.schema.names, *(PROVENANCE if arrival.provenance else ())]
        select = f"SELECT {', '.join(map(quoted, own))}"
        folder = question.scratch / "new"
        fresh = write(session, select, f"FROM ({query})", folder, [WHOLE], computed=False)
    except duckdb.DataError as error:
        about = " ".join(str(error).split("\n\n")[0].split())
        raise SourceError(f"{question.node.key}: cursor {cursor.name}: {about}") from error
    return Batch(fresh, total.rows, position, [without])


def publish_batch(
    gate: Gate,
    node: RawNode,
    batch: Batch,
    before: Snapshot | None,
    failed: Mapping[str, str],
) -> Publication | None:
    """Commit a batch with its position, unless it failed; where nothing is new there is no commit.

    Raises:
        StorageUnavailable: another run added a batch since `before`.
    """
    increments = node.increments
    if failed or increments is None:
        return None
    last = before.batches if before else None
    version = batch.written.versions[WHOLE]
    state = Batches(
        last.number + 1 if last else 1,
        0,
        increments.key,
        increments.cursor,
        increments.keep,
        batch.position,
    )
    if before and last and not version.rows and _same(state, last):
        return Publication(before.partitions, frozenset(), before.version)
    with gate.timed("publish"):
        state = replace(state, rows=_seen(gate.session, state, before, batch.written))
        lake_version = gate.table.append(version, batch.written.schema, state, gate.metadata)
    after = gate.table.snapshot()
    return Publication(after.partitions if after else {}, frozenset({WHOLE}), lake_version)


def told(passage: Passage, batch: Batch) -> Passage:
    """What a materialization tells of a batch: what was read, and what of it is new."""
    said: dict[str, Any] = {
        **passage.said.get(WHOLE, {}),
        "rows_new": batch.written.versions[WHOLE].rows,
    }
    watermark = (batch.position or {}).get("watermark")
    if watermark is not None:
        # As text: a number would be plotted.
        said["watermark"] = f"{watermark}"
    return replace(passage, rows_in={WHOLE: batch.read}, said={WHOLE: said})


def show_standing(session: Session, node: RawNode, before: Snapshot | None) -> str | None:
    """What readers would still see of older batches, for rules over the whole asset."""
    if before is None or before.batches is None or node.increments is None:
        return None
    session.show(STANDING, before.files([WHOLE]))
    increments = node.increments
    # The rows of the batch are told from them by their partition.
    rows = f"SELECT o.* REPLACE ('before' AS {PARTITION}) FROM {STANDING} AS o"
    if increments.key and increments.keep == "latest":
        same = f"{_alike(increments.key)} AND {_named(increments.key, 'o.')}"
        rows = f"{rows} ANTI JOIN {WRITTEN} AS n ON {same}"
    session.run(f"CREATE OR REPLACE TEMP VIEW {UNREPLACED} AS {rows}")
    return UNREPLACED


def _cursor(node: RawNode, increments: Increments, columns: Mapping[str, str]) -> Cursor:
    spelled = {name.lower(): name for name in columns}
    for name in (increments.cursor or "", *increments.key):
        if name.lower() not in spelled:
            own = ", ".join(c for c in columns if c not in {*HIDDEN_TYPES, *PROVENANCE})
            what = "cursor" if name == increments.cursor else "key"
            raise SourceError(f"{node.key}: there is no column {name} to be its {what}: {own}")
    name = spelled[(increments.cursor or "").lower()]
    kind = columns[name]
    known = kind in _TIMES | _FLOATS | _NUMBERS | {"VARCHAR"} or kind.startswith("DECIMAL")
    if not known:
        raise SourceError(
            f"{node.key}: cursor {name} is {kind}: it must be a time, a date or a number"
        )
    return Cursor(name, kind)


def _bound(increments: Increments, position: Position | None) -> str | int | float | None:
    found = lower_bound(increments, position)
    if found is None:
        return None
    if not goes_on(increments, position) and isinstance(increments.start, str):
        return increments.start
    return written(found)


def _without_position(session: Session, node: RawNode, cursor: Cursor) -> Notice:
    """Rows that can't be landed, since nothing would tell later whether they are known.

    Raises:
        SourceError: a text isn't a time.
    """
    missing, unread, example = session.rows(
        f"SELECT COUNT(*) FILTER (NOT {cursor.positioned}), "
        f"COUNT(*) FILTER ({cursor.value} IS NULL AND {quoted(cursor.name)} IS NOT NULL), "
        f"MIN({quoted(cursor.name)}) FILTER ({cursor.value} IS NULL) FROM {ARRIVED}"
    )[0]
    if unread:
        shown = f", such as {str(example)[:40]!r}" if not node.masking.hides(cursor.name) else ""
        raise SourceError(
            f"{node.key}: cursor {cursor.name} is a text that is no time in {unread:,} rows"
            f"{shown}: name the type of the column under `columns`"
        )
    detail = f"{missing:,} rows whose {cursor.name} is NULL or infinite: they aren't landed"
    return Notice(WITHOUT_CURSOR, WHOLE, missing, detail)


def _position(
    session: Session,
    increments: Increments,
    before: Position | None,
    cursor: Cursor,
    wanted: str,
) -> Position:
    """The greatest cursor of what arrived, or of what was there where that is greater."""
    own = quoted(cursor.name)
    greatest = f"SELECT {own} AS c, {cursor.value} AS v FROM {ARRIVED} WHERE {wanted}"
    last = watermark_of(before) if goes_on(increments, before) else None
    if last is not None:
        former = f"CAST({literal(f'{written(last)}')} AS {cursor.type})"
        greatest = f"{greatest} UNION ALL SELECT {former}, {cursor.value_of(former)}"
    found = session.rows(f"SELECT c FROM ({greatest}) ORDER BY v DESC LIMIT 1")
    return position_of(increments, found[0][0] if found else None, cursor.type)


def _new(
    session: Session,
    increments: Increments,
    before: Snapshot | None,
    cursor: Cursor,
    wanted: str,
    names: Sequence[str],
) -> str:
    """A SELECT of the rows that are new, over what arrived."""
    session.run(f"CREATE OR REPLACE TEMP VIEW {WANTED} AS SELECT * FROM {ARRIVED} WHERE {wanted}")
    latest = bool(increments.key) and increments.keep == "latest"
    if before is None:
        if not latest:
            return f"SELECT * FROM {WANTED}"
        return f"{_top(increments.key, cursor)} ORDER BY {FILE}, {ROW}"
    _show_known(session, before, cursor, wanted, names)
    if not latest:
        return _further(f"SELECT * FROM {WANTED}", f"SELECT * FROM {KNOWN}", names)
    nameless = f"NOT ({_named(increments.key)})"
    further = _further(
        f"SELECT * FROM {WANTED} WHERE {nameless}",
        f"SELECT * FROM {KNOWN} WHERE {nameless}",
        names,
    )
    return (
        f"SELECT * FROM ({_changed(increments.key, cursor, names)} "
        f"UNION ALL BY NAME {further}) ORDER BY {FILE}, {ROW}"
    )


def _show_known(
    session: Session, before: Snapshot, cursor: Cursor, wanted: str, names: Sequence[str]
) -> None:
    """Make the rows readable among which those that come again are; all others stay unread."""
    session.show(OLDER, before.all_rows([WHOLE]))
    types = session.columns(f"SELECT * FROM {ARRIVED}")
    there = {field.name.lower() for field in before.schema}
    kept = ", ".join(
        quoted(name) if name.lower() in there else f"CAST(NULL AS {types[name]}) AS {quoted(name)}"
        for name in names
    )
    condition = wanted if cursor.name.lower() in there else "TRUE"
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {KNOWN} AS "
        f"SELECT {kept}, {FILE}, {ROW} FROM {OLDER} WHERE {condition}"
    )


def _top(key: Sequence[str], cursor: Cursor) -> str:
    """Of each key what has the greatest cursor; several rows where they are even."""
    keys = ", ".join(map(quoted, key))
    itself = f"CASE WHEN {_named(key)} THEN 0 ELSE {ROW} + 1 END"
    window = f"PARTITION BY {keys}, {itself} ORDER BY {cursor.value} DESC"
    return f"SELECT * FROM {WANTED} QUALIFY RANK() OVER ({window}) = 1"


def _changed(key: Sequence[str], cursor: Cursor, names: Sequence[str]) -> str:
    """The newest rows of keys that are others than before.

    A row that is known may have become the newest again: its key has nothing new then, and what
    was the newest didn't come.
    """
    keys = ", ".join(map(quoted, key))
    order = f"{FILE} DESC, {cursor.value} DESC NULLS LAST, {ROW} DESC"
    same_row, same_key = _alike(names), _alike(key)
    return (
        f"WITH tops AS (SELECT * FROM ({_top(key, cursor)}) WHERE {_named(key)}), "
        f"newest AS (SELECT * FROM {KNOWN} WHERE {_named(key)} "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {order}) = 1), "
        f"fresh AS (SELECT o.* FROM tops AS o ANTI JOIN {KNOWN} AS n ON {same_row}), "
        f"standing AS (SELECT o.* FROM tops AS o SEMI JOIN newest AS n ON {same_row}), "
        f"quiet AS (SELECT o.* FROM tops AS o ANTI JOIN fresh AS n ON {same_key}), "
        f"again AS (SELECT o.* FROM quiet AS o ANTI JOIN standing AS n ON {same_key} "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {ROW} DESC) = 1) "
        "SELECT * FROM fresh UNION ALL SELECT * FROM again"
    )


def _further(arrived: str, known: str, names: Sequence[str]) -> str:
    """Rows beyond as many equal ones as are known."""
    columns = ", ".join(map(quoted, names))
    return (
        f"SELECT o.* EXCLUDE (_nth) FROM "
        f"(SELECT *, ROW_NUMBER() OVER (PARTITION BY {columns}) AS _nth FROM ({arrived})) AS o "
        f"LEFT JOIN (SELECT {columns}, COUNT(*) AS _times FROM ({known}) GROUP BY ALL) AS n "
        f"ON {_alike(names)} WHERE o._nth > COALESCE(n._times, 0)"
    )


def _seen(session: Session, state: Batches, before: Snapshot | None, fresh: Written) -> int:
    """How many rows readers see with a batch; only keys are read for it."""
    new = fresh.versions[WHOLE].rows
    if state.newest is None:
        files = before.partitions[WHOLE].files if before else ()
        return new + sum(file.rows for file in files)
    if before is None or before.batches is None:
        return _count(session, f"SELECT * FROM {WRITTEN}", state.key)
    session.show(OLDER, before.all_rows([WHOLE]))
    if before.batches.newest is not None and before.batches.key == state.key:
        keys = ", ".join(map(quoted, state.key))
        added = (
            f"SELECT o.* FROM (SELECT DISTINCT {keys} FROM {WRITTEN} WHERE {_named(state.key)}) "
            f"AS o ANTI JOIN {OLDER} AS n ON {_alike(state.key)} "
            f"UNION ALL SELECT {keys} FROM {WRITTEN} WHERE NOT ({_named(state.key)})"
        )
        return before.batches.rows + int(session.rows(f"SELECT COUNT(*) FROM ({added})")[0][0])
    there = {field.name.lower() for field in before.schema}
    former = ", ".join(
        quoted(name) if name.lower() in there else f"NULL AS {quoted(name)}" for name in state.key
    )
    now = ", ".join(map(quoted, state.key))
    both = f"SELECT {now} FROM {WRITTEN} UNION ALL SELECT {former} FROM {OLDER}"
    return _count(session, both, state.key)


def _count(session: Session, query: str, key: Sequence[str]) -> int:
    keys = ", ".join(map(quoted, key))
    named, nameless = session.rows(
        f"SELECT COUNT(DISTINCT ROW({keys})) FILTER ({_named(key)}), "
        f"COUNT(*) FILTER (NOT ({_named(key)})) FROM ({query})"
    )[0]
    return int(named) + int(nameless)


def _same(state: Batches, last: Batches) -> bool:
    """Whether there is nothing to be said that isn't known."""
    return replace(state, number=last.number, rows=last.rows) == last


def _alike(names: Sequence[str]) -> str:
    """Whether rows `o` and `n` have the same values."""
    return " AND ".join(f"o.{quoted(name)} IS NOT DISTINCT FROM n.{quoted(name)}" for name in names)


def _named(key: Sequence[str], of: str = "") -> str:
    """Whether all columns of a key have a value."""
    return " AND ".join(f"{of}{quoted(name)} IS NOT NULL" for name in key)
