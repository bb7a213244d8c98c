"""The rule that a person writes as SQL: what it must give, and how that is compared.

A member of `spec.set_rules`; compiled by `plan.checks.sql_checks`.
"""

from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from data_platform.spec.rule_model import RuleModel
from data_platform.spec.wording import FOUND, hint, problem

Operator = Literal["=", "!=", ">", ">=", "<", "<=", "between", "in"]
_OPERATORS: tuple[str, ...] = get_args(Operator)
_ORDERED = frozenset({">", ">=", "<", "<=", "between"})
_NAMED = ("between", "in")
_ALLOWED = " ".join(word if word in _NAMED else f'"{word}"' for word in _OPERATORS)
_IN_WORDS = {"==": "=", "<>": "!=", "=>": ">=", "=<": "<=", "eq": "=", "ne": "!="}
_PAIR = 2


def _operator(value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        text = f"the operator is empty: put it in quotes, or YAML reads it otherwise; {_ALLOWED}"
        raise problem("operator", text)
    if not isinstance(value, str):
        raise problem("operator", f"{FOUND} is no operator; allowed: {_ALLOWED}", value)
    if value in _OPERATORS:
        return value
    first, _, rest = value.strip().partition(" ")
    near = _IN_WORDS.get(value.strip().lower(), "")
    if rest and first in _OPERATORS:
        guess = f": write operator: {_written(first)} and expected_result: {rest.strip()}."
    elif near:
        guess = f": did you mean {_written(near)}?"
    else:
        guess = hint(value, _NAMED)
    separator = " Allowed" if guess else "; allowed"
    raise problem("operator", f"{FOUND} is no operator{guess}{separator}: {_ALLOWED}", value)


def _written(operator: str) -> str:
    return operator if operator in _NAMED else f'"{operator}"'


def _expected(value: Any) -> Any:
    for one in cast("list[Any]", value) if isinstance(value, list) else [value]:
        if one is not None and not isinstance(one, bool | int | float | str):
            allowed = "a number, a text, true, false or null, or a list of them"
            raise problem("expected_result", f"expected {allowed}; found {FOUND}", one)
    return cast("Any", value)


_SCALAR_TYPES = ["number", "string", "boolean", "null"]
Expected = Annotated[
    bool | int | float | str | list[bool | int | float | str | None] | None,
    BeforeValidator(_expected),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": _SCALAR_TYPES},
                {"type": "array", "items": {"type": _SCALAR_TYPES}, "minItems": 1},
            ]
        }
    ),
]


class SqlRule(RuleModel):
    """A statement gives one value for each partition, and that is as it should be."""

    short_field: ClassVar[str | None] = "sql"

    kind: Literal["sql"]
    """The rule."""
    sql: str = Field(min_length=1)
    """One SELECT of one value. `{table}` is what would be published of a partition; other assets
    are named by their references."""
    expected_result: Expected = 0
    """What the value is compared with; `between` takes a list of two, `in` a list."""
    operator: Annotated[
        Operator, BeforeValidator(_operator), WithJsonSchema({"enum": list(_OPERATORS)})
    ] = "="
    """How: value, operator, expected_result."""

    @model_validator(mode="after")
    def _fits(self) -> "SqlRule":
        expected, listed = self.expected_result, isinstance(self.expected_result, list)
        if self.operator == "between" and (
            not isinstance(expected, list) or len(expected) != _PAIR
        ):
            raise problem("sql", "between takes a list of two, such as expected_result: [1, 9]")
        if self.operator == "in" and not (isinstance(expected, list) and expected):
            raise problem("sql", "in takes a list, such as expected_result: [1, 2, 3]")
        if listed and self.operator not in _NAMED:
            operator = _written(self.operator)
            raise problem("sql", f"{operator} takes one value; a list is for between and in")
        ends = expected if isinstance(expected, list) else [expected]
        if self.operator in _ORDERED and any(end is None for end in ends):
            text = f"{_written(self.operator)} compares with a value, and NULL is none"
            raise problem("sql", f'{text}: use "=" or "!="')
        return self
