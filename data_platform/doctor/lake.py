"""The lake: can it be written, read, and written by several at once? And is there room?

Called by `doctor.planning`; `status` asks for disks. The probe is an object of its own under
`_doctor/`, which no table is, and goes again. Whether a second creation is refused is tried and not
believed: on a server that ignores the condition two writers would both win, and one's rows be lost.
"""

# pyright: reportUnknownMemberType=false

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.doctor.findings import Finding, disk, in_time, moment_skew, reached, skew
from data_platform.errors import (
    PlatformError,
    StorageError,
    StorageUnavailable,
    TransientError,
)
from data_platform.storage.lake import Lake
from data_platform.storage.places.bucket import Bucket
from data_platform.storage.places.folder import Folder
from data_platform.storage.places.place import Place

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Store

AREA = "lake"
FOLDER = "_doctor"
PROBE = "written and read"
_ADVICE_FOLDER = "make room on its disk, and let whoever runs the platform write there"
_ADVICE_CONDITION = (
    "use a server that honours `If-None-Match: *` for PUT (a newer version of it), or let only one "
    "process write: two at once would lose rows"
)


def lake(place: Place) -> Iterator[Finding]:
    """Whether the lake can be written and read.

    Raises:
        StorageError: it can't be, for good.
        StorageUnavailable: it can't be reached.
    """
    store, prefix = _store(place)
    key = f"{prefix}{FOLDER}/{uuid.uuid4().hex}"
    try:
        with _in_words(place):
            yield from _probed(store, key, f"{place}")
    except StorageError as error:
        if not isinstance(place, Folder):
            raise
        yield Finding(AREA, PROBE, "fail", f"{error}", _ADVICE_FOLDER)
    finally:
        if isinstance(place, Folder):
            with contextlib.suppress(OSError):
                (place.root / FOLDER).rmdir()


def _probed(store: "Store", key: str, where: str) -> Iterator[Finding]:
    import obstore  # noqa: PLC0415
    from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415

    content = uuid.uuid4().bytes
    before, began = time.time(), time.monotonic()
    obstore.put(store, key, content)
    after = time.time()
    try:
        read = bytes(obstore.get(store, key).bytes())
        yield reached(AREA, time.monotonic() - began, where, PROBE)
        if read != content:
            advice = "look at the server or disk: it doesn't give back what it was given"
            yield Finding(AREA, "content", "fail", "another one than was written", advice)
        yield skew(
            AREA, moment_skew(obstore.head(store, key)["last_modified"], before - 1, after + 0.1)
        )
        began = time.monotonic()
        try:
            obstore.put(store, key, b"second", mode="create")
        except (AlreadyExistsError, PreconditionError):
            took = in_time(time.monotonic() - began)
            yield Finding(AREA, "conditional writes", "ok", f"honoured, {took}")
        else:
            found = "a second creation was not refused"
            yield Finding(AREA, "conditional writes", "fail", found, _ADVICE_CONDITION)
    finally:
        obstore.delete(store, key)


def disks(folders: Mapping[str, Path]) -> Iterable[Finding]:
    """The room on each disk, named by all that lie on it.

    Args:
        folders: by what they are for; one that isn't there yet counts as where it would be.
    """
    by_disk: dict[int, tuple[Path, list[str]]] = {}
    for name, folder in folders.items():
        standing = next(path for path in (folder, *folder.parents) if path.exists())
        by_disk.setdefault(standing.stat().st_dev, (standing, []))[1].append(name)
    for standing, names in by_disk.values():
        usage = shutil.disk_usage(standing)
        yield disk("machine", f"disk of {', '.join(names)}", usage.free, usage.total)


def folders_of(here: Lake, data_dir: Path) -> dict[str, Path]:
    """The folders of this machine that fill, by what they are for.

    Args:
        here: the lake.
        data_dir: of all local state.
    """
    folders = {"scratch": here.scratch_root, "data folder": data_dir}
    return folders if here.place.objects is not None else {AREA: Path(here.root), **folders}


def _store(place: Place) -> "tuple[Store, str]":
    """What reads and writes single objects as Delta does, and what their keys begin with."""
    from obstore.store import LocalStore  # noqa: PLC0415

    if isinstance(place, Bucket):
        return place.objects.store, f"{place.prefix}/" if place.prefix else ""
    if not isinstance(place, Folder):
        raise StorageError(f"{place} is no place that is known here")
    try:
        place.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{place}: {error.strerror}") from None
    return LocalStore(place.root), ""


@contextlib.contextmanager
def _in_words(place: Place) -> Iterator[None]:
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        if isinstance(place, Bucket):
            with place.objects.in_words(FOLDER):
                yield
        else:
            yield
    except PlatformError as error:
        kind = StorageUnavailable if isinstance(error, TransientError) else StorageError
        raise kind(str(error)) from None
    except (OSError, ValueError, BaseError) as error:
        said = str(error).splitlines()[0].removeprefix("Generic LocalFileSystem error: ")
        raise StorageError(f"{place}: {said[:200]}") from None
