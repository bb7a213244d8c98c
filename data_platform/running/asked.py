"""Which partitions of each asset a request means, whatever partitions each has.

Called by `running.pipelines` and `backfills`. One request may be about assets of several kinds of
partitions: a range of time means all that lies in it, a key what belongs to it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from data_platform.errors import PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.plan.partitions import Partitions
from data_platform.running.requests import Request

Registered = Callable[[str], Sequence[str]]
"""The registered keys of a name."""


def asked_for(
    nodes: Sequence[AnyNode], request: Request, now: datetime, registered: Registered
) -> dict[Key, tuple[str, ...]]:
    """The partitions that are meant, by asset; assets of which none is meant are left out.

    Args:
        nodes: upstreams first.
        request: what a person said.
        now: aware; decides which partitions are due.
        registered: knows keys that are registered as they come.

    Raises:
        PermanentError: there are no such partitions.
    """
    kinds = list(dict.fromkeys(node.partitions for node in nodes if node.partitions))
    if not kinds:
        if request.partition or request.first or request.end or request.keys:
            raise PermanentError(
                "these assets have no partitions; leave --partition, --from and --to out"
            )
        return {node.key: (WHOLE,) for node in nodes}
    keys = _of_kinds(kinds, request, now, registered)
    if not any(keys.values()):
        raise PermanentError(_nothing_there(kinds, request))
    found = {
        node.key: tuple(keys[node.partitions]) if node.partitions else (WHOLE,) for node in nodes
    }
    return {key: some for key, some in found.items() if some}


def all_due(
    nodes: Sequence[AnyNode], now: datetime, registered: Registered
) -> dict[Key, tuple[str, ...]]:
    """All partitions of each asset that can be made."""
    return {
        node.key: tuple(node.partitions.due(now, _known(node.partitions, registered)))
        if node.partitions
        else (WHOLE,)
        for node in nodes
    }


def _of_kinds(
    kinds: Sequence[Partitions], request: Request, now: datetime, registered: Registered
) -> Mapping[Partitions, Sequence[str]]:
    """The keys of each kind of partitions."""
    if request.keys or request.partition is not None:
        named = list(request.keys) or [request.partition or ""]
        _require_known(kinds, named, registered)
        return {kind: _belonging(kind, kinds, named) for kind in kinds}
    if request.first is None and request.end is None:
        return {kind: kind.newest_due(now, _known(kind, registered)) for kind in kinds}
    _require_moments(kinds, request)
    return {
        kind: _within(kind, request.first, request.end, now)
        if kind.time
        else kind.due(now, _known(kind, registered))
        for kind in kinds
    }


def _within(kind: Partitions, first: str | None, end: str | None, now: datetime) -> list[str]:
    """The due keys all of whose time lies in a range."""
    time = kind.timed
    found = kind.within(first, end, now)
    if end is None or time.is_key(end):
        return found
    midnight = datetime.fromisoformat(end).replace(tzinfo=time.zone).astimezone(UTC)
    return [key for key in found if kind.window(key)[1] <= midnight]


def _belonging(kind: Partitions, kinds: Sequence[Partitions], keys: Sequence[str]) -> list[str]:
    """The keys of a kind that are named, or lie in some that are: a day's hours, not its month."""
    named = [key for key in keys if kind.is_key(key)]
    if named:
        return named
    found: dict[str, None] = {}
    for other in kinds:
        for key in (key for key in keys if other.is_key(key)):
            # A key without time doesn't say of when.
            if kind.time is None or (other.time is not None and kind.dynamic is None):
                found |= dict.fromkeys(
                    own for own in kind.reads(other, key, ()) if _lies_in(kind, own, other, key)
                )
    return list(found)


def _lies_in(kind: Partitions, own: str, other: Partitions, key: str) -> bool:
    if kind.time is None or other.time is None:
        return True
    (start, end), (first, last) = kind.window(own), other.window(key)
    return first <= start and end <= last


def _require_known(
    kinds: Sequence[Partitions], keys: Sequence[str], registered: Registered
) -> None:
    for key in keys:
        known = [kind for kind in kinds if kind.is_key(key)]
        if not known:
            raise PermanentError(f"there is no partition {key!r}; {extent(kinds[0])}")
        if all(kind.dynamic and key not in registered(kind.dynamic) for kind in known):
            some = ", ".join(registered(known[0].dynamic or "")) or "none"
            raise PermanentError(
                f"there is no partition {key!r} of {known[0].dynamic} yet; registered are {some}: "
                "--register registers it"
            )


def _require_moments(kinds: Sequence[Partitions], request: Request) -> None:
    timed = [kind for kind in kinds if kind.time]
    for text in (request.first, request.end):
        if text is None or (timed and all(kind.timed.is_moment(text) for kind in timed)):
            continue
        about = next((one for one in timed if not one.timed.is_moment(text)), kinds[0])
        raise PermanentError(f"{text!r} bounds no range of partitions; {extent(about)}")


def _nothing_there(kinds: Sequence[Partitions], request: Request) -> str:
    if request.first is None and request.end is None:
        return f"no partition is due; {extent(kinds[0])}"
    return f"no partition lies in that range; {extent(kinds[0])}"


def _known(kind: Partitions, registered: Registered) -> Sequence[str]:
    return registered(kind.dynamic) if kind.dynamic else ()


def extent(partitions: Partitions) -> str:
    """Which partitions there are, in words."""
    time = partitions.time
    if time is None:
        return f"there are {', '.join(partitions.first_keys) or 'those that are registered'}"
    example = f"a key is such as {partitions.first_keys[0]}"
    return f"the first begins on {time.start}, the end is {time.end or 'open'}; {example}"
