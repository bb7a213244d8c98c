"""A person's function is called.

By the stages' steps, by rules in Python and by worker processes. What the function raises comes out
as one line that names the function, its own line and what it said; the traceback of the person's
code goes to the log. `given_rows` keeps what it gives.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyarrow comes without types.

import logging
import re
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

import data_platform
from data_platform.beside import error_words
from data_platform.errors import UNSAID, FunctionError, PlatformError, SourceUnavailable
from data_platform.plan.functions import UserFunction

if TYPE_CHECKING:
    import pandas as pd

# pandas takes a third of a second: it is imported where rows are there for it, not where
# definitions load.

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
