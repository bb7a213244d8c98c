"""Files that follow an asset of the lake: each version of a partition is one file, put once.

Called by `targets.answering`. A file is put whole in place of the one before, then its manifest,
which is the ledger: a partition is there where its manifest tells of the file beside it. A crash
between the two, and what anybody else did to a file, is mended by the next run. Files of one load
aren't one: those that were put stand where another one can't be.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from data_platform.engine.outside import Outside
from data_platform.engine.session import open_session
from data_platform.plan.destinations.files import MANIFEST_ENDING
from data_platform.plan.destinations.kinds import FileTarget
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.plan.sources.file_paths import filled
from data_platform.targets.deliveries import Delivery, Version
from data_platform.targets.files.manifests import Manifest, decoded, encoded
from data_platform.targets.files.places import PART, Place, place_of
from data_platform.targets.files.reading import StagedRows
from data_platform.targets.files.writing import Staged, Writer, form_of, groups

LOOKED_AT_ONCE, PUT_AT_ONCE = 32, 12
"""Files: each request waits for the server, not for the line."""
MEMORY = "512MB"
"""Of DuckDB while it writes, beside the session that reads the lake."""
ResultT = TypeVar("ResultT")


def deliver(delivery: Delivery, target: FileTarget) -> list[str]:
    """Put the files of versions that aren't there, all after rules where there are some.

    Returns:
        The partitions whose files were put; none where a rule failed.

    Raises:
        StorageUnavailable: the place can't be reached, or broke off.
        StorageError: it can't hold them, or a value can't be written.
    """
    place = place_of(target, delivery.outside)
    due = _due(delivery, target, place)
    if not due:
        return []
    folder = delivery.scratch / "files"
    folder.mkdir()
    with (
        open_session(delivery.scratch, [], MEMORY) as session,
        delivery.work.stoppable(session.connection.interrupt),
    ):
        session.work = delivery.work
        writer = Writer(delivery, target, session, folder)
        put = _Putting(delivery, target, place)
        if delivery.judge is None:
            for group in groups(delivery, due):
                put.all(writer.write(group))
            return due
        staged: dict[str, Staged] = {}
        for group in groups(delivery, due):
            staged |= writer.write(group)
        if not delivery.judge(StagedRows(target, delivery.columns, staged), due):
            return []
        put.all(staged)
    return due


def held(node: DestinationNode, target: FileTarget, outside: Outside) -> dict[str, Version]:
    """Which versions files hold, by partition; nothing is listed.

    Raises:
        StorageUnavailable: the place can't be reached.
    """
    place = place_of(target, outside)
    keys = node.partitions.due(datetime.now(UTC)) if node.partitions else [WHOLE]
    found = _standing(node, target, place, keys)
    return {key: manifest.version for key, manifest in found.items()}


def _due(delivery: Delivery, target: FileTarget, place: Place) -> list[str]:
    """Partitions whose file isn't there, is another one, or is written another way."""
    versions, form = delivery.versions, form_of(target)
    standing = _standing(delivery.node, target, place, list(versions))
    return [
        key
        for key, version in versions.items()
        if (manifest := standing.get(key)) is None
        or (manifest.data_version, manifest.format) != (version.data_version, form)
    ]


def _standing(
    node: DestinationNode, target: FileTarget, place: Place, keys: Sequence[str]
) -> dict[str, Manifest]:
    """The manifests of files that are there as they were put."""

    def look(key: str) -> Manifest | None:
        name = filled(target.path, node.partitions, key)
        manifest = decoded(place.read(f"{name}{MANIFEST_ENDING}"))
        if manifest is None or manifest.partition != key:
            return None
        there = place.stands(name, manifest.bytes, manifest.mark, manifest.sha256)
        return manifest if there else None

    with _pool(LOOKED_AT_ONCE) as run:
        return {key: found for key, found in run(look, keys) if found is not None}


class _Putting:
    """Brings files to their place."""

    def __init__(self, delivery: Delivery, target: FileTarget, place: Place) -> None:
        self._delivery, self._target, self._place = delivery, target, place

    def all(self, files: Mapping[str, Staged]) -> None:
        """Put files and their manifests; after one that failed no further one is begun."""

        def put(key: str) -> None:
            self._delivery.work.go_on()
            self._put(key, files[key])

        large = [key for key, file in files.items() if file.bytes > PART]
        with _pool(PUT_AT_ONCE) as run:
            for _ in run(put, [key for key in files if key not in large]):
                pass
        for key in large:  # in parts, of which several are on the way
            put(key)

    def _put(self, key: str, file: Staged) -> None:
        delivery, target = self._delivery, self._target
        name = filled(target.path, delivery.node.partitions, key)
        mark = self._place.put(file.path, name)
        manifest = Manifest(
            file=name.rpartition("/")[2],
            asset=str(delivery.node.source),
            partition=key,
            data_version=delivery.versions[key].data_version,
            rows=file.rows,
            bytes=file.bytes,
            sha256=file.sha256,
            format=form_of(target),
            columns=delivery.columns,
            run_id=delivery.run_id,
            written_at=datetime.now(UTC).isoformat(timespec="seconds"),
            mark=mark,
        )
        self._place.write(f"{name}{MANIFEST_ENDING}", encoded(manifest))
        file.path.unlink()


@contextmanager
def _pool(
    at_once: int,
) -> Iterator[Callable[[Callable[[str], ResultT], Sequence[str]], Iterator[tuple[str, ResultT]]]]:
    """Threads that do something for each partition; after an error no further one is begun."""
    with ThreadPoolExecutor(at_once) as pool:
        try:
            yield lambda task, keys: zip(keys, pool.map(task, keys), strict=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
