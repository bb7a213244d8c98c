"""The files that keep compiled nodes from one process to the next, one a pipeline.

Read and written by `plan.keeping`, which decides what of them still holds. A file counts for the
very declaration, platform and version of the platform that it was written for; whatever else is
wrong with one, its nodes are compiled anew.
"""

import functools
import hashlib
import io
import os
import pickle
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.spec.platform import Platform
from data_platform.spec.reading import PipelineFile

_PACKAGE = Path(__file__).parents[1]
_COMPILERS = ("plan", "spec")
_LIBRARIES = ("duckdb", "sqlglot", "pydantic")


@dataclass(frozen=True)
class Asked:
    """What an asset asked about another one.

    Attributes:
        reference: as written.
        key: whom it names.
        made_of: a digest of what that one was made of; None where its name alone was asked.
    """

    reference: str
    key: Key
    made_of: str | None


@dataclass(frozen=True)
class Entry:
    """A kept node.

    Attributes:
        declared: a digest of its own declaration.
        asked: about other assets.
        used: the parameters that something in it names.
        packed: the node.
    """

    declared: str
    asked: tuple[Asked, ...]
    used: tuple[str, ...]
    packed: bytes = field(repr=False)

    def node(self) -> AnyNode | None:
        """The node; None where it can't be read."""
        try:
            return pickle.loads(self.packed)  # noqa: S301 -- in the platform's own folder
        except Exception:  # noqa: BLE001 -- it is compiled anew
            return None


class KeptPipeline:
    """The nodes of one pipeline.

    Args:
        path: of their file.
        declared: a digest of what all of them depend on.
    """

    def __init__(self, path: Path, declared: str) -> None:
        self.declared = declared
        self._path = path
        self._found = _read(path, declared)
        self._entries: dict[Key, Entry] = {}

    def find(self, key: Key, declared: str) -> Entry | None:
        """What is kept of an asset, if it was declared in the same way."""
        found = self._found.get(key)
        return found if found is not None and found.declared == declared else None

    def keep(self, key: Key, entry: Entry) -> None:
        """Keep a node for the next process."""
        self._entries[key] = entry

    def write(self) -> None:
        """Write what is new; that it can't be written costs time and nothing else."""
        # To look at a project makes no folder in it; its first run does.
        if self._entries == self._found or not self._path.parents[1].is_dir():
            return
        unseen = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unseen.write_bytes(pickle.dumps((self.declared, self._entries)))
            unseen.replace(self._path)


TOLD_OF = {"alerts", "lineage", "retention"}
"""Keys of platform.yaml that no node is made of."""


class KeptNodes:
    """What is kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pipeline(self, file: PipelineFile, platform: Platform | None) -> KeptPipeline:
        """The nodes of a pipeline.

        Args:
            file: as read.
            platform: platform.yaml; None where it has mistakes.
        """
        path = str(file.document.path.absolute())
        places = (path, str(file.folder), str(file.base_dir))
        shared = platform.model_dump_json(exclude=TOLD_OF) if platform else ""
        said = file.spec.model_dump_json()
        declared = digest_of(_compilers(), *places, file.document.digest, said, shared)
        return KeptPipeline(self._folder / f"{digest_of(path)}.pickle", declared)


def digest_of(*parts: str) -> str:
    """A hash of some texts in order."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        whole.update(len(content).to_bytes(8, "big") + content)
    return whole.hexdigest()[:32]


def packed(node: AnyNode) -> bytes | None:
    """A node as it is kept; None where a function is a part of it, which changes without a sign."""
    content = io.BytesIO()
    try:
        _Pickler(content, pickle.HIGHEST_PROTOCOL).dump(node)
    except (pickle.PicklingError, TypeError, AttributeError):
        return None
    return content.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any, /) -> Any:
        if isinstance(obj, UserFunction):
            raise pickle.PicklingError
        return NotImplemented


def _read(path: Path, declared: str) -> dict[Key, Entry]:
    try:
        known, entries = pickle.loads(path.read_bytes())  # noqa: S301 -- the platform's own folder
    except Exception:  # noqa: BLE001 -- there is none, or none that this version can read
        return {}
    return entries if known == declared else {}


@functools.cache
def _compilers() -> str:
    """What tells the platform that compiles from an earlier one."""
    libraries = (f"{name} {version(name)}" for name in _LIBRARIES)
    return digest_of(*_stamps(), *libraries)


def _stamps() -> Iterator[str]:
    for part in _COMPILERS:
        for path in sorted((_PACKAGE / part).rglob("*.py")):
            known = path.stat()
            yield f"{path} {known.st_size} {known.st_mtime_ns}"
