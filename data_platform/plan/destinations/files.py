"""Files that follow an asset, resolved: their paths name each partition, and their format is one.

Called by `plan.destinations.nodes`.
"""

import re
from datetime import date, timedelta
from pathlib import Path, PurePosixPath

from data_platform.plan.declared import Declared, refused
from data_platform.plan.destinations.kinds import Compression, FileTarget, OutputFormat
from data_platform.plan.partitions import TIME, Partitions, TimePartitions
from data_platform.plan.partitions.kinds import BETWEEN
from data_platform.plan.sources.file_paths import (
    FORMATS,
    PARTITION_KEY,
    PARTITION_START,
    compression_of,
    filled,
    format_of,
    unnamed_in,
    wrong_path,
)
from data_platform.spec.destinations import CsvOutput, FileDestination
from data_platform.spec.platform import S3Connection

MANIFEST_ENDING = ".manifest.json"
"""Of the file that says what the file beside it holds."""
S3 = "s3://"
WRITTEN: dict[OutputFormat, tuple[Compression, ...]] = {
    "parquet": ("zstd", "snappy", "gzip", "none"),
    "csv": ("none", "gzip", "zstd"),
    "jsonl": ("none", "gzip", "zstd"),
}
"""The compressions of each format, the usual one first."""
ENDINGS = {"gzip": ".gz", "zstd": ".zst"}
"""Of compressed text, by which readers know it."""
_SAMPLE_DAYS = 400
"""Days whose names must differ: more than a year, so that a name without it is found."""
_WHOLE_HOURS = 48
"""Hours from the first on of which all names must differ."""
_WILDCARDS = re.compile(r"[*?\[\]]")


def file_target(asset: Declared[FileDestination], partitions: Partitions | None) -> FileTarget:
    """The files of a destination.

    Raises:
        ConfigurationError: what is wrong with them.
    """
    spec = asset.spec
    if wrong := (
        _wrong_place(asset) or wrong_path(spec.path, partitions) or _wrong_name(spec.path)
    ):
        raise refused(asset.at("path"), wrong)
    if wrong := _wrong_partitions(spec.path, partitions):
        raise refused(asset.at("path"), wrong)
    kind = _format(asset)
    path = spec.path if spec.path.startswith(S3) else _local(asset)
    return FileTarget(path, spec.connection, kind, _compression(asset, kind), _csv(asset, kind))


def _wrong_place(asset: Declared[FileDestination]) -> str | None:
    """What is wrong with where a path begins."""
    spec = asset.spec
    if spec.connection is not None:
        asset.require_connection(spec.connection, "s3")
        if not spec.path.startswith(S3):
            return "with a connection of type s3 it is s3://bucket/..."
    if not spec.path.startswith(S3):
        return (
            f"{spec.path!r} is on no file system: a local path, or s3://..."
            if ("://" in spec.path)
            else None
        )
    bucket, _, key = spec.path.removeprefix(S3).partition("/")
    if not bucket or not key:
        return f"{spec.path!r} names no object: s3://bucket/folder/file"
    known = asset.platform.connections.get(spec.connection or "") if asset.platform else None
    own = known.bucket if isinstance(known, S3Connection) else None
    if own is not None and "${" not in own and own != bucket:
        return f"the connection {spec.connection!r} has the bucket {own!r}, not {bucket!r}"
    return None


def _wrong_name(path: str) -> str | None:
    name = path.rpartition("/")[2]
    if _WILDCARDS.search(path):
        return "one file is written for a partition: a path with *, ? or [ names many"
    if not name or name in {".", ".."}:
        return f"{path!r} is a folder: the path names the file, too"
    if name.endswith(MANIFEST_ENDING):
        return f"a name that ends in {MANIFEST_ENDING} is that of the manifest beside a file"
    if path.startswith(S3) and {"", ".", ".."}.intersection(path.removeprefix(S3).split("/")):
        return "no part of an s3:// path may be empty, `.` or `..`"
    return None


def _local(asset: Declared[FileDestination]) -> str:
    """The absolute path; a relative one stays within the project."""
    written, home = PurePosixPath(asset.spec.path), asset.file.base_dir
    depth = 0
    for part in written.parts if not written.is_absolute() else ():
        depth += -1 if part == ".." else part != "."
        if depth < 0:
            raise refused(
                asset.at("path"),
                f"{asset.spec.path!r} leaves the project's folder, at which it starts: "
                "write an absolute path",
            )
    return str(Path(home) / asset.spec.path)


