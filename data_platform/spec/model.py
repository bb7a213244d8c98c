"""What every model of the language is: frozen, strict, and helpful about keys it doesn't have.

Used by the models of this package only; knows neither YAML nor Dagster.
"""

from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from data_platform.spec.wording import custom_error, nearest, problem, unknown_key

_MAX_UNKNOWN_KEYS = 50
"""Of one mapping; more of them are one mistake."""


class Model(BaseModel):
    """What a person fills in: frozen, nothing converted silently, every unknown key an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )

    @model_validator(mode="wrap")
    @classmethod
    def _name_what_is_allowed(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not any(map(_is_unknown_key, errors)):
                raise
            keys = [field.alias or name for name, field in cls.model_fields.items()]
            allowed = [key for key in keys if key != "kind"]
            details = _with_allowed_keys(errors, allowed)
            raise ValidationError.from_exception_data(cls.__name__, details) from None


def _is_unknown_key(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden" and len(error["loc"]) == 1


def _with_allowed_keys(errors: list[ErrorDetails], allowed: list[str]) -> list[InitErrorDetails]:
    """The errors with unknown keys explained; a key that is missing because misspelled is one."""
    unknown = list(filter(_is_unknown_key, errors))
    misspelled = {nearest(error["loc"][0], allowed) for error in unknown[:_MAX_UNKNOWN_KEYS]}
    details: list[InitErrorDetails] = []
    for error in [*unknown[:_MAX_UNKNOWN_KEYS], *(e for e in errors if not _is_unknown_key(e))]:
        loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
        detail = InitErrorDetails(type=kind, loc=loc, input=error["input"], ctx=context)
        if _is_unknown_key(error):
            detail["type"] = problem("unknown_key", unknown_key(loc[0], allowed))
        elif "template" in context:
            detail["type"] = custom_error(kind, context)
        elif kind == "missing" and len(loc) == 1 and loc[0] in misspelled:
            continue
        details.append(detail)
    return details
