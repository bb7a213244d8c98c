"""Where rows go, resolved: one class a kind of target.

Made by `plan.destinations.nodes`, kept in `DestinationNode.target`; `targets/` writes what they
name. Texts that may be secret keep their `${VAR}` as written.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from data_platform.plan.naming import PARTITION
from data_platform.plan.partitions import TIME, Partitions
from data_platform.spec.destinations import CopyOptions, CsvOutput, WriteMode

Dialect = Literal["postgres", "sqlite", "duckdb"]
"""SQLGlot's name of what a table's database speaks."""
KEY = ""
"""In place of a dimension: the whole key of a partition."""
OutputFormat = Literal["parquet", "csv", "jsonl"]
Compression = Literal["none", "gzip", "zstd", "snappy"]


@dataclass(frozen=True)
class TableTarget:
    """A table in a database.

    Attributes:
        connection: its name in platform.yaml.
        dialect: of the database, as far as its URL is written out.
        table: `table` or `schema.table`.
        write: what a load does with the rows that are there.
        keys: the columns that name a row; only with `merge`.
        partition_column: that holds the partition's key, of two dimensions that of time; None where
            only `dimensions` tell it, or there are no partitions.
        adds_partition_column: whether the rows don't have it and the platform adds it.
        dimensions: of named values; each has a column of its name, added where rows have none.
        indexes: further ones, the columns of each.
        grants: privileges by role.
        narrow: whether integers get the smallest type that holds them when the table is made.
    """

    connection: str
    dialect: Dialect
    table: str
    write: WriteMode
    keys: tuple[str, ...] = ()
    partition_column: str | None = None
    adds_partition_column: bool = False
    dimensions: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    narrow: bool = False

    @property
    def code(self) -> str:
        """What decides about the table's rows, and about its form where that is said."""
        column = None if self.adds_partition_column else self.partition_column
        form = [self.keys, self.indexes, dict(self.grants), self.narrow]
        said = f"{form}" if any(form) else ""
        said += f"{self.dimensions}" if self.dimensions else ""
        return f"{self.connection}{self.table}{self.write}{column}{said}"


@dataclass(frozen=True)
class RedshiftTarget:
    """A table in Amazon Redshift, loaded by way of a bucket.

    Attributes:
        connection: its name in platform.yaml.
        schema, table: of the table.
        write: what a load does with the rows that are there.
        stage: the folder for the rows: an `s3://` address, or a path in the connection's bucket.
        stage_connection: of type s3, in platform.yaml; None means the usual chain of credentials.
        iam_role: by which Redshift reads the stage; None means the keys of the stage's connection,
            or the cluster's default role where it has none.
        copy_options: further options of COPY.
        partition_column: that holds the partition's key, of two dimensions that of time; None where
            only `dimensions` tell it, or there are no partitions.
        adds_partition_column: whether the rows don't have it and the platform adds it.
        dimensions: of named values; each has a column of its name, added where rows have none.
        distribution_key, sort_key: of a table that is made.
        grants: privileges by who has them.
    """

    connection: str
    schema: str
    table: str
    write: Literal["replace_partition", "append", "replace"]
    stage: str
    stage_connection: str | None
    iam_role: str | None
    copy_options: CopyOptions
    partition_column: str | None
    adds_partition_column: bool
    distribution_key: str | None = None
    sort_key: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    @property
    def full_name(self) -> str:
        """As the ledger and messages name it."""
        return f"{self.schema}.{self.table}"

    @property
    def code(self) -> str:
        """What decides about the table's rows, and about its form where that is said."""
        column = None if self.adds_partition_column else self.partition_column
        form = [self.distribution_key, self.sort_key, dict(self.grants)]
        said = f"{form}" if any(form) else ""
        said += f"{self.dimensions}" if self.dimensions else ""
        return f"{self.connection}{self.full_name}{self.write}{column}{said}"


@dataclass(frozen=True)
class FileTarget:
    """Files, one a partition.

    Attributes:
        path: an absolute path, or an `s3://` address; with the partition's placeholders.
        connection: of type s3, in platform.yaml; None means the usual chain of credentials.
        format: how they are written.
        compression: of their content.
        csv: for CSV.
    """

    path: str
    connection: str | None
    format: OutputFormat
    compression: Compression
    csv: CsvOutput

    @property
    def code(self) -> str:
        """What decides about the files' content."""
        return f"{self.path}{self.connection}{self.format}{self.compression}{self.csv!r}"


AnyTarget = TableTarget | RedshiftTarget | FileTarget


def address_of(target: AnyTarget) -> tuple[str, str]:
    """The system and the name in it that people know a target by; the system may be empty."""
    match target:
        case TableTarget():
            return target.connection, target.table
        case RedshiftTarget():
            return target.connection, f"{target.schema}.{target.table}"
        case FileTarget():
            return "", target.path


def circuit_of(target: AnyTarget) -> str | None:
    """The name of the circuit of the system that a target is in; None where it has none."""
    return f"connection {target.connection}" if target.connection is not None else None


def resources_of(target: AnyTarget) -> set[str]:
    """The connections that a target needs."""
    further = target.stage_connection if isinstance(target, RedshiftTarget) else None
    return {name for name in (target.connection, further) if name is not None}


def added_columns(
    target: AnyTarget, partitions: Partitions | None, columns: Collection[str]
) -> dict[str, str]:
    """The columns that a target's rows get, and the dimension that each holds; `KEY` is all.

    Files get the key on their way alone: by it rows are told apart, and no file holds it.

    Args:
        target: of a destination.
        partitions: of it.
        columns: that the rows have.
    """
    if isinstance(target, FileTarget):
        return {PARTITION: KEY}
    if partitions is None:
        return {}
    there = {name.lower() for name in columns}
    added = {name: name for name in target.dimensions if name.lower() not in there}
    if target.adds_partition_column and target.partition_column:
        added[target.partition_column] = TIME if partitions.time else KEY
    return added


def told_columns(target: TableTarget | RedshiftTarget, partitions: Partitions) -> dict[str, str]:
    """The columns of a table that tell the partition of a row, by dimension."""
    own = {name: name for name in target.dimensions}
    if target.partition_column is None:
        return own
    return {TIME if partitions.time else KEY: target.partition_column, **own}
