"""An answer as a page of records, or an error that says what it is instead.

Called by `pagination` for each answer. Records become lines of JSON, which `sources.json_records`
reads. Errors say what was found in place of records, by its keys, never a traceback.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from data_platform.errors import SourceError
from data_platform.sources.http.cutting import Records, document_of
from data_platform.sources.http.requests import Answer

_MOST_KEYS = 20
_NO_CONTENT = (204, 205, 304)
_PARTIAL = 206


class _Missing:
    """A path that leads nowhere."""


MISSING = _Missing()


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
    document = document_of(answer, keys, shown)
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
