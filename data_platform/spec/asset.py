"""What any asset may say: partitions, when it runs, how fresh it is, its contract and its rules.

The models of `spec.sources` and `spec.pipeline` are built on these; resolved by `plan`.
"""

from typing import Literal, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from data_platform.spec.automation import Automation, Freshness
from data_platform.spec.backfills import Backfill
from data_platform.spec.limits import Budget, Resources
from data_platform.spec.model import Model
from data_platform.spec.outside import ExternalKey
from data_platform.spec.parameters import Parameter, ParameterName
from data_platform.spec.partitions import Partitions
from data_platform.spec.rule_model import Bound, Pattern, Scalar
from data_platform.spec.rules import Rule
from data_platform.spec.times import Duration
from data_platform.spec.values import OnViolation, Owner, Tags
from data_platform.spec.versions import ContractVersion
from data_platform.spec.wording import problem


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
    max_delay: Duration = Field(default="1h", validate_default=True)
    """Up to which it grows."""
    delays: list[Duration] | None = Field(default=None, min_length=1)
    """Each delay by itself, which says how many tries there are; in place of the other keys."""
    jitter: bool = True
    """Whether delays vary at random, so that steps which failed together don't return together."""

    @model_validator(mode="after")
    def _is_one_of(self) -> "Retries":
        beside = self.model_fields_set & {"attempts", "delay", "backoff", "max_delay"}
        if self.delays is not None and beside:
            raise problem("retries", "`delays` says it all; leave the other keys but `jitter` out")
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
    accepted_values: list[Scalar] | None = Field(default=None, min_length=1)
    """All values that are right."""
    matches: Pattern | None = None
    """What RE2 understands; it is matched against the whole value."""
    pii: bool | None = None
    """Whether it tells of a person: its values are then shown nowhere, and may reach analytics and
    destinations only masked. False is its author's word of what a function gives."""
    description: str | None = None
    """What the column holds, with its unit."""

    @model_validator(mode="after")
    def _has_room(self) -> "ColumnContract":
        """Texts may be dates or times: whether one is before another isn't known here."""
        numbers = isinstance(self.min, int | float) and isinstance(self.max, int | float)
        if numbers and cast("float", self.min) > cast("float", self.max):
            raise problem("range", f"min {self.min} is above max {self.max}: no value is within")
        return self


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
    timeout: Duration | None = None
    """How long its step may work; then what it does outside is ended too. None means no limit."""
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict)
    """Values that a run may be given, by name."""
    pool: str | None = None
    """Steps of one pool share its slots."""
    backfill: Backfill = Field(default_factory=Backfill)
    """How its history is filled."""
    pool_slots: int = Field(default=1, ge=1)
    """How many slots of its pool its step takes, all of them or none."""
    priority: int | None = Field(default=None, ge=-100, le=100)
    """Whose step goes first where some wait, and whose run; None means -1 to 2 by criticality."""
    resources: Resources | None = None
    """CPU and memory of the pod of a run; None means what the deployment gives to all."""
    budget: Budget | None = None
    """What its steps may take; None means what platform.yaml says of all, if it does."""
    enabled: bool = True
    """Whether anything starts it; what reads a disabled asset reads its last published rows."""
    automation: Automation | None = None
    """None means the pipeline's schedule for sources (none: manual), and eager below."""
    after: list[ExternalKey] = Field(default_factory=list[ExternalKey])
    """External assets that it follows: a new version of one starts it."""
    freshness: Freshness | None = None
    """How old the data may be; None means that nobody asks."""
    runbook: str | None = None
    """Where it says what to do when this fails; None means the pipeline's."""


class LakeAsset(Asset):
    """What any asset that is kept in the lake may say."""

    columns: dict[str, ColumnContract] = Field(default_factory=dict)
    """The contract: what leaves this asset."""
    contract_version: ContractVersion | None = None
    """Of the contract, as "1.2.0": a new first number tells readers that something breaks. None
    means that nobody counts."""
    quality: list[Rule] = Field(default_factory=list[Rule])
    """What must be true before anything is published."""
    on_violation: OnViolation = "fail"
    """What its rules do unless they say otherwise."""

    @field_validator("contract_version")
    @classmethod
    def _is_of_a_contract(cls, version: str | None, info: ValidationInfo) -> str | None:
        """Columns with a mistake aren't among the data: that mistake is told alone."""
        if version is not None and info.data.get("columns") == {}:
            raise problem("version", "a version is of a contract: say what leaves in `columns`")
        return version
