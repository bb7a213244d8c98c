"""What pydantic found, as problems that say where, what was found and what is allowed.

Called by `spec.reading`. Shows values as they are written, never what a variable stands for.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from data_platform.errors import Problem
from data_platform.spec.document import Document
from data_platform.spec.wording import FOUND, hint, not_allowed, one_line, show

MAX_ERRORS = 300
_OF_KEY = "[key]"
"""Pydantic's last step to a key that is wrong itself."""
_EXPECTED = {
    "bool_type": "true or false",
    "date_type": "a date",
    "dict_type": "a mapping (`key: value` lines)",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list (`- item` lines)",
    "model_attributes_type": "a mapping (`key: value` lines)",
    "model_type": "a mapping (`key: value` lines)",
    "string_type": "a text",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def problems_of(
    error: ValidationError, document: Document, below: tuple[str, ...] = ()
) -> list[Problem]:
    """One problem an error, at the place of its key; of very many the first `MAX_ERRORS`.

    Args:
        error: of a model.
        document: that was read.
        below: the way to what the model was made of; none is the whole document.
    """
    errors = error.errors(include_url=False, include_input=False)[:MAX_ERRORS]
    return [_problem(details, document, below) for details in errors]


def _problem(details: ErrorDetails, document: Document, below: tuple[str, ...]) -> Problem:
    kind, keys = details["type"], (*below, *details["loc"])
    if kind == "union_tag_invalid":
        keys = (*keys, _discriminator(details))
    written = keys[-2] if keys[-1:] == (_OF_KEY,) else document.written(*keys)
    message = one_line(_message(details, written))
    return Problem(document.locate(*keys), message)


def _message(details: ErrorDetails, written: Any) -> str:
    kind = details["type"]
    context: Mapping[str, Any] = details.get("ctx", {})
    if "template" in context:
        return str(context["template"]).replace(FOUND, show(written))
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {show(written)}{_quoting(kind, written)}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"expected {words} {context[key]:g}, found {show(written)}"
    if kind == "missing":
        return f"{details['loc'][-1]!r} is missing"
    return _other_message(details, context, written)


def _other_message(details: ErrorDetails, context: Mapping[str, Any], written: Any) -> str:
    match details["type"]:
        case "literal_error":
            return _literal(context, written)
        case "union_tag_invalid" | "union_tag_not_found":
            return _type(details, written)
        case "too_short":
            return "needs at least one entry"
        case "string_too_short":
            return "expected a text, found an empty one"
        case "string_too_long":
            return f"is longer than {context['max_length']} characters: {show(written)}"
        case "int_from_float":
            return f"expected a whole number, found {show(written)}"
        case _:
            return f"{details['msg']}; found {show(written)}"


def _quoting(kind: str, written: Any) -> str:
    """What helps where YAML, or a variable, gave another type than was meant."""
    if kind == "string_type" and isinstance(written, bool | int | float):
        return ": put it in quotes"
    if kind in {"bool_type", "int_type", "float_type"} and isinstance(written, str):
        return ": a variable is always a text" if "${" in written else ""
    return ""


def _literal(context: Mapping[str, Any], written: Any) -> str:
    expected = str(context["expected"])
    words = re.findall(r"'([^']*)'", expected) or [expected]
    return not_allowed(words, written).replace(FOUND, show(written))


def _discriminator(details: ErrorDetails) -> str:
    context: Mapping[str, Any] = details.get("ctx", {})
    return str(context["discriminator"]).strip("'")


def _type(details: ErrorDetails, written: Any) -> str:
    """A union's `type` that is missing or isn't there."""
    context: Mapping[str, Any] = details.get("ctx", {})
    key = _discriminator(details)
    if details["type"] == "union_tag_not_found":
        return f"{key!r} is missing"
    types = re.findall(r"'([^']*)'", str(context["expected_tags"]))
    guess = hint(written, types)
    start = f"there is no {key} {show(written)}{f'{guess} There' if guess else '; there'}"
    return f"{start} are: {', '.join(types)}"
