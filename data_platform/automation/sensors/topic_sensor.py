"""The sensor of topics: messages that no run has read start their source.

One for each pipeline; called by `building`. What was read is in the lake, committed with the rows;
the cursor knows what was asked for, so that a reading that fails isn't asked for again until more
comes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import RUN_KEY_TAG

from data_platform.asset_specs import asset_key
from data_platform.automation.sensors.file_memory import digest_of
from data_platform.automation.sensors.reached import Pipelines
from data_platform.automation.sensors.run_requests import Wanted, run_requests
from data_platform.engine.work import Work
from data_platform.errors import PlatformError
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import PipelinePlan
from data_platform.plan.sources.kinds import Topic
from data_platform.sources.topics.clients import reading
from data_platform.spec.platform import KafkaConnection

POLL_SECONDS = 30


@dataclass(frozen=True)
class Heard:
    """What one look at a topic comes to.

    Attributes:
        asked: what was asked for last, to be known by the next look.
        words: what was seen.
        wanted: runs.
    """

    asked: Mapping[str, str]
    words: str
    wanted: Sequence[Wanted] = ()


def topic_sources(pipeline: PipelinePlan) -> list[RawNode]:
    """Those that nothing else starts."""
    if pipeline.schedule is not None:
        return []
    return [
        node
        for node in pipeline.nodes
        if isinstance(node, RawNode)
        and isinstance(node.source, Topic)
        and node.enabled
        and node.automation is None
        and not node.external
    ]


def topic_sensor(loaded: Pipelines, pipeline: str, nodes: Sequence[RawNode]) -> dg.SensorDefinition:
    """The sensor of a pipeline's topics, on from the first start."""

    @dg.sensor(
        name=f"{pipeline}_topics",
        asset_selection=dg.AssetSelection.assets(*[asset_key(node.key) for node in nodes]),
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"New messages start the sources of {pipeline}.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known = _known(context.cursor)
        heard = {
            node.key.name: _listened(loaded, context.instance, node, known.get(node.key.name, {}))
            for node in nodes
        }
        requests = run_requests(wanted for one in heard.values() for wanted in one.wanted)
        words = "; ".join(f"{name}: {one.words}" for name, one in heard.items())
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(words),
            cursor=json.dumps({name: one.asked for name, one in heard.items()}),
        )

    return sensor


def _known(cursor: str | None) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(cursor or "{}")
        return {name: dict(asked) for name, asked in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _listened(
    loaded: Pipelines, instance: dg.DagsterInstance, node: RawNode, asked: Mapping[str, str]
) -> Heard:
    if node.partitions is not None:
        return _of_time(node, node.partitions, asked, datetime.now(UTC))
    if key := asked.get("run_key"):
        under_way = dg.RunsFilter(tags={RUN_KEY_TAG: key}, statuses=NOT_FINISHED_STATUSES)
        if instance.get_runs_count(under_way):
            return Heard(asked, "a run is reading it")
    try:
        highs, lows = _bounds(loaded, node)
        read = _offsets(loaded, node)
    except PlatformError as error:
        return Heard(asked, f"{error}")
    unread = sum(max(0, high - max(read.get(p, 0), lows[p])) for p, high in highs.items())
    if not unread:
        return Heard(asked, f"no message since offset {sum(highs.values()):,}")
    version = digest_of((), sorted(highs.items()), sorted(read.items()))
    if version == asked.get("version"):
        return Heard(asked, f"{unread:,} messages unread; a run was asked for, and none came since")
    wanted = Wanted(node, [WHOLE], f"messages: {unread:,} new", version)
    [request] = run_requests([wanted])
    return Heard({"version": version, "run_key": request.run_key or ""}, "", [wanted])


def _of_time(
    node: RawNode, partitions: Partitions, asked: Mapping[str, str], now: datetime
) -> Heard:
    """Partitions that are over since the last look; at the first look the newest one."""
    newest = partitions.newest_due(now)
    last = asked.get("newest")
    due = partitions.due(now)
    since = [key for key in due if last is not None and key > last] if last else newest
    if not since:
        return Heard(asked, f"no partition is over since {last or 'the first'}")
    parts = partitions.contiguous(since)
    wanted = [
        Wanted(node, part, f"messages of {part[-1]} are complete", part[-1]) for part in parts
    ]
    return Heard({"newest": max(since)}, "", wanted)


def _bounds(loaded: Pipelines, node: RawNode) -> tuple[dict[int, int], dict[int, int]]:
    """The next offset to come, and the first that is there, of each Kafka partition."""
    source = node.source
    assert isinstance(source, Topic)  # noqa: S101 -- `topic_sources` gives no other
    connection = loaded.outside().connection(source.connection)
    assert isinstance(connection, KafkaConnection)  # noqa: S101 -- the plan has seen to it
    with reading(connection, source.topic, Work()) as client:
        bounds = client.bounds(client.partitions())
    return {p: b.high for p, b in bounds.items()}, {p: b.low for p, b in bounds.items()}


def _offsets(loaded: Pipelines, node: RawNode) -> dict[int, int]:
    """How far it was read, as it was committed with the rows."""
    snapshot = loaded.lake().table(node.key).snapshot()
    position: Mapping[str, Any] = (
        snapshot.batches.position if snapshot and snapshot.batches else None
    ) or {}
    return {int(p): offset for p, offset in position.get("offsets", {}).items()}
