"""Steps of runs that haven't ended yet, and what is known of each: what OpenLineage calls a run.

Kept by `following` as JSON from one batch of events to the next, so that a batch may end anywhere;
read by `events`. What a step does to its partitions is summed up as it comes.
"""

from collections.abc import Iterable
from typing import Literal

import dagster as dg
from pydantic import BaseModel, Field

MAX_KEYS = 1_000
"""Of partitions that are named; more are counted."""
_ROWS = ("dagster/partition_row_count", "dagster/row_count")


class Check(BaseModel):
    """What a check found."""

    name: str
    passed: bool
    severity: Literal["error", "warn"]
    expected: str | None = None
    actual: str | None = None


class AssetMade(BaseModel):
    """What a step made of an asset so far."""

    partitions: list[str] = Field(default_factory=list[str])
    """The keys of those that were published or needn't be, in the order in which they came."""
    count: int = 0
    unchanged: int = 0
    rows: int = 0
    """That were written; what stood unchanged isn't counted, nor in bytes."""
    bytes: int | None = None
    rows_in: int | None = None
    delta_version: str | None = None
    columns: list[tuple[str, str]] = Field(default_factory=list[tuple[str, str]])
    """Names and types, where a run told them."""
    origins: dict[str, list[tuple[str, str]]] = Field(
        default_factory=dict[str, list[tuple[str, str]]]
    )
    """By column, `(asset, column)` that it was made of, where a run told it."""
    checks: list[Check] = Field(default_factory=list[Check])

    def add(self, made: dg.AssetMaterialization) -> None:
        """Take a materialization in."""
        numbers = {
            name: value.value
            for name, value in made.metadata.items()
            if isinstance(value, dg.IntMetadataValue) and value.value is not None
        }
        self.count += 1
        if made.partition is not None and len(self.partitions) < MAX_KEYS:
            self.partitions.append(made.partition)
        unchanged = made.metadata.get("unchanged")
        if unchanged is not None and unchanged.value:
            self.unchanged += 1
        else:
            self.rows += next((numbers[name] for name in _ROWS if name in numbers), 0)
            self.bytes = _sum(self.bytes, numbers.get("bytes"))
        self.rows_in = _sum(self.rows_in, numbers.get("rows_in"))
        version = made.metadata.get("delta_version")
        if version is not None:
            self.delta_version = str(version.value)
        self._describe(made)

    def _describe(self, made: dg.AssetMaterialization) -> None:
        schema = made.metadata.get("dagster/column_schema")
        if isinstance(schema, dg.TableSchemaMetadataValue):
            self.columns = [(column.name, column.type) for column in schema.schema.columns]
        lineage = made.metadata.get("dagster/column_lineage")
        if isinstance(lineage, dg.TableColumnLineageMetadataValue):
            self.origins = {
                name: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps]
                for name, deps in lineage.value.deps_by_column.items()
            }

    def judge(self, evaluation: dg.AssetCheckEvaluation) -> None:
        """Take the result of a check in: its counts, never an example."""
        told = {
            name: str(value.value)
            for name in ("threshold", "offending", "rows", "found")
            if (value := evaluation.metadata.get(name)) is not None and value.value is not None
        }
        actual = told.get("found")
        if actual is None and told.get("rows", "0") != "0":
            actual = f"{told.get('offending', '?')} of {told['rows']} rows offend"
        error = evaluation.severity is dg.AssetCheckSeverity.ERROR
        self.checks.append(
            Check(
                name=evaluation.check_name,
                passed=evaluation.passed,
                severity="error" if error else "warn",
                expected=told.get("threshold"),
                actual=actual,
            )
        )


class OpenStep(BaseModel):
    """A step that has begun."""

    run_id: str
    step: str
    begun: float
    """In seconds since 1970."""
    attempt: int = 1
    waiting: bool = False
    """Whether its last try has failed and another one is to come."""
    job: str
    """Dagster's job."""
    root: str
    """The run that this one is a repetition of, or itself."""
    assets: list[str]
    """That the run was to make of those that the step can."""
    wanted: dict[str, list[str]] = Field(default_factory=dict[str, list[str]])
    """The partitions that it was to make, by asset; none where it has none."""
    made: dict[str, AssetMade] = Field(default_factory=dict[str, AssetMade])
    """By asset, quarantine included."""

    def of(self, asset: str) -> AssetMade:
        """What it made of an asset so far."""
        return self.made.setdefault(asset, AssetMade())

    def again(self, begun: float) -> None:
        """Begin another try."""
        self.attempt, self.waiting, self.begun = self.attempt + 1, False, begun
        self.made = {}


class OpenSteps(BaseModel):
    """All of them."""

    steps: list[OpenStep] = Field(default_factory=list[OpenStep])

    def find(self, run_id: str, step: str | None) -> OpenStep | None:
        """A step, if it is open."""
        return next((one for one in self.steps if (one.run_id, one.step) == (run_id, step)), None)

    def of_run(self, run_id: str) -> list[OpenStep]:
        """Those of a run."""
        return [one for one in self.steps if one.run_id == run_id]

    def close(self, closed: Iterable[OpenStep]) -> None:
        """Forget steps."""
        gone = {(one.run_id, one.step) for one in closed}
        self.steps = [one for one in self.steps if (one.run_id, one.step) not in gone]


def _sum(known: int | None, more: int | None) -> int | None:
    return known if more is None else (known or 0) + more
