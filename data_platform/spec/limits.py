"""What steps and runs may take: `resources` and `budget` of an asset, `budget` of a pipeline.

Quantities are those of Kubernetes.

Used by the models of this package, and by `plan`; knows neither YAML nor Dagster.
"""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from data_platform.spec.model import Model
from data_platform.spec.times import Duration
from data_platform.spec.wording import problem

_PATTERNS = {
    "cpu": r"^[0-9]+(\.[0-9]{1,3})?$|^[0-9]+m$",
    "memory": r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$",
}
_UNITS = {
    "m": 0.001, "": 1,
    "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip

Resource = Literal["cpu", "memory"]


def amount(quantity: str) -> float:
    """A quantity as a number, of CPUs or of bytes: `500m` is 0.5, `2Gi` 2147483648."""
    number = quantity.rstrip("mkMGTi")
    return float(number) * _UNITS[quantity[len(number) :]]


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _cpu(value: str) -> str:
    if not re.fullmatch(_PATTERNS["cpu"], value) or amount(value) == 0:
        raise problem("cpu", "{found} is no amount of CPUs: such as 500m, 0.5 or 2", value)
    return value


def _memory(value: str) -> str:
    if not re.fullmatch(_PATTERNS["memory"], value) or amount(value) == 0:
        raise problem("memory", "{found} is no amount of memory: such as 512Mi or 2Gi", value)
    return value


Cpu = Annotated[
    str,
    BeforeValidator(_text),
    AfterValidator(_cpu),
    WithJsonSchema({"type": ["string", "number"]}),
]
Memory = Annotated[
    str,
    BeforeValidator(_text),
    AfterValidator(_memory),
    WithJsonSchema({"type": ["string", "number"]}),
]


class Amounts(Model):
    """Of CPU and memory."""

    cpu: Cpu | None = None
    """CPUs, `500m` is half of one."""
    memory: Memory | None = None
    """Bytes, with a unit: `512Mi`, `2Gi`."""


class RunBudget(Model):
    """What a pipeline's runs may take on average of the last ten.

    Above it a warning is given, above one and a half times as much an error.
    """

    max_duration: Duration | None = None
    """From the begin of a run's first step to the end of its last one, of one partition where it
    makes more."""
    max_slowdown: float = Field(default=2.0, gt=1)
    """So many times the median of the ten before; a slower one is a warning."""

    @model_validator(mode="after")
    def _limits_something(self) -> "RunBudget":
        if not self.model_fields_set:
            *others, last = (f"`{name}`" for name in sorted(type(self).model_fields))
            raise problem("budget", f"a budget says at least one of {', '.join(others)} or {last}")
        return self


class Budget(RunBudget):
    """What an asset's steps may take on average of the last ten.

    Above it a warning is given, above one and a half times as much an error.
    """

    max_duration: Duration | None = None
    """From a step's begin to its end, of one partition where there are more in a run."""
    max_memory: Memory | None = None
    """The most that its process held at once: `512Mi`, `2Gi`."""


class Budgets(Model):
    """What pipelines and assets may take that have no budget of their own."""

    runs: RunBudget | None = None
    """Of each pipeline; what its own `budget` says goes before."""
    steps: Budget | None = None
    """Of each asset; what its own `budget` says goes before."""


BudgetT = TypeVar("BudgetT", bound=RunBudget)


def merged(own: BudgetT | None, general: BudgetT | None) -> BudgetT | None:
    """A budget, with what it doesn't say itself from the one for all."""
    if own is None or general is None:
        return own or general
    return general.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


class Resources(Model):
    """What the pod of a run asks for, and what it is held to."""

    requests: Amounts = Field(default_factory=Amounts)
    """What is kept for it."""
    limits: Amounts = Field(default_factory=Amounts)
    """More than this it doesn't get."""
    isolated: bool = False
    """Whether the steps of a run that makes it have a pod each, with what their assets ask for."""

    @model_validator(mode="after")
    def _fits(self) -> "Resources":
        for name in ("cpu", "memory"):
            asked, most = getattr(self.requests, name), getattr(self.limits, name)
            if asked and most and amount(asked) > amount(most):
                template = f"requests {asked} of {name} is above its limit of {most}"
                raise problem("resources", template)
        return self
