"""Raw: what a source holds, landed as it came, once for each range of partitions.

Called by `raw.assets`. Rows stream from the source into files in scratch, the audit reads those
files, and what passed is committed; nothing is held in memory as a whole.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from data_platform.engine.session import Session
from data_platform.errors import Location, SourceError
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.naming import PARTITION, RESERVED_COLUMNS, WHOLE
from data_platform.plan.nodes import DatabaseTable, Files, RawNode, RowCountCheck
from data_platform.plan.partitions import DailyPartitions
from data_platform.quality.gate import Gate, Passage
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.sources.database import Extraction, Span, read_table
from data_platform.sources.files import matching, reading
from data_platform.storage.publish import WRITTEN, Written, stored_select, write
from data_platform.storage.workbench import Workbench

ARRIVING = "_arriving"
NEW_COLUMNS, OUTSIDE = "new_columns", "outside_partitions"
"""Checks that warn: columns that the table didn't have, rows that belong to no partition."""


def extract(
    node: RawNode,
    keys: Sequence[str],
    workbench: Workbench,
    url_of: Callable[[str], str],
    metadata: Mapping[str, str],
) -> Passage:
    """Land partitions of a source.

    Args:
        node: the raw asset.
        keys: contiguous partitions, or `WHOLE` alone.
        workbench: with the lake.
        url_of: the URL of a connection by its name.
        metadata: kept with the commit.

    Raises:
        SourceError: the source can't be read as the pipeline says.
        SourceUnavailable: the source can't be reached.
    """
    folders = [_folder_of(node.source.path)] if isinstance(node.source, Files) else []
    with workbench.open(folders) as (session, scratch):
        table = workbench.lake.table(node.key)
        before = table.snapshot()
        with _arriving(node, keys, session, url_of) as outside:
            written = _land(session, scratch, keys, node)
        gate = Gate(session, node, table, scratch, keys, metadata)
        gate.make_candidate(WRITTEN, stored=False)
        audit = gate.audit()
        publication = gate.publish(written, audit.failed)
        known = set(before.schema.names) if before else set(written.schema.names)
        new = [name for name in written.schema.names if name not in known]
        notices = [_notice(NEW_COLUMNS, node, keys[-1], len(new), f"new columns: {', '.join(new)}")]
        if outside is not None:
            notices.append(
                _notice(
                    OUTSIDE,
                    node,
                    keys[-1],
                    outside,
                    f"{outside:,} rows whose cursor is NULL or out of range",
                )
            )
        return Passage(publication, audit.failed, [*audit.outcomes, *notices], audit.rows)


@contextmanager
def _arriving(
    node: RawNode, keys: Sequence[str], session: Session, url_of: Callable[[str], str]
) -> Iterator[int | None]:
    """Make the source's rows readable as `ARRIVING`; gives the rows that belong to no partition."""
    match node.source:
        case DatabaseTable() as source:
            span = _span(node.partitions, keys) if node.partitions else None
            with read_table(url_of(source.connection), source, span) as extraction:
                session.register("_batches", extraction.reader)
                session.run(
                    f"CREATE TEMP VIEW {ARRIVING} AS {_select(extraction, source, node.partitions)}"
                )
                yield extraction.outside if span else None
        case Files() as source:
            parts = [
                f"SELECT *, {literal(key)} AS {PARTITION} FROM ({reading(source, matching(source, key))})"
                for key in keys
            ]
            try:
                session.run(f"CREATE TEMP VIEW {ARRIVING} AS {' UNION ALL BY NAME '.join(parts)}")
                yield None
            except duckdb.Error as error:
                raise SourceError(f"{source.path}: {str(error).splitlines()[0]}") from error


def _land(session: Session, scratch: Path, keys: Sequence[str], node: RawNode) -> Written:
    taken = RESERVED_COLUMNS & set(session.columns(f"SELECT * FROM {ARRIVING}")) - {PARTITION}
    if taken:
        raise SourceError(
            f"{node.key}: columns {', '.join(sorted(taken))} have names that the platform needs; rename them"
        )
    select = stored_select(session, ARRIVING, [PARTITION])
    return write(session, select, f"FROM {ARRIVING}", scratch / "landed", keys, computed=False)


def _span(partitions: DailyPartitions, keys: Sequence[str]) -> Span:
    start, _ = partitions.window(keys[0])
    _, end = partitions.window(keys[-1])
    first, _ = partitions.window(partitions.start.isoformat())
    last = partitions.window(partitions.end.isoformat())[0] if partitions.end else None
    return Span(start, end, first, last, partitions.timezone)


def _select(
    extraction: Extraction, source: DatabaseTable, partitions: DailyPartitions | None
) -> str:
    key = literal(WHOLE)
    if partitions and source.cursor:
        moment = quoted(source.cursor)
        if extraction.cursor_type == "TIMESTAMP WITH TIME ZONE":
            moment = f"timezone({literal(partitions.timezone)}, {moment})"
        key = f"CAST(CAST({moment} AS DATE) AS VARCHAR)"
    return f"SELECT {', '.join(extraction.select.values())}, {key} AS {PARTITION} FROM _batches"


def _folder_of(path: str) -> Path:
    """The deepest folder of a glob that has no wildcard in it."""
    fixed = Path(path).parent
    while any(sign in str(fixed) for sign in "*?[{"):
        fixed = fixed.parent
    return fixed


def _notice(name: str, node: RawNode, key: str, count: int, detail: str) -> Outcome:
    check = notice_check(name, node.location)
    finding = Finding(0, count, "warn" if count else "pass", detail if count else None)
    return Outcome(check, {key: finding})


def notice_check(name: str, location: Location) -> RowCountCheck:
    """The check behind a notice, which only warns."""
    about = {
        NEW_COLUMNS: "The source has the columns that it had before.",
        OUTSIDE: "Every row belongs to a partition.",
    }[name]
    return RowCountCheck(name, "warn", None, None, location, about, kind="notice")
