"""Raw: what a source holds, landed as it came, once for each range of partitions.

Called by `raw.assets`. Rows stream from the source into files in scratch, the audit reads those
files, and what passed is committed; nothing is held in memory as a whole.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from data_platform.engine.calls import show_answers
from data_platform.engine.inputs import show_inputs
from data_platform.engine.session import Session
from data_platform.errors import (
    ContractError,
    FunctionError,
    Location,
    SourceError,
    SourceUnavailable,
)
from data_platform.plan.check_kinds import RowCountCheck
from data_platform.plan.conversions import stored_type
from data_platform.plan.expressions import literal, quoted
from data_platform.plan.naming import FILE, PARTITION, RESERVED_COLUMNS, ROW, WHOLE
from data_platform.plan.nodes import DatabaseTable, Files, PythonSource, RawNode
from data_platform.plan.partitions import DailyPartitions
from data_platform.quality.gate import Gate, Passage
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.sources.database import Extraction, Span, read_table
from data_platform.sources.files import matching, reading
from data_platform.sources.python import Given, ask
from data_platform.storage.publish import WRITTEN, Written, stored_select, write
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.workbench import Workbench

ARRIVING = "_arriving"
NO_TYPE = '"NULL"'
"""DuckDB's type of a column of which only NULLs are known."""
NEW_COLUMNS, OUTSIDE = "new_columns", "outside_partitions"
"""Checks that warn: columns that the table didn't have or has no more, rows of no partition."""
BROKEN_OFF = ("get_next failed", "server closed the connection", "terminating connection")
"""What DuckDB says when the stream that it reads breaks off."""


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
    snapshots = snapshots_of(node, workbench.lake)
    absent = missing_inputs(node, keys, snapshots)
    found, missing = _files_of(node.source, [key for key in keys if key not in absent])
    failed = {**absent, **missing}
    ready = [key for key in keys if key not in failed]
    if not ready:
        if missing and not absent:
            raise SourceError("; ".join(dict.fromkeys(missing.values())))
        return Passage(None, failed, [])
    folders = [_folder_of(node.source.path)] if isinstance(node.source, Files) else []
    with workbench.open(folders) as (session, scratch):
        table = workbench.lake.table(node.key)
        before = table.snapshot()
        known = before.schema if before else None
        given = _given(node, ready, scratch)
        if given is not None:
            failed |= given.failed
            ready = [key for key in ready if key not in failed]
        with _arriving(node, ready, session, url_of, given or found, known) as outside:
            written = _land(session, scratch, ready, node)
        show_inputs(session, node, ready, snapshots)
        gate = Gate(session, node, table, scratch, ready, metadata)
        gate.make_candidate(WRITTEN, stored=False)
        audit = gate.audit()
        publication = gate.publish(written, audit.failed)
        notices = _notices(node, ready[-1], known, written.schema, outside)
        failed |= audit.failed
        outcomes = [*audit.outcomes, *notices]
        return Passage(publication, failed, outcomes, audit.rows, phases=gate.phases)


def _given(node: RawNode, keys: Sequence[str], scratch: Path) -> Given | None:
    """What a function gave, where it is the source; none of all partitions is an error."""
    if not isinstance(node.source, PythonSource):
        return None
    given = ask(node.source.function, keys, scratch / "given")
    if len(given.failed) == len(keys):
        raise SourceError("; ".join(dict.fromkeys(given.failed.values())))
    return given


def _files_of(
    source: DatabaseTable | Files | PythonSource, keys: Sequence[str]
) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """The files of each partition, and why a partition has none."""
    found: dict[str, list[Path]] = {}
    missing: dict[str, str] = {}
    if not isinstance(source, Files):
        return found, missing
    for key in keys:
        try:
            found[key] = matching(source, key)
        except SourceError as error:
            missing[key] = str(error)
    return found, missing


