"""The lines of a CSV file: the first one names the columns, and none is too long.

Called while a file is taken. DuckDB's own look at a file would skip lines that don't fit, and give
names that nobody wrote.
"""

from collections.abc import Iterator

from data_platform.sources.files.found import BadFileError
from data_platform.spec.sources import CsvFormat

HEADER_BYTES = 1024 * 1024
"""A header is no longer."""
LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line at most: a thread of DuckDB holds several pieces of twice as many."""
_BOM = b"\xef\xbb\xbf"


def short_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What comes, as it comes; DuckDB drops a line that is longer than its buffer without a word.

    Raises:
        BadFileError: a line is too long.
    """
    length = 0
    for chunk in chunks:
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        length += len(chunk) if first < 0 else first
        if length > LONGEST_LINE and b"\r" not in chunk:
            raise BadFileError("a line is longer than 4 MB")
        if last >= 0:
            length = len(chunk) - last - 1
        yield chunk


def header_of(head: bytes, csv: CsvFormat) -> tuple[str, ...]:
    """The columns' names; `column0` and so on where the file doesn't name them.

    Args:
        head: how the file begins, in UTF-8.
        csv: how it is read.

    Raises:
        BadFileError: there is no header, or it names a column twice.
    """
    if not head.removeprefix(_BOM):
        raise BadFileError("it has no bytes")
    # What is wrong below the first line DuckDB says, with its line.
    fields = _first_record(head.removeprefix(_BOM).decode(errors="surrogateescape"), csv)
    if len(head) >= HEADER_BYTES and not {*b"\r\n"} & {*head}:
        raise BadFileError("line 1 is longer than a megabyte")
    if any(map(_is_damaged, fields)):
        raise BadFileError("line 1 isn't utf-8: name the file's encoding in csv.encoding")
    if not csv.header:
        return tuple(f"column{number}" for number in range(len(fields)))
    if fields == [""]:
        raise BadFileError("line 1 is empty: it has to name the columns")
    names = tuple(name or f"column{number}" for number, name in enumerate(fields))
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            raise BadFileError(f"line 1 names the column {name} twice")
        seen[name.lower()] = name
    return names


def _is_damaged(name: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in name)


def _first_record(text: str, csv: CsvFormat) -> list[str]:
    """The fields of the first line, which may go on over line breaks between quotes."""
    fields: list[str] = []
    at = 0
    while True:
        value, at = _field(text, at, csv)
        fields.append(value)
        if not text.startswith(csv.delimiter, at):
            return fields
        at += len(csv.delimiter)


def _field(text: str, at: int, csv: CsvFormat) -> tuple[str, int]:
    """A field that begins at a place, and where it ends."""
    quote = csv.quote
    if quote and text.startswith(quote, at):
        return _quoted_field(text, at + 1, quote)
    ends = [text.find(sign, at) for sign in (csv.delimiter, "\n", "\r")]
    end = min((place for place in ends if place >= 0), default=len(text))
    return text[at:end], end


def _quoted_field(text: str, at: int, quote: str) -> tuple[str, int]:
    parts: list[str] = []
    while True:
        end = text.find(quote, at)
        if end < 0:
            raise BadFileError("line 1: a quote isn't closed")
        parts.append(text[at:end])
        at = end + 1
        if not text.startswith(quote, at):
            return "".join(parts), at
        parts.append(quote)
        at += 1
