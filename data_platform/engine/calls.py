"""A person's function is called, and what it gives is written to scratch, table by table.

Called by the stages' steps, by rules in Python and by worker processes. What the function raises
comes out as one line that names the function, its own line and what it said; the traceback of the
person's code goes to the log.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

import logging
import re
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

import data_platform
from data_platform.beside import error_words
from data_platform.engine.discretion import UNSAID
from data_platform.engine.session import Session
from data_platform.errors import FunctionError, PlatformError, SourceUnavailable
from data_platform.plan.functions import UserFunction
from data_platform.plan.naming import FILE, PARTITION, ROW
from data_platform.plan.sql.expressions import literal, quoted

if TYPE_CHECKING:
    import pandas as pd

# pandas takes a third of a second: it is imported where rows are there for it, not where
# definitions load.

ROWS_OF_A_GROUP = 65_536
"""Rows that are written at once; smaller tables are put together."""
_CALL = "_call"
"""The folder of a call's files: `_call=<number>`, the partition's place in the list, from 1."""
_LIBRARIES = re.compile(r"/(site-packages|lib/python[\d.]+)/|^<")
_PASSING = frozenset({"ConnectionError", "Timeout", "TransportError"})
"""Names of exceptions: of Python itself and `requests`, and of `httpx`."""
_OWN_FOLDER = Path(data_platform.__file__).parent
_log = logging.getLogger(__name__)


def call(function: UserFunction, key: str, *given: object) -> Any:
    """Call a function for a partition.

    Args:
        function: the person's.
        key: of the partition.
        given: the rows, where it takes some.

    Raises:
        FunctionError: it raised.
        SourceUnavailable: it raised that something couldn't be reached.
    """
    with translated(function):
        return function.load()(*given, **function.named_arguments(key))


def called(function: UserFunction, key: str, *given: object) -> Iterator[pa.Table]:
    """Call a function for a partition, and run on through what it gives.

    Raises:
        FunctionError: it raised, or what it gives can't be kept.
    """
    from data_platform.engine.frames import tables_of  # noqa: PLC0415 -- as above

    with translated(function):
        yield from tables_of(function.load()(*given, **function.named_arguments(key)))


@contextmanager
def translated(function: UserFunction) -> Generator[None]:
    """Whatever is raised in here, in one line that a person can act on."""
    try:
        yield
    except FunctionError as error:
        if function.discreet:
            raise _unsaid(
                f"{function.written} gave what can't be used{_defined(function)}"
            ) from None
        message = str(error)
        named = message if message.startswith(function.written) else f"{function.written} {message}"
        raise FunctionError(named) from None
    except PlatformError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever a person's code raises
        frames = own_frames(error, function.folder)
        words = type(error).__name__ if function.discreet else error_words(error)
        if frames:
            _log.error("%s\n%s", words, "".join(traceback.format_list(frames)).rstrip())
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        kind = SourceUnavailable if passes(error) else FunctionError
        if function.discreet:
            raise _unsaid(f"{function.written} raised {words}{place}", kind) from None
        raise kind(f"{function.written} raised {error_words(error)}{place}") from None


def _unsaid(
    text: str, kind: type[FunctionError] | type[SourceUnavailable] = FunctionError
) -> FunctionError | SourceUnavailable:
    """An error without the function's own words."""
    error = kind(f"{text}: {UNSAID}")
    error.discreet = True
    return error


def _defined(function: UserFunction) -> str:
    return f" (it stands at {function.place})" if function.place else ""


def passes(error: BaseException) -> bool:
    """Whether trying again may help: something couldn't be reached."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, TimeoutError) or bool(names & _PASSING)


def own_frames(error: BaseException, folder: Path | None) -> list[traceback.FrameSummary]:
    """The lines of a traceback that a person wrote.

    Args:
        error: with its traceback.
        folder: of their pipeline; None where the function is installed.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if folder is not None:
        return [frame for frame in frames if folder in Path(frame.filename).parents]
    theirs = [frame for frame in frames if _OWN_FOLDER not in Path(frame.filename).parents]
    return [frame for frame in theirs if not _LIBRARIES.search(frame.filename)] or theirs


