"""What a line of a log is about: the run, the asset and its step, the partition.

Told by `asset_steps` where a step begins, and by whoever makes assets of what their steps are
called; read where a line is made. Threads that a step starts are told of it too: a process works
on one step at a time.
"""

import contextlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

Surroundings = Mapping[str, str | int]
"""By name: `run`, `job`, `pipeline`, `layer`, `asset`, `step`, `partition`, `try`,
`code_location`."""

_PARTITION = "dagster/partition"
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

_current: ContextVar[Surroundings | None] = ContextVar("surroundings", default=None)
_of_process: list[Surroundings] = []
_steps: dict[str, Surroundings] = {}


@contextmanager
def about(surroundings: Mapping[str, str | int | None]) -> Generator[None]:
    """Lines that are made in the block are about this, besides what they were about before."""
    given = {name: value for name, value in surroundings.items() if value is not None}
    known = {**current(), **given}
    token = _current.set(known)
    _of_process.append(known)
    try:
        yield
    finally:
        _of_process.remove(known)
        with contextlib.suppress(ValueError):  # a generator that somebody else closes
            _current.reset(token)


def current() -> Surroundings:
    """What a line is about that is made now."""
    return _current.get() or (_of_process[-1] if _of_process else {})


def partition_of(tags: Mapping[str, str]) -> str | None:
    """The partition of a run, or the first and the last of its range.

    Args:
        tags: of the run.
    """
    first, last = (tags.get(name) for name in _RANGE)
    return f"{first}...{last}" if first and last else tags.get(_PARTITION)


def name_step(step: str, surroundings: Surroundings) -> None:
    """Tell what a step is about, for lines that know its name alone."""
    _steps[step] = surroundings


def of_step(step: str) -> Surroundings:
    """What a step is about; nothing where nobody told."""
    return _steps.get(step, {})