@contextmanager
def _arriving(
    node: RawNode,
    keys: Sequence[str],
    session: Session,
    url_of: Callable[[str], str],
    found: Mapping[str, list[Path]] | Given,
    known: pa.Schema | None,
) -> Generator[int | None]:
    """Make the source's rows readable as `ARRIVING`; gives the rows that belong to no partition."""
    if isinstance(found, Given):
        _show_given(node, session, found, known)
        yield None
        return
    files = found
    match node.source:
        case DatabaseTable() as source:
            span = _span(node.partitions, keys) if node.partitions else None
            with (
                read_table(url_of(source.connection), source, span) as extraction,
                _translated(source.table),
            ):
                session.register("_batches", extraction.reader)
                query = _select(extraction, source, node.partitions)
                session.run(f"CREATE TEMP VIEW {ARRIVING} AS {query}")
                yield extraction.outside if span else None
        case PythonSource():
            raise AssertionError(node.key)  # what it gave was found above
        case Files() as source:
            with _translated(source.path):
                everything = reading(source, [path for key in keys for path in files[key]])
                there = session.columns(everything)
                types = {
                    name: kind
                    for name, kind in _stored_types(session, known).items()
                    if name in there
                }
                parts = [
                    f"SELECT *, {literal(key)} AS {PARTITION} "
                    f"FROM ({reading(source, files[key], types)})"
                    for key in keys
                ]
                session.run(f"CREATE TEMP VIEW {ARRIVING} AS {' UNION ALL BY NAME '.join(parts)}")
                yield None


def _show_given(node: RawNode, session: Session, given: Given, known: pa.Schema | None) -> None:
    """What a function gave; a column of NULLs alone has the type that it is known by."""
    types = _stored_types(session, known)
    types |= {c.name: c.type for c in (node.contract.columns if node.contract else ()) if c.type}
    files = {key: files for key, files in given.files.items() if key not in given.failed}
    with _translated(f"{node.key}"):
        try:
            show_answers(session, "_given", files, given.keys, types, {})
        except FunctionError as error:
            raise SourceError(f"{node.key}: the function {error}") from None
        there = session.columns("SELECT * FROM _given")
        typed = ", ".join(
            f"CAST({quoted(name)} AS {types[name]}) AS {quoted(name)}"
            for name, kind in there.items()
            if kind == NO_TYPE and name in types
        )
        replaced = f" REPLACE ({typed})" if typed else ""
        columns = f"* EXCLUDE ({FILE}, {ROW}){replaced}"
        session.run(f"CREATE TEMP VIEW {ARRIVING} AS SELECT {columns} FROM _given")


@contextmanager
def _translated(what: str) -> Generator[None]:
    """DuckDB's errors over a source, as the source's: a stream that broke off may come back."""
    try:
        yield
    except duckdb.Error as error:
        message = f"{what}: {_about(error)}"
        if any(sign in str(error) for sign in BROKEN_OFF):
            raise SourceUnavailable(message) from error
        raise SourceError(message) from error


def _stored_types(session: Session, known: pa.Schema | None) -> dict[str, str]:
    """The types that the table's columns have: a file's text is read as what stands there."""
    if known is None:
        return {}
    session.register("_known", known.empty_table())
    return session.columns("SELECT * FROM _known")


def _land(session: Session, scratch: Path, keys: Sequence[str], node: RawNode) -> Written:
    arriving = session.columns(f"SELECT * FROM {ARRIVING}")
    taken = RESERVED_COLUMNS & {name.lower() for name in arriving} - {PARTITION}
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


def _notices(
    node: RawNode, key: str, before: pa.Schema | None, after: pa.Schema, outside: int | None
) -> list[Outcome]:
    """What to warn about: columns that came or went, rows that belong nowhere."""
    known = before or after
    new = [name for name in after.names if name not in known.names]
    gone = [name for name in known.names if name not in after.names]
    words = {"new": new, "gone": gone}
    detail = "; ".join(f"{word}: {', '.join(names)}" for word, names in words.items() if names)
    notices = [_notice(NEW_COLUMNS, node, key, len(new) + len(gone), f"columns {detail}")]
    if outside is not None:
        detail = f"{outside:,} rows whose cursor is NULL or out of range"
        notices.append(_notice(OUTSIDE, node, key, outside, detail))
    return notices


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


def _about(error: Exception) -> str:
    """DuckDB's message in one line, without the line of the file that it quotes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Original Line")]
    return " ".join(telling[:3]) or type(error).__name__
