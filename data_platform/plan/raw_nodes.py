"""A source, resolved: what lands in raw.

Called by `plan.building`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from data_platform.plan.declared import Declared, partitions_of, promised_columns, refused
from data_platform.plan.nodes import DatabaseTable, Files, PythonSource, RawNode
from data_platform.plan.own_checks import compile_own_checks
from data_platform.plan.schemas import UNKNOWN_SCHEMA, Schema
from data_platform.spec.pipeline import DatabaseSource, FileSource, Retries
from data_platform.spec.pipeline import PythonSource as WrittenPythonSource

SourceColumns = Callable[[RawNode], Schema | None]
"""Tells the columns of a source where they can be known before a run."""
AnySource = DatabaseSource | FileSource | WrittenPythonSource


def raw_node(asset: Declared[AnySource], source_columns: SourceColumns) -> RawNode:
    """The node of a source.

    Raises:
        ConfigurationError: what is wrong with it.
    """
    spec = asset.spec
    written = asset.file.spec.partitions if spec.partitions is None else spec.partitions
    partitions = partitions_of(written)
    match spec:
        case DatabaseSource():
            source = _table(asset, spec, partitioned=partitions is not None)
        case FileSource():
            source = _files(asset, spec, partitioned=partitions is not None)
        case WrittenPythonSource():
            function = asset.function(partitions, "source", spec.function, asset.at("function"))
            source = PythonSource(function)
        case _:
            assert_never(spec)
    promised = promised_columns(asset)
    node = RawNode(
        source=source,
        partitions=partitions,
        schema=promised or UNKNOWN_SCHEMA,
        **asset.common(Retries()),
    )
    schema = source_columns(node) or node.schema
    checks, inputs = compile_own_checks(asset, schema, partitions)
    return replace(node, schema=schema, checks=checks, contract=promised, inputs=inputs)


def _table(asset: Declared[AnySource], spec: DatabaseSource, *, partitioned: bool) -> DatabaseTable:
    asset.require_connection(spec.connection)
    if partitioned and not spec.cursor:
        raise refused(
            asset.at("table"),
            "a partitioned table needs a cursor: "
            "the column that says to which partition a row belongs",
        )
    return DatabaseTable(spec.connection, spec.table, spec.cursor, spec.fetch_size)


def _files(asset: Declared[AnySource], spec: FileSource, *, partitioned: bool) -> Files:
    if partitioned != ("{partition_key}" in spec.path):
        raise refused(
            asset.at("path"),
            "the path needs {partition_key}, or the source `partitions: none`"
            if partitioned
            else "{partition_key} has no value: the source has no partitions",
        )
    suffix = Path(spec.path).suffix.lower().lstrip(".")
    kind = spec.format or {"csv": "csv", "parquet": "parquet"}.get(suffix)
    if kind is None:
        raise refused(
            asset.at("path"),
            f"the ending of {spec.path!r} doesn't tell the format: set format to csv or parquet",
        )
    path = str(asset.file.base_dir / spec.path)
    return Files(path, kind, spec.csv)  # pyright: ignore[reportArgumentType]
