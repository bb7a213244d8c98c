"""The sensor of a queue: where a bucket tells of objects, its sources are listed when it does.

One for each queue, of whatever pipelines, since each message is for one taker. Called by
`building`. Messages are deleted by the tick after the one that received them: then its requests are
recorded. What a bucket failed to tell is found by a listing now and then.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.automation.sensors.file_sensor import (
    arrival_of,
    least_poll,
    look_at_all,
    result_of,
)
from data_platform.automation.sensors.file_states import State, cursor_of, states_of
from data_platform.automation.sensors.queues import Message, Queue
from data_platform.automation.sensors.reached import Pipelines
from data_platform.errors import PlatformError
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.kinds import Files
from data_platform.spec.platform import S3Connection

LISTED_AT_LEAST = timedelta(minutes=10)
_UNFIXED = re.compile(r"[*?\[{]")


@dataclass(frozen=True)
class QueueState:
    """What is known from one tick to the next.

    Attributes:
        states: of the sources.
        receipts: of messages that were acted upon, and are to be deleted.
        listed: when all sources were listed last; None means never.
    """

    states: Mapping[str, State]
    receipts: Sequence[str] = ()
    listed: datetime | None = None

    def dumped(self) -> str:
        """As a cursor."""
        listed = self.listed.isoformat() if self.listed else None
        return json.dumps([cursor_of(self.states), list(self.receipts), listed])

    @classmethod
    def loaded(cls, cursor: str | None) -> "QueueState":
        """From a cursor; empty where it can't be read."""
        try:
            states, receipts, listed = json.loads(cursor or "[null, [], null]")
            return cls(
                states_of(states), receipts, datetime.fromisoformat(listed) if listed else None
            )
        except (ValueError, TypeError):
            return cls({})


def queues_of(nodes: Iterable[object]) -> dict[str, list[RawNode]]:
    """The sources of each queue, by its URL as written."""
    found: dict[str, list[RawNode]] = {}
    for node in nodes:
        arrival = arrival_of(node)
        if isinstance(node, RawNode) and node.enabled and arrival and arrival.queue:
            found.setdefault(arrival.queue, []).append(node)
    return found


def queue_sensor(
    loaded: Pipelines, number: int, url: str, nodes: Sequence[RawNode]
) -> dg.SensorDefinition:
    """The sensor of a queue, on from the first start.

    Args:
        loaded: the pipelines.
        number: of the queue, for its name.
        url: of it, as written.
        nodes: the sources that it tells of.
    """

    @dg.sensor(
        name=f"queue_{number}_files",
        asset_selection=dg.AssetSelection.assets(*[asset_key(node.key) for node in nodes]),
        minimum_interval_seconds=least_poll(nodes),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Objects that {url} tells of start their sources.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now(UTC)
        known = QueueState.loaded(context.cursor)
        try:
            queue = Queue(loaded.outside().expand(url), _connection(loaded, nodes[0]))
            queue.delete(known.receipts)
            messages, words = queue.receive(), ""
        except PlatformError as error:
            messages, words = [], f"{error}; "
        all_due = known.listed is None or now - known.listed > LISTED_AT_LEAST
        told = nodes if all_due else [node for node in nodes if _concerns(node, messages, known)]
        looked = look_at_all(loaded, context.instance, told, known.states, now, all_due=True)
        result = result_of(nodes, known.states, looked)
        # A source for which there was no time keeps the messages where they are.
        done = len(looked) == len(told)
        after = QueueState(
            states_of(result.cursor),
            [message.receipt for message in messages] if done else [],
            now if all_due and done else known.listed,
        )
        said = f"{words}{len(messages)} messages; {_why(result)}"
        return dg.SensorResult(
            run_requests=result.run_requests,
            skip_reason=None if result.run_requests else dg.SkipReason(said),
            dynamic_partitions_requests=result.dynamic_partitions_requests,
            cursor=after.dumped(),
        )

    return sensor


def _concerns(node: RawNode, messages: Sequence[Message], known: QueueState) -> bool:
    """Whether a source is to be listed: it is told of, or wasn't done with."""
    state = known.states.get(str(node.key))
    if state is None or state.seen is None:
        return True
    assert isinstance(node.source, Files)  # noqa: S101 -- `queues_of` gives no other
    fixed = _UNFIXED.split(node.source.path)[0]
    return any(
        message.objects is None or any(name.startswith(fixed) for name in message.objects)
        for message in messages
    )


def _connection(loaded: Pipelines, node: RawNode) -> S3Connection | None:
    assert isinstance(node.source, Files)  # noqa: S101 -- `queues_of` gives no other
    if node.source.connection is None:
        return None
    found = loaded.outside().connection(node.source.connection)
    return found if isinstance(found, S3Connection) else None


def _why(result: dg.SensorResult) -> str:
    reason = result.skip_reason
    return (reason.skip_message or "") if isinstance(reason, dg.SkipReason) else ""
