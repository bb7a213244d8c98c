"""What is wrong now as a table, with what channels haven't taken below it.

Called by `commands.alerts`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text

from data_platform.observability.alerts.channels import State
from data_platform.observability.alerts.outbox import Undelivered
from data_platform.observability.alerts.titles import span_words, title_of
from data_platform.observability.incidents.model import Incident, severity_of
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import SEVERITIES
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, POOR, QUIET, Column, Row, print_table

_COLUMNS = (
    Column("severity"),
    Column("for"),
    Column("what", folds=True),
    Column("owner", spare=2),
    Column("behind", right=True),
    Column("told", folds=True, spare=1),
)
_LONG_AGO = timedelta(minutes=5)
_STYLES = {"info": QUIET, "warning": POOR, "error": BAD, "critical": BAD}


@dataclass(frozen=True)
class Known:
    """What is known of incidents and of who is told.

    Attributes:
        incidents: that are open.
        channels: how they are.
        undelivered: messages that weren't taken.
        looked_at: when somebody looked last for what goes wrong; None where nobody has yet.
    """

    incidents: Sequence[Incident]
    channels: Sequence[State]
    undelivered: Sequence[Undelivered]
    looked_at: datetime | None


def print_alerts(console: Console, known: Known, plan: Plan, now: datetime) -> None:
    """Print it, the worst first; what stands behind another is counted there.

    Args:
        console: where to.
        known: what is told.
        plan: of the sound pipelines.
        now: aware.
    """
    shown = _shown(known.incidents, plan)
    if shown:
        print_table(console, _COLUMNS, [_row(one, plan, now) for one in shown])
        for one in shown:
            node = plan.get(one.key) if one.key else None
            if node is not None and node.runbook:
                say(console, f"{one.name}: {node.runbook}", QUIET)
    elif known.looked_at is not None:
        say(console, "nothing is wrong")
    for line, style in (
        *_looks(known, now),
        *_of_channels(known.channels),
        *_waiting(known.undelivered, now),
    ):
        say(console, line, style)


def alerts_json(known: Known, plan: Plan) -> dict[str, Any]:
    """The same for programs."""
    return {
        "looked_at": known.looked_at.isoformat() if known.looked_at else None,
        "incidents": [_incident_json(one, plan) for one in _shown(known.incidents, plan)],
        "channels": [
            {"name": one.name, "state": one.state, "why": one.why or None} for one in known.channels
        ],
        "undelivered": [
            {
                "channel": one.channel,
                "waiting": one.waiting,
                "given_up": one.given_up,
                "since": one.since.isoformat(),
                "error": one.error,
            }
            for one in known.undelivered
        ],
    }


def _shown(incidents: Sequence[Incident], plan: Plan) -> list[Incident]:
    roots = [one for one in incidents if one.under is None]
    return sorted(roots, key=lambda one: -SEVERITIES.index(severity_of(one, plan)))


def _row(incident: Incident, plan: Plan, now: datetime) -> Row:
    severity = severity_of(incident, plan)
    node = plan.get(incident.key) if incident.key else None
    return (
        Text(severity, style=_STYLES[severity]),
        span_words(now - incident.opened),
        title_of(incident),
        node.owner if node else "-",
        f"{len(incident.held_up):,}" if incident.held_up else "-",
        ", ".join(incident.told_to) or "-",
    )


def _incident_json(incident: Incident, plan: Plan) -> dict[str, Any]:
    node = plan.get(incident.key) if incident.key else None
    return {
        "id": incident.id,
        "severity": severity_of(incident, plan),
        "events": list(incident.events),
        "name": incident.name,
        "title": title_of(incident),
        "since": incident.opened.isoformat(),
        "owner": node.owner if node else None,
        "runbook": node.runbook if node else None,
        "behind": {str(key): one.how for key, one in incident.held_up.items()},
        "told": list(incident.told_to),
        "told_at": incident.told_at.isoformat() if incident.told_at else None,
    }


def _looks(known: Known, now: datetime) -> Iterator[tuple[str, str]]:
    """That nobody looks for what goes wrong, or hasn't for a while."""
    if not known.channels:
        yield "platform.yaml has no `alerts: channels:`, so nobody looks for what goes wrong", POOR
    elif known.looked_at is None:
        yield "nobody has looked yet: the sensor `alerts` does, while Dagster's daemon runs", POOR
    elif now - known.looked_at > _LONG_AGO:
        ago = span_words(now - known.looked_at)
        yield f"nobody has looked for {ago}: is Dagster's daemon down, or the sensor off?", BAD


def _of_channels(channels: Sequence[State]) -> Iterator[tuple[str, str]]:
    for one in channels:
        if one.state != "on":
            style = QUIET if one.state == "off" else BAD
            yield f"channel {one.name} is {one.state}: {one.why}", style


def _waiting(undelivered: Sequence[Undelivered], now: datetime) -> Iterator[tuple[str, str]]:
    for one in undelivered:
        since = span_words(now - one.since)
        if one.waiting:
            count = f"{one.waiting:,} {'message' if one.waiting == 1 else 'messages'}"
            yield f"channel {one.channel} hasn't taken {count} for {since}: {one.error}", BAD
        if one.given_up:
            count = f"{one.given_up:,} {'message' if one.given_up == 1 else 'messages'}"
            yield f"channel {one.channel}: {count} were given up after 7 days", BAD
