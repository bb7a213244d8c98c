"""Records of JSON files as rows.

Called by the kinds of sources that get JSON: api, file and topic. What a value becomes depends
on the value alone; of which type its column is, on all records of all files. The statement that
comes out streams: of the files no more is held than some records at a time.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from data_platform.engine.session import Session
from data_platform.errors import SourceError
from data_platform.plan.conversions import Conversion, converted
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.json_records.columns import Field, Misfit, fields_of, misfit, name_of
from data_platform.sources.json_records.files import (
    MAX_DOCUMENT,
    MAX_RECORD,
    JsonFiles,
    explained,
    is_too_large,
)
from data_platform.sources.json_records.structure import pointer, pointers, structure_of

_NUMBERS = itertools.count(1)
_SHOWN = 60
"""Characters of a value in a message."""
_KIND_WORDS = {
    "VARCHAR": "text",
    "BOOLEAN": "truth value",
    "ARRAY": "list",
    "OBJECT": "object",
    "NULL": "null",
}


def records_query(
    session: Session,
    paths: Sequence[Path],
    types: Mapping[str, str],
    *,
    lines: bool,
    data_path: str | None = None,
    file_column: str | None = None,
) -> str:
    """A SELECT of the records of JSON files, one row each.

    Columns in `types` of which no record has a key are NULL. Records that are `null` are rows of
    NULLs.

    Args:
        session: that may read the files.
        paths: of them; plain, `.gz` or `.zst`.
        types: DuckDB's types of columns that are known, without those that the caller adds.
        lines: whether a line is a record; else a file is a list of records, or one record.
        data_path: the keys, joined by dots, that lead to the records in each file.
        file_column: a column that tells each record's file, beside its own.

    Raises:
        SourceError: a file is no JSON, a value doesn't fit its column's known type, two keys make
            one column, or there is no record and no column is known.
    """
    for limit in (MAX_RECORD, MAX_DOCUMENT):
        files = JsonFiles(paths, lines, data_path, limit, file_column)
        try:
            return _query(session, files, types)
        except duckdb.Error as error:
            if limit == MAX_DOCUMENT or not is_too_large(error):
                raise SourceError(explained(error)) from None
    raise AssertionError  # pragma: no cover -- the last limit returns or raises


def _query(session: Session, files: JsonFiles, types: Mapping[str, str]) -> str:
    records = files.records() if files.data_path is None else _taken_out(session, files)
    structure = structure_of(session, records)
    try:
        fields = fields_of(structure, types)
        _check_fit(session, fields, records)
    except Misfit as wrong:
        raise SourceError(_located(files, wrong)) from None
    if not fields:
        raise SourceError("no record has a column, and none is known")
    return _reading(fields, records, files.beside)


def _taken_out(session: Session, files: JsonFiles) -> str:
    """The records of documents: taken out once, since each document is parsed as a whole."""
    _check_data_path(session, files)
    table = f"_records_{next(_NUMBERS)}"
    session.run(f"CREATE TEMP TABLE {table} AS {files.records()}")
    return f"SELECT json{files.beside} FROM {table}"


def _reading(fields: Sequence[Field], records: str, beside: str) -> str:
    """The SELECT of the columns; each record is parsed once for all of them."""
    there = [field for field in fields if field.path is not None]
    paths = [field.path for field in there if field.path is not None]
    texts = ", ".join(f"found[{at}] AS {quoted(f.name)}" for at, f in enumerate(there, 1))
    found = f"SELECT json_extract_string(json, {pointers(paths)}) AS found{beside} FROM ({records})"
    inner = f"SELECT {texts}{beside} FROM ({found})" if there else records
    columns = ", ".join(f"{_column(field)} AS {quoted(field.name)}" for field in fields)
    return f"SELECT {columns}{beside} FROM ({inner})"


def _column(field: Field) -> str:
    if field.path is None:
        return f"CAST(NULL AS {field.type})"
    if field.type == "VARCHAR":
        return quoted(field.name)
    if field.type.endswith("[]"):
        return f"CAST(CAST({quoted(field.name)} AS JSON) AS {field.type})"
    return converted(field.name, Conversion(field.type, field.type))


def _check_data_path(session: Session, files: JsonFiles) -> None:
    """That each file has records, or null, where they are looked for."""
    documents = replace(files, file_column="_of").documents()
    wrong = session.rows(
        f"SELECT _of, json_type(json, {literal(files.data_pointer)}) AS kind FROM ({documents}) "
        "WHERE kind IS NULL OR kind NOT IN ('ARRAY', 'OBJECT', 'NULL') LIMIT 1"
    )
    for file, found in wrong:
        what = "nothing" if found is None else f"a {_KIND_WORDS.get(found, 'number')}"
        raise SourceError(f"{file}: there is {what} at {files.data_path}; records are a list there")


def _check_fit(session: Session, fields: Sequence[Field], records: str) -> None:
    """That all values are what the known types of their columns say."""
    looked_at = [f for f in fields if misfit(f, "kind", "value") is not None]
    paths = [field.path for field in looked_at if field.path is not None]
    if not paths:
        return
    texts = ", ".join(
        f"kinds[{at}] AS kind_{at}, texts[{at}] AS value_{at}" for at in range(1, len(paths) + 1)
    )
    conditions = ", ".join(
        f"COALESCE(BOOL_OR({misfit(field, f'kind_{at}', f'value_{at}')}), FALSE)"
        for at, field in enumerate(looked_at, 1)
    )
    [wrong] = session.rows(
        f"SELECT {conditions} FROM (SELECT {texts} FROM (SELECT "
        f"json_type(json, {pointers(paths)}) AS kinds, "
        f"json_extract_string(json, {pointers(paths)}) AS texts FROM ({records})))"
    )
    for field, path, is_wrong in zip(looked_at, paths, wrong, strict=True):
        if is_wrong:
            condition = misfit(field, "kind", "value") or ""
            raise Misfit(path, condition, f"the column is {field.type}")


def _located(files: JsonFiles, wrong: Misfit) -> str:
    """The first value that is wrong, and where it is: read again, in order."""
    for path in files.paths:
        records = replace(files, paths=[path], file_column=None).records()
        with duckdb.connect(config={"threads": "1"}) as connection:
            row = connection.execute(
                "SELECT number, kind, value FROM (SELECT ROW_NUMBER() OVER () AS number, "
                f"json_type(json, {literal(pointer(wrong.path))}) AS kind, "
                f"json_extract_string(json, {literal(pointer(wrong.path))}) AS value "
                f"FROM ({records})) WHERE {wrong.condition} LIMIT 1"
            ).fetchone()
        if row is not None:
            number, kind, value = row
            what = f"the {_KIND_WORDS.get(kind, 'number')} {_shortened(value)}"
            at = f" in {name_of(wrong.path)}" if wrong.path else ""
            return f"{path}: record {number:,} has {what}{at}, but {wrong.expected}"
    return f"{name_of(wrong.path)}: {wrong.expected}, and a value isn't"


def _shortened(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")
