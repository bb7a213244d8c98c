"""A JSON text cut into its records, each as the very text that came, so that no digit is lost.

Used by `pages`. Python's numbers would lose digits of decimals; so the records at a path are cut
out of the text, and only what is around them is read.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from data_platform.errors import SourceError
from data_platform.plan.naming import PARTITION
from data_platform.sources.http.requests import Answer
from data_platform.sources.http.troubles import CutShort

VALUE = "value"
"""The column of records that aren't objects."""
_WHITE = re.compile(r"[ \t\n\r]*")
_LITERALS = ("true", "false", "null", "-", ".", "e-", "e+")
"""What the rest may begin where it is cut: words, and the parts of a number."""
_ESCAPE = 6
"""Characters of the longest escape in a JSON string."""


@dataclass(frozen=True)
class Records:
    """What stands at `data_path`.

    Attributes:
        texts: each record's, in one line; an object.
        value: what it is, where it is one record.
    """

    texts: Sequence[str]
    value: Any = None


def document_of(answer: Answer, keys: tuple[str, ...], shown: Callable[[str], str]) -> Any:
    """An answer's JSON, with `Records` where the keys lead to a list or an object.

    Raises:
        CutShort: it breaks off.
        SourceError: it is no JSON.
    """
    text = _text(answer)
    try:
        return _whole(text, keys)
    except json.JSONDecodeError as error:
        if _breaks_off(text, error):
            raise CutShort("the JSON breaks off: it was cut short on the way") from None
        kind = answer.headers.get("Content-Type", "no type")
        about = f"{error.msg} at character {error.pos}"
        raise SourceError(
            f"the answer is no JSON ({kind}): {about}: {shown(text[:2000])}"
        ) from None
    except RecursionError:
        raise SourceError("the JSON is nested too deeply") from None


def _whole(text: str, keys: tuple[str, ...]) -> Any:
    value, end = _value(text, _after_white(text, 0), keys)
    if (end := _after_white(text, end)) != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _text(answer: Answer) -> str:
    body = answer.body
    try:
        return body.decode(json.detect_encoding(body)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if error.end == len(body):
            raise CutShort("the text breaks off: it was cut short on the way") from None
        raise SourceError(f"the answer is no text: byte {error.start} is no UTF-8") from None


def _breaks_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether JSON is right up to where the text ends."""
    rest = text[error.pos :].rstrip()
    return (
        not rest
        or error.msg.startswith("Unterminated string")
        or (error.msg.startswith("Invalid") and len(rest) <= _ESCAPE)
        or any(word.startswith(rest.lower()) for word in _LITERALS)
    )


def _refused(constant: str) -> Any:
    raise SourceError(f"the answer is no JSON: {constant} is no number there")


_DECODER = json.JSONDecoder(parse_constant=_refused)


def _after_white(text: str, at: int) -> int:
    match = _WHITE.match(text, at)
    return match.end() if match else at


def _decoded(text: str, at: int) -> tuple[Any, int]:
    return _DECODER.raw_decode(text, at)


def _value(text: str, at: int, keys: tuple[str, ...]) -> tuple[Any, int]:
    """What stands at a place, and where it ends; at the end of `keys` its `Records`."""
    first = text[at : at + 1]
    if keys:
        return _object(text, at, keys) if first == "{" else _decoded(text, at)
    if first == "[":
        return _list(text, at)
    value, end = _decoded(text, at)
    if not isinstance(value, dict):
        return value, end
    return Records((_line(text[at:end], cast("Any", value)),), value), end


def _object(text: str, at: int, keys: tuple[str, ...]) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = _after_white(text, at + 1)
    if text[at : at + 1] == "}":
        return found, at + 1
    while True:
        if text[at : at + 1] != '"':
            message = "Expecting property name enclosed in double quotes"
            raise json.JSONDecodeError(message, text, at)
        key, at = _decoded(text, at)
        at = _after_white(text, at)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        at = _after_white(text, at + 1)
        found[key], at = _value(text, at, keys[1:]) if key == keys[0] else _decoded(text, at)
        at, ended = _after_comma(text, at, "}")
        if ended:
            return found, at


def _list(text: str, at: int) -> tuple[Records, int]:
    texts: list[str] = []
    at = _after_white(text, at + 1)
    if text[at : at + 1] == "]":
        return Records(texts), at + 1
    while True:
        value, end = _decoded(text, at)
        texts.append(_line(text[at:end], value))
        at, ended = _after_comma(text, end, "]")
        if ended:
            return Records(texts), at


def _after_comma(text: str, at: int, closing: str) -> tuple[int, bool]:
    """Where the next element begins, or where all end."""
    at = _after_white(text, at)
    sign = text[at : at + 1]
    if sign == closing:
        return at + 1, True
    if sign != ",":
        raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    return _after_white(text, at + 1), False


def _line(text: str, value: Any) -> str:
    """A record as an object in one line: line breaks stand between values only."""
    if "\n" in text or "\r" in text:
        text = text.replace("\n", " ").replace("\r", " ")
    if not isinstance(value, dict):
        return f'{{"{VALUE}":{text}}}'
    if any(key.lower() == PARTITION for key in cast("dict[str, Any]", value)):
        raise SourceError(f"a record has the key {PARTITION}, a name that the platform needs")
    return text
