"""Which channels are told: those of each route that is for a message, each once.

Called by `watching` and `ends`. Pure.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from data_platform.observability.incidents.model import Incident
from data_platform.plan.keys import Key
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import SEVERITIES, Alerts, Event, Severity, When

_OF_THE_PLATFORM = frozenset({"pipeline", "daemon"})


@dataclass(frozen=True)
class About:
    """What a message is about.

    Attributes:
        events: what happened.
        severity: how bad it is.
        pipeline: of which pipeline; None for the platform.
        owner: whose it is.
        tags: of the asset: `word`, and `word=value`.
        key: of the asset.
    """

    events: Collection[Event]
    severity: Severity
    pipeline: str | None = None
    owner: str | None = None
    tags: Collection[str] = ()
    key: Key | None = None


def channels_of(alerts: Alerts, incident: Incident, plan: Plan, severity: Severity) -> list[str]:
    """Who is told of an incident: by the asset, and by those that it holds up.

    What is wrong with a pipeline or the daemon is told everybody where no route is for it: nobody
    owns it.

    Args:
        alerts: of platform.yaml.
        incident: with signs.
        plan: of the sound pipelines.
        severity: of the incident.
    """
    found = told(alerts, abouts(incident, plan, incident.events, severity))
    if not found and incident.matter in _OF_THE_PLATFORM:
        return list(alerts.channels)
    return found


def channels_of_end(alerts: Alerts, incident: Incident, plan: Plan) -> list[str]:
    """Who is told that an incident is over: those that were told of it, and who asks for that."""
    severity = incident.told_as or "info"
    asking = alerts.model_copy(
        update={"routes": [one for one in alerts.routes if "recovered" in (one.when.event or ())]}
    )
    more = told(asking, abouts(incident, plan, ("recovered",), severity)) if asking.routes else []
    known = [name for name in incident.told_to if name in alerts.channels]
    return list(dict.fromkeys([*known, *more]))


def told(alerts: Alerts, about: Iterable[About]) -> list[str]:
    """The channels of all routes that are for any of what a message is about."""
    every = list(about)
    if not alerts.routes:
        return [*alerts.channels] if any(set(one.events) - {"success"} for one in every) else []
    names = [
        name
        for route in alerts.routes
        if any(_is_for(route.when, one) for one in every)
        for name in route.to
    ]
    return list(dict.fromkeys(names))


def abouts(
    incident: Incident, plan: Plan, events: Collection[Event], severity: Severity
) -> Iterator[About]:
    """What an incident is about: its asset or pipeline, and what it holds up."""
    match incident.key:
        case None:
            pipeline = None if incident.matter == "daemon" else incident.name
            slow = plan.pipeline(incident.name) if incident.matter == "slow_runs" else None
            yield About(events, severity, pipeline, slow.owner if slow else None)
        case key:
            yield about_asset(key, plan, events, severity)
    for key in incident.held_up:
        yield about_asset(key, plan, {*events, "stale"}, severity)


def about_asset(key: Key, plan: Plan, events: Collection[Event], severity: Severity) -> About:
    """What a message of an asset is about."""
    node = plan.get(key)
    if node is None:
        return About(events, severity, key.pipeline, key=key)
    tags = [form for tag, value in node.tags.items() for form in (tag, f"{tag}={value}")]
    return About(events, severity, key.pipeline, node.owner, tags, key)


def _is_for(when: When, about: About) -> bool:
    events = set(about.events)
    if when.event is None:
        events -= {"success"}
    names = set(_references(about.key)) if about.key else set[str]()
    return (
        bool(events & set(when.event) if when.event is not None else events)
        and (when.owner is None or about.owner in when.owner)
        and (when.pipeline is None or about.pipeline in when.pipeline)
        and (when.tag is None or not set(when.tag).isdisjoint(about.tags))
        and (when.asset is None or not names.isdisjoint(when.asset))
        and (when.severity is None or _rank(about.severity) >= _rank(when.severity))
    )


def _references(key: Key) -> tuple[str, str]:
    """An asset as the language names it."""
    return f"{key.layer}.{key.name}", f"{key.pipeline}.{key.layer}.{key.name}"


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)
