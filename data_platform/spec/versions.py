"""Versions of contracts: three numbers, of which the first tells readers that something breaks.

Used by `spec.asset`; `plan.contracts.changes` compares two of them. Knows neither YAML nor Dagster.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from data_platform.spec.wording import problem

_PATTERN = r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$"
_RULE = 'three numbers with dots between them, such as "1.2.0"'


def _version(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        template = f"{{found}} is a number: quote it; a version is {_RULE}"
        raise problem("version", template, value)
    if not isinstance(value, str) or not re.fullmatch(_PATTERN, value):
        raise problem("version", f"{{found}} is no version: {_RULE}", value)
    return value


ContractVersion = Annotated[
    str,
    BeforeValidator(_version),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["1.2.0"]}),
]
"""Semantic versioning: a new major number where readers may break, see https://semver.org."""


def numbers_of(version: str) -> tuple[int, int, int]:
    """Major, minor and patch of a version that was read."""
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)
