"""Words of others, less what may name a person: of a database, a library or a person's function.

Used wherever an error of somebody else's becomes a text of ours. Of an asset whose rows tell of
persons (`Node.discreet`) an error's kind is told and where it arose; what it says is not, since it
may quote a value. Names of columns and types are no values.
"""

import re
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import duckdb

import data_platform
from data_platform.engine.full_disks import full_disk
from data_platform.errors import (
    UNSAID,
    FunctionError,
    PermanentError,
    PlatformError,
    SourceError,
    SourceUnavailable,
    TransientError,
)
from data_platform.plan.nodes import Node

_ABOUT_NAMES = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)
"""What DuckDB says of statements: names of columns and functions, and no values."""
_TYPE = re.compile(
    r"\b(?:to|type) (U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER|\d+)?|DECIMAL\(\d+,\d+\)|DOUBLE|FLOAT|"
    r"DATE|TIMESTAMP\w*|TIME|BOOLEAN|INTERVAL|UUID)\b"
)
_OWN_FOLDER = Path(data_platform.__file__).parent


def database_words(error: duckdb.Error, *, discreet: bool) -> str:
    """What DuckDB says of an error, in one line.

    Args:
        error: DuckDB's.
        discreet: whether it may name a person.
    """
    said = " ".join(str(error).split("\n\n")[0].split())
    if not discreet or isinstance(error, _ABOUT_NAMES):
        return said.removeprefix("Binder Error: ")
    kind = said.partition(":")[0] if ":" in said else type(error).__name__
    found = _TYPE.search(said)
    about = f" (to {found[1]})" if found else ""
    return f"{kind if kind.endswith('Error') else type(error).__name__}{about}: {UNSAID}"


@contextmanager
def discreet_about(node: Node) -> Generator[None]:
    """Errors of a source, of a node that is discreet, without the source's words.

    Raises:
        SourceError, SourceUnavailable: as inside, in words of ours.
    """
    try:
        yield
    except PlatformError as error:
        told = discreet_error(node, error)
        if told is error:
            raise
        raise told from None


def discreet_error(node: Node, error: Exception) -> Exception:
    """An error of a node, without words that may name a person, and without what caused it.

    Args:
        node: the asset.
        error: that ended its step; returned as it is where the node isn't discreet.
    """
    if not node.discreet or getattr(error, "discreet", False):
        return error
    if told := full_disk(error):
        return told
    match error:
        case SourceUnavailable():
            return unreached(node)
        case SourceError():
            return _ours(SourceError, unread_words(node))
        case FunctionError():
            text = f"{node.key}: the function gave what can't be used: {UNSAID}"
            return _ours(PermanentError, text)
        case PlatformError():
            return error
        case _:
            text = f"{node.key}: {type(error).__name__}{_place(error)}: {UNSAID}"
            return _ours(PermanentError, text)


def unreached(node: Node) -> Exception:
    """Something outside couldn't be reached: trying again may help."""
    return _ours(SourceUnavailable, f"{node.key}: something outside couldn't be reached: {UNSAID}")


def unread_words(node: Node) -> str:
    """Why a source of personal data couldn't be read, as far as it is told."""
    return f"{node.key}: the source gave what can't be read as the pipeline says: {UNSAID}"


def _ours(
    kind: type[PermanentError] | type[TransientError], text: str
) -> PermanentError | TransientError:
    found = kind(text)
    found.discreet = True
    return found


def _place(error: Exception) -> str:
    """Where an error arose: a person's line if there is one, else the innermost of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename and "/lib/python" not in frame.filename
    ]
    outside = [frame for frame in theirs if _OWN_FOLDER not in Path(frame.filename).parents]
    last = next(reversed(outside or theirs), None)
    return f" at {last.filename}:{last.lineno}" if last else ""
