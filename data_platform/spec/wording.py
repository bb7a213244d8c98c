"""How mistakes are worded: values shown in short, the nearest right spelling, errors of validators.

Used by every module of this package that tells a person what is wrong; knows no file and no model.
A validator never puts a value into its text itself: it writes `{found}`, so that `spec.messages`
can show the text as written (`${TOKEN}`) where the value came out of a variable.
"""

import difflib
from collections.abc import Iterable
from typing import Any, cast

from pydantic_core import PydanticCustomError

FOUND = "{found}"
LONGEST_VALUE = 60
LONGEST_MESSAGE = 600


def show(value: object) -> str:
    """A value as messages quote it: on one line, cut at about 60 characters."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            short = value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..."
            return repr(short)
        case int() | float():
            return repr(value)
        case _:
            return kind_of(value)


def kind_of(value: object) -> str:
    """What sort of value it is, without the value."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return f"a {type(value).__name__}"


def hint(wrong: object, allowed: Iterable[str]) -> str:
    """`; did you mean 'owner'?` where something allowed is spelled nearly so, else nothing."""
    near = nearest(wrong, allowed)
    return f"; did you mean {near!r}?" if near else ""


def nearest(wrong: object, allowed: Iterable[str]) -> str | None:
    """The allowed word that is spelled most like `wrong`, if one is near."""
    words = {word.lower(): word for word in allowed}
    text = str(wrong)[:LONGEST_VALUE].lower()
    matches = difflib.get_close_matches(text, list(words), 1)
    if not matches and len(text) > 2:  # noqa: PLR2004  two letters are the start of too much
        matches = [word for word in words if word.startswith(text)]
    return words[matches[0]] if len(matches) == 1 else None


def not_allowed(allowed: Iterable[str], wrong: object, also: str = "") -> str:
    """The text for a word that isn't one of a few."""
    words = [str(word) for word in allowed]
    listed = ", ".join([*words, also] if also else words)
    separator = " Allowed" if (guess := hint(wrong, words)) else "; allowed"
    return f"{FOUND} is not allowed{guess}{separator}: {listed}"


def unknown_key(key: object, allowed: Iterable[str]) -> str:
    """The text for a key that doesn't exist where it stands. Keys are never made of variables."""
    words = sorted(allowed)
    if isinstance(key, str) and ("(" in key or ")" in key):
        advice = "; quote the expression, because YAML splits at commas inside { } and [ ]."
    else:
        advice = hint(key, words) or ";"
    if not words:
        return f"unknown key {show(key)}{advice.rstrip(';')}"
    listed = f" {'Allowed' if advice != ';' else 'allowed'} here: {', '.join(words)}"
    return f"unknown key {show(key)}{advice}{listed}"


def one_line(message: str) -> str:
    """The message without line breaks, and bounded."""
    text = " ".join(message.split())
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."


def problem(kind: str, template: str, found: object = None) -> PydanticCustomError:
    """An error that pydantic reports at the place of the value.

    Args:
        kind: a word for the sort of mistake.
        template: the message; `{found}` in it stands for the value.
        found: the value.
    """
    context = {"message": template.replace(FOUND, show(found)), "template": template}
    return custom_error(kind, context)


def custom_error(kind: str, context: dict[str, Any]) -> PydanticCustomError:
    """The error of `problem` from its parts."""
    return PydanticCustomError(cast("Any", kind), "{message}", context)
