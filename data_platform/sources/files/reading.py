"""How files are read: one SELECT over those of a format, with the file of each row.

Called by `arriving` for all files at once, and by `refusing` for one file after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from data_platform.engine.session import Session
from data_platform.errors import SourceError
from data_platform.plan.conversions import (
    Conversion,
    assignable,
    converted,
    inexact,
    stored_type,
)
from data_platform.plan.schemas import NO_MASKING, Masking
from data_platform.plan.sources.kinds import Files
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.files.csv_headers import LONGEST_LINE
from data_platform.sources.files.csv_types import fits, guessed, promised
from data_platform.sources.files.found import Taken
from data_platform.sources.json_records.query import records_query
from data_platform.spec.sources import CsvFormat

READ_FROM = "_read_from"
"""The column that tells where DuckDB read a row."""
SMALL = 16 * 1024 * 1024
"""Bytes of files up to which opening them all twice takes longer than looking at all rows."""
_SHOWN = 60
"""Characters of a value in a message."""


@dataclass(frozen=True)
class Known:
    """What is known of columns before their files are read.

    Attributes:
        types: of the table, else of the contract; by name.
        promised: columns whose type a person named.
        masking: whose values no message shows.
    """

    types: Mapping[str, str] = field(default_factory=dict[str, str])
    promised: frozenset[str] = frozenset()
    masking: Masking = NO_MASKING

    def spelled(self, name: str) -> str:
        """A column as it is known: in Delta `Id` and `id` are two, in DuckDB one."""
        return next((known for known in self.types if known.lower() == name.lower()), name)


def rows_query(session: Session, source: Files, files: Sequence[Taken], known: Known) -> str:
    """A SELECT of the rows of files, columns matched by name, with `READ_FROM`.

    Args:
        session: that may read the files.
        source: with its format.
        files: one or more.
        known: what is known of the columns.

    Raises:
        SourceError: a file has a column of another type, or no records where they should be.
        duckdb.Error: a file can't be read.
    """
    match source.format:
        case "csv":
            return _csv_query(session, source.csv, files, known)
        case "parquet":
            return _parquet_query(session, files, known)
        case "json" | "jsonl":
            paths = [Path(path) for path in _paths(files)]
            return records_query(
                session,
                paths,
                known.types,
                lines=source.format == "jsonl",
                data_path=source.data_path,
                file_column=READ_FROM,
            )


def _paths(files: Sequence[Taken]) -> list[str]:
    """Each once, though it may belong to several partitions."""
    return list(dict.fromkeys(file.path for file in files))


def texts_query(csv: CsvFormat, files: Sequence[Taken]) -> str:
    """A SELECT of the fields of CSV files as they are written, with `READ_FROM`.

    Columns and everything else are told to DuckDB: what it finds out by itself it may get wrong.
    """
    parts: list[str] = []
    by_form = sorted(files, key=_form)
    for (columns, compression), alike in groupby(by_form, key=_form):
        listed = ", ".join(map(literal, _paths(list(alike))))
        typed = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
        nulls = ", ".join(map(literal, csv.null_values))
        parts.append(
            f"SELECT * FROM read_csv([{listed}], auto_detect = false, columns = {{{typed}}}, "
            f"header = {str(csv.header).lower()}, delim = {literal(csv.delimiter)}, "
            f"quote = {literal(csv.quote)}, escape = {literal(csv.quote)}, "
            f"nullstr = [{nulls}], compression = {literal(compression)}, strict_mode = true, "
            f"max_line_size = {LONGEST_LINE}, buffer_size = {2 * LONGEST_LINE}, "
            f"filename = {literal(READ_FROM)}, "
            "hive_partitioning = false)"
        )
    return " UNION ALL BY NAME ".join(parts)


def _form(file: Taken) -> tuple[tuple[str, ...], str]:
    return file.columns, file.compression


def csv_columns(files: Sequence[Taken]) -> list[str]:
    """The columns of CSV files, in order; names that differ in case are one."""
    names: dict[str, str] = {}
    for columns in dict.fromkeys(file.columns for file in files):
        for name in columns:
            names.setdefault(name.lower(), name)
    return list(names.values())


def _csv_query(session: Session, csv: CsvFormat, files: Sequence[Taken], known: Known) -> str:
    texts = texts_query(csv, files)
    names = csv_columns(files)
    types = {name: known.types.get(known.spelled(name), "") for name in names}
    large = sum(file.found.bytes for file in files) > SMALL
    unknown = [name for name, kind in types.items() if not kind]
    found = guessed(session, texts, unknown, sampled=large)
    columns = [
        f"{_typed(name, types[name], known)} AS {quoted(known.spelled(name))}"
        if types[name]
        else f"TRY_CAST({quoted(name)} AS {found[name]}) AS {quoted(name)}"
        for name in names
    ]
    return f"SELECT {', '.join(columns)}, {READ_FROM} FROM ({texts})"


def fitting(name: str, kind: str, known: Known) -> str:
    """A condition: a field of CSV may be a value of its column's type."""
    named = known.spelled(name) in known.promised
    right = promised(name, kind) if named else fits(name, kind)
    return f"({quoted(name)} IS NULL OR {right})"


def _typed(name: str, kind: str, known: Known) -> str:
    """A field of CSV as its column's type; an error where it isn't of it."""
    if kind == "VARCHAR":
        return quoted(name)
    exactly = known.spelled(name) in known.promised
    value = (
        converted(name, Conversion(kind, kind))
        if exactly
        else f"TRY_CAST({quoted(name)} AS {kind})"
    )
    refusal = _refusal(name, kind, known)
    return f"CASE WHEN {fitting(name, kind, known)} THEN {value} ELSE {refusal} END"


def _refusal(name: str, kind: str, known: Known) -> str:
    if known.masking.hides(name):
        return f"ERROR({literal(f'column {name}: a value is not {kind}')})"
    value = f"LEFT(CAST({quoted(name)} AS VARCHAR), {_SHOWN})"
    return f"ERROR({literal(f'column {name}: ')} || {value} || {literal(f' is not {kind}')})"


def _parquet_query(session: Session, files: Sequence[Taken], known: Known) -> str:
    listed = ", ".join(map(literal, _paths(files)))
    query = (
        f"SELECT * FROM read_parquet([{listed}], union_by_name = true, "
        f"filename = {literal(READ_FROM)}, hive_partitioning = false)"
    )
    there = {name: kind for name, kind in session.columns(query).items() if name != READ_FROM}
    changed = {
        name: expression
        for name, kind in there.items()
        if (expression := _kept(name, kind, known)) is not None
    }
    if not changed:
        return query
    columns = ", ".join(changed.get(name, quoted(name)) for name in there)
    return f"SELECT {columns}, {READ_FROM} FROM ({query})"


def _kept(name: str, kind: str, known: Known) -> str | None:
    """A column of Parquet as it is known; None where it is so."""
    spelled = known.spelled(name)
    wanted = known.types.get(spelled)
    if wanted is None or stored_type(kind) == wanted:
        return None if spelled == name else f"{quoted(name)} AS {quoted(spelled)}"
    if not assignable(kind, wanted):
        raise SourceError(f"column {name} is {kind}, and the table has {wanted}")
    how = Conversion(wanted, wanted)
    lost = f"({quoted(name)} IS NOT NULL AND {inexact(name, how)})"
    value = f"CASE WHEN {lost} THEN {_refusal(name, wanted, known)} ELSE {converted(name, how)} END"
    return f"{value} AS {quoted(spelled)}"
