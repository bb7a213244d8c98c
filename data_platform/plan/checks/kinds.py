"""What can be checked of an asset before it is published: one class a kind of rule.

Made by `plan.checks.compiling` of rules and contracts; `quality` runs and judges them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from data_platform.errors import Location
from data_platform.plan.checks.effects import Effect, OnEmpty
from data_platform.plan.checks.value_kinds import ValueCheck
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key


@dataclass(frozen=True)
class RowCheck:
    """A rule that a row keeps or breaks by itself.

    Attributes:
        name: of the check in Dagster, unique within the asset.
        effect: what a tolerance that doesn't hold does.
        offends: a condition over the asset's columns, true on a row that breaks the rule.
        columns: which the examples show first.
        max_percentage: of the rows that came in, up to which offending rows stay in.
        references: the asset that `offends` reads besides, for a foreign key.
    """

    name: str
    kind: str
    effect: Effect
    offends: str
    columns: tuple[str, ...]
    location: Location = field(repr=False)
    description: str | None = None
    on_empty: OnEmpty = "pass"
    max_percentage: float = 0
    references: Key | None = None
    parts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Conditions of which `offends` is any, by the column that each is about."""
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Which of its numbers are parameters of the run, by field; these have the defaults."""


@dataclass(frozen=True)
class UniqueCheck:
    """Rows beyond the first of each key are at most `max_duplicates`."""

    name: str
    effect: Effect
    columns: tuple[str, ...]
    location: Location = field(repr=False)
    max_duplicates: int = 0
    count_nulls: bool = False
    whole_asset: bool = False
    description: str | None = None
    on_empty: OnEmpty = "pass"
    kind: str = "unique"
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class RowCountCheck:
    """The number of rows that would be published lies within, ends included."""

    name: str
    effect: Effect
    min_rows: int | None
    max_rows: int | None
    location: Location = field(repr=False)
    description: str | None = None
    kind: str = "row_count"
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class ReconcileCheck:
    """An aggregate over this asset and one over another agree within a tolerance."""

    name: str
    effect: Effect
    expression: str
    other: Key
    other_relation: str
    other_expression: str
    tolerance: float
    including_quarantine: bool
    location: Location = field(repr=False)
    description: str | None = None
    kind: str = "reconcile"
    masked: bool = field(default=False, repr=False)
    """Whether a side tells of a person, so that its value is in no message; by
    `plan.lineage.masking`."""
    tuned: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class ConservationCheck:
    """Rows in = out + quarantined + filtered + deduplicated, by partition.

    Counted from the files that were read and written, up to the last step that keeps rows apart.
    """

    location: Location = field(repr=False)
    name: str = "conservation"
    effect: Effect = "fail"
    description: str | None = (
        "Every row that came in went out, to quarantine, or was left out by a step."
    )
    kind: str = "conservation"


@dataclass(frozen=True)
class PythonCheck:
    """A person's function judges the rows that would be published of a partition."""

    name: str
    effect: Effect
    function: UserFunction
    location: Location = field(repr=False)
    description: str | None = None
    on_empty: OnEmpty = "pass"
    kind: str = "python"


Check = (
    RowCheck
    | UniqueCheck
    | RowCountCheck
    | ReconcileCheck
    | ConservationCheck
    | PythonCheck
    | ValueCheck
)


def with_values(check: Check, values: Mapping[str, object]) -> Check:
    """A check that judges by a run's values.

    Args:
        check: with the defaults.
        values: of the run's parameters.
    """
    if isinstance(check, ConservationCheck | PythonCheck) or not check.tuned:
        return check
    given: dict[str, Any] = {
        name: values[parameter] for name, parameter in check.tuned.items() if parameter in values
    }
    return replace(check, **given)
