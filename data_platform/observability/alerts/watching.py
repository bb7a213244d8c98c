"""Sees what goes wrong, and tells whom it concerns: one look of many.

Called every few seconds by the sensor `alerts`, and by the exporter of metrics while no daemon
ticks sensors: `watch_daemons`. What is folded of Dagster's log, the incidents and the messages are
kept in one transaction with the position in the log. Messages are sent after it.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.engine import Connection

from data_platform.code_locations import clashes
from data_platform.errors import PlatformError
from data_platform.instance.location_names import named, own_location
from data_platform.instance.locations import LOCATIONS, locations_in
from data_platform.observability.alerts import outbox
from data_platform.observability.alerts.channels import is_off
from data_platform.observability.alerts.delivering import deliver
from data_platform.observability.alerts.ends import messages_of_ends
from data_platform.observability.alerts.messages import Message
from data_platform.observability.alerts.routing import channels_of, channels_of_end
from data_platform.observability.alerts.titles import title_of
from data_platform.observability.alerts.words import message_of
from data_platform.observability.following.follower import Batch, Follower
from data_platform.observability.incidents.folding import GRACE, Folding
from data_platform.observability.incidents.keeping import (
    INCIDENTS,
    is_told_elsewhere,
    keep,
    kept_incidents,
    looked_at,
)
from data_platform.observability.incidents.model import severity_of
from data_platform.observability.incidents.reading import KINDS, Reader
from data_platform.observability.incidents.seen import Standing
from data_platform.observability.incidents.telling import Told, turns
from data_platform.observability.run_budgets import verdicts
from data_platform.observability.started import lost_daemons
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import Alerts, Channel

FOLLOWER = Follower("alerts", KINDS, (INCIDENTS, outbox.OUTBOX, LOCATIONS))
READ_SECONDS, SEND_SECONDS = 10.0, 10.0
"""After which a look reads no further batch, and begins no further message: a tick has a minute."""
BETWEEN = timedelta(seconds=12)
"""Between two looks of who isn't the sensor, however often it asks: each loads the pipelines."""
_STATEMENT = "SET LOCAL statement_timeout = '10s'"
_DAEMON = "daemon"
_SENSORS = "SENSOR"


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Watched:
    """What is watched, and who is told.

    Attributes:
        plan: of the sound pipelines.
        alerts: of platform.yaml.
        expand: a text with the values of its variables.
        broken: pipelines with mistakes, and these in words; None where that isn't known now.
        clock: the time, aware.
    """

    plan: Plan
    alerts: Alerts
    expand: Callable[[str], str] = field(repr=False)
    broken: Mapping[str, str] | None = None
    clock: Callable[[], datetime] = field(default=_utc, repr=False)

    @property
    def link(self) -> str | None:
        """Where Dagster's UI is, where that is known."""
        try:
            return self.expand(self.alerts.link or "").strip() or None
        except PlatformError:
            return None


@dataclass(frozen=True)
class Looked:
    """What came of a look.

    Attributes:
        events: that were read.
        made: messages that were put into the outbox.
        sent: messages that were taken.
        failed: why others weren't, by channel.
    """

    events: int
    made: int
    sent: int
    failed: Mapping[str, str]

    def __str__(self) -> str:
        failed = "".join(f"; {name}: {error}" for name, error in self.failed.items())
        return f"{self.events} events, {self.made} messages made, {self.sent} sent{failed}"


def watch(instance: DagsterInstance, watched: Watched) -> Looked:
    """Look once: read what is new, fold it, and send what is to be told."""
    channels = {
        name: channel
        for name, channel in watched.alerts.channels.items()
        if not is_off(channel, watched.expand)
    }
    until = time.monotonic() + READ_SECONDS
    events = made = 0
    more = True
    while more and time.monotonic() < until:
        with FOLLOWER.batch(instance) as batch:
            if batch is None:
                break
            batch.connection.execute(sa.text(_STATEMENT))
            made += _fold(instance, watched, batch, channels)
            events += len(batch.events)
            more = batch.more
    delivered = deliver(instance, channels, watched.expand, watched.clock, SEND_SECONDS)
    return Looked(events, made, delivered.sent, delivered.failed)


def watch_daemons(instance: DagsterInstance, load: Callable[[], Watched]) -> Looked | None:
    """Look, where no daemon ticks the sensor that does; None where one does.

    To be called every few seconds by a process that isn't the daemon: that can't tell of its end.

    Args:
        instance: Dagster's.
        load: gives what is watched, as it is written now; asked only where a daemon is lost.
    """
    now = _utc()
    looked = looked_at(instance)
    if (looked is not None and now - looked < BETWEEN) or _SENSORS not in _lost(instance, now):
        return None
    watched = load()
    return watch(instance, watched) if watched.alerts.channels else None