def as_input(rows: pa.Table, kind: Literal["pandas", "arrow"]) -> "pd.DataFrame | pa.Table":
    """Rows as a function takes them; pandas with Arrow's types, in which NULL isn't NaN."""
    if kind == "arrow":
        return rows
    import pandas as pd  # noqa: PLC0415 -- as above

    return rows.to_pandas(types_mapper=pd.ArrowDtype)


def write_answer(tables: Iterable[pa.Table], folder: Path, number: int, stem: str) -> list[str]:
    """Write what a function gave to files, a new one where the columns are others.

    Args:
        tables: that it gave.
        folder: of all calls, see `show_answers`.
        number: of the partition in the list of those, from 1.
        stem: of the files' names, by which they are ordered.
    """
    target = folder / f"{_CALL}={number}"
    target.mkdir(parents=True, exist_ok=True)
    paths: list[str] = []
    writer: pq.ParquetWriter | None = None
    try:
        for table in _together(tables):
            if writer is None or not writer.schema.equals(table.schema):
                if writer is not None:
                    writer.close()
                paths.append(str(target / f"{stem}-{len(paths):06}.parquet"))
                writer = pq.ParquetWriter(paths[-1], table.schema)
            writer.write_table(table, ROWS_OF_A_GROUP)
    finally:
        if writer is not None:
            writer.close()
    return paths


def show_answers(
    session: Session,
    relation: str,
    files: Mapping[str, list[str]],
    keys: Sequence[str],
    otherwise: Mapping[str, str],
    flags: Mapping[str, Iterable[str]],
) -> None:
    """Make what a function gave readable, columns matched by name, with `_partition`.

    Args:
        session: in which it is read.
        relation: the name.
        files: of each partition.
        keys: the list of partitions that files were numbered by.
        otherwise: the columns and types where no call told any.
        flags: further columns that are true in some partitions, and these.

    Raises:
        FunctionError: no columns are known.
    """
    paths = sorted(path for found in files.values() for path in found)
    if not paths and not otherwise:
        raise FunctionError(
            "gave no rows, and nothing says which columns there are: "
            "return an empty DataFrame or Table with its columns, or name them in `columns`"
        )
    added = "".join(
        f", {PARTITION} IN ({', '.join(map(literal, there)) or 'NULL'}) IS TRUE AS {quoted(flag)}"
        for flag, there in flags.items()
    )
    if paths:
        # The path of its file with each row would be as much as the row: it is a number in memory.
        names = f"files of {relation}"
        session.run(f"CREATE TEMP TYPE {quoted(names)} AS ENUM ({', '.join(map(literal, paths))})")
        select = _reading(paths, keys, quoted(names))
    else:
        select = _nothing(otherwise)
    session.run(f"CREATE TEMP VIEW {quoted(relation)} AS SELECT *{added} FROM ({select})")


def _reading(paths: Iterable[str], keys: Iterable[str], file_type: str) -> str:
    listed = ", ".join(map(literal, paths))
    names = ", ".join(map(literal, keys))
    options = (
        f"union_by_name = true, filename = '{FILE}', file_row_number = true, "
        f"hive_partitioning = true, hive_types = {{'{_CALL}': INTEGER}}"
    )
    return (
        f"SELECT * EXCLUDE ({_CALL}, {FILE}, file_row_number), [{names}][{_CALL}] AS {PARTITION}, "
        f"CAST({FILE} AS {file_type}) AS {FILE}, file_row_number AS {ROW} "
        f"FROM read_parquet([{listed}], {options})"
    )


def _nothing(columns: Mapping[str, str]) -> str:
    hidden = {PARTITION: "VARCHAR", FILE: "VARCHAR", ROW: "BIGINT"}
    types = {**columns, **hidden}
    listed = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in types.items())
    return f"SELECT {listed} WHERE FALSE"


def _together(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Small tables put together where their columns agree; those without columns left out."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        if not table.num_columns:
            continue
        if waiting and not waiting[0].schema.equals(table.schema):
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
        waiting.append(table)
        rows += table.num_rows
        if rows >= ROWS_OF_A_GROUP:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)
