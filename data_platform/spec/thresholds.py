"""Numbers by which rules judge: written out, or `:name` of a parameter that a run may give.

Used by `spec.row_rules`, `spec.set_rules` and `spec.pipeline`.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from data_platform.spec.wording import problem

_REFERENCE = r"^:[a-z][a-z0-9_]*$"


def is_reference(value: object) -> bool:
    """Whether a value names a parameter."""
    return isinstance(value, str) and re.fullmatch(_REFERENCE, value) is not None


def out_of_range(value: float, low: float = 0, high: float | None = None) -> str | None:
    """What is expected of a number that is too small or too large."""
    if not value >= low:
        return f"expected at least {low:g}"
    return f"expected at most {high:g}" if high is not None and value > high else None


def _reader(*, whole: bool, high: float | None) -> Callable[[Any], Any]:
    wanted = "a whole number" if whole else "a number"

    def read(value: Any) -> Any:
        if is_reference(value) or value is None:
            return value
        kinds = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds):
            text = f"expected {wanted}, or a parameter such as ':most'; found {{found}}"
            raise problem("threshold", text, value)
        if wrong := out_of_range(value, 0, high):
            raise problem("threshold", f"{wrong}, found {{found}}", value)
        return value if whole else float(value)

    return read


def _schema(*, whole: bool, high: float | None) -> WithJsonSchema:
    number: dict[str, Any] = {"type": "integer" if whole else "number", "minimum": 0}
    if high is not None:
        number["maximum"] = high
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": _REFERENCE}]})


Percentage = Annotated[
    float | str, BeforeValidator(_reader(whole=False, high=100)), _schema(whole=False, high=100)
]
"""From 0 to 100."""
Fraction = Annotated[
    float | str, BeforeValidator(_reader(whole=False, high=1)), _schema(whole=False, high=1)
]
"""From 0 to 1."""
Count = Annotated[
    int | str, BeforeValidator(_reader(whole=True, high=None)), _schema(whole=True, high=None)
]
"""Of rows."""
Distance = Annotated[
    float | str, BeforeValidator(_reader(whole=False, high=None)), _schema(whole=False, high=None)
]
"""Between two numbers."""
