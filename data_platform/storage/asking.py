"""A person's question to the lake in SQL: held to the allow-list, over one snapshot of each table.

Called by `observability.querying`, which knows the pipelines, and by `resources`, which knows the
lake alone. Nothing beside the tables that it names can be read.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.lake_frames import FrameKind, as_frame, read_frame
from data_platform.errors import ConfigurationError, Location, PermanentError, Problem
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Input
from data_platform.plan.sql.queries import Query, compile_query
from data_platform.spec.values import LAYERS
from data_platform.storage.versions import Snapshot, TableFiles, named
from data_platform.storage.workbench import Workbench

_QUESTION = Location(Path("query"))
"""A question has no file; of its place only line and column are told."""
_LAKE = (*LAYERS[:3], "quarantine")
_PARTS = 3


def compiled(sql: str, reads: Callable[[str, Location], Input]) -> Query:
    """A SELECT, if it is allowed.

    Args:
        sql: of a person.
        reads: makes the input of a table's name, or raises.

    Raises:
        PermanentError: it isn't allowed, or names what there isn't. In one line.
    """
    try:
        query = compile_query(sql, _QUESTION, reads)
    except ConfigurationError as error:
        raise PermanentError(_told(error.problems[0])) from None
    if query.parameters:
        raise PermanentError(
            f":{query.parameters[0]} has no value in a query: write the value itself"
        )
    return query


@contextmanager
def database_words() -> Generator[None]:
    """What DuckDB says of a statement, in one line."""
    try:
        yield
    except duckdb.Error as error:
        # Without its picture of the statement.
        raise PermanentError(" ".join(str(error).split("\n\n")[0].split())) from error


def key_of(name: str) -> Key:
    """A table of the lake by `layer/pipeline/name`, or by `pipeline.layer.name` as in SQL.

    A pipeline can't have a layer's name, so that `layer.pipeline.name` means one table too.

    Raises:
        PermanentError: it isn't such a name.
    """
    parts = name.split("/" if "/" in name else ".")
    if len(parts) == _PARTS and "/" not in name and parts[1] in _LAKE:
        parts = [parts[1], parts[0], parts[2]]
    if len(parts) != _PARTS or parts[0] not in _LAKE or not all(parts):
        raise PermanentError(
            f"{name!r} names no table of the lake: write pipeline.layer.name, or "
            f"layer/pipeline/name; layers are {', '.join(_LAKE[:3])}"
        )
    return Key(*parts)


def query_frame(sql: str, workbench: Workbench, kind: FrameKind) -> Any:
    """The rows of a SELECT over published tables, named `pipeline.layer.name`.

    Raises:
        PermanentError: it isn't allowed, names what there isn't, or fails. In one line.
    """
    query = compiled(sql, _input)
    found = {given.key: _published(workbench, given.key) for given in query.inputs}
    with workbench.open() as (session, _), database_words():
        for key, snapshot in found.items():
            session.show(key.relation, snapshot.files(snapshot.partitions), hidden=False)
        return as_frame(session.connection.sql(query.sql), kind)


def table_frame(
    name: str,
    workbench: Workbench,
    kind: FrameKind,
    partitions: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Any:
    """Published rows of a table, in the order in which they were written.

    Args:
        name: as `key_of` takes it.
        workbench: with the lake.
        kind: as what.
        partitions: only these; None means all.
        columns: only these; None means all.

    Raises:
        PermanentError: a partition isn't published, or there is no such column.
    """
    files = _files(name, workbench, partitions)
    with workbench.open() as (session, _):
        return read_frame(session, files, kind, columns)


@contextmanager
def table_relation(
    name: str,
    workbench: Workbench,
    partitions: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> Generator[duckdb.DuckDBPyRelation]:
    """The same as a relation, of which nothing is read before it is used."""
    files = _files(name, workbench, partitions)
    with workbench.open() as (session, _):
        yield read_frame(session, files, "duckdb", columns)


def table_files(
    name: str, workbench: Workbench, partitions: Sequence[str] | None = None
) -> TableFiles:
    """The files that hold the published rows of a table, for an engine outside.

    Raises:
        PermanentError: a partition isn't published, or files alone don't tell the rows.
    """
    files = _files(name, workbench, partitions)
    if files.newest is not None:
        raise PermanentError(
            f"{name} keeps each batch that came, and readers see the newest row of a key: let the "
            "engine read a staging asset that is made of it"
        )
    return named(files, workbench.lake.table(key_of(name)).path)


def _files(name: str, workbench: Workbench, partitions: Sequence[str] | None) -> LakeFiles:
    key = key_of(name)
    snapshot = _published(workbench, key)
    wanted = list(snapshot.partitions) if partitions is None else list(partitions)
    missing = [partition for partition in wanted if partition not in snapshot.partitions]
    if missing and not snapshot.partitioned:
        raise PermanentError(f"{key} has no partitions: leave `partitions` out")
    if missing:
        raise PermanentError(f"{key} has no published partition {', '.join(missing[:3])}")
    return snapshot.files(wanted)


def _published(workbench: Workbench, key: Key) -> Snapshot:
    snapshot = workbench.lake.table(key).snapshot()
    if snapshot is None:
        raise PermanentError(f"{key} has never been published, or there is no such table")
    return snapshot


def _input(reference: str, at: Location) -> Input:
    parts = reference.split(".")
    if len(parts) != _PARTS or parts[1] not in LAYERS[:3]:
        raise ConfigurationError(
            [Problem(at, f"{reference} names no table: here it is pipeline.layer.name")]
        )
    return Input(Key(parts[1], parts[0], parts[2]), "whole")


def _told(problem: Problem) -> str:
    place = problem.location
    where = (
        f"line {place.line}, column {place.column}: " if place.line > 1 or place.column > 1 else ""
    )
    return f"{where}{problem.message}"
