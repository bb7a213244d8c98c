"""What a rule is compiled with: its effect, where it stands, what it may read and name.

Made by `plan.checks.compiling` for each rule; `plan.checks.row_checks` and `plan.checks.set_checks`
compile by it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from data_platform.errors import Location
from data_platform.plan.checks.effects import Effect
from data_platform.plan.checks.thresholds import Tuning
from data_platform.plan.functions import UserFunction
from data_platform.plan.nodes import Input
from data_platform.plan.parameters import RunParameters
from data_platform.plan.partitions import Partitions
from data_platform.plan.schemas import Schema

FindFunction = Callable[[str, Location], UserFunction]
"""Finds the function that a rule names, or raises."""


class Reads(Protocol):
    """Makes the input that a rule reads."""

    def __call__(self, reference: str, location: Location, *, whole: bool) -> Input:
        """The input of a reference; `whole` where the rule asks for all of the upstream."""
        ...


@dataclass(frozen=True)
class RuleContext:
    """What a rule is compiled with.

    Attributes:
        effect: of the rule.
        location: of the rule.
        schema: the asset's columns, as far as known.
        reads: makes the input that the rule reads.
        function: finds the function that the rule names.
        parameters: that the rule may name.
        at: the location of a key of the rule.
        partitions: of the asset.
    """

    effect: Effect
    location: Location
    schema: Schema
    reads: Reads
    function: FindFunction
    parameters: RunParameters
    at: Callable[..., Location]
    partitions: Partitions | None

    def tuning(self) -> Tuning:
        """The numbers of one check."""
        return Tuning(self.parameters, self.location)


def bounds_in_words(low: object, high: object) -> str:
    """The ends of a range."""
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"from {low} to {high}"


def some(values: Iterable[object], most: int = 5) -> str:
    """The first of them, and how many more there are."""
    listed = [str(value) for value in values]
    return ", ".join(listed[:most]) + (
        f" and {len(listed) - most} more" if len(listed) > most else ""
    )