def _wrong_partitions(path: str, partitions: Partitions | None) -> str | None:
    """Why partitions would have no file each."""
    if partitions is None:
        named = any(f"{{{one}" in path for one in (PARTITION_KEY, PARTITION_START))
        return "{partition_key} has no value: the asset has no partitions" if named else None
    if unnamed := unnamed_in(path, partitions):
        time = TIME in unnamed
        missing = [f"{{{one}}}" for one in unnamed if one not in {TIME, PARTITION_KEY}]
        needed = [*missing, *(["{partition_start:%Y-%m-%d}"] if time else [])]
        which = "all partitions" if len(unnamed) == len(partitions.dimensions) else "several"
        return (
            f"{which} would be written into one file: the path needs "
            f"{' or '.join(['{partition_key}', *([' and '.join(needed)] if needed else [])])}"
        )
    seen: dict[str, str] = {}
    for key in _sample(partitions):
        name = filled(path, partitions, key)
        if name in seen:
            return f"{seen[name]} and {key} would both be {name.rpartition('/')[2]!r}"
        seen[name] = key
    return None


def _sample(partitions: Partitions) -> list[str]:
    """Partitions of which some would have one name, if any of all have."""
    if partitions.dynamic is not None:
        return []
    first = partitions.first_keys
    if partitions.time is None:
        return first
    named = first[0].split(BETWEEN)[1:]
    times = [BETWEEN.join([time, *named]) for time in _sample_times(partitions.time)]
    return list(dict.fromkeys([*times, *first]))


def _sample_times(time: TimePartitions) -> list[str]:
    last = min(time.start + timedelta(days=_SAMPLE_DAYS), time.end or date.max)
    if time.every != "hour":
        return time.between(time.first_key, last.isoformat())
    # Of most days one hour is enough: of the first all, and of those with an hour more or less.
    hours = (time.starts + timedelta(hours=one) for one in range(24 * (last - time.start).days))
    day = timedelta(days=1)
    found = [
        time.key_at(hour)
        for number, hour in enumerate(hours)
        if number < _WHOLE_HOURS
        or number % 24 == 0
        or len({(hour + n * day).astimezone(time.zone).utcoffset() for n in (-1, 1)}) > 1
    ]
    return list(dict.fromkeys(found))


def _format(asset: Declared[FileDestination]) -> OutputFormat:
    """The format that is said, or that the ending names; they may not differ."""
    spec = asset.spec
    ending = format_of(spec.path)
    listed = ", ".join(WRITTEN)
    if spec.format is None:
        if ending is None:
            message = f"the ending of {spec.path!r} doesn't tell the format: set format to one of"
            raise refused(asset.at("path"), f"{message} {listed}")
        if ending == "json":
            message = "one JSON document can't be written as rows come: end the name in .jsonl"
            raise refused(asset.at("path"), message)
        return ending
    if ending is not None and ending != spec.format:
        known = next(name for name, kind in FORMATS.items() if kind == ending)
        raise refused(
            asset.at("format"),
            f"{spec.format} in a file whose name ends in .{known}: readers take it for {ending}",
        )
    return spec.format


def _compression(asset: Declared[FileDestination], kind: OutputFormat) -> Compression:
    """The compression that is said, that the ending names, or the format's usual one."""
    spec = asset.spec
    named = compression_of(spec.path)
    said = spec.compression
    if said is not None and said not in WRITTEN[kind]:
        there = ", ".join(WRITTEN[kind])
        raise refused(
            asset.at("compression"), f"{kind} has no compression {said}; there are {there}"
        )
    if kind == "parquet":
        if named != "none":
            message = f"Parquet is compressed within: leave {ENDINGS[named]} out of the name"
            raise refused(asset.at("path"), message)
        return said or WRITTEN[kind][0]
    found: Compression = "gzip" if named == "gzip" else "zstd" if named == "zstd" else "none"
    if said is None or said == found:
        return found
    ends = f"end the name in {ENDINGS[said]}" if said in ENDINGS else f"leave {ENDINGS[found]} out"
    raise refused(
        asset.at("compression"), f"readers tell the compression of text by its name: {ends}"
    )


def _csv(asset: Declared[FileDestination], kind: OutputFormat) -> CsvOutput:
    """How CSV is written, where that can be read back."""
    csv = asset.spec.csv
    if csv is None:
        return CsvOutput()
    if kind != "csv":
        raise refused(asset.at("csv"), f"`csv` is about CSV files, and this one is {kind}")
    if not csv.delimiter.isascii() or csv.delimiter in '"\n\r\0':
        raise refused(
            asset.at("csv", "delimiter"), f"{csv.delimiter!r} can't be told from what it parts"
        )
    if set(csv.null_value) & {csv.delimiter, '"', "\n", "\r"}:
        raise refused(
            asset.at("csv", "null_value"),
            f"{csv.null_value!r} would have to be quoted, and what is quoted is a text: "
            "leave delimiters, quotes and line breaks out",
        )
    return csv
