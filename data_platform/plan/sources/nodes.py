"""A source, resolved: what lands in raw.

Called by `plan.building`.
"""

import glob
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import assert_never

from data_platform.plan.checks.compiling import named_apart
from data_platform.plan.checks.kinds import RowCountCheck
from data_platform.plan.checks.own_checks import compile_own_checks
from data_platform.plan.declared import Declared, partitions_of, promised_columns, refused
from data_platform.plan.naming import NOT_EMPTY
from data_platform.plan.nodes import RawNode
from data_platform.plan.partitions import TIME, Partitions
from data_platform.plan.schemas import UNKNOWN_SCHEMA, Schema
from data_platform.plan.sources.api_nodes import api_of
from data_platform.plan.sources.file_paths import (
    FORMATS,
    PARTITION_KEY,
    PARTITION_START,
    format_of,
    unnamed_in,
    wrong_encoding,
    wrong_path,
)
from data_platform.plan.sources.kinds import (
    AnySource,
    DatabaseQuery,
    DatabaseTable,
    FileArrival,
    Files,
    Increments,
    PythonSource,
    Topic,
)
from data_platform.plan.sources.queries import source_parameters
from data_platform.spec.asset import Retries
from data_platform.spec.platform import S3Connection
from data_platform.spec.sources import (
    ApiSource,
    DatabaseSource,
    FileSource,
    SourceAsset,
    TopicSource,
)
from data_platform.spec.sources import PythonSource as WrittenPythonSource

SourceColumns = Callable[[RawNode], Schema | None]
"""Tells the columns of a source where they can be known before a run."""
S3 = "s3://"
_NO_KEY = "no column tells of which of `dynamic` partitions a row is"
USUAL_DEADLINE = timedelta(hours=6)
"""How late files may be where it is known when they are due."""
WrittenSource = DatabaseSource | ApiSource | FileSource | TopicSource | WrittenPythonSource


def raw_node(asset: Declared[WrittenSource], source_columns: SourceColumns) -> RawNode:
    """The node of a source.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    spec = asset.spec
    written = asset.file.spec.partitions if spec.partitions is None else spec.partitions
    partitions = partitions_of(written)
    source = _source(asset, spec, partitions)
    promised = promised_columns(asset)
    node = RawNode(
        source=source,
        partitions=partitions,
        schema=promised or UNKNOWN_SCHEMA,
        increments=_increments(asset, source, partitions),
        lookback=_lookback(asset, partitions),
        on_empty=spec.on_empty,
        on_error=spec.on_error,
        skip_for=spec.skip_unchanged.expires if spec.skip_unchanged else None,
        **asset.common(Retries()),
    )
    schema = source_columns(node) or node.schema
    checks, inputs = compile_own_checks(asset, schema, partitions)
    checks = named_apart([*_not_empty(asset, partitions), *checks])
    return replace(node, schema=schema, checks=checks, contract=promised, inputs=inputs)


def _not_empty(
    asset: Declared[WrittenSource], partitions: Partitions | None
) -> tuple[RowCountCheck, ...]:
    """What it means when nothing comes, as a check; none where that is as it should be."""
    spec: SourceAsset = asset.spec
    if spec.on_empty == "pass":
        return ()
    about = f"{'Every partition' if partitions else 'It'} has rows."
    return (
        RowCountCheck(
            NOT_EMPTY, spec.on_empty, 1, None, asset.at("on_empty"), about, kind="not_empty"
        ),
    )


def _source(
    asset: Declared[WrittenSource], spec: WrittenSource, partitions: Partitions | None
) -> AnySource:
    match spec:
        case DatabaseSource():
            return _database(asset, spec, partitions)
        case ApiSource():
            return api_of(asset, spec, partitions)
        case FileSource():
            return _files(asset, spec, partitions)
        case TopicSource():
            asset.require_connection(spec.connection, "kafka")
            if partitions is not None and partitions.dynamic is not None:
                raise refused(asset.at("topic"), _NO_KEY)
            return Topic(spec.connection, spec.topic, spec.format, spec.max_records, spec.on_lost)
        case WrittenPythonSource():
            function = asset.function(partitions, "source", spec.function, asset.at("function"))
            return PythonSource(function)
        case _:
            assert_never(spec)


def _database(
    asset: Declared[WrittenSource], spec: DatabaseSource, partitions: Partitions | None
) -> DatabaseTable | DatabaseQuery:
    asset.require_connection(spec.connection, "database")
    if spec.query is not None:
        named = source_parameters(spec.query, asset, partitions)
        return DatabaseQuery(spec.connection, spec.query, spec.cursor, spec.fetch_size, named)
    if partitions is not None and partitions.dynamic is not None:
        raise refused(asset.at("table"), f"{_NO_KEY}: write a `query` with :partition_key")
    if partitions is not None and partitions.time and not spec.cursor:
        raise refused(
            asset.at("table"),
            "a partitioned table needs a cursor: "
            "the column that says to which partition a row belongs",
        )
    return DatabaseTable(spec.connection, spec.table or "", spec.cursor, spec.fetch_size)


def _files(
    asset: Declared[WrittenSource], spec: FileSource, partitions: Partitions | None
) -> Files:
    if spec.connection is not None:
        asset.require_connection(spec.connection, "s3")
        if not spec.path.startswith(S3):
            raise refused(asset.at("path"), "with a connection of type s3 it is s3://bucket/...")
    if wrong := wrong_path(spec.path, partitions):
        raise refused(asset.at("path"), wrong)
    if wrong := wrong_encoding(spec.csv.encoding):
        raise refused(asset.at("csv", "encoding"), wrong)
    if wrong := _wrong_placeholders(spec.path, partitions):
        raise refused(asset.at("path"), wrong)
    kind = spec.format or format_of(spec.path)
    if kind is None:
        raise refused(
            asset.at("path"),
            f"the ending of {spec.path!r} doesn't tell the format: "
            f"set format to one of {', '.join(dict.fromkeys(FORMATS.values()))}",
        )
    # The folder of the project is no glob, whatever its name.
    base = glob.escape(str(asset.file.base_dir))
    path = spec.path if spec.path.startswith(S3) else str(Path(base) / spec.path)
    settle = spec.settle.total_seconds()
    return Files(
        path, kind, spec.csv, spec.connection, spec.data_path, settle,
        arrival=_arrival(asset, spec), deadline=_deadline(asset, spec, partitions),
    )  # fmt: skip


def _wrong_placeholders(path: str, partitions: Partitions | None) -> str | None:
    """Why a path doesn't name the files of a partition; values of dimensions rows may tell."""
    if partitions is None:
        named = [one for one in (PARTITION_KEY, PARTITION_START) if f"{{{one}" in path]
        return "{partition_key} has no value: the source has no partitions" if named else None
    if {TIME, PARTITION_KEY}.isdisjoint(unnamed_in(path, partitions)):
        return None
    there = "{partition_key}" + (" or {partition_start:%Y-%m-%d}" if partitions.time else "")
    return f"the path needs {there}, or the source `partitions: none`"


