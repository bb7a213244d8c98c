"""What every quality rule may say, and the values that rules and contracts share.

Used by `spec.row_rules` and `spec.set_rules`, and by all that takes scalars or bounds of YAML.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from data_platform.spec.single_key import Keyed
from data_platform.spec.values import OnViolation
from data_platform.spec.wording import problem

_CHECK_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*$"
_COLUMN_PATTERN = r"^([a-z][a-z0-9_]*\.)?(raw|staging|analytics)\.[a-z][a-z0-9_]*\.[^.\s]+$"


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise problem("scalar", "expected a text, a number, true or false; found {found}", value)
    return value


def _bound(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise problem("bound", "expected a number, or a date or time as text; found {found}", value)
    return value


def _check_name(value: str) -> str:
    if not re.fullmatch(_CHECK_NAME_PATTERN, value):
        template = "{found} can't be a check's name: letters, digits and _, a letter first"
        raise problem("name", template, value)
    return value


def _referenced_column(value: str) -> str:
    if not re.fullmatch(_COLUMN_PATTERN, value):
        template = "{found} references no column: <layer>.<name>.<column>, such as staging.shops.id"
        raise problem("reference", template, value)
    return value


Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]
Bound = Annotated[int | float | str, BeforeValidator(_bound)]
CheckName = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "pattern": _CHECK_NAME_PATTERN}),
]
ColumnReference = Annotated[
    str,
    AfterValidator(_referenced_column),
    WithJsonSchema({"type": "string", "pattern": _COLUMN_PATTERN}),
]


Pattern = Annotated[
    str, Field(min_length=1, description="A regular expression of RE2, of the whole value.")
]


class RuleModel(Keyed):
    """What every rule may say."""

    name: CheckName | None = None
    """The check's name; None means the kind and its columns."""
    description: str | None = None
    """What the rule means, for who reads a failed check."""
    on_violation: OnViolation | None = None
    """None means the asset's; `quarantine` is for row-level rules only."""
    on_empty: Literal["pass", "warn", "fail"] = "pass"
    """What an empty partition means to this rule."""
