"""Raw: what a source holds, landed as it came, once for each range of partitions.

Called by `raw.assets`. Rows stream from the source into files in scratch, the audit reads those
files, and what passed is committed; nothing is held in memory as a whole.
"""

import functools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa

from data_platform.engine.inputs import show_inputs
from data_platform.engine.outside import Outside
from data_platform.engine.session import Session
from data_platform.errors import ContractError, SourceError
from data_platform.plan.checks.kinds import Check, RowCountCheck
from data_platform.plan.checks.notices import notice_check
from data_platform.plan.conversions import stored_type
from data_platform.plan.naming import (
    NEW_COLUMNS,
    NOT_EMPTY,
    OUTSIDE,
    PARTITION,
    PROVENANCE,
    RESERVED_COLUMNS,
)
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.told import stray_words, told_dimensions
from data_platform.quality.gate import Gate, Passage
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.raw.increments import (
    new_rows,
    position_in,
    publish_batch,
    show_standing,
    told,
)
from data_platform.raw.landings import known_landings, not_to_be_asked, note_landings
from data_platform.raw.lookback import looking_back
from data_platform.sources.answering import arriving, folders_of
from data_platform.sources.arrivals import Arrival, Notice, Question
from data_platform.storage.bad_files import keep_bad_file
from data_platform.storage.lake import LakeTable
from data_platform.storage.publish import (
    WRITTEN,
    Publication,
    Unwritten,
    Written,
    stored_select,
    write,
)
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench

ARRIVING, LANDED = "_arriving", "landed"


@looking_back
def extract(
    node: RawNode,
    keys: Sequence[str],
    workbench: Workbench,
    outside: Outside,
    metadata: Mapping[str, str],
    parameters: Mapping[str, Any] | None = None,
) -> Passage:
    """Land partitions of a source.

    Args:
        node: the raw asset.
        keys: contiguous partitions, or `WHOLE` alone.
        workbench: with the lake.
        outside: what the source connects to.
        metadata: kept with the commit.
        parameters: values of the run's configuration, by name.

    Raises:
        SourceError: the source can't be read as the pipeline says.
        SourceUnavailable: the source can't be reached.
    """
    snapshots = snapshots_of(node, workbench.lake)
    failed = missing_inputs(node, keys, snapshots)
    ready = [key for key in keys if key not in failed]
    if not ready:
        return Passage(None, failed, [])
    with workbench.open(folders_of(node.source), node=node) as (session, scratch):
        table = workbench.lake.table(node.key)
        before = table.snapshot()
        given = {**session.parameters, **(parameters or {})}
        landings = known_landings(node, table, before, ready, given)
        question = Question(
            node,
            ready,
            session,
            scratch,
            outside,
            types=_types(session, node, before.schema if before else None),
            position=position_in(node, before, table),
            landings=landings,
            parameters=given,
            work=workbench.work,
            keep_bad=functools.partial(keep_bad_file, workbench.lake, node.key),
            run_id=metadata.get("run_id"),
        )
        skipped = not_to_be_asked(node, landings, ready, question.now)
        question = replace(question, keys=[key for key in ready if key not in skipped])
        passage = Passage(None, {}, [])
        if question.keys:
            show_inputs(session, node, question.keys, snapshots)
            passage = _answered(question, table, before, metadata)
        return replace(passage, failed={**failed, **passage.failed}, skipped=skipped)


def _answered(
    question: Question, table: LakeTable, before: Snapshot | None, metadata: Mapping[str, str]
) -> Passage:
    """What came of a question: landed, judged, published and noted."""
    with arriving(question) as arrived:
        unchanged = [key for key in arrived.unchanged if key in question.landings]
        question = replace(question, keys=[key for key in question.keys if key not in unchanged])
        if unchanged and arrived.query is None:
            passage = Passage(None, arrived.failed, [], unread=arrived.failed)
            return _noted(question, table, before, arrived, passage, unchanged)
        arrival, written = _landed(question, arrived)
    passage = _judged(question, table, before, metadata, arrival, written)
    return _noted(question, table, before, arrival, passage, unchanged)


def _judged(
    question: Question,
    table: LakeTable,
    before: Snapshot | None,
    metadata: Mapping[str, str],
    arrival: Arrival,
    written: Written,
) -> Passage:
    """Audit what is in scratch, and publish what passes."""
    session, node = question.session, question.node
    batch = new_rows(question, before, arrival, written)
    ready = [key for key in question.keys if key not in arrival.failed]
    judged = node if question.position is None else replace(node, checks=_of_a_batch(node))
    gate = Gate(session, judged, table, question.scratch, ready, metadata)
    gate.others = show_standing(session, node, before) if batch else None
    gate.make_candidate(WRITTEN, stored=False)
    audit = gate.audit()
    publication = (
        publish_batch(gate, node, batch, before, audit.failed)
        if batch
        else gate.publish(written, audit.failed)
    )
    strays = _strays(question, arrival, written)
    noticed = [*(batch.notices if batch else ()), *arrival.notices, *strays]
    known = before.schema if before else None
    passage = Passage(
        publication,
        {**arrival.failed, **audit.failed},
        [*audit.outcomes, *_notices(node, ready[-1], known, written.schema, noticed)],
        audit.rows,
        phases=gate.phases,
        unread=arrival.failed,
        said=arrival.said,
    )
    return told(passage, batch) if batch else passage


