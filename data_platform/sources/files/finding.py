"""Which files a path names: placeholders of the partition, globs, on this machine and in S3.

Called by `arriving` beside it, and when definitions load.
"""

import glob
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG

from data_platform.engine.object_store import SCHEME, ObjectStore, StoredObject, split_url
from data_platform.engine.outside import Outside
from data_platform.errors import SourceError
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.file_paths import filled
from data_platform.plan.sources.kinds import Files
from data_platform.sources.files.found import Found
from data_platform.spec.platform import S3Connection

_WILDCARDS = re.compile(r"[*?\[]")
_PIECES = {"*": "[^/]*", "?": "[^/]"}
_FIRST_WILDCARD = re.compile(r"[*?\[{]")


def pattern_of(path: str, partitions: Partitions | None, key: str) -> str:
    """The path with what stands in for its placeholders; the partition's own text is no glob."""
    return filled(path, partitions, key, glob.escape)


def folder_of(path: str) -> Path:
    """The deepest folder of a path that has no wildcard and no placeholder in it."""
    fixed = Path(path).parent
    while _FIRST_WILDCARD.search(str(fixed)):
        fixed = fixed.parent
    return fixed


def store_of(source: Files, outside: Outside) -> ObjectStore | None:
    """The bucket of a path; None where it is on this machine.

    Raises:
        SourceError: the connection has another bucket.
    """
    if not source.path.startswith(SCHEME):
        return None
    bucket, _ = split_url(source.path)
    connection = outside.connection(source.connection) if source.connection else None
    if connection is None:
        return ObjectStore(S3Connection(type="s3"), bucket)
    assert isinstance(connection, S3Connection)  # noqa: S101 -- the plan has seen to it
    if connection.bucket not in {None, bucket}:
        raise SourceError(
            f"{source.path}: the connection {source.connection} has the bucket {connection.bucket}"
        )
    return ObjectStore(connection, bucket)


def find(pattern: str, store: ObjectStore | None) -> list[Found]:
    """The files that a pattern names, in order of their names.

    Raises:
        SourceError: there is none, or they can't be listed.
        SourceUnavailable: the server of the bucket can't be reached.
    """
    found = listed(pattern, store)
    if not found:
        raise SourceError(f"no file matches {pattern}")
    return sorted(found, key=lambda file: file.name)


def listed(pattern: str, store: ObjectStore | None) -> list[Found]:
    """The files that a pattern names, in any order; none where there is none.

    Raises:
        SourceError: they can't be listed.
        SourceUnavailable: the server of the bucket can't be reached.
    """
    return _find_local(pattern) if store is None else _find_stored(pattern, store)


def _find_local(pattern: str) -> list[Found]:
    """Regular files; a link counts as the file that it leads to, once."""
    # A name may hold wildcards and mean itself; a pattern may be absolute.
    itself = os.path.isfile(pattern)  # noqa: PTH113
    paths = [pattern] if itself else glob.glob(pattern, recursive=True)  # noqa: PTH207
    found: dict[str, Found] = {}
    for path in paths:
        _check_name(path)
        file = look_at(path)
        if file is not None:
            found.setdefault(os.path.realpath(path) if os.path.islink(path) else path, file)  # noqa: PTH114
    return list(found.values())


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        raise SourceError(f"the name of a file is no UTF-8: {shown}; rename it") from None


def look_at(path: str) -> Found | None:
    """A file of this machine as it is now; None where there is no regular file."""
    try:
        state = os.stat(path)  # noqa: PTH116 -- thousands of them
    except OSError:
        return None
    if not S_ISREG(state.st_mode):
        return None
    modified = datetime.fromtimestamp(state.st_mtime, UTC)
    mark = f"{state.st_mtime_ns}-{state.st_ino}"
    return Found(path, state.st_size, modified, mark, Path(path))


def _find_stored(pattern: str, store: ObjectStore) -> list[Found]:
    _, key = split_url(pattern)
    if not _WILDCARDS.search(key):
        stored = store.find(key)
        return [_object(stored, store)] if stored else []
    matches = re.compile(as_regex(key)).fullmatch
    fixed = _WILDCARDS.split(key)[0].rpartition("/")[0]
    listed = [stored for batch in store.list(fixed) for stored in batch]
    folders = {stored.key.rpartition("/")[0] for stored in listed}
    return [
        _object(stored, store)
        for stored in listed
        # Some tools mark a folder with an object of no bytes.
        if matches(stored.key) and not (stored.bytes == 0 and stored.key in folders)
    ]


def _object(stored: StoredObject, store: ObjectStore) -> Found:
    mark = stored.etag or stored.modified.isoformat()
    return Found(f"{store.url}/{stored.key}", stored.bytes, stored.modified, mark, stored=stored)


def as_regex(pattern: str) -> str:
    """A glob over keys: `*`, `?` and `[...]` within a part, `**` over parts."""
    parts = pattern.split("/")
    texts: list[str] = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            texts.append(".*" if last else "(?:[^/]+/)*")
        else:
            texts.append(_partas_regex(part) + ("" if last else "/"))
    return "".join(texts)


def _partas_regex(part: str) -> str:
    # What fnmatch gives matches over slashes too; `*` of a part doesn't.
    text = re.sub(r"\*\*+", "*", part)
    pieces = re.split(r"(\*|\?|\[!?\]?[^\]]*\])", text)
    return "".join(_PIECES.get(piece) or _class_or_text(piece) for piece in pieces)


def _class_or_text(piece: str) -> str:
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:  # noqa: PLR2004
        inner = piece[1:-1].replace("\\", "\\\\")
        inside = f"^{inner[1:]}" if inner.startswith("!") else inner.replace("^", "\\^")
        return f"[{inside.replace('[', chr(92) + '[')}]"
    return re.escape(piece)
