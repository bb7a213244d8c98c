"""A table in Redshift as a destination, resolved: where it is, and by which folder rows get there.

Called by `plan.destinations.nodes`. What is wrong is told when definitions load, as far as columns
and types are known by then.
"""

import re
from collections.abc import Iterator

from data_platform.errors import ConfigurationError, Problem
from data_platform.plan.declared import Declared, refused
from data_platform.plan.destinations.kinds import RedshiftTarget
from data_platform.plan.destinations.table_targets import (
    PARTITION_TYPES,
    adds_key,
    key_column,
    unneeded_column,
)
from data_platform.plan.nodes import LakeNode
from data_platform.plan.partitions import Partitions
from data_platform.spec.destinations import RedshiftDestination, Stage
from data_platform.spec.platform import DatabaseConnection, S3Connection

S3 = "s3://"
OWN_SCHEMA = "data_platform"
URL = re.compile(r"redshift(\+psycopg2)?://")
"""Of a cluster or a workgroup; both speak PostgreSQL's protocol."""
LONGEST_TEXT, LONGEST_BYTES = 65_535, 1_024_000
_TYPES = {
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": f"varchar({LONGEST_TEXT})",
    "BLOB": f"varbyte({LONGEST_BYTES})",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_MOST_PLACES = 37
"""Behind the point, of Redshift's numeric."""

Asset = Declared[RedshiftDestination]


def redshift_type(kind: str) -> str | None:
    """Redshift's type for one of DuckDB's that the lake keeps; None where it has none."""
    decimal = _DECIMAL.fullmatch(kind)
    if decimal is not None:
        return f"numeric({decimal[1]},{decimal[2]})" if int(decimal[2]) <= _MOST_PLACES else None
    return _TYPES.get(kind)


def without_type(name: str, kind: str) -> str:
    """What to tell of a column that Redshift can't hold."""
    return (
        f"column {name} is {kind}, for which a table of Redshift has no type: "
        "convert it to varchar, or leave it out"
    )


def redshift_target(
    asset: Asset, source: LakeNode, partitions: Partitions | None
) -> RedshiftTarget:
    """The table of a destination.

    Raises:
        ConfigurationError: all that is wrong with it.
    """
    spec = asset.spec
    _check_connection(asset)
    stage, connection = _stage(asset)
    column = key_column(partitions, spec.partition_column)
    dimensions = tuple(one.name for one in partitions.by) if partitions else ()
    told = [*([column] if column else []), *dimensions]
    target = RedshiftTarget(
        connection=spec.connection,
        schema=spec.schema_,
        table=spec.table,
        write=spec.write or ("replace_partition" if partitions else "replace"),
        stage=stage,
        stage_connection=connection,
        iam_role=spec.iam_role,
        copy_options=spec.copy_options,
        partition_column=column,
        adds_partition_column=adds_key(partitions, spec.partition_column),
        distribution_key=spec.distribution_key,
        sort_key=tuple(spec.sort_key or told),
        dimensions=dimensions,
        grants={who: tuple(privileges) for who, privileges in spec.grants.items()},
    )
    problems = [
        *_write_problems(asset, target, partitions),
        *_column_problems(asset, source, target),
        *_grant_problems(asset),
    ]
    if problems:
        raise ConfigurationError(problems)
    return target


def _check_connection(asset: Asset) -> None:
    """See to it that the connection is Redshift, as far as its URL is written out."""
    name = asset.spec.connection
    asset.require_connection(name, "database")
    known = asset.platform.connections.get(name) if asset.platform else None
    url = known.url if isinstance(known, DatabaseConnection) else "$"
    if not url.startswith("$") and not URL.match(url):
        raise refused(
            asset.at("connection"),
            f"connection {name!r} is no Redshift: its url is redshift://user@host:5439/database; "
            "a table of another database is a destination of `type: database`",
        )


def _stage(asset: Asset) -> tuple[str, str | None]:
    """The folder, and the connection by which it is reached."""
    stage = asset.spec.stage
    if isinstance(stage, str):
        if not re.match(r"s3://[^/]+/[^/]", stage):
            raise refused(asset.at("stage"), f"{stage!r} is no folder of a bucket: s3://bucket/...")
        return stage.rstrip("/"), None
    _require_s3(asset, stage)
    known = asset.platform.connections.get(stage.connection) if asset.platform else None
    if not stage.path.strip("/"):
        raise refused(asset.at("stage", "path"), "rows are laid into a folder of their own")
    own = known.bucket if isinstance(known, S3Connection) else ""
    if not stage.path.startswith(S3) and own is None:
        raise refused(
            asset.at("stage", "path"),
            f"the connection {stage.connection!r} names no bucket: write s3://bucket/{stage.path}",
        )
    return stage.path.rstrip("/"), stage.connection


def _require_s3(asset: Asset, stage: Stage) -> None:
    known = asset.platform.connections if asset.platform else None
    if known is None:
        return
    fitting = [name for name, other in known.items() if isinstance(other, S3Connection)]
    if stage.connection not in fitting:
        raise refused(
            asset.at("stage", "connection"),
            f"there is no connection {stage.connection!r} of type s3 in platform.yaml; "
            f"of that type there are {', '.join(fitting) or 'none'}",
        )


def _write_problems(
    asset: Asset, target: RedshiftTarget, partitions: Partitions | None
) -> Iterator[Problem]:
    of, location, spec_column = asset.spec.from_, asset.at("write"), asset.spec.partition_column
    if target.write == "replace_partition" and partitions is None:
        yield Problem(location, f"{of} has no partitions to replace: write is `replace`")
    if target.write == "replace" and partitions is not None:
        message = f"`replace` would leave one partition of {of}: use replace_partition"
        yield Problem(location, message)
    if spec_column is not None and partitions is None:
        message = f"{of} has no partitions that a column could hold: leave it out"
        yield Problem(asset.at("partition_column"), message)
    elif (
        spec_column is not None
        and partitions
        and (wrong := unneeded_column(partitions, spec_column))
    ):
        yield Problem(asset.at("partition_column"), wrong)
    if target.schema == OWN_SCHEMA:
        message = f"the schema {OWN_SCHEMA} is the platform's own: it keeps there what tables hold"
        yield Problem(asset.at("schema"), message)


def _column_problems(asset: Asset, source: LakeNode, target: RedshiftTarget) -> Iterator[Problem]:
    spec, schema = asset.spec, source.schema
    for column in schema.columns:
        if column.type is not None and redshift_type(column.type) is None:
            yield Problem(asset.at("from"), without_type(column.name, column.type))
    named = {
        "partition_column": [spec.partition_column] if spec.partition_column else [],
        "distribution_key": [spec.distribution_key] if spec.distribution_key else [],
        "sort_key": spec.sort_key or [],
    }
    own = spec.partition_column
    kind = schema[own].type if own is not None and own in schema else None
    if kind is not None and kind not in PARTITION_TYPES:
        message = f"column {own} is {kind}: a partition is told by a text, a date or a timestamp"
        yield Problem(asset.at("partition_column"), message)
    added = {*target.dimensions}
    added |= {target.partition_column or ""} if target.adds_partition_column else set()
    for key, names in named.items():
        for name in names if schema.closed else ():
            if name not in schema and name not in added:
                listed = ", ".join(schema.names) or "none"
                message = f"{source.key} has no column {name!r}; it has {listed}"
                yield Problem(asset.at(key), message)


def _grant_problems(asset: Asset) -> Iterator[Problem]:
    for who, privileges in asset.spec.grants.items():
        location = asset.at("grants", who)
        if not re.fullmatch(r"((user|group|role):)?[^\s:\"';]{1,127}", who):
            message = f"{who!r} is nobody: a role, `user:name` or `group:name`"
            yield Problem(location, message)
        if not privileges:
            yield Problem(location, f"no privilege of {who} is named: such as `[select]`")
