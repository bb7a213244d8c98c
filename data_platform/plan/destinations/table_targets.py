"""A table as a destination, resolved and held to what a database can do.

Called by `plan.destinations.nodes`. What is wrong is told when definitions load, as far as columns
and types are known by then; what a run brings to light is refused by `targets.databases`.
"""

from collections.abc import Iterator, Sequence

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.declared import Declared, nearest, refused
from data_platform.plan.destinations.column_types import (
    DATABASES,
    declared_type,
    without_type,
)
from data_platform.plan.destinations.kinds import Dialect, TableTarget
from data_platform.plan.destinations.tables import table_name
from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import LakeNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.queries import connection_dialect
from data_platform.spec.destinations import DatabaseDestination, WriteMode

PARTITION_TYPES = frozenset({"VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
"""Types by which a column can tell the partition of a row."""
OWN_SCHEMA = "data_platform"
_LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL; what is longer would be cut."""

Asset = Declared[DatabaseDestination]


def table_target(asset: Asset, source: LakeNode, partitions: Partitions | None) -> TableTarget:
    """The table of a destination.

    Raises:
        ConfigurationError: all that is wrong with it.
    """
    spec = asset.spec
    asset.require_connection(spec.connection, "database")
    dialect = _dialect(asset)
    write = _write(asset, partitions)
    target = TableTarget(
        connection=spec.connection,
        dialect=dialect,
        table=spec.table,
        write=write,
        keys=tuple(spec.keys or ()),
        partition_column=key_column(partitions, spec.partition_column),
        adds_partition_column=adds_key(partitions, spec.partition_column),
        dimensions=tuple(one.name for one in partitions.by) if partitions else (),
        indexes=tuple(tuple(columns) for columns in spec.indexes),
        grants={role: tuple(privileges) for role, privileges in spec.grants.items()},
        narrow=spec.narrow,
    )
    problems = [
        *_name_problems(asset, target),
        *_partition_problems(asset, source, partitions),
        *_key_problems(asset, source, write),
        *_index_problems(asset, source, target),
        *_grant_problems(asset, dialect),
        *_type_problems(asset, source, dialect),
    ]
    if problems:
        raise ConfigurationError(problems)
    return target


def key_column(partitions: Partitions | None, written: str | None) -> str | None:
    """The column of a partition's key or time; None where there is none."""
    if partitions is None or (partitions.by and not partitions.time):
        return None
    return written or PARTITION


def adds_key(partitions: Partitions | None, written: str | None) -> bool:
    """Whether the platform adds that column."""
    return key_column(partitions, written) is not None and written is None


def unneeded_column(partitions: Partitions, column: str) -> str | None:
    """Why a `partition_column` can't be one, by what partitions there are."""
    if partitions.time is not None or partitions.dynamic is not None:
        return None
    own = ", ".join(one.name for one in partitions.by)
    return f"{column} holds no time: the columns {own} tell the partition; leave it out"


def _dialect(asset: Asset) -> Dialect:
    found = connection_dialect(asset)
    for dialect in DATABASES:
        if found == dialect:
            return dialect
    raise refused(
        asset.at("connection"),
        f"connection {asset.spec.connection!r} is neither PostgreSQL nor a file of SQLite or of "
        "DuckDB, and a destination swaps its rows in one transaction of one of them: "
        "`postgresql://...`, `embedded://name`, `sqlite:///file` or `duckdb:///file`",
    )


def _write(asset: Asset, partitions: Partitions | None) -> WriteMode:
    spec = asset.spec
    write = spec.write or ("replace_partition" if partitions else "replace")
    if write == "replace_partition" and partitions is None:
        raise refused(
            asset.at("write"), f"{spec.from_} has no partitions to replace: write is `replace`"
        )
    if write == "replace" and partitions is not None:
        raise refused(
            asset.at("write"),
            f"`replace` would leave one partition of {spec.from_}: use replace_partition",
        )
    return write


def _name_problems(asset: Asset, target: TableTarget) -> Iterator[Problem]:
    name = table_name(target.table, target.dialect)
    if OWN_SCHEMA in {name.schema, name.name.removesuffix("_loads").removesuffix("_tables")}:
        message = f"{name.full} is the platform's own: there it keeps what each table holds"
        yield Problem(asset.at("table"), message)
    if name.schema and target.dialect == "sqlite":
        message = f"SQLite has no schemas: the table is {name.name} alone"
        yield Problem(asset.at("table"), message)
    for part in (name.schema, name.name):
        if len(part.encode()) > _LONGEST_NAME:
            message = f"{part[:30]}... is longer than {_LONGEST_NAME} bytes: databases would cut it"
            yield Problem(asset.at("table"), message)


def _partition_problems(
    asset: Asset, source: LakeNode, partitions: Partitions | None
) -> Iterator[Problem]:
    column, location = asset.spec.partition_column, asset.at("partition_column")
    if column is None:
        return
    if partitions is None:
        message = f"{asset.spec.from_} has no partitions that a column could hold: leave it out"
        yield Problem(location, message)
        return
    if unneeded := unneeded_column(partitions, column):
        yield Problem(location, unneeded)
        return
    yield from _unknown([column], source, location)
    kind = source.schema[column].type if column in source.schema else None
    if kind is not None and kind not in PARTITION_TYPES:
        message = (
            f"column {column} is {kind}: a partition is told by a text, a date or a timestamp; "
            f"leave the key out, and {PARTITION} is added"
        )
        yield Problem(location, message)
    if kind == "DATE" and partitions.time and partitions.time.every == "hour":
        yield Problem(location, f"column {column} is a date, which tells no hour")


def _key_problems(asset: Asset, source: LakeNode, write: WriteMode) -> Iterator[Problem]:
    keys = asset.spec.keys
    if write != "merge":
        if keys is not None:
            yield Problem(asset.at("keys"), f"`keys` go with `write: merge`; write is {write}")
        return
    if keys is None:
        message = "`merge` needs `keys`: the column, or the columns, that name a row of the table"
        yield Problem(asset.at("write"), message)
        return
    location = asset.at("keys")
    yield from _twice(keys, location)
    unknown = list(_unknown(keys, source, location))
    yield from unknown
    contract = source.contract
    promised = {c.name for c in contract.columns if not c.nullable} if contract else set[str]()
    for key in keys if not unknown else ():
        if key not in promised:
            message = (
                f"{key} may be NULL, and NULL names no row: say `nullable: false` of it in the "
                f"`columns` of {asset.spec.from_}, or choose other keys"
            )
            yield Problem(location, message)


def _index_problems(asset: Asset, source: LakeNode, target: TableTarget) -> Iterator[Problem]:
    added: set[str | None] = {target.partition_column} if target.adds_partition_column else set()
    added |= {*target.dimensions}
    for number, columns in enumerate(target.indexes):
        location = asset.at("indexes", number)
        yield from _twice(columns, location)
        yield from _unknown([one for one in columns if one not in added], source, location)
    for number, columns in enumerate(target.indexes):
        if columns in target.indexes[:number]:
            yield Problem(asset.at("indexes", number), f"{', '.join(columns)} stands there twice")


def _grant_problems(asset: Asset, dialect: Dialect) -> Iterator[Problem]:
    grants = asset.spec.grants
    if grants and dialect != "postgres":
        yield Problem(asset.at("grants"), "only PostgreSQL has roles: leave `grants` out")
    for role, privileges in grants.items():
        if not privileges:
            message = f"no privilege of {role} is named: such as `{role}: [select]`"
            yield Problem(asset.at("grants", role), message)


def _type_problems(asset: Asset, source: LakeNode, dialect: Dialect) -> Iterator[Problem]:
    for column in source.schema.columns:
        if column.type is not None and declared_type(column.type, dialect) is None:
            yield Problem(asset.at("from"), without_type(column.name, column.type, dialect))
        if len(column.name.encode()) > _LONGEST_NAME:
            message = (
                f"column {column.name[:30]}... is longer than {_LONGEST_NAME} bytes: databases "
                "would cut its name; rename it in staging"
            )
            yield Problem(asset.at("from"), message)


def _unknown(names: Sequence[str], source: LakeNode, location: Location) -> Iterator[Problem]:
    """Columns that the rows surely don't have."""
    schema = source.schema
    for name in names if schema.closed else ():
        if name not in schema:
            listed = ", ".join(schema.names)
            hint = nearest(name, list(schema.names)) or f"it has {listed or 'none'}"
            yield Problem(location, f"{source.key} has no column {name!r}; {hint}")


def _twice(names: Sequence[str], location: Location) -> Iterator[Problem]:
    for name in dict.fromkeys(name for name in names if list(names).count(name) > 1):
        yield Problem(location, f"{name} stands there twice")
