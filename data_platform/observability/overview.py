"""All that the first page tells, at one moment: the platform, the causes, each asset.

Called by the command's `status`, again and again where somebody watches.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from dagster import DagsterInstance

from data_platform.engine.outside import Outside
from data_platform.observability import platform_troubles
from data_platform.observability.causes import causes_of, with_causes
from data_platform.observability.event_log import read_event_log
from data_platform.observability.facts import gather_facts
from data_platform.observability.failures import Cause, Level, last_failures
from data_platform.observability.long_runs import of_runs
from data_platform.observability.outages import outages
from data_platform.observability.platform_troubles import Trouble
from data_platform.observability.status import AssetStatus, as_json, status_of
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import target_of
from data_platform.plan.lineage.nodes import outside_of
from data_platform.plan.nodes import AnyNode, DestinationNode, RawNode
from data_platform.plan.pipelines import Plan
from data_platform.spec.platform import Platform
from data_platform.storage.workbench import Workbench

FORMAT_VERSION = 2
_ORDER: Sequence[Level] = ("red", "yellow", "green", "off")


@dataclass(frozen=True)
class Watched:
    """What is looked at.

    Attributes:
        plan: of the sound pipelines.
        nodes: the assets that are asked about.
        platform: platform.yaml.
        broken: names of pipelines with mistakes.
        workbench: with the lake.
        outside: what destinations connect to, and variables.
        disks: tells of disks that are nearly full.
    """

    plan: Plan
    nodes: Sequence[AnyNode]
    platform: Platform
    broken: Sequence[str]
    workbench: Workbench
    outside: Outside
    disks: Callable[[], Iterable[Trouble]]


@dataclass(frozen=True)
class Overview:
    """How everything stands.

    Attributes:
        at: when this was; aware.
        plan: of the sound pipelines.
        troubles: of the platform itself, the worst first.
        causes: of what isn't as it should be, the worst first.
        statuses: of the assets that were asked about.
    """

    at: datetime
    plan: Plan
    troubles: tuple[Trouble, ...]
    causes: tuple[Cause, ...]
    statuses: tuple[AssetStatus, ...]

    @cached_property
    def of(self) -> dict[Key, AssetStatus]:
        """How each asset stands, by its key."""
        return {status.key: status for status in self.statuses}

    @property
    def counts(self) -> Counter[Level]:
        """How many assets there are of each level."""
        return Counter(status.level for status in self.statuses)

    @property
    def waiting(self) -> int:
        """How many assets wait for another one."""
        return sum(status.waits for status in self.statuses)

    @property
    def level(self) -> Level:
        """The worst of all."""
        found = {*(one.level for one in (*self.troubles, *self.causes)), *self.counts}
        return "red" if "red" in found else "yellow" if "yellow" in found else "green"


def look(instance: DagsterInstance, watched: Watched, now: datetime) -> Overview:
    """Look once.

    Args:
        instance: Dagster's.
        watched: at what.
        now: an aware moment.
    """
    plan, nodes = watched.plan, watched.nodes
    expand = watched.outside.expand
    logged = read_event_log(instance, nodes)
    down = outages(instance, nodes, expand)
    failures = last_failures(instance, plan.nodes)
    facts = gather_facts(nodes, watched.workbench, watched.outside, logged)
    schedules = {one.name: one.schedule for one in plan.pipelines}
    statuses = [
        replace(
            status_of(node, facts[node.key], now, schedules[node.key.pipeline]),
            circuit=down.get(node.key),
        )
        for node in nodes
    ]
    causes = causes_of(plan, statuses, failures, now)
    return Overview(
        now,
        plan,
        tuple(_troubles(instance, watched, sorted(set(down.values())), now)),
        tuple(causes),
        tuple(with_causes(statuses, causes, failures)),
    )


def _troubles(
    instance: DagsterInstance, watched: Watched, down: Sequence[str], now: datetime
) -> list[Trouble]:
    platform, expand = watched.platform, watched.outside.expand
    found = list(_broken(watched.broken))
    found += [Trouble("connections", "red", words, "data-platform doctor") for words in down]
    found += platform_troubles.of_daemons(instance, now)
    found += of_runs(instance, watched.plan, now)
    found += platform_troubles.of_sensors(instance, watched.plan, now)
    found += platform_troubles.of_channels(instance, platform, expand, now)
    found += platform_troubles.of_lineage(instance, platform, now)
    found += platform_troubles.of_run_budgets(instance, watched.nodes)
    found += watched.disks()
    return sorted(found, key=lambda one: _ORDER.index(one.level))


def _broken(names: Sequence[str]) -> Iterator[Trouble]:
    if names:
        have = "has mistakes and is" if len(names) == 1 else "have mistakes and are"
        text = f"{', '.join(names)} {have} left out"
        yield Trouble("pipelines", "red", text, "data-platform check")


def grouped(causes: Iterable[Cause], overview: Overview) -> list[list[Cause]]:
    """Causes, those together whose assets ask one system that is down; in their order."""
    groups: dict[str, list[Cause]] = {}
    for cause in causes:
        status = overview.of.get(cause.key)
        system = status.circuit if status else None
        groups.setdefault(system or str(cause.key), []).append(cause)
    return list(groups.values())


def next_commands(cause: Cause, overview: Overview) -> list[str]:
    """What to type next: what tells more, then what builds it once that is mended."""
    node = overview.plan.get(cause.key)
    status = overview.of.get(cause.key)
    told: list[str] = []
    system = _system(node)
    if system and status is not None and (status.facts.unknown or status.circuit):
        told.append(f"data-platform doctor --connection {system}")
    told.append(f"data-platform why {cause.key}")
    if cause.run_id is not None:
        told.append(f"data-platform backfill {cause.key.pipeline} --failed-only")
    return told


def overview_json(overview: Overview) -> dict[str, Any]:
    """The same as plain values."""
    counts = overview.counts
    return {
        "format": FORMAT_VERSION,
        "at": overview.at.isoformat(timespec="seconds"),
        "level": overview.level,
        "summary": {
            "assets": len(overview.statuses),
            **{level: counts[level] for level in _ORDER},
            "waiting": overview.waiting,
        },
        "platform": [trouble.as_json() for trouble in overview.troubles],
        "causes": [_cause_json(cause, overview) for cause in overview.causes],
        "assets": [as_json(status) for status in overview.statuses],
    }


def _cause_json(cause: Cause, overview: Overview) -> dict[str, Any]:
    node = overview.plan.get(cause.key)
    age = int((overview.at - cause.since).total_seconds()) if cause.since else None
    return {
        "key": str(cause.key),
        "level": cause.level,
        "text": cause.text,
        "since": cause.since.isoformat() if cause.since else None,
        "age_seconds": age,
        "owner": node.owner if node else None,
        "criticality": node.criticality if node else None,
        "runbook": node.runbook if node else None,
        "run": cause.run_id,
        "waiting": [str(key) for key in cause.waiting],
        "next": next_commands(cause, overview),
    }


def _system(node: AnyNode | None) -> str | None:
    """The connection that an asset asks; None where it asks none."""
    match node:
        case DestinationNode():
            return target_of(node).system or None
        case RawNode():
            return outside_of(node).system or None
        case _:
            return None
