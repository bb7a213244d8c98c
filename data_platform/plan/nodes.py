"""What will exist: one frozen node an asset, fully resolved.

Built by `plan.building`, printed by `plan.explaining`, run by the stages. A node holds the very SQL
that runs, so what is shown can't differ from what is done.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from data_platform.errors import Location
from data_platform.plan.checks.kinds import Check
from data_platform.plan.destinations.kinds import AnyTarget
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.plan.partitions import Partitions
from data_platform.plan.schemas import NO_MASKING, UNKNOWN_SCHEMA, Masking, Schema
from data_platform.plan.sources.kinds import AnySource, Increments
from data_platform.spec.asset import Retries
from data_platform.spec.automation import Automation, Freshness
from data_platform.spec.limits import Budget, Resources, RunBudget
from data_platform.spec.parameters import Parameter
from data_platform.spec.transformations import MaskMethod

Reads = Literal["same", "matching", "last", "all", "whole"]


@dataclass(frozen=True)
class Input:
    """An upstream asset and which of its partitions are read.

    Attributes:
        key: the upstream.
        reads: the `same` partition, those of another kind `matching` it, the `last` ones, `all`
            published ones, or `whole` where the upstream has none.
        last: the length of the window where `reads` is `last`.
        partitions: the upstream's, where they aren't the reader's.
    """

    key: Key
    reads: Reads
    last: int = 1
    partitions: Partitions | None = field(default=None, repr=False)

    @property
    def by_partition(self) -> bool:
        """Whether each partition of the reader has rows of its own in it, and no others."""
        return self.reads in {"same", "matching"}


@dataclass(frozen=True)
class PythonCall:
    """A function between two steps of SQL: what it does to rows can't be looked into.

    Attributes:
        function: the person's.
        input: what it gets.
        chunk_size: rows that it gets at once; None means all of a partition.
        relation: the name under which the step's SQL reads what it gave.
        num_workers: processes; None means the step's own.
    """

    function: UserFunction
    input: Literal["pandas", "arrow"]
    chunk_size: int | None
    relation: str
    num_workers: int | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Step:
    """One named step of a staging asset: a CTE.

    Attributes:
        name: of the CTE, after the transformation.
        sql: its SELECT.
        location: the transformation in pipeline.yaml.
        effect: what it does to rows, for the count of what went in and out.
        lost: a SELECT `(_partition, rows)` of the rows that this step leaves out, where it may.
        python: the call whose results the SELECT reads, where this is one.
        converts: of a step that does nothing but convert columns, each column and the flag that
            tells whether it didn't convert, if there is one.
        masks: of a step that masks columns, each column and how.
    """

    name: str
    sql: str
    location: Location
    effect: Literal["row-wise", "filters", "deduplicates", "reshapes", "python"] = "row-wise"
    lost: str | None = None
    python: PythonCall | None = None
    converts: tuple[tuple[str, str | None], ...] = ()
    masks: tuple[tuple[str, MaskMethod], ...] = ()

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether each row that comes out is one that went in."""
        return self.effect not in {"reshapes", "python"}


