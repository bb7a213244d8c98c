"""Bind parameters in the texts of an API's request: which there are, held to those that exist.

Called by `plan.sources.nodes` when definitions load, and by `sources.http.questions`, which puts
values in their place by the same rules: a text that is `:name` as a whole is any parameter; within
a text stand those alone that the platform makes itself, since a value of a run could say anything
there. In an address `{name}` is the same as `:name`.
"""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, cast

from data_platform.plan.partitions import PARAMETERS, Partitions

WATERMARK = "watermark"
_WHOLE = re.compile(r":([A-Za-z_]\w*)")
_IN_BRACES = re.compile(r"\{([a-z]\w*)\}")


def own_parameters(partitions: Partitions | None) -> tuple[str, ...]:
    """Those that the platform makes, there or not."""
    return (*PARAMETERS, WATERMARK, *(one.name for one in (partitions.by if partitions else ())))


def with_colons(address: str, own: Collection[str]) -> str:
    """An address with `:name` where `{name}` stands."""
    return _IN_BRACES.sub(lambda found: f":{found[1]}" if found[1] in own else found[0], address)


def whole_parameter(text: str) -> str | None:
    """The parameter that a text is; None where it is anything else."""
    match = _WHOLE.fullmatch(text)
    return match[1] if match else None


def parameters_within(text: str, own: Collection[str]) -> list[str]:
    """The parameters that stand in a text beside others."""
    return [match[1] for match in _within(own).finditer(text)]


def replaced(text: str, own: Collection[str], value: Callable[[str], str]) -> str:
    """A text with the values of the parameters within it."""
    return _within(own).sub(lambda match: value(match[1]), text)


def _within(own: Collection[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![:\w]):({'|'.join(own)})\b")


def wrong_parameter(name: str, known: Collection[str], partitions: Partitions | None) -> str | None:
    """What is wrong with naming a parameter, if anything.

    Args:
        name: that was written.
        known: the parameters that there are.
        partitions: of the source.
    """
    if name in known:
        return None
    if name in PARAMETERS:
        kind = " of time" if partitions else ""
        return f":{name} has no value: the source has no partitions{kind}"
    if name == WATERMARK:
        return ":watermark has no value: the source isn't `incremental`"
    listed = ", ".join(f":{other}" for other in sorted(known)) or "none"
    return f"there is no parameter :{name}; there are {listed}"


def texts_of(value: Any, *way: str | int) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """All texts in a value of YAML, each with the keys that lead to it."""
    match value:
        case str():
            yield way, value
        case dict():
            for key, below in cast("dict[str, Any]", value).items():
                yield from texts_of(below, *way, key)
        case list():
            for number, below in enumerate(cast("list[Any]", value)):
                yield from texts_of(below, *way, number)
        case _:
            pass
