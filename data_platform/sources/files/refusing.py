"""Bad files: which they are, why, and a copy of each where people can look at it.

Called by `arriving` beside it when reading all files together failed; each is then read by itself.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from data_platform.engine.session import Session, open_session
from data_platform.errors import UNSAID, SourceError
from data_platform.plan.sources.kinds import Files
from data_platform.plan.sql.expressions import quoted
from data_platform.sources.arrivals import Question
from data_platform.sources.files.found import Bad, Taken
from data_platform.sources.files.reading import (
    READ_FROM,
    Known,
    csv_columns,
    fitting,
    rows_query,
    texts_query,
)

_LINE = re.compile(r"CSV Error on Line: (\d+)")
_FIELDS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_MEMORY = "512MB"
_NO_FAULT_OF_FILES = (
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
    duckdb.TransactionException,
    duckdb.FatalException,
    duckdb.PermissionException,
    # Such as a delimiter that is the quote too: the pipeline's.
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
)
_FULL = (
    "Out of Memory",
    "No space left",
    "quota exceeded",
    "Too many open files",
    "Input/output error",
)
_REASONS = (
    ("unterminated quote", "a quote isn't closed, or something follows it"),
    ("Invalid unicode", "it isn't utf-8: name the file's encoding in csv.encoding"),
    ("invalid state", "a quote isn't closed, or line breaks differ from line to line"),
    ("Maximum line size", "a line is longer than 4 MB"),
)
_OWN_WORDS = (
    *(reason for _, reason in _REASONS),
    " fields where ",
    ": a value is not ",
    ": a value of more than ",
    ": no valid JSON: ",
)
"""By which a reason is known that names no value."""


def bad_ones(question: Question, source: Files, files: Sequence[Taken], known: Known) -> list[Bad]:
    """The files that can't be read by themselves."""
    folders = sorted({str(Path(file.path).parent) for file in files})
    found: list[Bad] = []
    # One thread reads a file in its order: then rows have lines.
    with open_session(question.scratch, folders, _MEMORY, threads=1) as session:
        for file in files:
            question.work.go_on()
            reason = _why_bad(session, source, file, known)
            if reason is not None and question.node.discreet:
                reason = _without_values(reason)
            if reason is not None:
                copy = file.copy or Path(file.path)
                found.append(Bad(file.found, file.checksum, reason, copy))
    return found


def is_of_files(error: Exception) -> bool:
    """Whether an error may be one file's fault, and not that of memory or a disk."""
    if isinstance(error, _NO_FAULT_OF_FILES):
        return False
    return not any(sign in str(error) for sign in _FULL)


def _why_bad(session: Session, source: Files, file: Taken, known: Known) -> str | None:
    try:
        rows = rows_query(session, source, [file], known)
        session.rows(f"SELECT MAX(HASH(row)) FROM ({rows}) AS row")
    except duckdb.Error as error:
        if not is_of_files(error):
            raise
        line = _line_of(session, source, file, known) if source.format == "csv" else None
        at = f"line {line}: " if line is not None else ""
        return f"{at}{in_words(error)}".replace(file.path, "the file")
    except SourceError as error:
        return str(error).replace(f"{file.path}: ", "").replace(file.path, "the file")
    return None


def _without_values(reason: str) -> str:
    """A reason of ours as it is; of others' words, which may quote a value, the line alone."""
    if any(words in reason for words in _OWN_WORDS):
        return reason
    line = re.match(r"line \d+: ", reason)
    return f"{line[0] if line else ''}it can't be read: {UNSAID}"


def in_words(error: Exception) -> str:
    """DuckDB's words about a file, without the line that it quotes."""
    text = str(error)
    line, fields = _LINE.search(text), _FIELDS.search(text)
    at = f"line {line[1]}: " if line else ""
    if fields:
        return f"{at}{fields[2]} fields where {fields[1]} columns are"
    for sign, reason in _REASONS:
        if sign in text:
            return f"{at}{reason}"
    said = [part.strip() for part in text.splitlines() if part.strip()]
    said = [part for part in said if not part.startswith(("Original Line", "LINE ", "^"))]
    return (said[0] if said else type(error).__name__).partition(": ")[2] or text[:200]


def _line_of(session: Session, source: Files, file: Taken, known: Known) -> int | None:
    """The line of the first field that isn't of its column's type."""
    names = csv_columns([file])
    right = [
        fitting(name, known.types[known.spelled(name)], known)
        for name in names
        if known.spelled(name) in known.types
    ]
    if not right:
        return None
    breaks = " + ".join(
        f"COALESCE(LENGTH({quoted(name)}) - LENGTH(REPLACE({quoted(name)}, CHR(10), '')), 0)"
        for name in names
    )
    texts = texts_query(source.csv, [file])
    numbered = (
        f"SELECT {' AND '.join(right)} AS sound, ROW_NUMBER() OVER () "
        f"+ COALESCE(SUM({breaks}) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) "
        f"AS line FROM (SELECT * EXCLUDE ({READ_FROM}) FROM ({texts}))"
    )
    try:
        found = session.rows(f"SELECT line FROM ({numbered}) WHERE NOT sound LIMIT 1")
    except duckdb.Error:
        return None
    return int(found[0][0]) + source.csv.header if found else None


def keep(question: Question, bad: Bad) -> None:
    """Keep a copy of a bad file with its reason."""
    if question.keep_bad is None:
        return
    name = bad.found.name.rpartition("/")[2]
    said = {
        "file": bad.found.name,
        "reason": bad.reason,
        "checksum": bad.checksum,
        "bytes": bad.found.bytes,
        "modified": bad.found.modified.isoformat(),
        "asset": str(question.node.key),
        "quarantined": datetime.now(UTC).isoformat(),
        "run_id": question.run_id,
    }
    question.keep_bad(f"{bad.checksum}-{name}", bad.copy, said)
