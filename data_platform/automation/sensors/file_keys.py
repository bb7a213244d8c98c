"""Which partition a file is of, by its name: the way from a path's placeholders back to keys.

Called by `file_looks`. Every key is written out as the path would have it, so that whatever may
stand in a path is understood the same in both directions. Must not know Dagster.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import unquote

from data_platform.plan.naming import WHOLE
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.file_paths import PLACEHOLDER, filled
from data_platform.sources.files.finding import as_regex

AHEAD = timedelta(days=62)
"""How long before its partition is over a file may come, and wait for it."""
_HOLE = "\ue000"
"""Stands for a placeholder while a path is made a pattern; no file is called so."""
_NAME = "[^/]+"
_ANY = re.compile(".*", re.DOTALL)

Written = tuple[str, ...]
"""What stands for each placeholder of a path."""


@dataclass(frozen=True)
class FileKeys:
    """The partitions of the files of a path.

    Attributes:
        glob: names the files of all partitions.
        registers: whether each new name is a new key.
        newest: the newest key that is over, where keys are of time.
    """

    glob: str
    registers: bool = False
    newest: str | None = None
    _regex: re.Pattern[str] = _ANY
    _keys: Mapping[Written, Sequence[str]] = field(default_factory=dict[Written, Sequence[str]])
    _ahead: frozenset[Written] = frozenset()

    def of(self, name: str) -> Sequence[str]:
        """The keys of a file: none where no partition has it, several where its name says less."""
        found = self._regex.fullmatch(name)
        if found is None:
            return ()
        written = found.groups()
        if self.registers:
            # What can't be in a name is written with a percent sign, see `file_paths`.
            return (unquote(written[0]),) if len(set(written)) == 1 else ()
        return self._keys.get(written, ())

    def is_ahead(self, name: str) -> bool:
        """Whether its partition isn't over yet."""
        found = self._regex.fullmatch(name)
        return found is not None and found.groups() in self._ahead


def file_keys(path: str, partitions: Partitions | None, now: datetime) -> FileKeys:
    """How the files of a path are told apart.

    Args:
        path: of a source, with placeholders.
        partitions: of the source; None means that all its files belong together.
        now: aware; a partition that isn't over has no files yet.
    """
    if partitions is None:
        return FileKeys(path, _keys={(): (WHOLE,)})
    if partitions.dynamic is not None:
        regex = _regex(path, [[_NAME]] * len(PLACEHOLDER.findall(path)))
        return FileKeys(PLACEHOLDER.sub("*", path), registers=True, _regex=regex)
    newest = partitions.time.newest_due(now) if partitions.time else None
    return _of_due(path, partitions, newest, now)


_kept: dict[tuple[str, Partitions], FileKeys] = {}
"""Of each path as long as no further partition is over: a year of hours takes a tenth of a second
to be written out."""


def _of_due(path: str, partitions: Partitions, newest: str | None, now: datetime) -> FileKeys:
    kept = _kept.get((path, partitions))
    if kept is not None and kept.newest == newest:
        return kept
    due = partitions.due(now)
    over = set(due)
    coming = [key for key in partitions.due(now + AHEAD) if key not in over]
    keys: dict[Written, list[str]] = {}
    for key in due:
        keys.setdefault(_written(path, partitions, key), []).append(key)
    ahead = frozenset(_written(path, partitions, key) for key in coming) - keys.keys()
    shapes = [_shapes(texts) for texts in zip(*keys, *ahead, strict=True)]
    made = FileKeys(
        _glob(path, shapes), newest=newest, _regex=_regex(path, shapes), _keys=keys, _ahead=ahead
    )
    _kept[path, partitions] = made
    return made


def _written(path: str, partitions: Partitions, key: str) -> Written:
    return tuple(filled(match[0], partitions, key) for match in PLACEHOLDER.finditer(path))


def _shapes(texts: Iterable[str]) -> list[str]:
    """What the texts have in common as regular expressions: any digit for each of theirs."""
    return sorted({re.sub(r"\d", r"\\d", re.escape(text)) for text in texts}, key=len, reverse=True)


def _glob(path: str, shapes: Sequence[Sequence[str]]) -> str:
    """All files of a path, and maybe a few more; a time may be written over several folders."""
    folders = iter({shape.count("/") for shape in one} for one in shapes)

    def between(_: re.Match[str]) -> str:
        counts = next(folders, {0})
        return "/".join("*" * (counts.pop() + 1)) if len(counts) == 1 else "**"

    return PLACEHOLDER.sub(between, path)


def _regex(path: str, shapes: Sequence[Sequence[str]]) -> re.Pattern[str]:
    """A pattern of names with a group for each placeholder."""
    first, *rest = as_regex(PLACEHOLDER.sub(_HOLE, path)).split(_HOLE)
    given = [*shapes, *([["(?!)"]] * (len(rest) - len(shapes)))]
    groups = (f"({'|'.join(one)}){text}" for one, text in zip(given, rest, strict=True))
    return re.compile(first + "".join(groups), re.DOTALL)
