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

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session
from data_platform.errors import SourceError
from data_platform.plan.naming import PARTITION, PROVENANCE, WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.increments import (
    Position,
    goes_on,
    lower_bound,
    position_of,
    watermark_of,
    written,
)
from data_platform.plan.sources.kinds import Increments
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.gate import Gate, Passage
from data_platform.raw.cursors import Cursor, cursor_of, rows_without_position
from data_platform.raw.known_rows import ARRIVED, alike, named, new_rows_query, rows_seen
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.storage.batches import Batches
from data_platform.storage.lake import LakeTable
from data_platform.storage.publish import WRITTEN, Publication, Unwritten, Written, write
from data_platform.storage.schemas import merged_schema
from data_platform.storage.versions import Snapshot

STANDING, UNREPLACED = "_standing", "_unreplaced"


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
    cursor = cursor_of(question.node, increments, columns)
    bound = _bound(increments, question.position)
    wanted = cursor.at_least(bound)
    try:
        without = rows_without_position(session, question.node, cursor, ARRIVED)
        position = _position(session, increments, question.position, cursor, wanted)
        query = new_rows_query(session, increments, before, cursor, wanted, arrived.schema.names)
        own = [*arrived.schema.names, *(PROVENANCE if arrival.provenance else ())]
        select = f"SELECT {', '.join(map(quoted, own))}"
        folder = question.scratch / "new"
        fresh = write(session, Unwritten(select, f"FROM ({query})"), folder, [WHOLE])
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
        state = replace(state, rows=rows_seen(gate.session, state, before, batch.written))
        metadata = gate.commit_metadata({WHOLE: version})
        lake_version = gate.table.append(version, batch.written.schema, state, metadata)
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
        same = f"{alike(increments.key)} AND {named(increments.key, 'o.')}"
        rows = f"{rows} ANTI JOIN {WRITTEN} AS n ON {same}"
    session.run(f"CREATE OR REPLACE TEMP VIEW {UNREPLACED} AS {rows}")
    return UNREPLACED


def _bound(increments: Increments, position: Position | None) -> str | int | float | None:
    found = lower_bound(increments, position)
    if found is None:
        return None
    if not goes_on(increments, position) and isinstance(increments.start, str):
        return increments.start
    return written(found)


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


def _same(state: Batches, last: Batches) -> bool:
    """Whether there is nothing to be said that isn't known."""
    return replace(state, number=last.number, rows=last.rows) == last
