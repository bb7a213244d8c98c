"""What is said to Redshift: one function a statement, in its dialect.

Used by `loading` beside it. Redshift has no ON CONFLICT, no indexes and no arrays; names are
quoted, since it reserves many, and fold to lower case. Values are literals, since no COPY can be
prepared; in them a backslash escapes, other than in today's PostgreSQL.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256

from data_platform.plan.destinations.kinds import RedshiftTarget, added_columns, told_columns
from data_platform.plan.destinations.partition_rows import PartitionRows, TellingColumn
from data_platform.plan.destinations.redshift import redshift_type
from data_platform.plan.partitions import Partitions
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.expressions import quoted
from data_platform.spec.platform import S3Connection
from data_platform.targets.deliveries import Version

SCHEMA, LEDGER = "data_platform", "loads"
ARRIVING = '"data_platform_arriving"'
"""The temporary table into which rows are copied: COPY from Parquet fills all columns of a table,
in order, and none with a time zone."""
_LEDGER = f"{quoted(SCHEMA)}.{quoted(LEDGER)}"
_ENTRY = (
    '"table_name" varchar(300) NOT NULL, "partition" varchar(300) NOT NULL, '
    '"data_version" varchar(100) NOT NULL, "run_id" varchar(100) NOT NULL, '
    '"rows" bigint NOT NULL, "loaded_at" timestamptz NOT NULL, '
    'PRIMARY KEY ("table_name", "partition")'
)
_ZONED = "timestamptz"


def literal(text: str) -> str:
    """A text as it stands in a statement."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def table_of(target: RedshiftTarget) -> str:
    """The table, as SQL names it."""
    return f"{quoted(target.schema)}.{quoted(target.table)}"


def lock_name(target: RedshiftTarget) -> str:
    """The table that loads of a table lock: readers of the table itself don't wait."""
    return f"lock_{sha256(target.full_name.encode()).hexdigest()[:16]}"


def own_tables(target: RedshiftTarget) -> list[str]:
    """What makes the platform's own tables, those that are there left alone."""
    lock = f"{quoted(SCHEMA)}.{quoted(lock_name(target))}"
    about = "Which version of each partition a table holds: written by the load itself."
    return [
        f"CREATE SCHEMA IF NOT EXISTS {quoted(SCHEMA)}",
        f"CREATE TABLE IF NOT EXISTS {_LEDGER} ({_ENTRY})",
        f"COMMENT ON TABLE {_LEDGER} IS {literal(about)}",
        f'CREATE TABLE IF NOT EXISTS {lock} ("locked" boolean)',
        f"COMMENT ON TABLE {lock} IS {literal(f'Locked by loads of {target.full_name}.')}",
    ]


def names_of_tables(schema: str) -> str:
    """The tables of a schema."""
    return (
        "SELECT table_name FROM information_schema.tables "
        f"WHERE table_schema = {literal(schema.lower())}"
    )


def columns_of(schema: str, table: str) -> str:
    """The columns of a table, in order: name, type, precision, scale, longest text."""
    return (
        "SELECT column_name, data_type, numeric_precision, numeric_scale, "
        "character_maximum_length FROM information_schema.columns "
        f"WHERE table_schema = {literal(schema.lower())} "
        f"AND table_name = {literal(table.lower())} ORDER BY ordinal_position"
    )


def lock(target: RedshiftTarget) -> str:
    """The first statement of a load: what it reads after this is what the one before it left."""
    return f"LOCK TABLE {quoted(SCHEMA)}.{quoted(lock_name(target))}"


def entries(target: RedshiftTarget) -> str:
    """What the ledger says of a table."""
    return (
        f'SELECT "partition", "data_version", "rows" FROM {_LEDGER} '
        f'WHERE "table_name" = {literal(target.full_name)}'
    )


def make_table(
    target: RedshiftTarget, wanted: Mapping[str, str], contract: Schema | None
) -> list[str]:
    """What makes the table.

    Args:
        target: the table.
        wanted: its columns and their types in Redshift's words.
        contract: of the asset, for NOT NULL and comments.
    """
    promised = {one.name: one for one in contract.columns} if contract else {}
    table = table_of(target)
    columns = [
        f"{quoted(name)} {kind}"
        + (" NOT NULL" if name in promised and not promised[name].nullable else "")
        for name, kind in wanted.items()
    ]
    by = target.distribution_key
    form = f" DISTSTYLE KEY DISTKEY ({quoted(by)})" if by else " DISTSTYLE AUTO"
    if target.sort_key:
        form += f" COMPOUND SORTKEY ({', '.join(map(quoted, target.sort_key))})"
    made = [
        f"CREATE SCHEMA IF NOT EXISTS {quoted(target.schema)}",
        f"CREATE TABLE {table} ({', '.join(columns)}){form}",
    ]
    for column in promised.values():
        if column.description and column.name in wanted:
            said = literal(column.description)
            made.append(f"COMMENT ON COLUMN {table}.{quoted(column.name)} IS {said}")
    return [*made, *_grants(target)]


