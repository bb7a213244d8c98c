"""Why an asset ran last, or why it doesn't: one answer, the facts behind it, and what to do.

Called by the command's `why`. All that it says is from what Dagster and the lake keep. Questions
are asked in the order in which a person would: does it run, is it built, did it fail, what does it
wait for, does anything start it at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from dagster import AssetRecordsFilter, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.event_api import EventLogRecord
from dagster._core.storage.dagster_run import RunRecord

from data_platform.asset_specs import asset_key
from data_platform.observability.causes import ago_words, failed_words
from data_platform.observability.evaluations import Evaluation, last_evaluation
from data_platform.observability.failures import Failure, last_failures
from data_platform.observability.started import (
    Tick,
    cause_of,
    is_paused,
    lost_daemons,
    ticks,
)
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, LakeNode, Plan, RawNode
from data_platform.storage.lake import Lake
from data_platform.storage.snapshots import missing_inputs, snapshots_of

State = Literal["runs", "queued", "built", "failed", "waits", "paused", "not due", "not started"]
_GOING = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_QUEUED = frozenset({DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED})
_FIRST, _LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class Why:
    """Why an asset ran, or why it doesn't.

    Attributes:
        key: of the asset.
        partition: that was asked about; None where it has none.
        state: in a word, for programs.
        answer: in a sentence.
        facts: behind it.
        advice: what to do.
        run_id: that the answer is about.
        evaluation: what the automation found last.
    """

    key: Key
    partition: str | None
    state: State
    answer: str
    facts: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    run_id: str | None = None
    evaluation: Evaluation | None = None


@dataclass
class _Found:
    """An answer on its way."""

    state: State
    answer: str
    run_id: str | None = None
    facts: list[str] = field(default_factory=list[str])
    advice: list[str] = field(default_factory=list[str])


def why(
    plan: Plan,
    node: AnyNode,
    partition: str | None,
    instance: DagsterInstance,
    lake: Lake,
    now: datetime,
) -> Why:
    """Tell why an asset ran last, or why it doesn't.

    Args:
        plan: of all pipelines.
        node: the asset.
        partition: one of its partitions; None means the newest one that is due.
        instance: Dagster's, which is only read.
        lake: which is only read.
        now: an aware moment.
    """
    if partition is None and node.partitions is not None:
        partition = max(node.partitions.newest_due(now), default=None)
    question = _Question(plan, node, partition, instance, lake, now)
    found = question.answered()
    evaluation = last_evaluation(instance, node, partition)
    facts = (*found.facts, *question.last_ticks())
    return Why(
        node.key,
        partition,
        found.state,
        found.answer,
        facts,
        tuple(found.advice),
        found.run_id,
        evaluation,
    )


class _Question:
    """One asset and partition, and what is known of them."""

    def __init__(
        self,
        plan: Plan,
        node: AnyNode,
        partition: str | None,
        instance: DagsterInstance,
        lake: Lake,
        now: datetime,
    ) -> None:
        self._plan, self._node, self._partition = plan, node, partition
        self._instance, self._lake, self._now = instance, lake, now
        self._name = f"{node.key}{f' {partition}' if partition else ''}"
        self._failures = last_failures(instance, [node, *self._ancestors()])
        self._built = self._materialization()

    def answered(self) -> _Found:
        """The first answer that holds."""
        failure = self._failures.get(self._node.key)
        return (
            self._going()
            or self._not_due()
            or (self._failed(failure) if failure and failure.own else None)
            or self._held_up_since()
            or (self._done() if self._built and not failure else None)
            or self._not_started()
            or self._waits()
            or self._paused()
            or self._unexplained()
        )

    def last_ticks(self) -> Iterator[str]:
        """What the pipeline's own sensors and schedules said last."""
        if isinstance(self._node, RawNode):
            for tick in ticks(self._instance, f"{self._node.key.pipeline}_"):
                yield _tick_words(tick, self._now)

    def _going(self) -> _Found | None:
        key = asset_key(self._node.key)
        for record in self._instance.get_run_records(RunsFilter(statuses=_GOING), limit=500):
            run = record.dagster_run
            if key not in (run.asset_selection or ()) or not self._is_about(run.tags):
                continue
            since = ago_words(self._now - _began(record))
            about = f"run {run.run_id[:8]}, started by {cause_of(run)}"
            if run.status in _QUEUED:
                found = _Found("queued", f"It is in the queue since {since}: {about}.", run.run_id)
                found.facts += self._queue()
            else:
                found = _Found("runs", f"It runs since {since}: {about}.", run.run_id)
                found.facts += self._pool(run.run_id)
            return found
        return None

    def _is_about(self, tags: Mapping[str, str]) -> bool:
        if self._partition is None:
            return True
        if "dagster/partition" in tags:
            return tags["dagster/partition"] == self._partition
        return tags.get(_FIRST, "") <= self._partition <= tags.get(_LAST, "￿")

    def _queue(self) -> Iterator[str]:
        running = self._instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
        queued = self._instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.QUEUED]))
        yield f"{running} run{'s'[: running != 1]} under way, {queued} in the queue"
        for daemon in lost_daemons(self._instance, self._now):
            yield f"no daemon {daemon} has been heard of for minutes: is dagster-daemon up?"

    def _pool(self, run_id: str) -> Iterator[str]:
        pool = self._node.pool
        if pool is None:
            return
        info = self._instance.event_log_storage.get_concurrency_info(pool)
        if any(step.run_id == run_id for step in info.pending_steps):
            taken = f"{info.active_slot_count} of {info.slot_count}"
            holders = {step.run_id[:8] for step in info.claimed_slots}
            yield f"it waits for a slot of pool {pool}: {taken} taken, by {', '.join(holders)}"

    def _not_due(self) -> _Found | None:
        partitions = self._node.partitions
        if self._partition is None and partitions is not None and not self._built:
            return _Found("not due", "Nothing of it is due yet.")
        if self._built or partitions is None or partitions.time is None or not self._partition:
            return None
        end = partitions.window(self._partition)[1]
        if end <= self._now:
            return None
        text = f"{self._partition} isn't due: it ends at {end:%Y-%m-%d %H:%M %Z}."
        return _Found("not due", text)

    def _failed(self, failure: Failure) -> _Found:
        words = failed_words(failure, self._now)
        found = _Found("failed", f"It {words} in run {failure.run_id[:8]}.", failure.run_id)
        run = self._instance.get_run_by_id(failure.run_id)
        if run is not None:
            found.facts.append(f"that run was started by {cause_of(run)}")
        if self._built is not None:
            found.facts.append(f"its last good version is of {self._ago(self._built.timestamp)}")
        found.advice.append(f"see run {failure.run_id} in Dagster's UI, mend the cause, then:")
        found.advice.append(self._command())
        return found

    def _done(self) -> _Found:
        built = self._built
        if built is None or built.asset_materialization is None:
            return self._unexplained()
        metadata = built.asset_materialization.metadata
        run = self._instance.get_run_by_id(built.run_id)
        cause = f", started by {cause_of(run)}" if run else ""
        which = self._partition or "It"
        found = _Found(
            "built",
            f"{which} was built {self._ago(built.timestamp)} in run {built.run_id[:8]}{cause}.",
            built.run_id,
        )
        if "why" in metadata:
            found.facts.append(f"nothing was computed; {metadata['why'].value}")
        found.facts += [f"{words}: {_value(metadata[name]):,}" for name, words in _FIGURES
                        if name in metadata]  # fmt: skip
        return found

    def _not_started(self) -> _Found | None:
        node = self._node
        if not node.enabled:
            return _Found(
                "not started",
                "Nothing starts it: it says `enabled: false`.",
                advice=["set `enabled: true`, or take the line out"],
            )
        if str(node.automation) == "manual" or getattr(node.automation, "when", "") == "manual":
            return _Found(
                "not started",
                "Nothing starts it but a person: its automation is `manual`.",
                advice=[self._command()],
            )
        pipeline = self._plan.pipeline(node.key.pipeline)
        scheduled = pipeline is not None and pipeline.schedule is not None
        if isinstance(node, RawNode) and node.automation is None and not scheduled:
            return _Found(
                "not started",
                "Nothing starts it but a person: its pipeline has no schedule, and it has no "
                "automation.",
                advice=["give the pipeline a `schedule`, or the source an `automation`"],
            )
        return None

    def _held_up_since(self) -> _Found | None:
        """Something above failed after the last build; of partitions that may be another one."""
        found = None if self._node.partitions else self._failed_above()
        if found is None or self._built is None:
            return None
        failed = self._instance.get_run_record_by_id(found.run_id or "")
        if failed is None or _began(failed).timestamp() < self._built.timestamp:
            return None
        found.facts.append(f"its last version is of {self._ago(self._built.timestamp)}, and stands")
        return found

    def _failed_above(self) -> _Found | None:
        for key in self._ancestors_in_order():
            failure = self._failures.get(key)
            if failure is not None and failure.own:
                text = f"It waits: {key} {failed_words(failure, self._now)}"
                found = _Found("waits", f"{text} in run {failure.run_id[:8]}.", failure.run_id)
                found.advice.append(f"data-platform why {key}")
                return found
        return None

    def _waits(self) -> _Found | None:
        above = self._failed_above()
        if above is not None:
            return above
        if isinstance(self._node, LakeNode):
            asked = self._partition or WHOLE
            snapshots = snapshots_of(self._node, self._lake)
            missing = missing_inputs(self._node, [asked], snapshots).get(asked)
            if missing:
                upstream = missing.split(" ")[0]
                partition = f" {self._partition}" if self._partition else ""
                advice = [f"data-platform why {upstream}{partition}"]
                return _Found("waits", f"It waits: {missing}.", advice=advice)
        return None

    def _paused(self) -> _Found | None:
        if is_paused(self._instance):
            return _Found(
                "paused",
                "Automation is paused: somebody stopped the sensor "
                "default_automation_condition_sensor.",
                advice=["start it in Dagster's UI: Automation"],
            )
        lost = lost_daemons(self._instance, self._now)
        if lost:
            which = f"{', '.join(lost)} of dagster-daemon" if len(lost) == 1 else "dagster-daemon"
            return _Found(
                "paused",
                f"Nothing is started: {which} hasn't been heard of for minutes.",
                advice=["start it: dagster-daemon run, or dagster dev", "data-platform doctor"],
            )
        return None

    def _unexplained(self) -> _Found:
        evaluation = last_evaluation(self._instance, self._node, self._partition)
        if evaluation is None:
            text = "It was never looked at by the automation; the next tick does."
            return _Found("waits", text, advice=[self._command()])
        false = [part.label for part in evaluation.parts if not part.true and part.depth]
        told = f": not {', not '.join(false)}" if false else ""
        return _Found("waits", f"Its condition didn't ask for it{told}.", advice=[self._command()])

    def _materialization(self) -> EventLogRecord | None:
        asked = AssetRecordsFilter(
            asset_key=asset_key(self._node.key),
            asset_partitions=[self._partition] if self._partition else None,
        )
        return next(iter(self._instance.fetch_materializations(asked, 1).records), None)

    def _ancestors(self) -> list[AnyNode]:
        return [node for key in self._ancestors_in_order() if (node := self._plan.get(key))]

    def _ancestors_in_order(self) -> list[Key]:
        """Nearest first."""
        found: dict[Key, None] = {}
        waiting: list[AnyNode | None] = [self._node]
        for node in waiting:
            for given in (*node.inputs, *node.after) if node else ():
                if given.key not in found:
                    found[given.key] = None
                    waiting.append(self._plan.get(given.key))
        return list(found)

    def _ago(self, timestamp: float) -> str:
        return ago_words(self._now - datetime.fromtimestamp(timestamp, UTC))

    def _command(self) -> str:
        partition = f" --partition {self._partition}" if self._partition else ""
        key = self._node.key
        return f"data-platform run {key.pipeline} --select {key.layer}/{key.name}{partition}"


_FIGURES = (
    ("dagster/partition_row_count", "rows"),
    ("dagster/row_count", "rows"),
    ("rows_quarantined", "rows held back"),
    ("seconds", "seconds"),
)


def _value(metadata: Any) -> Any:
    return metadata.value


def _began(record: RunRecord) -> datetime:
    if record.start_time is not None:
        return datetime.fromtimestamp(record.start_time, UTC)
    return record.create_timestamp.astimezone(UTC)


def _tick_words(tick: Tick, now: datetime) -> str:
    stopped = "; somebody stopped it" if tick.stopped else ""
    at = f" {ago_words(now - tick.at)}" if tick.at else ""
    return f"{tick.name}{at}: {tick.words}{stopped}"
