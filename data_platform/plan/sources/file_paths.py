"""The path of a file source as it is written: what stands in for the partition, and its format.

Asked by `plan.sources.nodes` when definitions load, by `sources.files` for the files, and for the
files of a destination, whose paths are written the same way.
"""

import codecs
import difflib
import re
from collections.abc import Callable

from data_platform.plan.naming import WHOLE
from data_platform.plan.partitions import TIME, Partitions
from data_platform.plan.sources.kinds import FileFormat

PARTITION_KEY = "partition_key"
PARTITION_START = "partition_start"
PLACEHOLDER = re.compile(r"\{(partition_start:[^{}]+|[a-z]\w*)\}")
"""What may stand in for a partition; its first group is what is between the braces."""
_EXAMPLES = {PARTITION_START: "partition_start:%Y-%m-%d"}
_BRACES = re.compile(r"\{([A-Za-z_][^{}]*)\}")
_UNFIT = re.compile(r'[\x00-\x1f\x7f"%*/:<>?\\|]|^\.{1,2}$')
"""What the name of a file can't have, on one system or another."""
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
    values = {PARTITION_KEY: key, **partitions.named_values(key)}
    start = partitions.window(key)[0].astimezone(partitions.time.zone) if partitions.time else None

    def text(match: re.Match[str]) -> str:
        name, _, directives = match[1].partition(":")
        if start is not None and name == PARTITION_START:
            return write(start.strftime(directives))
        return write(name_part(values[name])) if name in values else match[0]

    return PLACEHOLDER.sub(text, path)


def is_repeated(path: str, partitions: Partitions | None, key: str) -> bool:
    """Whether a path names the files of the hour before by the same name.

    Clocks that are put back show an hour twice; as with times without a zone, what doesn't tell the
    two apart is of the first.
    """
    if partitions is None or partitions.time is None or partitions.time.every != "hour":
        return False
    local = partitions.window(key)[0].astimezone(partitions.time.zone)
    if not local.fold:
        return False
    *before, _ = partitions.trailing(key, 2)
    return any(filled(path, partitions, one) == filled(path, partitions, key) for one in before)


def name_part(text: str) -> str:
    """A text as a part of a file's name: what no name can have is percent-encoded."""
    return _UNFIT.sub(lambda found: "".join(f"%{b:02X}" for b in found[0].encode()), text)


def named_in(path: str, partitions: Partitions | None) -> set[str]:
    """What a path names of a partition: `partition_key`, `partition_start`, dimensions."""
    known = set[str]() if partitions is None else set(_known(partitions))
    return known & {match[1].partition(":")[0] for match in PLACEHOLDER.finditer(path)}


def unnamed_in(path: str, partitions: Partitions) -> list[str]:
    """The dimensions that a path doesn't tell; of dynamic partitions their key."""
    named = named_in(path, partitions)
    if PARTITION_KEY in named:
        return []
    if partitions.dynamic is not None:
        return [PARTITION_KEY]
    told = {TIME} if PARTITION_START in named else set[str]()
    return [name for name in partitions.dimensions if name not in named | told]


def in_words(partitions: Partitions) -> str:
    """What a path may name of a partition, in words."""
    return ", ".join(f"{{{_EXAMPLES.get(name, name)}}}" for name in _known(partitions))


def _known(partitions: Partitions) -> list[str]:
    time = [PARTITION_START] if partitions.time else []
    return [PARTITION_KEY, *time, *(one.name for one in partitions.by)]


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


def wrong_path(path: str, partitions: Partitions | None) -> str | None:
    """What is wrong with what stands between braces in a path, in words."""
    known = _known(partitions) if partitions else [PARTITION_KEY, PARTITION_START]
    for match in _BRACES.finditer(path):
        name, colon, directives = match[1].partition(":")
        if name == PARTITION_START and PARTITION_START not in known:
            return f"{match[0]} has no value: the partitions aren't of time"
        if name == PARTITION_START and not colon:
            return f"{match[0]} doesn't say how the time is written: {{{_EXAMPLES[name]}}}"
        if name == PARTITION_START and (wrong := _wrong_directives(directives)):
            return f"{match[0]}: {wrong}"
        if (name not in known or (colon and name != PARTITION_START)) and (
            difflib.get_close_matches(name, known, cutoff=0.6)
        ):
            there = " and ".join(f"{{{_EXAMPLES.get(one, one)}}}" for one in known)
            return f"{match[0]} means nothing; there are {there}"
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
