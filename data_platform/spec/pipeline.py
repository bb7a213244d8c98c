"""`pipeline.yaml`: the models of a pipeline, from its header to its destinations.

Read by `spec.reading`, resolved by `plan`. Keys are the language's; what a key means is said in its
description, which editors show.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_platform.spec.rules import Rule, Scalar
from data_platform.spec.transformations import Transformation
from data_platform.spec.values import (
    Cron,
    Duration,
    Model,
    Name,
    OnViolation,
    Owner,
    PipelineName,
    Reference,
    Tags,
    TimeZone,
    problem,
)


class Daily(Model):
    """One partition a day."""

    every: Literal["day"]
    start: date
    """The first day."""
    end: date | None = None
    """The day after the last; None means there is no end."""
    timezone: TimeZone = "UTC"
    """Where a day begins and ends, and what times without a zone mean."""

    @model_validator(mode="after")
    def _ends_after_start(self) -> "Daily":
        if self.end is not None and self.end <= self.start:
            raise problem("partitions", f"end {self.end} is not after start {self.start}")
        return self


Partitions = Daily | Literal["none"]


class Window(Model):
    """Which of its partitions an input gives."""

    last: int | None = Field(default=None, ge=1)
    """A trailing window that ends with the own partition."""
    all: Literal[True] | None = None
    """All published partitions."""

    @model_validator(mode="after")
    def _is_one_of(self) -> "Window":
        if (self.last is None) == (self.all is None):
            raise problem("inputs", "an input has either `last: <number>` or `all: true`")
        return self


class Retries(Model):
    """How often, and after which delays, a step that failed in passing is tried again."""

    attempts: int = Field(default=3, ge=0)
    """Tries after the first."""
    delay: Duration = Field(default="30s", validate_default=True)
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    jitter: bool = True


class CronAutomation(Model):
    """Run at the ticks of a cron expression."""

    cron: Cron
    timezone: TimeZone = "UTC"


Automation = Literal["eager", "freshness", "manual"] | CronAutomation


class Schedule(Model):
    """When the sources run."""

    cron: Cron
    timezone: TimeZone = "UTC"


class Freshness(Model):
    """How old the newest data may be, or by when it must be there."""

    warn_after: Duration | None = None
    fail_after: Duration | None = None
    deadline: Cron | None = None
    """Cron of the moments by which the data must be there."""
    within: Duration | None = None
    """How long before the deadline it may have been built."""
    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _is_one_of(self) -> "Freshness":
        if (self.fail_after is None) == (self.deadline is None):
            raise problem("freshness", "freshness has either fail_after (and warn_after) or deadline and within")
        if self.deadline is not None and (self.within is None or self.warn_after is not None):
            raise problem("freshness", "a deadline goes with `within`, and without warn_after")
        if self.deadline is None and self.within is not None:
            raise problem("freshness", "`within` goes with a deadline")
        if self.warn_after and self.fail_after and self.warn_after >= self.fail_after:
            raise problem("freshness", "warn_after must be shorter than fail_after")
        return self


class ColumnContract(Model):
    """What a column promises to its readers."""

    type: str | None = None
    """SQL's name of the type; None leaves it open."""
    nullable: bool = True
    unique: bool = False
    min: int | float | str | None = None
    max: int | float | str | None = None
    accepted_values: list[Scalar] | None = None
    description: str | None = None


class Asset(Model):
    """What any asset may say."""

    description: str | None = None
    owner: Owner | None = None
    """None means the pipeline's."""
    tags: Tags = {}
    partitions: Partitions | None = None
    """None means those of the pipeline, of `from`, or none where no upstream has any."""
    retries: Retries | None = None
    """None means 3 for sources and destinations, none for what is computed in the lake."""
    pool: str | None = None
    """Steps of one pool share its slots."""
    automation: Automation | None = None
    """None means the pipeline's schedule for sources, eager below; manual sources where there is none."""
    freshness: Freshness | None = None
    runbook: str | None = None


class LakeAsset(Asset):
    """What any asset that is kept in the lake may say."""

    columns: dict[str, ColumnContract] = {}
    """The contract: what leaves this asset."""
    quality: list[Rule] = []
    on_violation: OnViolation = "fail"
    """What its rules do unless they say otherwise."""


class DatabaseSource(LakeAsset):
    """Rows of a table in a database."""

    type: Literal["database"]
    connection: str
    """A connection of platform.yaml."""
    table: str
    """`table` or `schema.table`."""
    cursor: str | None = None
    """The column that says to which partition a row belongs; needed where there are partitions."""
    fetch_size: int = Field(default=65_536, ge=1)
    """Rows of one batch, about."""


class CsvFormat(Model):
    """How a CSV file is read."""

    delimiter: str = Field(default=",", min_length=1, max_length=4)
    header: bool = True
    null_values: list[str] = [""]
    encoding: str = "utf-8"


class FileSource(LakeAsset):
    """Rows of files. Every run reads all files that the path names."""

    type: Literal["file"]
    path: str
    """A path or glob, from the pipelines folder's parent; `{partition_key}` is the partition."""
    format: Literal["csv", "parquet"] | None = None
    """None means by the ending of the path."""
    csv: CsvFormat = CsvFormat()


Source = Annotated[DatabaseSource | FileSource, Field(discriminator="type")]


class StagingAsset(LakeAsset):
    """Rows cleaned, typed and held to a contract."""

    from_: Reference = Field(alias="from")
    transformations: list[Transformation] = []
    extra_columns: Literal["keep", "drop", "fail"] = "fail"
    """What happens to columns that the contract doesn't name."""
    max_quarantine_percentage: float | None = Field(default=None, ge=0, le=100)
    """Of the rows of a partition, from 100 rows up; above it the partition fails. None means no limit."""


class AnalyticsAsset(LakeAsset):
    """Rows computed by SQL from other assets."""

    sql: str | None = None
    """A file beside pipeline.yaml."""
    query: str | None = None
    """The SQL itself."""
    inputs: dict[Reference, Window] = {}

    @model_validator(mode="after")
    def _has_sql(self) -> "AnalyticsAsset":
        if (self.sql is None) == (self.query is None):
            raise problem("analytics", "an analytics asset has either `sql: file.sql` or `query: |`")
        return self


class DatabaseDestination(Asset):
    """A table in a database that follows an asset of the lake."""

    from_: Reference = Field(alias="from")
    type: Literal["database"]
    connection: str
    table: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")
    """`schema.table`, or `table` in the schema public."""
    write: Literal["replace_partition", "replace"] | None = None
    """None means replace_partition where there are partitions, replace otherwise."""
    partition_column: Name | None = None
    """The column that holds the partition; None means that `_partition` is added."""


class Pipeline(Model):
    """A pipeline: from sources to destinations."""

    version: Literal[1]
    pipeline: PipelineName
    description: str | None = None
    owner: Owner
    criticality: Literal["low", "medium", "high", "critical"] = "medium"
    runbook: str | None = None
    tags: Tags = {}
    partitions: Partitions = "none"
    schedule: Cron | Schedule | None = None
    sources: dict[Name, Source] = {}
    staging: dict[Name, StagingAsset] = {}
    analytics: dict[Name, AnalyticsAsset] = {}
    destinations: dict[Name, DatabaseDestination] = {}
