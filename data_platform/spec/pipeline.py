"""`pipeline.yaml`: the models of a pipeline, from its header to its destinations.

Read by `spec.reading`, resolved by `plan`. Keys are the language's; what a key means is said in its
description, which editors show.
"""

import re
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, Tag, WithJsonSchema, model_validator

from data_platform.spec.model import Model
from data_platform.spec.rules import Bound, Rule, Scalar
from data_platform.spec.times import Cron, Date, Duration, TimeZone
from data_platform.spec.transformations import Transformation
from data_platform.spec.values import (
    FunctionName,
    Name,
    OnViolation,
    Owner,
    PipelineName,
    Reference,
    Tags,
    either,
)
from data_platform.spec.wording import problem

_TABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"


def _table(value: str) -> str:
    if not re.fullmatch(_TABLE_PATTERN, value):
        raise problem("table", "{found} names no table: `schema.table` or `table`", value)
    return value


def _has_type(value: Any) -> Any:
    if isinstance(value, dict) and "type" not in value:
        raise problem("missing", "'type' is missing; there are: database, file, python")
    return cast("Any", value)


class Daily(Model):
    """One partition a day."""

    every: Literal["day"]
    """The length of a partition."""
    start: Date
    """The first day."""
    end: Date | None = None
    """The day after the last; None means there is no end."""
    timezone: TimeZone = "UTC"
    """Where a day begins and ends, and what times without a zone mean."""

    @model_validator(mode="after")
    def _ends_after_start(self) -> "Daily":
        if self.end is not None and self.end <= self.start:
            raise problem("partitions", "`end` must be after `start`")
        return self


Partitions = Annotated[
    Annotated[Literal["none"], Tag("text")] | Annotated[Daily, Tag("mapping")],
    *either(("none",), mapping="{every: day, start: 2017-01-01}"),
]


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
    """Before the first try after the failed one."""
    backoff: Literal["constant", "linear", "exponential"] = "exponential"
    """How the delay grows from try to try."""
    jitter: bool = True
    """Whether delays vary at random, so that steps which failed together don't return together."""


class CronAutomation(Model):
    """Run at the ticks of a cron expression."""

    cron: Cron
    """Five fields, or @hourly, @daily, @weekly, @monthly."""
    timezone: TimeZone = "UTC"
    """Of the cron's hours and days."""


Automation = Annotated[
    Annotated[Literal["eager", "freshness", "manual"], Tag("text")]
    | Annotated[CronAutomation, Tag("mapping")],
    *either(("eager", "freshness", "manual"), mapping='{cron: "0 6 * * *"}'),
]


class Schedule(Model):
    """When the sources run."""

    cron: Cron
    """Five fields, or @hourly, @daily, @weekly, @monthly."""
    timezone: TimeZone = "UTC"
    """Of the cron's hours and days."""


class Freshness(Model):
    """How old the newest data may be, or by when it must be there."""

    warn_after: Duration | None = None
    """The age from which the data is late; shorter than fail_after."""
    fail_after: Duration | None = None
    """The age from which the data is stale."""
    deadline: Cron | None = None
    """Cron of the moments by which the data must be there."""
    within: Duration | None = None
    """How long before the deadline it may have been built."""
    timezone: TimeZone = "UTC"
    """Of the deadline's hours and days."""

    @model_validator(mode="after")
    def _is_one_of(self) -> "Freshness":
        if (self.fail_after is None) == (self.deadline is None):
            text = (
                "freshness has either `fail_after` (and `warn_after`), or `deadline` and `within`"
            )
            raise problem("freshness", text)
        if self.deadline is not None and (self.within is None or self.warn_after is not None):
            raise problem("freshness", "a `deadline` goes with `within`, and without `warn_after`")
        if self.deadline is None and self.within is not None:
            raise problem("freshness", "`within` goes with a `deadline`")
        if self.warn_after and self.fail_after and self.warn_after >= self.fail_after:
            raise problem("freshness", "`warn_after` must be shorter than `fail_after`")
        return self


class ColumnContract(Model):
    """What a column promises to its readers."""

    type: str | None = None
    """SQL's name of the type; None means any."""
    nullable: bool = True
    """Whether it may be NULL."""
    unique: bool = False
    """Whether each value is there once."""
    min: Bound | None = None
    """The least value; a number, or a date or time as text."""
    max: Bound | None = None
    """The greatest value; a number, or a date or time as text."""
    accepted_values: list[Scalar] | None = None
    """All values that are right."""
    pii: bool = False
    """Whether it tells of a person: Dagster shows ••• in place of its values."""
    description: str | None = None
    """What the column holds, with its unit."""


class Asset(Model):
    """What any asset may say."""

    description: str | None = None
    """What it holds."""
    owner: Owner | None = None
    """`team:<name>` or an e-mail address; None means the pipeline's."""
    tags: Tags = Field(default_factory=dict)
    """Words, or words with values."""
    partitions: Partitions | None = None
    """None means those of the pipeline, of `from`, or none where no upstream has any."""
    retries: Retries | None = None
    """None means 3 for sources and destinations, none for what is computed in the lake."""
    pool: str | None = None
    """Steps of one pool share its slots."""
    automation: Automation | None = None
    """None means the pipeline's schedule for sources (none: manual), and eager below."""
    freshness: Freshness | None = None
    """How old the data may be; None means that nobody asks."""
    runbook: str | None = None
    """Where it says what to do when this fails; None means the pipeline's."""


