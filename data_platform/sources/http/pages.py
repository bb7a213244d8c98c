"""An answer as a page of records, each as the very text that came, so that no digit is lost.

Called by `pagination` for each answer. Records become lines of JSON, which `sources.json_records`
reads. Errors say what was found in place of records, by its keys, never a traceback.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from data_platform.errors import SourceError
from data_platform.plan.naming import PARTITION
from data_platform.sources.http.requests import Answer
from data_platform.sources.http.troubles import CutShort

VALUE = "value"
"""The column of records that aren't objects."""
_WHITE = re.compile(r"[ \t\n\r]*")
_LITERALS = ("true", "false", "null")
_ESCAPE = 6
"""Characters of the longest escape in a JSON string."""
_MOST_KEYS = 20
_NO_CONTENT = (204, 205, 304)
_PARTIAL = 206


class _Missing:
    """A path that leads nowhere."""


MISSING = _Missing()


@dataclass(frozen=True)
class Records:
    """What stands at `data_path`.

    Attributes:
        texts: each record's, in one line; an object.
        value: what it is, where it is one record.
    """

    texts: Sequence[str]
    value: Any = None


@dataclass(frozen=True)
class Page:
    """An answer, read.

    Attributes:
        answer: that came.
        document: with `Records` at `data_path`; None where there is no body.
        records: of the page.
    """

    answer: Answer
    document: Any
    records: Sequence[str]

    @cached_property
    def content(self) -> bytes:
        """A hash of the records."""
        return hashlib.blake2b("\n".join(self.records).encode(), digest_size=16).digest()

    def at(self, path: str) -> Any:
        """What stands at keys joined by dots; `MISSING` where nothing does."""
        found = self.document
        for key in path.split("."):
            found = found.value if isinstance(found, Records) else found
            if not isinstance(found, dict) or key not in found:
                return MISSING
            found = cast("dict[str, Any]", found)[key]
        return found.value if isinstance(found, Records) else found


def read_page(
    answer: Answer, data_path: str | None, *, many: bool, shown: Callable[[str], str]
) -> Page:
    """The records of an answer.

    Args:
        answer: of status 200 or the like, or 304, which has none.
        data_path: where they are; None means that the answer is them.
        many: whether there may be more pages: then what comes without a path must be a list.
        shown: a text as it may be shown, bounded.

    Raises:
        CutShort: the JSON breaks off.
        SourceError: there are no records where they must be.
    """
    if answer.status in _NO_CONTENT:
        return Page(answer, None, ())
    if answer.status == _PARTIAL:
        raise SourceError("the server answered with a part only (206), which nobody asked for")
    keys = tuple(data_path.split(".")) if data_path else ()
    document = _document(answer, keys, shown)
    _refuse_errors(document, shown)
    found = document
    for number, key in enumerate(keys):
        if not isinstance(found, dict) or key not in found:
            way = ".".join(keys[:number])
            raise SourceError(
                f"there is no {data_path!r} in the answer; it has {_shown(found)}"
                f"{f' in {way!r}' if way else ''}: look at data_path"
            )
        found = cast("dict[str, Any]", found)[key]
    if not isinstance(found, Records):
        where = f"{data_path!r} is" if data_path else "the answer is"
        raise SourceError(f"{where} no list or object of records, but {_shown(found)}")
    if many and not keys and found.value is not None:
        raise SourceError(
            f"the answer is one object with {_shown(found.value)}: say in data_path where its "
            "records are"
        )
    return Page(answer, document, found.texts)


def _shown(found: Any) -> str:
    match found:
        case dict():
            keys = [str(key) for key in cast("dict[str, Any]", found)]
            more = ", ..." if len(keys) > _MOST_KEYS else ""
            return f"the keys {', '.join(keys[:_MOST_KEYS])}{more}" if keys else "no keys"
        case Records():
            return "a list"
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case _:
            return "a list"


def _refuse_errors(document: Any, shown: Callable[[str], str]) -> None:
    """Errors of GraphQL stand beside what could be had: that is a part only."""
    errors = cast("dict[str, Any]", document).get("errors") if isinstance(document, dict) else None
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        message = cast("dict[str, Any]", errors[0]).get("message")
        if isinstance(message, str):
            raise SourceError(f"the answer has errors: {shown(message)}")


# Reading --------------------------------------------------------------------------------------


def _document(answer: Answer, keys: tuple[str, ...], shown: Callable[[str], str]) -> Any:
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
        or any(word.startswith(rest) for word in (*_LITERALS, "-"))
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