@dataclass(frozen=True, kw_only=True)
class Node:
    """What every asset has.

    Attributes:
        key: its key.
        location: where it is declared.
        partitions: None where it has none.
        inputs: what it reads.
        after: destinations that it follows without reading rows of them from the lake.
        schema: the columns that it will have, as far as they are known.
        tags, owner, criticality, runbook, description: for people.
        timeout: how long its step may work; None means no limit.
        pool, pool_slots: of whose slots its step takes so many.
        priority: of its step and its runs; None means by its criticality.
        resources: CPU and memory of the pod of a run.
        run_parameters: values that a run may be given, by name.
        external: keys of assets that are made elsewhere, which it follows.
        budget: what its steps may take on average.
        run_budget: what its pipeline's runs may take on average.
        enabled: whether anything starts it.
        partitions_per_run: the most that a run of a range covers; None means no limit.
        automation: when it runs by itself; None means the pipeline's schedule.
        checks: what must be true before anybody sees its rows.
        masking: whose values stay unseen; set when all assets are known, by `plan.lineage.masking`.
        discreet: whether what others say of its rows may name a person, so that it is left out:
            errors of the database, of a source, of a function; by `plan.lineage.masking` too.
    """

    key: Key
    location: Location
    description: str | None
    owner: str
    criticality: str
    tags: Mapping[str, str]
    runbook: str | None
    partitions: Partitions | None
    inputs: tuple[Input, ...] = ()
    after: tuple[Input, ...] = ()
    schema: Schema = UNKNOWN_SCHEMA
    retries: Retries | None = None
    timeout: timedelta | None = None
    run_parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    pool: str | None = None
    partitions_per_run: int | None = None
    external: tuple[str, ...] = ()
    pool_slots: int = 1
    priority: int | None = None
    resources: Resources | None = None
    budget: Budget | None = None
    run_budget: RunBudget | None = None
    enabled: bool = True
    automation: Automation | None = None
    freshness: Freshness | None = None
    checks: tuple[Check, ...] = ()
    masking: Masking = NO_MASKING
    discreet: bool = False

    @property
    def code(self) -> str:
        """What decides about the rows of this asset, as text: its change is a new code version."""
        raise AssertionError(self)

    @property
    def code_version(self) -> str:
        """A short hash of `code`, and of what parameters are where a run doesn't say."""
        defaults = [(name, one.type, one.default) for name, one in self.run_parameters.items()]
        text = f"{self.code}{defaults}" if defaults else self.code
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def masks(self) -> bool | None:
        """Whether its statement masks values: True by the platform's key, False without it."""
        return None

    @property
    def step_name(self) -> str:
        """The name of the step that makes it."""
        return "__".join(self.key)


@dataclass(frozen=True, kw_only=True)
class LakeNode(Node):
    """An asset that is kept in the lake."""

    contract: Schema | None = None
    """The columns that it promised, where it has a contract."""
    contract_version: str | None = None
    """Of the contract, where somebody counts."""
    unversioned: tuple[str, ...] = ()
    """Columns that read the clock: they don't count for the data version."""

    @property
    def has_quarantine(self) -> bool:
        """Whether rows may be held back, so that there is a quarantine asset beside it."""
        return any(check.effect == "quarantine" for check in self.checks)

    @property
    def quarantine_key(self) -> Key:
        """The key of the quarantine of a staging asset."""
        return Key("quarantine", self.key.pipeline, self.key.name)


@dataclass(frozen=True, kw_only=True)
class RawNode(LakeNode):
    """What comes from outside, as it came.

    Attributes:
        source: where it comes from.
        increments: how it grows, where each run adds what is new; None where a run reads all.
        lookback: how far before a partition its predecessors are read again.
        on_empty: what a partition without rows means.
        on_error: what becomes of a partition that can't be read.
        skip_for: how long nothing is read where what would be asked is what was asked last time;
            None means that every run reads.
    """

    source: AnySource
    increments: Increments | None = None
    lookback: timedelta | None = None
    on_empty: Literal["pass", "warn", "fail"] = "warn"
    on_error: Literal["fail", "use_last_good"] = "fail"
    skip_for: timedelta | None = None

    @property
    def code(self) -> str:
        """The source and the rules; where partitions begin and end changes none of them."""
        cut = self.partitions.cut if self.partitions else None
        return f"{self.source}{self.increments}{cut}{self.checks}"


