"""What events add to counters: pure, and the same in whatever batches and order they come.

Called by `counting` with what is new in Dagster's log. A counter is added to; what is so now, such
as whether an asset's last try failed, goes by the events' numbers.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg
from dagster import AssetCheckSeverity, MetadataValue
from dagster import DagsterEventType as Kind

from data_platform.observability.following.follower import Followed
from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import Metric
from data_platform.observability.metrics.known import Known, key_of
from data_platform.observability.metrics.runs import RunTimes
from data_platform.plan.keys import Key
from data_platform.plan.naming import SOURCE_FILES

Series = tuple[str, tuple[str, ...]]
"""A metric's name and the values of its labels."""

CHECK = "check"
"""What an asset's check found last; its name is the last label."""
PASSED, WARNED, BROKEN = 0.0, 1.0, 2.0
_RESULTS = {PASSED: "passed", WARNED: "warned", BROKEN: "failed"}
_ENDS = {
    Kind.RUN_SUCCESS: "success",
    Kind.RUN_FAILURE: "failure",
    Kind.RUN_CANCELED: "canceled",
}
ENDS, STEP_ENDS = tuple(_ENDS.values()), ("success", "failure")
"""How runs end, and steps."""
_ROW_COUNTS = ("dagster/partition_row_count", "dagster/row_count")
_OF_CHANGED = {"rows_in": catalogue.ROWS_READ, "bytes": catalogue.BYTES}
OF_RUNS = frozenset({*_ENDS, Kind.RUN_START, Kind.ASSET_MATERIALIZATION})
"""The events for which the run is looked up."""
KINDS = OF_RUNS | {
    Kind.STEP_SUCCESS,
    Kind.STEP_FAILURE,
    Kind.STEP_UP_FOR_RETRY,
    Kind.ASSET_CHECK_EVALUATION,
}
"""The events that are counted."""


@dataclass
class Folded:
    """What a batch comes to.

    Attributes:
        added: by series: a counter's number; a histogram's observations by bucket, the last one
            without bound, and their sum.
        latest: by series: the number of the event that says what is so now, and the value.
    """

    added: dict[Series, list[float]] = field(default_factory=dict[Series, list[float]])
    latest: dict[Series, tuple[int, float]] = field(default_factory=dict[Series, tuple[int, float]])

    def count(self, metric: Metric, labels: tuple[str, ...], amount: float = 1) -> None:
        """Add to a counter; what it can't be added to is left out."""
        if math.isfinite(amount) and amount >= 0:
            self.added.setdefault((metric.name, labels), [0.0])[0] += amount

    def observe(self, metric: Metric, labels: tuple[str, ...], value: float | None) -> None:
        """Add an observation to a histogram; None adds none, a clock that went back adds 0."""
        if value is None or not math.isfinite(value):
            return
        value = max(value, 0.0)
        counts = self.added.setdefault((metric.name, labels), [0.0] * (len(metric.buckets) + 2))
        counts[bisect_left(metric.buckets, value)] += 1
        counts[-1] += value

    def tell(self, name: str, labels: tuple[str, ...], number: int, value: float) -> None:
        """What is so since an event, unless a later one was seen."""
        series = (name, labels)
        self.latest[series] = max(self.latest.get(series, (number, value)), (number, value))


def fold(events: Iterable[Followed], runs: Mapping[str, RunTimes], known: Known) -> Folded:
    """What events come to.

    Args:
        events: of `KINDS`.
        runs: of the events of `OF_RUNS`; those that are gone are left out.
        known: the assets.
    """
    folded = Folded()
    for one in events:
        run = runs.get(one.entry.run_id, RunTimes())
        match one.event.event_type:
            case Kind.RUN_START:
                _started(folded, one.entry.timestamp, run)
            case Kind.RUN_SUCCESS | Kind.RUN_FAILURE | Kind.RUN_CANCELED as kind:
                _ended(folded, _ENDS[kind], one.entry.timestamp, run)
            case Kind.ASSET_MATERIALIZATION:
                _published(folded, one, run, known)
            case Kind.ASSET_CHECK_EVALUATION:
                _checked(folded, one)
            case _:
                _of_step(folded, one, known)
    return folded


def labels_of(key: Key) -> tuple[str, str, str]:
    """The labels of an asset."""
    return key.pipeline, key.layer, key.name


def _started(folded: Folded, at: float, run: RunTimes) -> None:
    waited = at - run.asked_at if run.asked_at is not None else None
    for pipeline in run.pipelines:
        folded.observe(catalogue.RUN_WAIT, (pipeline,), waited)