class LakeAsset(Asset):
    """What any asset that is kept in the lake may say."""

    columns: dict[str, ColumnContract] = Field(default_factory=dict)
    """The contract: what leaves this asset."""
    quality: list[Rule] = Field(default_factory=list[Rule])
    """What must be true before anything is published."""
    on_violation: OnViolation = "fail"
    """What its rules do unless they say otherwise."""


class DatabaseSource(LakeAsset):
    """Rows of a table in a database."""

    type: Literal["database"]
    """Where it comes from."""
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
    """Between the fields of a line."""
    header: bool = True
    """Whether the first line names the columns."""
    null_values: list[str] = Field(default_factory=lambda: [""])
    """Texts that mean NULL; the empty one unless said otherwise."""
    encoding: str = "utf-8"
    """Of the text."""


class FileSource(LakeAsset):
    """Rows of files. Every run reads all files that the path names."""

    type: Literal["file"]
    """Where it comes from."""
    path: str
    """A path or glob, from the pipelines folder's parent; `{partition_key}` is the partition."""
    format: Literal["csv", "parquet"] | None = None
    """None means by the ending of the path."""
    csv: CsvFormat = CsvFormat()
    """How CSV files are read."""


class PythonSource(LakeAsset):
    """Rows that a function gives, asked once a partition."""

    type: Literal["python"]
    """Where it comes from."""
    function: FunctionName
    """`module:function`; a module beside pipeline.yaml, or an installed one. It returns or yields
    pandas, pyarrow or dicts; a parameter `partition` has key, start and end."""


Source = Annotated[
    DatabaseSource | FileSource | PythonSource,
    Field(discriminator="type"),
    BeforeValidator(_has_type),
]


class StagingAsset(LakeAsset):
    """Rows cleaned, typed and held to a contract."""

    from_: Reference = Field(alias="from")
    """The asset that it is made of: `raw.<name>` or `staging.<name>`."""
    transformations: list[Transformation] = Field(default_factory=list[Transformation])
    """Steps, in order."""
    extra_columns: Literal["keep", "drop", "fail"] = "fail"
    """What happens to columns that the contract doesn't name."""
    max_quarantine_percentage: float | None = Field(default=None, ge=0, le=100)
    """Of the rows of a partition, from 100 rows up; above it the partition fails. None means no
    limit."""


class AnalyticsAsset(LakeAsset):
    """Rows computed by SQL from other assets."""

    sql: str | None = None
    """A file beside pipeline.yaml."""
    query: str | None = None
    """The SQL itself."""
    inputs: dict[Reference, Window] = Field(default_factory=dict)
    """Which partitions an upstream gives; left out, the same partition."""

    @model_validator(mode="after")
    def _has_sql(self) -> "AnalyticsAsset":
        if (self.sql is None) == (self.query is None):
            text = (
                "an analytics asset has either `sql: <file>.sql` or `query: |` with the SQL below"
            )
            raise problem("analytics", text)
        return self


class DatabaseDestination(Asset):
    """A table in a database that follows an asset of the lake."""

    from_: Reference = Field(alias="from")
    """The asset that it follows."""
    type: Literal["database"]
    """Where it goes."""
    connection: str
    """A connection of platform.yaml."""
    table: Annotated[
        str,
        AfterValidator(_table),
        WithJsonSchema({"type": "string", "pattern": _TABLE_PATTERN}),
    ]
    """`schema.table`, or `table` in the schema public."""
    write: Literal["replace_partition", "replace"] | None = None
    """None means replace_partition where there are partitions, replace otherwise."""
    partition_column: Name | None = None
    """The column that holds the partition; None means that `_partition` is added."""


class Pipeline(Model):
    """A pipeline: from sources to destinations."""

    version: Literal[1]
    """Of the language."""
    pipeline: PipelineName
    """The pipeline's name, which is its folder's too."""
    description: str | None = None
    """What it is for."""
    owner: Owner
    """Who answers for it: `team:<name>` or an e-mail address."""
    criticality: Literal["low", "medium", "high", "critical"] = "medium"
    """How much it matters when it fails."""
    runbook: str | None = None
    """Where it says what to do when something fails."""
    tags: Tags = Field(default_factory=dict)
    """Words, or words with values, of all its assets."""
    partitions: Partitions = "none"
    """Of sources and analytics, unless they say otherwise."""
    schedule: (
        Annotated[
            Annotated[Cron, Tag("text")] | Annotated[Schedule, Tag("mapping")],
            *either((), mapping='{cron: "0 6 * * *", timezone: UTC}', text="a cron expression"),
        ]
        | None
    ) = None
    """When the sources run; None means by hand."""
    sources: dict[Name, Source] = Field(default_factory=dict)
    """What lands in raw, by name."""
    staging: dict[Name, StagingAsset] = Field(default_factory=dict)
    """What is cleaned, typed and held to a contract, by name."""
    analytics: dict[Name, AnalyticsAsset] = Field(default_factory=dict)
    """What is computed by SQL, by name."""
    destinations: dict[Name, DatabaseDestination] = Field(default_factory=dict)
    """What is carried out of the lake, by name."""
