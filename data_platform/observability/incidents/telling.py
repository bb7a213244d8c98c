"""Which incidents are told now: new ones, worse ones, those that are still there, those that ended.

Called by `alerts.watching` when all that was seen is folded. Pure.
"""

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from data_platform.observability.incidents.folding import GRACE, Folding
from data_platform.observability.incidents.model import Behind, Incident, severity_of
from data_platform.plan.keys import Key
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import SEVERITIES

OFTEN = 3
"""What came so often in a short time is over only when it has been well for a while."""
QUIET = timedelta(hours=1)
_NEWS_ONLY = frozenset({"warned", "quarantined", "over_budget", "slow_runs"})
"""What is told again only where it was seen again: it stays as it is until somebody decides."""

Turn = Literal["opened", "worse", "repeated", "recovered"]


@dataclass(frozen=True)
class Told:
    """That somebody is to be told of an incident.

    Attributes:
        incident: as it is now.
        turn: which it took.
    """

    incident: Incident
    turn: Turn


def turns(folding: Folding, repeat_after: timedelta, broken: Collection[str] = ()) -> list[Told]:
    """Whom to tell of what, after causes were found for what has one.

    Args:
        folding: in which everything is folded.
        repeat_after: when what is still wrong is told again.
        broken: pipelines that aren't in the plan since they have mistakes.
    """
    for incident in folding.open:
        if _is_gone(incident, folding.plan, broken):
            folding.put(replace(incident, signs={}, mended=folding.now))
    _put_behind(folding)
    told: list[Told] = []
    for incident in folding.open:
        # One that was read before may be another since.
        current = folding.get(incident.id)
        if current is not None and (turn := _turn(folding, current, repeat_after)):
            told.append(Told(current, turn))
    return told


def _is_gone(incident: Incident, plan: Plan, broken: Collection[str]) -> bool:
    """Whether its asset was removed."""
    key = incident.key
    return key is not None and plan.get(key) is None and key.pipeline not in broken


def _turn(folding: Folding, incident: Incident, repeat_after: timedelta) -> Turn | None:
    now = folding.now
    if not incident.signs:
        return _ended(folding, incident, min(QUIET, repeat_after))
    if incident.under is not None or now < incident.due:
        return None
    if incident.told_at is None or incident.told_as is None:
        return "opened"
    alone = severity_of(incident, folding.plan, alone=True)
    if SEVERITIES.index(alone) > SEVERITIES.index(incident.told_as):
        return "worse"
    if now - incident.told_at < repeat_after:
        return None
    seen_at = max(sign.at for sign in incident.signs.values())
    is_old = incident.matter in _NEWS_ONLY and seen_at <= incident.told_at
    return None if is_old else "repeated"


def _ended(folding: Folding, incident: Incident, quiet: timedelta) -> Turn | None:
    """Close what has no sign; what comes and goes only when it has stayed away."""
    since = incident.mended or folding.now
    if incident.times >= OFTEN and folding.now - since < quiet:
        return None
    top = folding.top(incident)
    if top.id != incident.id and incident.name in top.behind:
        folding.let_go(top, incident.name)
    folding.put(replace(incident, closed=folding.now, mended=since))
    for other in folding.open:
        if other.under == incident.id:
            # It may become good by itself now, or be told by its own.
            folding.put(replace(other, under=incident.under, due=folding.now + GRACE))
    return "recovered" if incident.told_at is not None else None


# Causes -----------------------------------------------------------------------------------------


def _put_behind(folding: Folding) -> None:
    """Put what has its cause elsewhere behind that."""
    before = {one.id: folding.top(one).id for one in folding.open}
    for incident in folding.open:
        cause = _cause(folding, incident) if incident.signs else None
        if cause is not None and cause.id != incident.under:
            folding.put(replace(incident, under=cause.id))
    for incident in folding.open:
        key, top, was = incident.key, folding.top(incident), folding.get(before[incident.id])
        if was is not None and was.id != top.id and incident.name in was.behind:
            folding.let_go(was, incident.name)
        if key is not None and incident.signs and top.id != incident.id:
            how = "stale" if incident.is_only_stale else "failed"
            folding.hold_up(folding.get(top.id) or top, {key: Behind(how, incident.opened)})


def _cause(folding: Folding, incident: Incident) -> Incident | None:
    """What an incident is an effect of: the nearest one above it, or the same system's first."""
    if incident.is_only_stale and incident.key:
        for key in _above(folding.plan, incident.key):
            found = folding.of("trouble", key)
            if found is not None and found.signs:
                return found
    if incident.system and incident.told_at is None and incident.under is None:
        same = [one for one in folding.open if one.system == incident.system and not one.under]
        first = min(same, key=lambda one: (one.told_at is None, one.opened, one.name))
        return first if first.id != incident.id else None
    return None


def _above(plan: Plan, start: Key) -> Iterator[Key]:
    """The assets above one, the nearest first."""
    seen, waiting = {start}, deque([start])
    while waiting:
        node = plan.get(waiting.popleft())
        for given in (*node.inputs, *node.after) if node is not None else ():
            if given.key not in seen:
                seen.add(given.key)
                waiting.append(given.key)
                yield given.key
