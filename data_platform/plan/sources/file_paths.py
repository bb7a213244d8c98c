"""The path of a file source as it is written: what stands in for the partition, and its format.

Asked by `plan.sources.nodes` when definitions load, by `sources.files` for the files, and for the
files of a destination, whose paths are written the same way.
"""

import codecs
import difflib
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

from data_platform.plan.naming import WHOLE
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.kinds import FileFormat

PARTITION_KEY = "partition_key"
PARTITION_START = "partition_start"
PLACEHOLDER = re.compile(r"\{(partition_key|partition_start:[^{}]+)\}")
"""What stands in for a partition; its first group is what is between the braces."""
_BRACES = re.compile(r"\{([A-Za-z_][^{}]*)\}")
_DIRECTIVES = frozenset("aAwdbBmyYHIMSfpzZjUWGuVcxX%")
"""Those of Python's strftime that every machine knows."""
FORMATS: dict[str, FileFormat] = {
    "csv": "csv",
    "json": "json",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
}
COMPRESSIONS = {"gz": "gzip", "zst": "zstd"}
"""Of a file by its ending, in DuckDB's words."""


def filled(
    path: str,
    partitions: Partitions | None,
    key: str,
    write: Callable[[str], str] = lambda text: text,
) -> str:
    """The path of a partition.

    Args:
        path: with placeholders.
        partitions: None where there are none.
        key: of the partition.
        write: what stands in for a placeholder, from its text.
    """
    if partitions is None or key == WHOLE:
        return path
    start = partitions.window(key)[0].astimezone(ZoneInfo(partitions.timezone))

    def text(match: re.Match[str]) -> str:
        said = match[1]
        _, _, directives = said.partition(":")
        return write(key if said == PARTITION_KEY else start.strftime(directives))

    return PLACEHOLDER.sub(text, path)


def format_of(path: str) -> FileFormat | None:
    """The format that a path's ending names, that of a compression left out."""
    endings = _endings(path)
    if endings and endings[-1] in COMPRESSIONS:
        endings.pop()
    return FORMATS.get(endings[-1]) if endings else None


def compression_of(path: str) -> str:
    """The compression that a file's ending names: `gzip`, `zstd` or `none`."""
    endings = _endings(path)
    return COMPRESSIONS.get(endings[-1], "none") if endings else "none"


def _endings(path: str) -> list[str]:
    return [ending.lower() for ending in path.rpartition("/")[2].split(".")[1:]]


def wrong_path(path: str) -> str | None:
    """What is wrong with what stands between braces in a path, in words."""
    for match in _BRACES.finditer(path):
        said = match[1]
        name, colon, directives = said.partition(":")
        if PLACEHOLDER.fullmatch(match[0]):
            wrong = _wrong_directives(directives) if colon else None
            if wrong:
                return f"{match[0]}: {wrong}"
            continue
        if name == PARTITION_START:
            return f"{match[0]} doesn't say how the time is written: {{partition_start:%Y-%m-%d}}"
        if difflib.get_close_matches(name, [PARTITION_KEY, PARTITION_START], cutoff=0.6):
            return (
                f"{match[0]} means nothing; "
                "there are {partition_key} and {partition_start:%Y-%m-%d}"
            )
    return None


def _wrong_directives(directives: str) -> str | None:
    found = re.findall(r"%(.?)", directives)
    wrong = [f"%{letter}" for letter in found if letter not in _DIRECTIVES or not letter]
    if wrong:
        return f"{wrong[0]!r} is no directive of strftime, such as %Y, %m, %d and %H"
    if not any(letter != "%" for letter in found):
        return "it has no directive of strftime, such as %Y, %m, %d and %H"
    return None


def wrong_encoding(encoding: str) -> str | None:
    """Why Python can't read text in an encoding, in words."""
    try:
        codecs.lookup(encoding)
        "".encode(encoding)
    except LookupError:
        known = ["utf-8", "utf-16", "latin-1", "cp1252", "iso-8859-15", "shift_jis", "gb18030"]
        nearest = difflib.get_close_matches(encoding, known, n=1)
        return (
            f"{encoding!r} is no encoding of text that Python knows; "
            f"{f'did you mean {nearest[0]}? ' if nearest else ''}such as utf-8, cp1252, utf-16"
        )
    return None
