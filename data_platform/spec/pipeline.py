"""`pipeline.yaml`: the models of a pipeline, from its header to its destinations.

Read by `spec.reading`, resolved by `plan`. Keys are the language's; what a key means is said in its
description, which editors show.
"""

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from data_platform.spec.alerts import Notify
from data_platform.spec.asset import LakeAsset, Window
from data_platform.spec.automation import Schedule
from data_platform.spec.destinations import Destination
from data_platform.spec.limits import RunBudget
from data_platform.spec.model import Model
from data_platform.spec.partitions import Partitions
from data_platform.spec.sources import Source
from data_platform.spec.thresholds import Percentage
from data_platform.spec.times import Cron
from data_platform.spec.transformations import Transformation
from data_platform.spec.values import (
    FunctionName,
    Name,
    Owner,
    PipelineName,
    Reference,
    Tags,
    either,
)
from data_platform.spec.wording import problem


class StagingAsset(LakeAsset):
    """Rows cleaned, typed and held to a contract."""

    from_: Reference = Field(alias="from")
    """The asset that it is made of: `raw.<name>` or `staging.<name>`."""
    transformations: list[Transformation] = Field(default_factory=list[Transformation])
    """Steps, in order."""
    extra_columns: Literal["keep", "drop", "fail"] = "fail"
    """What happens to columns that the contract doesn't name."""
    max_quarantine_percentage: Percentage | None = None
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


class Keys(Model):
    """Where the keys of dynamic partitions come from."""

    from_: Reference = Field(alias="from")
    """An asset whose rows name them, without these partitions itself."""
    column: str
    """Each of its values is a key."""


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
            *either((), mapping="{every: 6h, timezone: Europe/Berlin}", text="a cron expression"),
        ]
        | None
    ) = None
    """When the sources run; None means by hand."""
    dynamic: dict[Name, Keys] = Field(default_factory=dict)
    """Keys of `dynamic` partitions, by their name: each value of a column is one."""
    max_active_runs: int | None = Field(default=None, ge=1)
    """How many of its runs may go on at once; further ones wait. None means no limit of its own."""
    budget: RunBudget | None = None
    """What its runs may take; None means what platform.yaml says of all, if it does."""
    on_finish: FunctionName | None = None
    """A function called after each of its runs, whatever came of it: `module:function`."""
    notify: Notify | None = None
    """Who hears of each end of its runs, with rows and seconds; None means nobody."""
    sources: dict[Name, Source] = Field(default_factory=dict)
    """What lands in raw, by name."""
    staging: dict[Name, StagingAsset] = Field(default_factory=dict)
    """What is cleaned, typed and held to a contract, by name."""
    analytics: dict[Name, AnalyticsAsset] = Field(default_factory=dict)
    """What is computed by SQL, by name."""
    destinations: dict[Name, Destination] = Field(default_factory=dict)
    """What is carried out of the lake, by name."""
