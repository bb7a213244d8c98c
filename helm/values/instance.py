"""Dagster's instance: the queue, pods of runs, run monitoring, retries, how long ticks are kept."""

from typing import Annotated

from pydantic import Field

from helm.values.kinds import Values

Days = Annotated[int, Field(ge=-1)]
"""-1 keeps for ever."""


class TagLimit(Values):
    """How many runs with a tag may go on at once."""

    key: str = Field(min_length=1, description="The tag.")
    value: str = Field(
        default="", description="Its value. Empty: any, all counted together or each by itself."
    )
    each_value: bool = Field(
        default=False, description="Whether, without `value`, each value is counted by itself."
    )
    limit: int = Field(ge=0, description="Runs at once; further ones wait.")


class RunQueue(Values):
    """Which runs begin, and which wait."""

    max_concurrent_runs: int = Field(
        default=20, ge=1, description="Runs of all code locations at once."
    )
    max_runs_per_backfill: int = Field(
        default=4, ge=1, description="Of one backfill: it must not keep the daily runs waiting."
    )
    tag_limits: tuple[TagLimit, ...] = Field(
        default=(), description="Further limits. Those of locations are their `queue`."
    )
    pool_default_limit: int = Field(
        default=4, ge=1, description="Steps at once in a pool that platform.yaml gives no limit."
    )
    interval_seconds: int = Field(
        default=1, ge=1, le=60, description="How often the daemon looks at the queue."
    )
    code_server_retries: int = Field(
        default=12,
        ge=0,
        description="How often, 10 seconds apart, a run waits for a server that isn't there.",
    )


class RunJobs(Values):
    """Jobs of runs, which Kubernetes has as long as somebody may want to look at them."""

    keep_succeeded_seconds: int = Field(
        default=300, ge=0, description="After which the daemon removes one that succeeded."
    )
    keep_failed_seconds: int = Field(
        default=604_800,
        ge=0,
        description=(
            "After which Kubernetes removes any that is over, failed ones too: a week. Their logs"
            " are in the bucket as long as you keep them."
        ),
    )
    grace_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="Seconds in which a run that is ended comes to a clean end.",
    )


class RunMonitoring(Values):
    """When the daemon takes a run for dead."""

    poll_interval_seconds: int = Field(
        default=5, ge=1, le=300, description="How often it looks at runs."
    )
    start_timeout_seconds: int = Field(
        default=900,
        ge=30,
        description="From launching until the run begins: a node may start, an image be pulled.",
    )
    cancel_timeout_seconds: int = Field(
        default=180, ge=30, description="From ending a run until it has ended; above graceSeconds."
    )
    max_runtime_seconds: int = Field(
        default=0, ge=0, description="After which a run is ended. 0: never."
    )


class Threads(Values):
    """How much the daemon does at once."""

    sensors: int = Field(default=4, ge=1, le=64, description="Ticks of sensors.")
    schedules: int = Field(default=4, ge=1, le=64, description="Ticks of schedules.")
    backfills: int = Field(default=2, ge=1, le=64, description="Backfills.")
    automations: int = Field(default=4, ge=1, le=64, description="Automation conditions.")


class TickDays(Values):
    """For how many days ticks are kept, by how they ended."""

    skipped: Days = Field(default=3, description="That asked for nothing.")
    success: Days = Field(default=30, description="That asked for runs.")
    failure: Days = Field(default=90, description="That failed.")


class TickRetention(Values):
    """For how many days ticks are kept; -1 is for ever. Runs are kept as platform.yaml says."""

    schedules: Days = Field(default=90, description="Of schedules.")
    sensors: TickDays = Field(default=TickDays(), description="Of sensors.")
    automations: TickDays = Field(default=TickDays(), description="Of automation conditions.")


class Instance(Values):
    """dagster.yaml."""

    queue: RunQueue = Field(default=RunQueue(), description="Which runs begin, and which wait.")
    run_jobs: RunJobs = Field(
        default=RunJobs(), description="How long Jobs of runs are kept, and how they end."
    )
    run_monitoring: RunMonitoring = Field(
        default=RunMonitoring(), description="When a run is taken for dead."
    )
    max_run_retries: int = Field(
        default=0,
        ge=0,
        le=20,
        description="How often a run whose pod died is made anew whose assets don't say it.",
    )
    threads: Threads = Field(default=Threads(), description="How much the daemon does at once.")
    ticks: TickRetention = Field(
        default=TickRetention(), description="For how many days ticks are kept; -1 is for ever."
    )
