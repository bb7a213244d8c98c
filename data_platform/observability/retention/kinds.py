"""All kinds of things that are kept for a while, in the order in which they go.

Called by the command `retention`, and by the sensor that does the same once a day.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import dagster as dg
from sqlalchemy.exc import DBAPIError

from data_platform.code_locations import others
from data_platform.instance.audit_trail import note
from data_platform.instance.location_names import own_location
from data_platform.instance.locations import known_locations
from data_platform.instance.own_tables import has_tables
from data_platform.observability.retention.compute_logs import ComputeLogs
from data_platform.observability.retention.events import CheckResults, Events
from data_platform.observability.retention.ground import Ground, Kind
from data_platform.observability.retention.quarantine import Quarantine
from data_platform.observability.retention.runs import Runs
from data_platform.observability.retention.sweeping import Swept, go_on, sweep
from data_platform.observability.retention.ticks import ANSWERS, TICKS
from data_platform.observability.retention.told import INCIDENTS, MESSAGES
from data_platform.plan.nodes import StagingNode
from data_platform.plan.pipelines import Plan
from data_platform.spec.reading import Workspace
from data_platform.spec.telemetry import Retention
from data_platform.spec.times import duration_words
from data_platform.storage.lake import Lake

SENSOR = "retention"
_OWN = frozenset({"quarantine"})
"""What each code location has for itself."""
SECONDS = 300
"""Between looks; each kind is looked through once a day."""
AT_WORK = 20.0
"""Seconds of a look after which no step is begun."""


class Pipelines(Protocol):
    """What is asked of the pipelines; `loading.Loaded` is one."""

    @property
    def workspace(self) -> Workspace:
        """As read."""
        ...

    @property
    def plan(self) -> Plan:
        """What will exist."""
        ...

    def lake(self) -> Lake:
        """The lake."""
        ...


def kinds_of(loaded: Pipelines, by: str) -> Sequence[Kind]:
    """All kinds for which something is declared; runs behind what is counted apart of them.

    Args:
        loaded: the pipelines.
        by: who removes things.
    """
    declared = loaded.workspace.platform.retention
    kinds: list[Kind] = [Events(), CheckResults(), ComputeLogs(), Runs(), TICKS, ANSWERS]
    kinds += [INCIDENTS, MESSAGES]
    if declared.quarantine is not None:
        nodes = [node for node in loaded.plan.nodes if isinstance(node, StagingNode)]
        held = [node for node in nodes if node.has_quarantine]
        kinds.append(Quarantine(held, loaded.lake(), by))
    return kinds


def is_declared(loaded: Pipelines) -> bool:
    """Whether anything goes at all."""
    return any(age is not None for _, age in loaded.workspace.platform.retention)


def kept_by_all(loaded: Pipelines, instance: dg.DagsterInstance) -> Retention:
    """For how long things are kept: what is shared with other code locations as long as any says.

    Held rows are of the own lake. What another location says is known of the last 30 days.
    """
    declared = loaded.workspace.platform.retention
    said = [one.about.retention for one in others(known_locations(instance), own_location())]
    longest: dict[str, timedelta | None] = {}
    for kind, own in declared:
        theirs = [one[kind] for one in said if kind in one] if kind not in _OWN else []
        ages = [own.total_seconds() if own is not None else None, *theirs]
        seconds = [age for age in ages if age is not None]
        longest[kind] = timedelta(seconds=max(seconds)) if len(seconds) == len(ages) else None
    return declared.model_copy(update=longest)


def longer_words(loaded: Pipelines, instance: dg.DagsterInstance) -> str:
    """What other code locations keep longer than this one says; empty where that is nothing."""
    kept = kept_by_all(loaded, instance)
    parts = [
        f"{kind} {'for ever' if age is None else duration_words(age)}"
        for kind, age in kept
        if age != getattr(loaded.workspace.platform.retention, kind)
    ]
    return f"other code locations keep longer: {', '.join(parts)}" if parts else ""


def remove_old(
    loaded: Pipelines, instance: dg.DagsterInstance, by: str, *, dry: bool = False
) -> Swept | None:
    """Remove all that is old, or see what is; None where somebody else is at it now."""
    ground = Ground(instance, kept_by_all(loaded, instance), datetime.now(UTC), dry)
    return sweep(ground, kinds_of(loaded, by))


def retention_sensor(loaded: Pipelines) -> dg.SensorDefinition | None:
    """The sensor; None where all is kept for ever."""
    if not is_declared(loaded):
        return None

    @dg.sensor(
        name=SENSOR,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SECONDS,
        description="Removes what platform.yaml doesn't keep any longer, once a day.",
        asset_selection=dg.AssetSelection.all(),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(tick(loaded, context.instance))

    return sensor


def tick(loaded: Pipelines, instance: dg.DagsterInstance, seconds: float = AT_WORK) -> str:
    """Go on for a while; gives what was done in words."""
    if not has_tables(instance):
        return "Dagster's storage isn't in PostgreSQL: nothing is removed"
    ground = Ground(instance, kept_by_all(loaded, instance), datetime.now(UTC))
    try:
        swept = go_on(ground, kinds_of(loaded, SENSOR), seconds)
    except DBAPIError as error:
        first = str(error.orig or error).strip().splitlines()[0]
        return f"Dagster's database is slow or away: {first}"
    if swept is None:
        return "somebody else removes what is old now"
    if any(gone.count for gone in swept.gone.values()):
        note(instance, "retention", [], words(swept), by=SENSOR)
    return "; ".join(one for one in (words(swept), longer_words(loaded, instance)) if one)


def words(swept: Swept) -> str:
    """What went, in a line."""
    parts = [f"{gone.count:,} {name}" for name, gone in swept.gone.items() if gone.count]
    said = f"removed {', '.join(parts)}" if parts else "nothing was old"
    trouble = [f"{name} gave way: {why}" for name, why in swept.trouble.items()]
    more = [] if swept.ended or trouble else ["goes on at the next look"]
    return "; ".join([said, *trouble, *more])