def _ended(folded: Folded, status: str, at: float, run: RunTimes) -> None:
    folded.count(catalogue.RUNS_ENDED, (status,))
    # By the event: Dagster notes the end with the run itself a moment after it is in the log.
    seconds = at - run.started_at if run.started_at is not None else None
    for pipeline in run.pipelines:
        folded.observe(catalogue.RUN_SECONDS, (pipeline, status), seconds)


def _of_step(folded: Folded, one: Followed, known: Known) -> None:
    kind = one.event.event_type
    keys = known.assets_of(one.event.step_key or "")
    for key in keys:
        labels = labels_of(key)
        if kind is Kind.STEP_UP_FOR_RETRY:
            folded.count(catalogue.RETRIES, labels)
            continue
        failed = kind is Kind.STEP_FAILURE
        folded.count(catalogue.STEPS, (*labels, STEP_ENDS[failed]))
        folded.tell(catalogue.FAILED.name, labels, one.number, float(failed))
        if not failed:
            seconds = one.event.step_success_data.duration_ms / 1_000
            folded.count(catalogue.ASSET_SECONDS, labels, seconds)
    if keys and kind is Kind.STEP_SUCCESS:
        seconds = one.event.step_success_data.duration_ms / 1_000
        folded.observe(catalogue.STEP_SECONDS, (keys[0].pipeline, keys[0].layer), seconds)


def _published(folded: Folded, one: Followed, run: RunTimes, known: Known) -> None:
    key = _key(one.event.asset_key)
    if key is None:
        return
    metadata = one.event.step_materialization_data.materialization.metadata
    labels = labels_of(key)
    changed = not (
        isinstance(said := metadata.get("unchanged"), dg.BoolMetadataValue) and said.value
    )
    folded.count(catalogue.PUBLICATIONS, (*labels, str(changed).lower()))
    for metric, amount in _figures(metadata, changed=changed):
        folded.count(metric, labels, amount)
    peak = _number(metadata.get("peak_memory_bytes"))
    if peak is not None:
        folded.tell(catalogue.PEAK_MEMORY.name, labels, one.number, peak)
    arrived = known.due_at(key, one.event.partition)
    if arrived is None and key.layer == "raw" and one.event.partition is None:
        arrived = _newest_file(metadata)
    if arrived is not None and changed and not run.catches_up:
        lag = one.entry.timestamp - arrived.timestamp()
        folded.observe(catalogue.ARRIVAL, (key.pipeline, key.layer), lag)


def _figures(
    metadata: Mapping[str, MetadataValue], *, changed: bool
) -> Iterator[tuple[Metric, float]]:
    cpu = _number(metadata.get("cpu_seconds"))
    if cpu is not None:
        yield catalogue.CPU_SECONDS, cpu
    if not changed:
        return
    rows = next((metadata[name] for name in _ROW_COUNTS if name in metadata), None)
    held = metadata.get("rows_quarantined")
    told = {catalogue.ROWS: rows, catalogue.QUARANTINED: held}
    told |= {metric: metadata.get(name) for name, metric in _OF_CHANGED.items()}
    for metric, value in told.items():
        amount = _number(value)
        if amount is not None:
            yield metric, amount


def _checked(folded: Folded, one: Followed) -> None:
    evaluation = one.event.asset_check_evaluation_data
    key = _key(evaluation.asset_key)
    if key is None:
        return
    severe = evaluation.severity is AssetCheckSeverity.ERROR
    result = PASSED if evaluation.passed else BROKEN if severe else WARNED
    labels = labels_of(key)
    folded.count(catalogue.CHECK_RESULTS, (*labels, _RESULTS[result]))
    folded.tell(CHECK, (*labels, evaluation.check_name), one.number, result)


def key_of_event(one: Followed) -> Key | None:
    """The asset of an event that is of one."""
    kind = one.event.event_type
    if kind is Kind.ASSET_CHECK_EVALUATION:
        return _key(one.event.asset_check_evaluation_data.asset_key)
    return _key(one.event.asset_key) if kind is Kind.ASSET_MATERIALIZATION else None


def _key(key: dg.AssetKey | None) -> Key | None:
    """The key of an asset of a pipeline; quarantine is told with what it is beside."""
    found = key_of(key)
    return None if found is None or found.layer == "quarantine" else found


def _number(value: MetadataValue | None) -> float | None:
    match value:
        case dg.IntMetadataValue() | dg.FloatMetadataValue() if value.value is not None:
            return float(value.value)
        case _:
            return None


def _newest_file(metadata: Mapping[str, MetadataValue]) -> datetime | None:
    """When the newest file that is told of was changed."""
    told = metadata.get(SOURCE_FILES)
    if not isinstance(told, dg.TableMetadataValue):
        return None
    moments = [str(record.data["modified"]) for record in told.records if "modified" in record.data]
    return datetime.fromisoformat(max(moments)) if moments else None
