"""The columns of files that are there when definitions load.

Called by `loading`; nothing is asked of the network for it.
"""

import tempfile
from pathlib import Path

import duckdb

from data_platform.engine.object_store import SCHEME
from data_platform.engine.session import open_session
from data_platform.engine.work import Work
from data_platform.errors import SourceError
from data_platform.plan.conversions import stored_type
from data_platform.plan.schemas import Column, Schema
from data_platform.plan.sources.file_paths import PLACEHOLDER
from data_platform.plan.sources.kinds import Files
from data_platform.sources.files.finding import find
from data_platform.sources.files.found import Found, Taken
from data_platform.sources.files.reading import READ_FROM, Known, rows_query
from data_platform.sources.files.taking import Taker

SMALL = 32 * 1024 * 1024
"""Bytes of all files together up to which they are read to know the types of their columns."""
_MEMORY = "512MB"


def named_files(source: Files) -> list[Found]:
    """The files that a path of this machine names; none where it takes a partition or a bucket.

    Raises:
        SourceError: no file matches.
    """
    if source.path.startswith(SCHEME) or PLACEHOLDER.search(source.path):
        return []
    return find(source.path, None)


def files_schema(source: Files) -> Schema | None:
    """The columns of the files that are there now; None if there are none or they can't be read."""
    try:
        found = named_files(source)
        if not found or sum(file.bytes for file in found) > SMALL:
            return None
        return _schema_of(source, found)
    except (SourceError, duckdb.Error):
        return None


def _schema_of(source: Files, found: list[Found]) -> Schema | None:
    with tempfile.TemporaryDirectory() as scratch:
        taken = Taker(source, None, Path(scratch), Work()).take(found)
        sound = [file for file in taken if isinstance(file, Taken)]
        if not sound:
            return None
        folders = sorted({str(Path(file.path).parent) for file in sound})
        with open_session(Path(scratch), folders, _MEMORY) as session:
            columns = session.columns(rows_query(session, source, sound, Known()))
    return Schema(
        tuple(
            Column(name, stored_type(kind)) for name, kind in columns.items() if name != READ_FROM
        ),
        closed=True,
    )
