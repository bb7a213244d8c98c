"""Which type a column of a table gets, by database, for each of DuckDB's that the lake keeps."""

from data_platform.plan.destinations.kinds import Dialect

_POSTGRES = {
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "BLOB": "bytea",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}


def declared_type(kind: str, dialect: Dialect) -> str | None:
    """The database's type for one of DuckDB's; None where it has none."""
    match dialect:
        case "postgres":
            return _in_postgres(kind)
        case _:
            return None


def _in_postgres(kind: str) -> str | None:
    if kind.startswith("DECIMAL") and not kind.endswith("[]"):
        return kind.replace("DECIMAL", "numeric")
    inner = kind.removesuffix("[]")
    if inner not in _POSTGRES:
        return None
    return _POSTGRES[inner] + ("[]" if kind.endswith("[]") else "")
