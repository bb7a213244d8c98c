"""All metrics that there are: names, labels, units, what they say.

Used by everything here, which names no metric otherwise; docs/metrics.md is held to it by a test.
Labels are names that somebody declared: never a partition, a run's identity or a text of an error.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

ASSET = ("pipeline", "layer", "asset")
NO_PIPELINE = "(none)"
"""Stands for the pipeline of runs that have no asset of a pipeline."""

_RUN = (1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400)
_STEP = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 1_800, 3_600, 7_200)
_WAIT = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600)
_ARRIVAL = (60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 604_800)
_TICK = (0.05, 0.25, 1, 5, 15, 60)


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: without the suffix that its kind adds.
        kind: of it, as Prometheus has it.
        text: what it says, with its unit where the name doesn't tell.
        labels: names of its labels.
        buckets: upper bounds of a histogram.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def shown(self) -> str:
        """The name under which it is asked for."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    @property
    def of_assets(self) -> bool:
        """Whether it has a series for each asset."""
        return self.labels[: len(ASSET)] == ASSET


class Sample(NamedTuple):
    """A value of a gauge.

    Attributes:
        metric: which.
        labels: values of its labels.
        value: now.
    """

    metric: Metric
    labels: tuple[str, ...]
    value: float


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"data_platform_{name}", "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"data_platform_{name}", "gauge", text, labels)


