"""An incident: what is wrong with one asset, pipeline or daemon, since when, and who was told.

Made by `folding`, kept by `keeping`, worded by `alerts.words`. Pure values; knows nothing of
Dagster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter

from data_platform.plan.keys import Key
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import SEVERITIES, Event, Severity

Matter = Literal[
    "trouble", "warned", "quarantined", "over_budget", "pipeline", "slow_runs", "daemon"
]
"""What it is about. `trouble` keeps an asset from being good: it failed, a check did, or it is
stale. The other ones of an asset leave it as it is. `pipeline` and `slow_runs` are of a pipeline:
it has mistakes, its runs take more than its budget."""
OF_NO_ASSET = frozenset({"pipeline", "slow_runs", "daemon"})


@dataclass(frozen=True)
class Part:
    """What a sign says of a partition.

    Attributes:
        number: of the event.
        rows: that it is about, where it counts some.
    """

    number: int
    rows: int = 0


@dataclass(frozen=True)
class Sign:
    """By what an incident is seen.

    Attributes:
        event: as routes call it.
        severity: of the event itself, without how critical the asset is.
        at: when it was seen last.
        number: of that event in Dagster's log; 0 where it is no event.
        text: what is wrong, in words.
        run_id: in which run.
        parts: the partitions that it is about.
        facts: figures, by their names.
        examples: rows, masked.
        system: that is down, where this is why.
    """

    event: Event
    severity: Severity
    at: datetime
    number: int
    text: str
    run_id: str | None = None
    parts: Mapping[str, Part] = field(default_factory=dict[str, Part])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    examples: tuple[Mapping[str, str], ...] = ()
    system: str | None = None


@dataclass(frozen=True)
class Behind:
    """An asset that an incident of another holds up.

    Attributes:
        how: it is stale, it failed since the same system is down, or a run left it out.
        since: when that was seen.
        over: whether it is well again.
    """

    how: Literal["stale", "failed", "skipped"]
    since: datetime
    over: bool = False


@dataclass(frozen=True)
class Incident:
    """What is wrong.

    Attributes:
        id: of it, the same in all its messages.
        matter: what it is about.
        name: the asset's key as text, the pipeline's name, or `daemon`.
        opened: when it was seen first.
        due: nobody is told before: a cause may still come, or it passes.
        signs: by which it is seen; without any it is over.
        under: the incident behind which it stands, and in whose messages it is told.
        behind: the assets that it holds up or held up, by key.
        times: how often it came in a short time, this one included.
        told_at: when somebody was told last; None until then.
        told_as: how bad it was told to be.
        told_to: the channels.
        messages: how many there were.
        title: of the last message.
        mended: since when it has no sign.
        closed: when it was over.
    """

    id: str
    matter: Matter
    name: str
    opened: datetime
    due: datetime
    signs: Mapping[str, Sign] = field(default_factory=dict[str, Sign])
    under: str | None = None
    behind: Mapping[str, Behind] = field(default_factory=dict[str, Behind])
    times: int = 1
    told_at: datetime | None = None
    told_as: Severity | None = None
    told_to: tuple[str, ...] = ()
    messages: int = 0
    title: str = ""
    mended: datetime | None = None
    closed: datetime | None = None

    @property
    def key(self) -> Key | None:
        """The asset's, where it is about one."""
        return None if self.matter in OF_NO_ASSET else Key.parse(self.name)

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, as routes call it."""
        return tuple(dict.fromkeys(sign.event for sign in self.signs.values()))

    @property
    def is_only_stale(self) -> bool:
        """Whether nothing is known but that it is old, of which the cause may be elsewhere."""
        return self.matter == "trouble" and self.events == ("stale",)

    @property
    def system(self) -> str | None:
        """What is down, where that is why it failed."""
        return next((sign.system for sign in self.signs.values() if sign.system), None)

    @property
    def held_up(self) -> dict[Key, Behind]:
        """The assets that it holds up now."""
        return {Key.parse(key): one for key, one in self.behind.items() if not one.over}


def severity_of(incident: Incident, plan: Plan, *, alone: bool = False) -> Severity:
    """How bad an incident is: its worst sign, by how critical the asset and those behind it are.

    Args:
        incident: with signs.
        plan: tells how critical assets are.
        alone: whether those behind it don't count.
    """
    signs: list[Severity] = [sign.severity for sign in incident.signs.values()]
    itself: Severity = max(signs, key=_rank) if signs else "info"
    keys = [incident.key, *(() if alone else incident.held_up)]
    lifted: list[Severity] = [_lifted(itself, plan, key) for key in keys]
    return max(lifted, key=_rank)


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def _lifted(severity: Severity, plan: Plan, key: Key | None) -> Severity:
    """An error of a critical asset is critical, one of an asset of low criticality a warning."""
    node = plan.get(key) if key else None
    if node is None or severity != "error":
        return severity
    match node.criticality:
        case "critical":
            return "critical"
        case "low":
            return "warning"
        case _:
            return "error"


KEPT = TypeAdapter(Incident)
"""Turns incidents into JSON and back."""
