"""Files of JSON as DuckDB reads them: which layout, how large, and what is wrong with one.

Called by `query`.
"""

import codecs
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from data_platform.errors import SourceError
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.sources.json_records.structure import pointer

MAX_RECORD = 16 * 2**20
"""Bytes of a record in the usual case; DuckDB's buffers have twice that."""
MAX_DOCUMENT = 32 * 2**20
"""Bytes of any JSON value: of a record, or of a file that is one; parsing takes 20 times that."""
_TOO_LARGE = "maximum_object_size"
_MALFORMED = re.compile(
    r'Malformed JSON in file "(.*)", at byte (\d+) in (\S+) (\d+): (.*?)\.? *\n?$'
)


@dataclass(frozen=True)
class JsonFiles:
    """Files of records, and how they are read.

    Attributes:
        paths: of them.
        lines: whether a line is a record.
        data_path: the keys, joined by dots, that lead to the records in a file.
        limit: bytes of one JSON value at most.
        file_column: the column that tells each record's file, if one is to.
    """

    paths: Sequence[Path]
    lines: bool
    data_path: str | None
    limit: int
    file_column: str | None = None

    @property
    def beside(self) -> str:
        """What is selected beside a record."""
        return f", {quoted(self.file_column)}" if self.file_column else ""

    def documents(self) -> str:
        """A SELECT of `json`: the values of the files, as they are laid out."""
        shapes = {path: _shape(path, lines=self.lines) for path in self.paths}
        options = f"maximum_object_size = {self.limit}"
        if self.file_column:
            options = f"{options}, filename = {literal(self.file_column)}"
        selects: list[str] = []
        for shape in dict.fromkeys(shapes.values()):
            alike = ", ".join(literal(str(path)) for path in self.paths if shapes[path] == shape)
            selects.append(
                f"SELECT * FROM read_json_objects([{alike}], format = '{shape}', {options})"
            )
        return " UNION ALL ".join(selects)

    def records(self) -> str:
        """A SELECT of `json`: the records."""
        if self.data_path is None:
            return self.documents()
        found = f"json_extract(json, {literal(self.data_pointer)})"
        return (
            "SELECT UNNEST(CASE JSON_TYPE(found) WHEN 'ARRAY' THEN CAST(found AS JSON[]) "
            "WHEN 'OBJECT' THEN [found] ELSE [] END) AS json"
            f"{self.beside} FROM (SELECT {found} AS found{self.beside} FROM ({self.documents()}))"
        )

    @property
    def data_pointer(self) -> str:
        """Where the records are in a file, as a JSON pointer."""
        return pointer(tuple(self.data_path.split("."))) if self.data_path else ""


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


def is_too_large(error: duckdb.Error) -> bool:
    """Whether a value was larger than the limit."""
    return _TOO_LARGE in str(error)


def explained(error: duckdb.Error) -> str:
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
        return f"{file}: {place}: no valid JSON: {reason.partition('. ')[0]}"
    return text
