"""Bind parameters in the texts of an API's request: which there are, held to those that exist.

Called by `plan.sources.nodes` when definitions load, and by `sources.http.questions`, which puts
values in their place by the same rules: a text that is `:name` as a whole is any parameter; within
a text stand those alone that the platform makes itself, since a value of a run could say anything
there.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

PARTITION_PARAMETERS = ("partition_key", "partition_start", "partition_end")
WATERMARK = "watermark"
_OWN = (*PARTITION_PARAMETERS, WATERMARK)
_WHOLE = re.compile(r":([A-Za-z_]\w*)")
_WITHIN = re.compile(rf"(?<![:\w]):({'|'.join(_OWN)})\b")


def whole_parameter(text: str) -> str | None:
    """The parameter that a text is; None where it is anything else."""
    match = _WHOLE.fullmatch(text)
    return match[1] if match else None


def parameters_within(text: str) -> list[str]:
    """The parameters that stand in a text beside others."""
    return _WITHIN.findall(text)


def replaced(text: str, value: Callable[[str], str]) -> str:
    """A text with the values of the parameters within it."""
    return _WITHIN.sub(lambda match: value(match[1]), text)


def wrong_parameter(name: str, known: Mapping[str, object] | set[str]) -> str | None:
    """What is wrong with naming a parameter, if anything.

    Args:
        name: that was written.
        known: the parameters that there are.
    """
    if name in known:
        return None
    if name in PARTITION_PARAMETERS:
        return f":{name} has no value: the source has no partitions"
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
