"""`destinations` of `pipeline.yaml`: where rows go, one model a kind.

Resolved by `plan.destinations.nodes`; `targets/` writes what they say.
"""

import re
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, Tag, WithJsonSchema

from data_platform.spec.asset import Asset
from data_platform.spec.model import Model
from data_platform.spec.rules import Rule
from data_platform.spec.values import Name, Names, OnViolation, Reference, either
from data_platform.spec.wording import problem

_TABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"

_ROLE_PATTERN = r"""^[^\s"';]+$"""
_LONGEST_ROLE = 63
_IAM_ROLE_PATTERN = (
    r"^(default|arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+"
    r"(,arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+)*)$"
)

WriteMode = Literal["replace_partition", "merge", "append", "replace", "create"]
"""What a load does with the rows that a table has."""
Privilege = Literal["select", "insert", "update", "delete", "references", "trigger", "all"]
"""What a role may do with a table."""


def _table(value: str) -> str:
    if not re.fullmatch(_TABLE_PATTERN, value):
        raise problem("table", "{found} names no table: `schema.table` or `table`", value)
    return value


def _role(value: str) -> str:
    if not re.fullmatch(_ROLE_PATTERN, value) or len(value.encode()) > _LONGEST_ROLE:
        template = "{found} can't be a role of a database: no spaces, no quotes, at most 63 bytes"
        raise problem("role", template, value)
    return value


Role = Annotated[
    str, AfterValidator(_role), WithJsonSchema({"type": "string", "pattern": _ROLE_PATTERN})
]
TableName = Annotated[
    str, AfterValidator(_table), WithJsonSchema({"type": "string", "pattern": _TABLE_PATTERN})
]


def _has_type(value: Any) -> Any:
    if isinstance(value, dict) and "type" not in value:
        raise problem("missing", "'type' is missing; there are: database, file, redshift")
    return cast("Any", value)


class DestinationAsset(Asset):
    """What any destination may say."""

    from_: Reference = Field(alias="from")
    """The asset that it follows."""


class DatabaseDestination(DestinationAsset):
    """A table in a database that follows an asset of the lake."""

    type: Literal["database"]
    """Where it goes."""
    connection: str
    """A connection of platform.yaml."""
    table: TableName
    """`schema.table`, or `table` in the schema public."""
    write: WriteMode | None = None
    """None means replace_partition where there are partitions, replace otherwise."""
    keys: Names | None = None
    """The columns that name a row; `merge` needs them."""
    partition_column: Name | None = None
    """The column that holds the partition; None means that `_partition` is added."""
    indexes: list[Names] = Field(default_factory=list[Names])
    """Further indexes of the table: a column, or a list of columns, each."""
    grants: dict[Role, list[Privilege]] = Field(default_factory=dict[str, list[Privilege]])
    """What roles of the database may do with the table, by role."""
    narrow: bool = False
    """Whether integers get the smallest type that holds them when the table is made."""
    quality: list[Rule] = Field(default_factory=list[Rule])
    """What must be true of the table after the load, before anybody sees it."""
    on_violation: OnViolation = "fail"
    """What its rules do unless they say otherwise: `fail` rolls the load back, `warn` tells."""


class CsvOutput(Model):
    """How a CSV file is written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """Between the fields of a line."""
    header: bool = True
    """Whether the first line names the columns."""
    null_value: str = ""
    """What stands for NULL."""


class FileDestination(DestinationAsset):
    """Files that follow an asset of the lake, each with a manifest beside it."""

    type: Literal["file"]
    """Where it goes."""
    path: str
    """A path from the pipelines folder's parent, or `s3://bucket/...`; `{partition_key}` is the
    partition, `{partition_start:%Y/%m/%d}` its begin."""
    connection: str | None = None
    """A connection of type s3 in platform.yaml; None means the usual chain of credentials."""
    format: Literal["parquet", "csv", "jsonl"] | None = None
    """None means by the ending of the path."""
    compression: Literal["none", "gzip", "zstd", "snappy"] | None = None
    """None means zstd for Parquet, and what the ending of the path names for text: .gz, .zst."""
    csv: CsvOutput | None = None
    """How CSV files are written; None means with a header, by commas, NULL as nothing."""
    quality: list[Rule] = Field(default_factory=list[Rule])
    """What must be true of the files, read back before any of them is put in its place."""
    on_violation: OnViolation = "fail"
    """What its rules do unless they say otherwise: `fail` puts no file in place, `warn` tells."""


class Stage(Model):
    """A folder of a bucket, through which rows get into a warehouse."""

    connection: str
    """A connection of type s3 in platform.yaml."""
    path: str
    """`s3://bucket/folder`, or a folder of the connection's bucket."""


class CopyOptions(Model):
    """Options of COPY from Parquet that change nothing about which rows are loaded."""

    statupdate: bool | None = None
    """Whether statistics are made anew; None means as Redshift decides."""
    acceptinvchars: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What stands for a character that Redshift can't keep; None means that it is an error."""


def _iam_role(value: str) -> str:
    if not re.fullmatch(_IAM_ROLE_PATTERN, value):
        template = "{found} is no role: `default`, or arn:aws:iam::<account>:role/<name>"
        raise problem("role", template, value)
    return value


class RedshiftDestination(DestinationAsset):
    """A table in Amazon Redshift that follows an asset of the lake."""

    type: Literal["redshift"]
    """Where it goes."""
    connection: str
    """A connection of platform.yaml, of type database, whose url begins with redshift://."""
    schema_: Name = Field(default="public", alias="schema")
    """Of the table."""
    table: Name
    """Without its schema."""
    write: Literal["replace_partition", "append", "replace"] | None = None
    """None means replace_partition where there are partitions, replace otherwise."""
    stage: Annotated[
        Annotated[str, Tag("text")] | Annotated[Stage, Tag("mapping")],
        *either((), mapping="{connection: exports, path: stage}", text="an `s3://` folder"),
    ]
    """Where the rows are laid for COPY, in the warehouse's own region."""
    iam_role: (
        Annotated[
            str,
            AfterValidator(_iam_role),
            WithJsonSchema({"type": "string", "pattern": _IAM_ROLE_PATTERN}),
        ]
        | None
    ) = None
    """By which Redshift reads the stage: `default`, or the role's ARN; None means the keys of the
    stage's connection, or the cluster's default role where it names none."""
    copy_options: CopyOptions = CopyOptions()
    """Further options of COPY."""
    partition_column: Name | None = None
    """The column that holds the partition; None means that `_partition` is added."""
    distribution_key: Name | None = None
    """The column by which rows are shared out over slices when the table is made; None means as
    Redshift decides."""
    sort_key: Names | None = None
    """The columns by which rows are sorted when the table is made; None means the partition's."""
    grants: dict[str, list[Privilege]] = Field(default_factory=dict[str, list[Privilege]])
    """What may be done with the table, by `role`, `user:name` or `group:name`."""


AnyDestination = DatabaseDestination | RedshiftDestination | FileDestination
Destination = Annotated[AnyDestination, Field(discriminator="type"), BeforeValidator(_has_type)]
