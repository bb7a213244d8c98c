"""Records of JSON files as rows.

Called by the kinds of sources that get JSON: api, file and topic. What a value becomes depends
on the value alone; of which type its column is, on all records of all files. The statement that
comes out streams: of the files no more is held than some records at a time.
"""

import codecs
import gzip
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from data_platform.engine.session import Session
from data_platform.errors import SourceError
from data_platform.plan.conversions import Conversion, converted
from data_platform.plan.expressions import literal, quoted
from data_platform.sources.json_columns import Field, Misfit, fields_of, misfit, name_of
from data_platform.sources.json_structure import pointer, pointers, structure_of

MAX_RECORD = 16 * 2**20
"""Bytes of a record in the usual case; DuckDB's buffers have twice that."""
MAX_DOCUMENT = 32 * 2**20
"""Bytes of any JSON value: of a record, or of a file that is one; parsing takes 20 times that."""
_NUMBERS = itertools.count(1)
_TOO_LARGE = "maximum_object_size"
_SHOWN = 60
"""Characters of a value in a message."""
_KIND_WORDS = {
    "VARCHAR": "text",
    "BOOLEAN": "truth value",
    "ARRAY": "list",
    "OBJECT": "object",
    "NULL": "null",
}
_MALFORMED = re.compile(
    r'Malformed JSON in file "(.*)", at byte (\d+) in (\S+) (\d+): (.*?)\.? *\n?$'
)


@dataclass(frozen=True)
class _Files:
    """Files of records, and how they are read.

    Attributes:
        paths: of them.
        lines: whether a line is a record.
        data_path: where the records are in a file.
        limit: bytes of one JSON value at most.
        file_column: the column that tells each record's file, if one is to.
    """

    paths: Sequence[Path]
    lines: bool
    data_path: str | None
    limit: int
    file_column: str | None = None

    @property
    def kept(self) -> str:
        """What is selected beside a record."""
        return f", {self.file_column}" if self.file_column else ""

    def select(self, *, filename: bool = False) -> str:
        """A SELECT of `json`: the records."""
        shapes = {path: _shape(path, lines=self.lines) for path in self.paths}
        documents = " UNION ALL ".join(
            self._documents([path for path in self.paths if shapes[path] == shape], shape, filename)
            for shape in dict.fromkeys(shapes.values())
        )
        if self.data_path is None:
            return documents
        found = f"json_extract(json, {literal(pointer(tuple(self.data_path.split('.'))))})"
        return (
            "SELECT UNNEST(CASE JSON_TYPE(found) WHEN 'ARRAY' THEN CAST(found AS JSON[]) "
            "WHEN 'OBJECT' THEN [found] ELSE [] END) AS json"
            f"{self.kept} FROM (SELECT {found} AS found{self.kept} FROM ({documents}))"
        )


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
        files = _Files(paths, lines, data_path, limit, file_column)
        try:
            return _query(session, files, types)
        except duckdb.Error as error:
            if limit == MAX_DOCUMENT or _TOO_LARGE not in str(error):
                raise SourceError(_explained(error)) from None
    raise AssertionError  # pragma: no cover -- the last limit returns or raises


def _query(session: Session, files: _Files, types: Mapping[str, str]) -> str:
    records = files.select() if files.data_path is None else _taken_out(session, files)
    structure = structure_of(session, records)
    try:
        fields = fields_of(structure, types)
        _check_fit(session, fields, records)
    except Misfit as wrong:
        raise SourceError(_located(files, wrong)) from None
    if not fields:
        raise SourceError("no record has a column, and none is known")
    return _reading(fields, records, files.kept)


def _taken_out(session: Session, files: _Files) -> str:
    """The records of documents: taken out once, since each document is parsed as a whole."""
    _check_data_path(session, files)
    table = f"_records_{next(_NUMBERS)}"
    session.run(f"CREATE TEMP TABLE {table} AS {files.select()}")
    return f"SELECT json{files.kept} FROM {table}"


def _shape(path: Path, *, lines: bool) -> str:
    """DuckDB's name of how a file is laid out; it doesn't look behind a byte order mark itself."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise SourceError(f"{path}: {error}") from None
    if start.startswith(codecs.BOM_UTF8):
        rest = start.removeprefix(codecs.BOM_UTF8).lstrip()
        return "unstructured" if lines or not rest.startswith(b"[") else "array"
    return "newline_delimited" if lines else "auto"


def _reading(fields: Sequence[Field], records: str, kept: str) -> str:
    """The SELECT of the columns; each record is parsed once for all of them."""
    there = [field for field in fields if field.path is not None]
    paths = [field.path for field in there if field.path is not None]
    texts = ", ".join(f"found[{at}] AS {quoted(f.name)}" for at, f in enumerate(there, 1))
    found = f"SELECT json_extract_string(json, {pointers(paths)}) AS found{kept} FROM ({records})"
    inner = f"SELECT {texts}{kept} FROM ({found})" if there else records
    columns = ", ".join(f"{_column(field)} AS {quoted(field.name)}" for field in fields)
    return f"SELECT {columns}{kept} FROM ({inner})"


def _column(field: Field) -> str:
    if field.path is None:
        return f"CAST(NULL AS {field.type})"
    if field.type == "VARCHAR":
        return quoted(field.name)
    if field.type.endswith("[]"):
        return f"CAST(CAST({quoted(field.name)} AS JSON) AS {field.type})"
    return converted(field.name, Conversion(field.type, field.type))


def _check_data_path(session: Session, files: _Files) -> None:
    """That each file has records, or null, where they are looked for."""
    data_path = files.data_path or ""
    documents = replace(files, data_path=None, file_column=None).select(filename=True)
    kind = f"json_type(json, {literal(pointer(tuple(data_path.split('.'))))})"
    wrong = session.rows(
        f"SELECT filename, {kind} AS kind FROM ({documents}) "
        "WHERE kind IS NULL OR kind NOT IN ('ARRAY', 'OBJECT', 'NULL') LIMIT 1"
    )
    for file, found in wrong:
        what = "nothing" if found is None else f"a {_KIND_WORDS.get(found, 'number')}"
        raise SourceError(f"{file}: there is {what} at {data_path}; records are a list there")


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


def _located(files: _Files, wrong: Misfit) -> str:
    """The first value that is wrong, and where it is: read again, in order."""
    for path in files.paths:
        records = replace(files, paths=[path], file_column=None).select()
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


def _explained(error: duckdb.Error) -> str:
    """DuckDB's words for a file that is no JSON, as ours; its lines and records count from 2."""
    text = str(error).split("\n")[0]
    if _TOO_LARGE in text:
        file = text.partition('file "')[2].partition('"')[0]
        return (
            f"{file}: a value of more than {MAX_DOCUMENT // 2**20} MB; write a file that is one "
            "large value as JSON lines, or as a list of records"
        )
    if malformed := _MALFORMED.search(text):
        file, byte, what, number, reason = malformed.groups()
        place = f"{what.removesuffix('/value')} {int(number) - 1:,}, byte {int(byte):,}"
        return f"{file}: {place}: no valid JSON: {reason}"
    return text