def _lost(instance: DagsterInstance, now: datetime) -> list[str]:
    """The daemons that have stopped; what was never started isn't down."""
    known = instance.get_daemon_heartbeats()
    return [name for name in lost_daemons(instance, now) if name in known]


def _fold(
    instance: DagsterInstance, watched: Watched, batch: Batch, channels: Mapping[str, Channel]
) -> int:
    """Fold a batch, and put what is to be told into the outbox: how many messages."""
    now, alerts, plan = watched.clock(), watched.alerts, watched.plan
    lately = max(alerts.repeat_after, GRACE, timedelta(hours=1))
    incidents = kept_incidents(batch.connection, now - lately)
    folding = Folding(incidents, plan, now, lately, named(""))
    troubled = frozenset(one.key for one in folding.open if one.key is not None)
    reader = Reader(instance, plan, watched.expand)
    folding.see(reader.seen(batch.events, troubled))
    messages = list(messages_of_ends(instance, batch.events, plan, alerts, watched.link))
    if not batch.more:
        # Before that, what mends it may be still to be read.
        folding.see(_places(instance, watched, batch.connection, folding))
        broken = watched.broken
        unplanned = broken if broken is not None else _pipelines(folding, plan)
        folding.see([_slow_runs(instance, watched, now, frozenset(unplanned))])
        told = turns(folding, alerts.repeat_after, unplanned)
        messages += [_note(folding, one, watched, channels) for one in told]
    keep(batch.connection, folding.changed)
    routed = [
        (message, [name for name in names if name in channels]) for message, names in messages
    ]
    outbox.put(batch.connection, routed, now)
    return sum(len(names) for _, names in routed)


def _places(
    instance: DagsterInstance, watched: Watched, connection: Connection, folding: Folding
) -> list[Standing]:
    """What of it concerns more than one code location: the daemon, and pipelines of one name."""
    now = folding.now
    lost = _lost(instance, now)
    # The daemon is everybody's: one location tells of it, and of its end.
    if lost and folding.of("daemon", _DAEMON) is None and is_told_elsewhere(connection, "daemon"):
        lost = []
    words = f"not heard of for 5 minutes: {', '.join(lost)}; nothing starts by itself until then"
    found = [Standing("daemon", now, {_DAEMON: words} if lost else {})]
    if watched.broken is not None:
        own = [one.name for one in watched.plan.pipelines]
        twice = clashes(locations_in(connection), own_location(), own)
        found.append(Standing("pipeline", now, {**watched.broken, **twice}))
    return found


def _slow_runs(
    instance: DagsterInstance, watched: Watched, now: datetime, unplanned: frozenset[str]
) -> Standing:
    """Pipelines whose runs take more than they may."""
    judged = verdicts(instance, watched.plan.nodes)
    slow = {name: one for name, one in judged.items() if one.grade != "pass"}
    said = {name: one.text for name, one in slow.items()}
    mild = frozenset(name for name, one in slow.items() if one.grade == "warn")
    run_ids = {name: one.run_id for name, one in slow.items()}
    return Standing("slow_runs", now, said, mild, run_ids, unplanned)


def _pipelines(folding: Folding, plan: Plan) -> set[str]:
    """Pipelines that incidents are of and that aren't in the plan, where nobody knows why."""
    keys = [one.key for one in folding.open]
    names = {key.pipeline for key in keys if key is not None}
    names |= {one.name for one in folding.open if one.matter == "slow_runs"}
    return {name for name in names if plan.pipeline(name) is None}


def _note(
    folding: Folding, told: Told, watched: Watched, on: Collection[str]
) -> tuple[Message, list[str]]:
    """The message of an incident and its channels, when the incident has noted both."""
    incident = folding.get(told.incident.id) or told.incident
    plan, alerts, link, now = watched.plan, watched.alerts, watched.link, folding.now
    if told.turn == "recovered":
        channels = channels_of_end(alerts, incident, plan)
        return message_of(incident, "recovered", "info", plan, link, now), channels
    severity = severity_of(incident, plan)
    channels = [name for name in channels_of(alerts, incident, plan, severity) if name in on]
    message = message_of(incident, told.turn, severity, plan, link, now)
    noted = replace(
        incident,
        told_at=now,
        told_as=severity,
        told_to=tuple(dict.fromkeys([*incident.told_to, *channels])),
        messages=incident.messages + 1,
        title=title_of(incident),
    )
    folding.put(noted)
    return message, channels
