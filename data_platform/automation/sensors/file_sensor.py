"""The sensor of files: one for each pipeline, and one for each queue that hears of objects.

Called by `building`. Sources are looked at in the order in which they waited, for as long as a tick
may take; one whose files can't be listed hides none of the others.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.automation.sensors.file_arrivals import Arrivals, Doorkeeper
from data_platform.automation.sensors.file_states import State, cursor_of, states_of
from data_platform.automation.sensors.reached import Pipelines
from data_platform.automation.sensors.run_requests import run_requests
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.kinds import FileArrival, Files

TICK_SECONDS = 40.0
"""After which the rest waits for the next tick: Dagster ends one after 60."""
EARLY = timedelta(seconds=1)
"""By which a tick may come before the time that its interval says."""


def file_sources(nodes: Sequence[object]) -> list[RawNode]:
    """Those that new files start, without a queue."""
    sources = [node for node in nodes if isinstance(node, RawNode) and node.enabled]
    return [node for node in sources if (arrival := arrival_of(node)) and arrival.queue is None]


def arrival_of(node: object) -> FileArrival | None:
    """How new files start a node; None where they don't."""
    if not isinstance(node, RawNode) or not isinstance(node.source, Files):
        return None
    return node.source.arrival


def least_poll(nodes: Sequence[RawNode]) -> int:
    """Seconds between two looks at the source that is looked at most often."""
    return max(1, int(min(one.poll for node in nodes if (one := arrival_of(node)))))


def file_sensor(loaded: Pipelines, pipeline: str, nodes: Sequence[RawNode]) -> dg.SensorDefinition:
    """The sensor of a pipeline's files, on from the first start."""

    @dg.sensor(
        name=f"{pipeline}_files",
        asset_selection=dg.AssetSelection.assets(*[asset_key(node.key) for node in nodes]),
        minimum_interval_seconds=least_poll(nodes),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"New and changed files start the sources of {pipeline}.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now(UTC)
        states = states_of(context.cursor)
        looked = look_at_all(loaded, context.instance, nodes, states, now)
        return result_of(nodes, states, looked)

    return sensor


def look_at_all(
    loaded: Pipelines,
    instance: dg.DagsterInstance,
    nodes: Sequence[RawNode],
    states: Mapping[str, State],
    now: datetime,
    *,
    all_due: bool = False,
) -> dict[str, Arrivals]:
    """Look at the sources whose time has come, as long as there is time.

    Args:
        loaded: the pipelines.
        instance: Dagster's.
        nodes: the sources.
        states: what is known of them, by their keys.
        now: aware.
        all_due: whether to look at all, however short ago the last look was.
    """
    until = time.monotonic() + TICK_SECONDS
    doorkeeper = Doorkeeper(loaded, instance, now)
    found: dict[str, Arrivals] = {}
    never = datetime.min.replace(tzinfo=UTC)
    last = {node.key: (states.get(str(node.key)) or State("")).at or never for node in nodes}
    for node in sorted(nodes, key=lambda one: last[one.key]):
        arrival = arrival_of(node)
        assert arrival is not None and isinstance(node.source, Files)  # noqa: S101, PT018
        due = last[node.key] == never or now - last[node.key] > _interval(arrival) - EARLY
        if (due or all_due) and time.monotonic() < until:
            found[str(node.key)] = doorkeeper.look(node, node.source, states.get(str(node.key)))
    return found


def result_of(
    nodes: Sequence[RawNode], states: Mapping[str, State], looked: Mapping[str, Arrivals]
) -> dg.SensorResult:
    """What is handed to Dagster: runs, keys and the cursor together, or why there is nothing."""
    own = {str(node.key) for node in nodes}
    after = {name: state for name, state in states.items() if name in own}
    after |= {name: arrivals.state for name, arrivals in looked.items()}
    wanted = [one for arrivals in looked.values() for one in arrivals.wanted]
    words = "; ".join(f"{name.split('/')[-1]}: {state.words}" for name, state in after.items())
    return dg.SensorResult(
        run_requests=run_requests(wanted),
        skip_reason=None if wanted else dg.SkipReason(words or "nothing was looked at"),
        dynamic_partitions_requests=_registrations(nodes, looked),
        cursor=cursor_of(after),
    )


def _registrations(
    nodes: Sequence[RawNode], looked: Mapping[str, Arrivals]
) -> list[dg.AddDynamicPartitionsRequest]:
    keys: dict[str, dict[str, None]] = {}
    for node in nodes:
        arrivals = looked.get(str(node.key))
        if arrivals and arrivals.registered and node.partitions and node.partitions.dynamic:
            keys.setdefault(node.partitions.dynamic, {}).update(dict.fromkeys(arrivals.registered))
    return [dg.AddDynamicPartitionsRequest(name, list(known)) for name, known in keys.items()]


def _interval(arrival: FileArrival) -> timedelta:
    return timedelta(seconds=arrival.poll)
