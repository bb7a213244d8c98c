"""Rows that a person's function gives: asked once a partition, kept in scratch as they come.

Called by `raw.extraction`. A partition whose call raises doesn't take the others of its range with
it; an error that passes by itself, such as a connection that broke, is tried again with the step.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from data_platform.engine.calls import called
from data_platform.engine.given_rows import write_given
from data_platform.engine.shown_rows import show_given
from data_platform.engine.work import Work
from data_platform.errors import FunctionError, SourceError
from data_platform.plan.functions import UserFunction
from data_platform.plan.naming import FILE, ROW
from data_platform.plan.sources.kinds import PythonSource
from data_platform.plan.sql.expressions import quoted
from data_platform.sources.arrivals import Arrival, Question
from data_platform.sources.translated import translated

NO_TYPE = '"NULL"'
"""DuckDB's type of a column of which only NULLs are known."""


@dataclass(frozen=True)
class Given:
    """What a function gave.

    Attributes:
        keys: all partitions that it was asked for, by whose order files are numbered.
        files: of each that it gave, in order.
        failed: why it gave none, by partition.
    """

    keys: tuple[str, ...]
    files: Mapping[str, list[str]]
    failed: Mapping[str, str]


@contextmanager
def arriving(question: Question, source: PythonSource) -> Generator[Arrival]:
    """What a function gives for each partition; a column of NULLs alone has its known type.

    Raises:
        SourceError: it gave something that can't be kept.
    """
    function = source.function.given(question.parameters)
    given = ask(function, question.keys, question.scratch / "given", question.work)
    if not given.files:
        yield Arrival(None, given.failed)
        return
    session, types = question.session, dict(question.types)
    node = question.node
    with translated(f"{node.key}"):
        try:
            show_given(session, "_given", given.files, given.keys, types, {})
        except FunctionError as error:
            raise SourceError(f"{node.key}: the function {error}") from None
        there = session.columns("SELECT * FROM _given")
        typed = ", ".join(
            f"CAST({quoted(name)} AS {types[name]}) AS {quoted(name)}"
            for name, kind in there.items()
            if kind == NO_TYPE and name in types
        )
        replaced = f" REPLACE ({typed})" if typed else ""
        yield Arrival(f"SELECT * EXCLUDE ({FILE}, {ROW}){replaced} FROM _given", given.failed)


def ask(function: UserFunction, keys: Sequence[str], folder: Path, work: Work) -> Given:
    """Call a function for each partition.

    Args:
        function: the person's.
        keys: the partitions.
        folder: in scratch, not there yet.
        work: of the step: between two calls it may be ended.

    Raises:
        TransientError: it couldn't reach something.
    """
    files: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    for number, key in enumerate(keys, 1):
        work.go_on()
        try:
            files[key] = write_given(_counted(called(function, key), work), folder, number, "given")
        except FunctionError as error:
            failed[key] = str(error)
    return Given(tuple(keys), files, failed)


def _counted(tables: Iterable[pa.Table], work: Work) -> Iterator[pa.Table]:
    for table in tables:
        work.count(table.num_rows, table.nbytes)
        work.go_on()
        yield table