def _noted(
    question: Question,
    table: LakeTable,
    before: Snapshot | None,
    arrival: Arrival,
    passage: Passage,
    unchanged: Sequence[str],
) -> Passage:
    """Note what has landed; what the source calls unchanged stands as if it had come again."""
    publication = passage.publication
    if unchanged and before:
        standing = {key: before.partitions[key] for key in unchanged if key in before.partitions}
        publication = (
            replace(publication, versions={**standing, **publication.versions})
            if publication
            else Publication(standing, frozenset(), before.version)
        )
    if publication is None:
        return passage
    marks = {key: question.landings[key].marks for key in unchanged} | dict(arrival.marks)
    given = question.parameters
    note_landings(question.node, table, publication, marks, given, question.now)
    said = {key: {"not_read": "the source says that it is unchanged"} for key in unchanged}
    return replace(passage, publication=publication, said={**passage.said, **said})


def _of_a_batch(node: RawNode) -> tuple[Check, ...]:
    """The checks of a batch that isn't the first: that nothing is new is as it should be."""
    return tuple(
        replace(check, min_rows=0)
        if isinstance(check, RowCountCheck) and check.name == NOT_EMPTY
        else check
        for check in node.checks
    )


def _types(session: Session, node: RawNode, known: pa.Schema | None) -> dict[str, str]:
    """The types that columns have: in the table, else by the contract."""
    found = {c.name: c.type for c in (node.contract.columns if node.contract else ()) if c.type}
    if known is None:
        return found
    session.register("_known", known.empty_table())
    return {**session.columns("SELECT * FROM _known"), **found}


def _landed(question: Question, arrival: Arrival) -> tuple[Arrival, Written]:
    """What arrived, in scratch; where reading it broke, what the source gives in its place."""
    try:
        return arrival, _land(question, arrival)
    except duckdb.Error as error:
        if arrival.mended is None:
            raise
        mended = arrival.mended(error)
    shutil.rmtree(question.scratch / LANDED, ignore_errors=True)
    return mended, _land(question, mended)


def _land(question: Question, arrival: Arrival) -> Written:
    session, node = question.session, question.node
    keys = [key for key in question.keys if key not in arrival.failed]
    if not keys or arrival.query is None:
        raise SourceError("; ".join(dict.fromkeys(arrival.failed.values())))
    session.run(f"CREATE OR REPLACE TEMP VIEW {ARRIVING} AS {arrival.query}")
    arriving = session.columns(f"SELECT * FROM {ARRIVING}")
    own = {PARTITION, *(PROVENANCE if arrival.provenance else ())}
    taken = RESERVED_COLUMNS & {name.lower() for name in arriving} - own
    if taken:
        raise SourceError(
            f"{node.key}: columns {', '.join(sorted(taken))} have names that the platform needs; "
            "rename them"
        )
    for column in node.contract.columns if node.contract else ():
        kind = stored_type(arriving[column.name]) if column.name in arriving else None
        if kind is None or (column.type is not None and kind != column.type):
            wanted = f"{column.name} {column.type or ''}".strip()
            found = f"as {kind}" if kind else "not at all"
            raise ContractError(f"{node.key}: the contract promises {wanted}; it comes {found}")
    select = stored_select(session, ARRIVING, own)
    if arrival.provenance:
        select = f"{select}, {', '.join(PROVENANCE)}"
    folder = question.scratch / LANDED
    return write(session, Unwritten(select, f"FROM {ARRIVING}", stray=True), folder, keys)


def _strays(question: Question, arrival: Arrival, written: Written) -> list[Notice]:
    """How many rows belong to no partition, where rows tell that themselves."""
    node = question.node
    if node.partitions is None or not told_dimensions(node.source, node.partitions):
        return []
    count = written.strays + (arrival.outside or 0)
    words = stray_words(node.source, node.partitions)
    return [Notice(OUTSIDE, question.keys[-1], count, f"{count:,} {words}")]


def _notices(
    node: RawNode,
    key: str,
    before: pa.Schema | None,
    after: pa.Schema,
    noticed: Sequence[Notice],
) -> list[Outcome]:
    """What to warn about: columns that came or went, and what the source noticed."""
    known = before or after
    new = [name for name in after.names if name not in known.names]
    gone = [name for name in known.names if name not in after.names]
    words = {"new": new, "gone": gone}
    detail = "; ".join(f"{word}: {', '.join(names)}" for word, names in words.items() if names)
    columns = Notice(NEW_COLUMNS, key, len(new) + len(gone), f"columns {detail}")
    by_name: dict[str, dict[str, Finding]] = {}
    for notice in (columns, *noticed):
        by_name.setdefault(notice.name, {})[notice.partition] = _finding(notice)
    return [
        Outcome(notice_check(name, node.location), findings) for name, findings in by_name.items()
    ]


def _finding(notice: Notice) -> Finding:
    verdict = "warn" if notice.count else "pass"
    return Finding(0, notice.count, verdict, notice.detail if notice.count else None)