def _arrival(asset: Declared[WrittenSource], spec: FileSource) -> FileArrival | None:
    """How its files start it: where nobody said, unless something else does."""
    pipeline = asset.file.spec
    started = pipeline.schedule or spec.automation is not None or spec.after
    said = spec.model_fields_set & {"poll", "queue"}
    if (spec.arrival or ("none" if started else "sensor")) == "none":
        if said and spec.arrival is None:
            raise refused(
                asset.at(min(said)),
                "the source is started by a schedule or its automation, and its files start "
                "nothing: say `arrival: sensor` besides, or leave this out",
            )
        return None
    queue = spec.queue
    if queue is not None and not spec.path.startswith(S3):
        raise refused(asset.at("queue"), "a queue hears of objects of S3: path is s3://bucket/...")
    if queue is None and spec.connection and asset.platform:
        connection = asset.platform.connections.get(spec.connection)
        queue = connection.queue if isinstance(connection, S3Connection) else None
    return FileArrival(spec.poll.total_seconds(), queue)


def _deadline(
    asset: Declared[WrittenSource], spec: FileSource, partitions: Partitions | None
) -> timedelta | None:
    """How late files may be; where nothing says when they are due, only if somebody said."""
    due = partitions.time if partitions else asset.file.spec.schedule
    return spec.deadline or (USUAL_DEADLINE if due else None)


def _increments(
    asset: Declared[WrittenSource], source: AnySource, partitions: Partitions | None
) -> Increments | None:
    """How a source grows; a topic without partitions does so by its offsets."""
    spec: SourceAsset = asset.spec
    written = spec.incremental
    if written is None:
        return (
            Increments(None, (), "history")
            if isinstance(source, Topic) and not partitions
            else None
        )
    if partitions is not None:
        raise refused(
            asset.at("incremental"),
            "a source with partitions isn't incremental: leave the key out, or say "
            "`partitions: none`",
        )
    if isinstance(source, Topic):
        raise refused(asset.at("incremental"), "a topic goes on by its offsets: leave the key out")
    return Increments(
        written.cursor,
        tuple(written.key or ()),
        written.keep,
        written.lookback,
        written.start,
    )


def _lookback(asset: Declared[WrittenSource], partitions: Partitions | None) -> timedelta | None:
    spec: SourceAsset = asset.spec
    if spec.lookback is None:
        return None
    if partitions is None or partitions.time is None:
        raise refused(
            asset.at("lookback"),
            "`lookback` reads partitions before a partition again, and this source has none"
            f"{' of time' if partitions else '; where it is incremental, say it there'}",
        )
    return spec.lookback