def _histogram(name: str, text: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> Metric:
    return Metric(f"data_platform_{name}", "histogram", text, labels, bounds)


RUNS_ENDED = _counter("runs_ended", "Runs that have ended, each once.", "status")
RUN_SECONDS = _histogram(
    "run_duration_seconds",
    "From start to end of a run; one of several pipelines counts in each of them.",
    ("pipeline", "status"), _RUN,
)  # fmt: skip
RUN_WAIT = _histogram(
    "run_queue_wait_seconds",
    "From the request of a run to its start; one of several pipelines counts in each of them.",
    ("pipeline",), _WAIT,
)  # fmt: skip
STEPS = _counter("steps", "Steps that have ended, by how.", *ASSET, "status")
STEP_SECONDS = _histogram(
    "step_duration_seconds", "Time of steps that succeeded.", ("pipeline", "layer"), _STEP
)
ASSET_SECONDS = _counter("asset_step_seconds", "Time of an asset's steps that succeeded.", *ASSET)
RETRIES = _counter("step_retries", "Tries of steps that failed and were followed by one.", *ASSET)
PUBLICATIONS = _counter(
    "asset_publications", "Partitions published, by whether they brought other rows.",
    *ASSET, "changed",
)  # fmt: skip
ROWS_READ = _counter("asset_rows_read", "Rows that went into partitions that changed.", *ASSET)
ROWS = _counter("asset_rows_published", "Rows of partitions that changed.", *ASSET)
BYTES = _counter("asset_bytes_published", "Bytes of the files of changed partitions.", *ASSET)
QUARANTINED = _counter("asset_rows_quarantined", "Rows that were held back.", *ASSET)
CPU_SECONDS = _counter("asset_cpu_seconds", "Processor time of an asset's steps.", *ASSET)
CHECK_RESULTS = _counter("asset_check_results", "Evaluations of checks.", *ASSET, "result")
ARRIVAL = _histogram(
    "arrival_to_publication_seconds",
    "From the end of a partition's time, or of a raw table without partitions from its newest "
    "file, to its publication; backfills aren't in it.",
    ("pipeline", "layer"), _ARRIVAL,
)  # fmt: skip
TICKS = _counter("ticks", "Ticks of sensors and schedules, by how they ended.",
                 "kind", "name", "status")  # fmt: skip
TICK_SECONDS = _histogram(
    "tick_duration_seconds", "Time of ticks of sensors and schedules.", ("kind", "name"), _TICK
)

RUNS = _gauge("runs", "Runs that haven't ended, by state.", "status")
OLDEST_QUEUED = _gauge("run_queue_oldest_seconds", "Age of the run that is queued longest.")
OLDEST_STARTED = _gauge("run_oldest_running_seconds", "Age of the run that runs longest.")
RUN_AVERAGE = _gauge(
    "pipeline_run_average_seconds",
    "Of the last ten runs of a pipeline with a budget that are alike, of one partition.",
    "pipeline",
)
RUN_ALLOWED = _gauge(
    "pipeline_run_budget_seconds", "What these runs may take on average.", "pipeline"
)
RUN_BUDGET = _gauge(
    "pipeline_run_budget_status", "0 within the budget, 1 above it, 2 far above.", "pipeline"
)
POOL_SLOTS = _gauge("pool_slots", "Slots of a pool.", "pool")
POOL_USED = _gauge("pool_slots_used", "Slots of a pool that steps hold.", "pool")
POOL_WAITING = _gauge("pool_steps_waiting", "Steps that wait for slots of a pool.", "pool")
FAILED = _gauge("asset_failed", "1 where the last try of an asset failed, else 0.", *ASSET)
PEAK_MEMORY = _gauge("asset_peak_memory_bytes", "Most memory in its last step.", *ASSET)
FRESHNESS = _gauge("asset_freshness_status", "0 fresh, 1 late, 2 later than its limit.", *ASSET)
LAG = _gauge(
    "asset_freshness_lag_seconds",
    "Since the first missing partition was due; without partitions, since the last publication.",
    *ASSET,
)
LAG_LIMIT = _gauge("asset_freshness_limit_seconds", "The lag at which it is too late.", *ASSET)
DUE = _gauge("asset_partitions_due", "Partitions that should be published by now.", *ASSET)
MISSING = _gauge("asset_partitions_missing", "Due partitions that aren't published.", *ASSET)
PARTITIONS_FAILED = _gauge("asset_partitions_failed", "Partitions whose last try failed.", *ASSET)
PUBLISHED_AT = _gauge(
    "asset_last_publication_timestamp_seconds", "When it was published last.", *ASSET
)
CHECKS_FAILING = _gauge(
    "asset_checks_failing", "Checks whose latest evaluation didn't pass.", *ASSET, "severity"
)
HEARTBEAT = _gauge(
    "daemon_last_heartbeat_timestamp_seconds", "When a daemon showed life; 0: never.", "daemon"
)
DAEMON_ERRORS = _gauge("daemon_errors", "Errors that a daemon told with its heartbeat.", "daemon")
EVENT_LOG_BYTES = _gauge("event_log_bytes", "The table of Dagster's events, with its indexes.")
EVENT_LOG_ROWS = _gauge("event_log_rows", "Events in the log, as PostgreSQL estimates them.")
DATABASE_BYTES = _gauge("database_bytes", "Dagster's database.")
CONNECTIONS = _gauge("postgres_connections", "Connections to Dagster's PostgreSQL.", "state")
MAX_CONNECTIONS = _gauge("postgres_max_connections", "Connections that its PostgreSQL allows.")

CPU = _gauge("host_cpu_usage_ratio", "Of all processors, since the scrape before; 0 to 1.")
MEMORY = _gauge("host_memory_usage_ratio", "Of the memory; 0 to 1.")
DISK = _gauge("host_disk_usage_ratio", "Of the disk that holds a folder; 0 to 1.", "folder")
DISK_FREE = _gauge("host_disk_free_bytes", "Of the disk that holds a folder.", "folder")
UP = _gauge("up", "1 where Dagster's database was looked at lately, else 0.")
LOOKED_AT = _gauge("last_look_timestamp_seconds", "When Dagster's database was looked at last.")
LOOK_SECONDS = _gauge("look_duration_seconds", "What the last look took.")
BEHIND = _gauge(
    "follower_behind_events", "Events that a reader of Dagster's log hasn't read yet.", "follower"
)
FOLLOWED_AT = _gauge(
    "follower_last_look_timestamp_seconds", "When a reader of Dagster's log read last.", "follower"
)
INCIDENTS = _gauge(
    "incidents_open", "Causes that somebody was told of and that aren't mended.", "severity"
)
LINEAGE_WAITING = _gauge(
    "lineage_events_waiting",
    "Events of lineage that wait for their sink, or were refused.",
    "state",
)
UNDELIVERED = _gauge(
    "alert_messages_waiting", "Messages that a channel of alerts hasn't taken.", "channel"
)
LEFT_OUT = _gauge("assets_left_out", "Assets that have no series here, beyond the limit.")
BROKEN = _gauge("pipelines_broken", "Pipelines with mistakes, which are left out.")
UNREADABLE = _gauge(
    "platform_file_broken", "1 where platform.yaml has mistakes: nobody is told of alerts then."
)

METRICS = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
