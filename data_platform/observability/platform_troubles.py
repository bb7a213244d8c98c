"""What is wrong beside assets: daemons, sensors, channels, what waits to be told, runs, disks.

Called by `overview`. Whatever can't be asked for is a trouble too, and hides nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagster import DagsterInstance
from dagster._core.scheduler.instigation import InstigatorStatus

from data_platform.code_locations import others
from data_platform.instance.location_names import own_location
from data_platform.instance.locations import known_locations
from data_platform.instance.own_tables import has_tables
from data_platform.observability.alerts.titles import span_words
from data_platform.observability.causes import ago_words
from data_platform.observability.failing_ticks import SEVERAL, failing
from data_platform.observability.failures import Level
from data_platform.observability.run_budgets import Grade, verdicts
from data_platform.observability.started import SENSOR, lost_daemons
from data_platform.plan.nodes import AnyNode
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import Channel
from data_platform.spec.platform import Platform

_OF_PIPELINES = ("_sources", "_files", "_topics", "_keys")
_OF_PLATFORM = frozenset(
    {SENSOR, "alerts", "endings", "follow_ups", "lineage", "pipelines_valid", "pools", "retention"}
)


@dataclass(frozen=True)
class Trouble:
    """One thing of the platform that isn't well.

    Attributes:
        area: of the platform, such as `daemon`.
        level: red or yellow; `off` where somebody wants it so.
        found: in words.
        advice: what to do; empty where there is nothing.
    """

    area: str
    level: Level
    found: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "area": self.area,
            "level": self.level,
            "found": self.found,
            "advice": self.advice or None,
        }


def of_daemons(instance: DagsterInstance, now: datetime) -> Iterator[Trouble]:
    """Daemons that aren't heard of."""
    beats = instance.get_daemon_heartbeats()
    lost = lost_daemons(instance, now)
    advice = "start it: dagster-daemon run, or dagster dev"
    if lost and not beats:
        text = "no dagster-daemon has ever run here: nothing starts by itself"
        yield Trouble("daemon", "yellow", text, advice)
    elif lost:
        heard = [beats[name].timestamp for name in lost if name in beats]
        since = f" for {span_words(now - datetime.fromtimestamp(max(heard), UTC))}" if heard else ""
        text = f"dagster-daemon isn't heard of{since}: {', '.join(lost)}"
        yield Trouble("daemon", "red", text, advice)


def of_sensors(instance: DagsterInstance, plan: Plan, now: datetime) -> Iterator[Trouble]:
    """Sensors and schedules that somebody stopped, and those that fail."""
    pipelines = {pipeline.name for pipeline in plan.pipelines}
    theirs = {one.served_as for one in others(known_locations(instance), own_location())}
    ours = [
        state
        for state in instance.all_instigator_state()
        if state.origin.repository_origin.code_location_origin.location_name not in theirs
        and _is_ours(state.origin.instigator_name, pipelines)
    ]
    off = [state for state in ours if state.status is InstigatorStatus.STOPPED]
    if off:
        names = ", ".join(sorted(state.origin.instigator_name for state in off))
        text = f"somebody stopped {names}: what they start doesn't start"
        yield Trouble("automation", "yellow", text, "start them in Dagster's UI: Automation")
    going = {one.selector_id: one.origin.instigator_name for one in ours if one not in off}
    for one in failing(instance, going, now):
        how = f"its last {SEVERAL} ticks failed" if one.again else "its last tick failed"
        text = f"{one.name}: {how}, {ago_words(now - one.at)}: {one.reason}"
        advice = (
            f"its ticks in Dagster's UI: Automation > {one.name}"
            if one.again
            else "it ticks again by itself; the whole error is in Dagster's UI: Automation"
        )
        yield Trouble("automation", "red" if one.again else "yellow", text, advice)


def of_channels(
    instance: DagsterInstance, platform: Platform, expand: Callable[[str], str], now: datetime
) -> Iterator[Trouble]:
    """Channels that are off or wrong, and what they haven't taken."""
    channels = platform.alerts.channels
    if not channels:
        return
    # Apprise takes half a second to import.
    from data_platform.observability.alerts.outbox import undelivered  # noqa: PLC0415

    advice = "data-platform alerts test"
    for name, channel in channels.items():
        yield from _channel(name, channel, expand)
    for one in undelivered(instance, now) if has_tables(instance) else ():
        for_ = span_words(now - one.since)
        if one.waiting:
            text = f"channel {one.channel} hasn't taken {_count(one.waiting, 'message')} for {for_}"
            yield Trouble("alerts", "red", f"{text}: {one.error}", advice)
        if one.given_up:
            text = f"channel {one.channel}: {_count(one.given_up, 'message')} given up after 7 days"
            yield Trouble("alerts", "red", text, advice)


def of_run_budgets(instance: DagsterInstance, nodes: Iterable[AnyNode]) -> Iterator[Trouble]:
    """Pipelines of assets whose runs take more than they may."""
    levels: Mapping[Grade, Level] = {"warn": "yellow", "fail": "red", "pass": "green"}
    for name, verdict in verdicts(instance, nodes).items():
        if verdict.grade != "pass":
            text = f"runs of {name} are over their budget: {verdict.text}"
            advice = f"look where the time goes: run {verdict.run_id[:8]} in Dagster's UI"
            yield Trouble("budget", levels[verdict.grade], text, advice)


def of_lineage(instance: DagsterInstance, platform: Platform, now: datetime) -> Iterator[Trouble]:
    """Events of lineage that the sink hasn't taken."""
    if platform.lineage is None or not has_tables(instance):
        return
    from data_platform.observability.openlineage.outbox import waiting  # noqa: PLC0415

    left = waiting(instance)
    if left.trouble and left.count:
        since = f" for {span_words(now - left.since)}" if left.since else ""
        text = f"{_count(left.count, 'event')} of lineage wait{since}: {left.trouble}"
        yield Trouble("lineage", "yellow", text, "nothing is lost; look at the server of `lineage`")
    elif left.refused:
        text = f"{_count(left.refused, 'event')} of lineage refused: {left.trouble}"
        yield Trouble("lineage", "yellow", text)


def _channel(name: str, channel: Channel, expand: Callable[[str], str]) -> Iterator[Trouble]:
    from data_platform.observability.alerts.channels import state_of  # noqa: PLC0415

    state = state_of(name, channel, expand)
    if state.state != "on":
        level: Level = "off" if state.state == "off" else "red"
        text = f"channel {name} is {state.state}: {state.why}"
        advice = "" if level == "off" else "correct its address in platform.yaml, or its variable"
        yield Trouble("alerts", level, text, advice)


def _is_ours(name: str, pipelines: set[str]) -> bool:
    """Whether there is such a sensor now: Dagster keeps the state of those that are gone."""
    if name in _OF_PLATFORM or (name.startswith("queue_") and name.endswith("_files")):
        return True
    return any(
        name.removesuffix(ending) in pipelines for ending in _OF_PIPELINES if name.endswith(ending)
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s'[: number != 1]}"