@dataclass(frozen=True, kw_only=True)
class StagingNode(LakeNode):
    """Rows cleaned, typed and held to a contract.

    Attributes:
        source: what `from` names.
        steps: the CTEs in order, the first of which reads the source.
        extra_columns: what happens to columns that the contract doesn't name.
        max_quarantine_percentage: of the rows of a partition; None means no limit.
        quarantine_parameter: of the run, which says another limit.
        masked: columns that leave it with nothing but masked values, names in lower case.
        held_masked: columns of its source that quarantine keeps masked, and how; names in lower
            case. By `plan.lineage.masking`.
    """

    source: Key
    steps: tuple[Step, ...]
    extra_columns: Literal["keep", "drop", "fail"] = "keep"
    max_quarantine_percentage: float | None = None
    quarantine_parameter: str | None = None
    masked: frozenset[str] = frozenset()
    held_masked: Mapping[str, MaskMethod] = field(default_factory=dict[str, MaskMethod])

    @property
    def sql(self) -> str:
        """The whole statement."""
        return statement_of(self.steps, f"SELECT *\nFROM {self.steps[-1].name}")

    @property
    def masks(self) -> bool | None:
        """By the key where a column's method is `hash`."""
        methods = [method for step in self.steps for _, method in step.masks]
        methods += self.held_masked.values()
        return "hash" in methods if methods else None

    @property
    def calls(self) -> tuple[PythonCall, ...]:
        """The functions that its rows go through, in order."""
        return tuple(step.python for step in self.steps if step.python)

    @property
    def code(self) -> str:
        """The statement, the functions in it, and the rules."""
        calls = "".join(map(str, self.calls))
        rules = f"{self.checks}{self.extra_columns}{self.max_quarantine_percentage}"
        return f"{self.sql}{calls}{rules}"


@dataclass(frozen=True, kw_only=True)
class AnalyticsNode(LakeNode):
    """Rows computed by SQL from other assets.

    Attributes:
        sql: the statement, run once for each partition.
        parameters: the bind parameters that it uses.
        range_sql: the same for a range of partitions in one statement, where there is such a form.
    """

    sql: str
    parameters: tuple[str, ...] = ()
    range_sql: str | None = None

    @property
    def code(self) -> str:
        """The statement, the windows and the rules."""
        return f"{self.sql}{self.inputs}{self.checks}"


@dataclass(frozen=True, kw_only=True)
class PythonNode(LakeNode):
    """Rows made by a person's function in an `assets.py`.

    Attributes:
        function: its name, `module.name`.
        step: the name of its step; several assets may be made by one.
        by_range: whether one call makes a range of partitions; else it is called for each.
        partition_expr: the column that tells the partition of a row of a range.
        source: of the function, or the version that a person gave it.
        reads: the assets whose rows it gets; rules may read others.
        skip_unchanged: whether it needn't be called where its inputs are those of last time.
    """

    function: str
    step: str
    by_range: bool = False
    partition_expr: str | None = None
    source: str = field(default="", repr=False)
    reads: frozenset[Key] = frozenset()
    skip_unchanged: bool = False

    @property
    def code(self) -> str:
        """The function, what it reads, and the rules."""
        return f"{self.source}{self.inputs}{self.contract}{self.checks}"

    @property
    def step_name(self) -> str:
        """That of the function, which may make several assets."""
        return f"{self.key.pipeline}__{self.step}"


@dataclass(frozen=True, kw_only=True)
class DestinationNode(Node):
    """What follows an asset of the lake outside of it.

    Attributes:
        source: the asset.
        target: where its rows go, and how they are written.
        contract: of the source asset, for the types and comments of a table.
    """

    source: Key
    target: AnyTarget
    contract: Schema | None = None

    @property
    def code(self) -> str:
        """The target, and the rules where there are some."""
        return f"{self.target.code}{self.checks or ''}"


AnyNode = RawNode | StagingNode | AnalyticsNode | PythonNode | DestinationNode


def statement_of(steps: tuple[Step, ...], select: str) -> str:
    """One readable statement: the steps as CTEs, then `select`."""
    ctes = ",\n".join(f"{step.name} AS (\n{_indented(step.sql)}\n)" for step in steps)
    return f"WITH {ctes}\n{select}"


def _indented(sql: str) -> str:
    return "\n".join(f"  {line}" for line in sql.splitlines())
