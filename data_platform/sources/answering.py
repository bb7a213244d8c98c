"""Which module answers for which kind of source.

Called by `raw.extraction` with a question; each kind's module is imported when it is asked, since
drivers take their time.
"""

# ruff: noqa: PLC0415 -- as said above

from contextlib import AbstractContextManager
from pathlib import Path
from typing import assert_never

from data_platform.plan.sources.kinds import (
    AnySource,
    Api,
    DatabaseQuery,
    DatabaseTable,
    Files,
    PythonSource,
    Topic,
)
from data_platform.sources.arrivals import Arrival, Question


def arriving(question: Question) -> AbstractContextManager[Arrival]:
    """What a source gives; readable while the context is open.

    Raises:
        SourceError: the source can't be read as the pipeline says.
        SourceUnavailable: it can't be reached, or broke off.
    """
    source = question.node.source
    match source:
        case DatabaseTable() | DatabaseQuery():
            from data_platform.sources.database.arriving import arriving as from_database

            return from_database(question, source)
        case Api():
            from data_platform.sources.http.arriving import arriving as from_api

            return from_api(question, source)
        case Files():
            from data_platform.sources.files.arriving import arriving as from_files

            return from_files(question, source)
        case Topic():
            from data_platform.sources.topics.arriving import arriving as from_topic

            return from_topic(question, source)
        case PythonSource():
            from data_platform.sources.python import arriving as from_function

            return from_function(question, source)
        case _:
            assert_never(source)


def folders_of(source: AnySource) -> list[Path]:
    """The folders outside the lake that statements over the source read."""
    if not isinstance(source, Files) or source.path.startswith("s3://"):
        return []
    from data_platform.sources.files.finding import folder_of

    folder = folder_of(source.path)
    return [folder, folder.resolve()]
