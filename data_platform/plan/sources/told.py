"""Which dimensions of partitions a source's rows tell by their columns, and which it is asked for.

Asked by `plan.sources` when definitions load, by `sources` when they are read, and by who shows the
checks of a source. A dimension that is asked for has the same value in all rows of an answer.
"""

import re
from typing import assert_never

from data_platform.plan.partitions import TIME, Partitions
from data_platform.plan.sources.kinds import (
    AnySource,
    Api,
    DatabaseQuery,
    DatabaseTable,
    Files,
    PythonSource,
    Topic,
)

_NAMED = re.compile(r"\{([a-z]\w*)[^{}]*\}")


def told_dimensions(source: AnySource, partitions: Partitions | None) -> tuple[str, ...]:
    """The dimensions whose values are told by rows, in the order of a key.

    Args:
        source: of an asset.
        partitions: of it; dynamic ones are never told.
    """
    if partitions is None or partitions.dynamic is not None:
        return ()
    match source:
        case DatabaseTable() | Topic():
            return partitions.dimensions
        case DatabaseQuery():
            asked = {*source.parameters, *(() if source.cursor else (TIME,))}
        case Files():
            asked = {*_NAMED.findall(source.path), TIME}
        case Api() | PythonSource():
            return ()
        case _:
            assert_never(source)
    if "partition_key" in asked:
        return ()
    return tuple(name for name in partitions.dimensions if name not in asked)


def stray_words(source: AnySource, partitions: Partitions) -> str:
    """The rows that belong to no partition, in words."""
    told = told_dimensions(source, partitions)
    words: list[str] = []
    if TIME in told:
        of_messages = "without a timestamp, or with one out of range"
        of_rows = "whose cursor is NULL or out of range"
        words.append(of_messages if isinstance(source, Topic) else of_rows)
    words += [f"whose {one.column} is no {one.name}" for one in partitions.by if one.name in told]
    return f"{'messages' if isinstance(source, Topic) else 'rows'} {', or '.join(words)}"