def _grants(target: RedshiftTarget) -> list[str]:
    words = {"role": "ROLE ", "group": "GROUP ", "user": ""}
    given: list[str] = []
    for who, privileges in target.grants.items():
        kind, _, name = who.rpartition(":")
        listed = ", ".join(privilege.upper() for privilege in privileges)
        to = f"{words[kind or 'role']}{quoted(name)}"
        given.append(f"GRANT {listed} ON TABLE {table_of(target)} TO {to}")
    return given


def add_column(target: RedshiftTarget, name: str, kind: str) -> str:
    """A further column, NULL in all rows that are there; Redshift adds one at a time."""
    return f"ALTER TABLE {table_of(target)} ADD COLUMN {quoted(name)} {kind}"


def make_arriving(wanted: Mapping[str, str]) -> str:
    """The temporary table; times with a zone arrive as those of UTC without."""
    columns = ", ".join(
        f"{quoted(name)} {'timestamp' if kind == _ZONED else kind}" for name, kind in wanted.items()
    )
    return f"CREATE TEMPORARY TABLE {ARRIVING} ({columns})"


def copy(target: RedshiftTarget, manifest: str, stage: S3Connection) -> str:
    """COPY of all files of a manifest. It may hold keys: never to be shown.

    Args:
        target: the table.
        manifest: its address.
        stage: the connection of the stage, with its secrets in place.
    """
    options, said = target.copy_options, ""
    if options.statupdate is not None:
        said += f" STATUPDATE {'ON' if options.statupdate else 'OFF'}"
    if options.acceptinvchars is not None:
        said += f" ACCEPTINVCHARS AS {literal(options.acceptinvchars)}"
    authorized = _authorization(target, stage)
    return f"COPY {ARRIVING} FROM {literal(manifest)} {authorized} FORMAT AS PARQUET MANIFEST{said}"


def _authorization(target: RedshiftTarget, stage: S3Connection) -> str:
    role = target.iam_role
    if role is None and stage.access_key_id and stage.secret_access_key:
        return (
            f"ACCESS_KEY_ID {literal(stage.access_key_id)} "
            f"SECRET_ACCESS_KEY {literal(stage.secret_access_key)}"
        )
    return "IAM_ROLE default" if role in {None, "default"} else f"IAM_ROLE {literal(str(role))}"


def count_arrived() -> str:
    """How many rows COPY brought."""
    return f"SELECT COUNT(*) FROM {ARRIVING}"


def delete(
    target: RedshiftTarget,
    partitions: Partitions | None,
    keys: Sequence[str],
    types: Mapping[str, str],
) -> list[str]:
    """Take away the rows of partitions, or all rows, and what the ledger says of them.

    Args:
        target: the table.
        partitions: of the destination.
        keys: those that are loaded.
        types: of the table's columns, in Redshift's words.
    """
    rows, told = "", f'"table_name" = {literal(target.full_name)}'
    if target.write != "replace" and partitions is not None:
        listed = ", ".join(map(literal, keys))
        rows = f" WHERE {_rows_of(target, partitions, keys, types)}"
        told += f' AND "partition" IN ({listed})'
    removed = [] if target.write == "append" else [f"DELETE FROM {table_of(target)}{rows}"]
    return [*removed, f"DELETE FROM {_LEDGER} WHERE {told}"]


def _rows_of(
    target: RedshiftTarget, partitions: Partitions, keys: Sequence[str], types: Mapping[str, str]
) -> str:
    columns = {
        one: TellingColumn(name, types[name])
        for one, name in told_columns(target, partitions).items()
    }
    keyed = target.adds_partition_column
    return PartitionRows(columns, partitions, keyed=keyed, written=literal).condition(keys)


def forget(target: RedshiftTarget) -> str:
    """Take away all that the ledger says of a table: somebody dropped it, and its rows with it."""
    return f'DELETE FROM {_LEDGER} WHERE "table_name" = {literal(target.full_name)}'


def insert(target: RedshiftTarget, wanted: Mapping[str, str]) -> str:
    """Bring what arrived into the table, columns by their names."""
    names = ", ".join(map(quoted, wanted))
    values = ", ".join(
        f"{quoted(name)} AT TIME ZONE 'UTC'" if kind == _ZONED else quoted(name)
        for name, kind in wanted.items()
    )
    return f"INSERT INTO {table_of(target)} ({names}) SELECT {values} FROM {ARRIVING}"


def enter(target: RedshiftTarget, versions: Mapping[str, Version], run_id: str) -> str:
    """Write the ledger's rows."""
    now = literal(datetime.now(UTC).isoformat(sep=" ", timespec="seconds"))
    name, run = literal(target.full_name), literal(run_id)
    rows = ", ".join(
        f"({name}, {literal(key)}, {literal(one.data_version)}, {run}, {one.rows}, {now})"
        for key, one in versions.items()
    )
    columns = '"table_name", "partition", "data_version", "run_id", "rows", "loaded_at"'
    return f"INSERT INTO {_LEDGER} ({columns}) VALUES {rows}"


def wanted_columns(
    target: RedshiftTarget, partitions: Partitions | None, columns: Mapping[str, str]
) -> dict[str, str | None]:
    """The columns that are loaded and their types in Redshift's words; None where it has none."""
    wanted: dict[str, str | None] = {n: redshift_type(kind) for n, kind in columns.items()}
    return wanted | dict.fromkeys(added_columns(target, partitions, columns), "varchar(300)")
