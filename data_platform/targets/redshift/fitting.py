"""Whether a table of Redshift that is there can take the rows: by its columns and their types.

Asked by `loading`. What is wider in the table holds what comes; what would be cut or mean something
else is refused with the statement that would change it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from data_platform.plan.destinations.kinds import RedshiftTarget
from data_platform.plan.sql.expressions import quoted
from data_platform.targets.redshift.statements import literal, table_of

_NAMES = {
    "character varying": "varchar",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "binary varying": "varbyte",
    "bytea": "varbyte",
    "decimal": "numeric",
    "text": "varchar",
}
"""What the catalogue calls a type, by what a statement does."""
_WIDER = {
    "smallint": ("integer", "bigint"),
    "integer": ("bigint",),
    "real": ("double precision",),
}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


def unfit(
    target: RedshiftTarget, there: Sequence[tuple[Any, ...]], wanted: Mapping[str, str]
) -> str | None:
    """Why a table can't take the rows; None where it can.

    Args:
        target: the table.
        there: its columns, as `statements.columns_of` gives them.
        wanted: the columns that are loaded, and their types in Redshift's words.
    """
    known = {str(row[0]).lower(): row for row in there}
    for name, kind in wanted.items():
        row = known.get(name.lower())
        if row is not None and not _holds(row, kind):
            declared = _declared(row)
            table = table_of(target)
            return (
                f"table {target.full_name}: column {name} is {declared} there and {kind} now; "
                "convert it back in staging, or make it anew: "
                f"ALTER TABLE {table} DROP COLUMN {quoted(name)}; "
                f"ALTER TABLE {table} ADD COLUMN {quoted(name)} {kind}; "
                f'then DELETE FROM "data_platform"."loads" WHERE "table_name" = '
                f"{literal(target.full_name)}, and load all partitions"
            )
    return None


def _declared(row: tuple[Any, ...]) -> str:
    name = _NAMES.get(str(row[1]), str(row[1]))
    if name == "numeric" and row[2] is not None:
        return f"numeric({row[2]},{row[3]})"
    return f"varchar({row[4]})" if name == "varchar" and row[4] else name


def _holds(row: tuple[Any, ...], wanted: str) -> bool:
    declared = _declared(row)
    there, comes = declared.partition("(")[0], wanted.partition("(")[0]
    if comes == "numeric":
        known, new = _NUMERIC.fullmatch(declared), _NUMERIC.fullmatch(wanted)
        if known is None or new is None:
            return False
        whole, places = int(known[1]) - int(known[2]), int(known[2])
        return places >= int(new[2]) and whole >= int(new[1]) - int(new[2])
    # How long texts are is known to Redshift alone, which refuses those that are too long.
    return there == comes or there in _WIDER.get(comes, ())
