"""By what a row of quarantine is known: a hash of the row as it came, and its number among equals.

Used by `staging.held`, which writes it beside a row, and by `staging.corrections`, which finds the
row again. Columns without a value don't count, so that a column which the source has now and hadn't
then changes nothing.
"""

from collections.abc import Iterable

from data_platform.engine.session import Session
from data_platform.plan.naming import FILE, HIDDEN_TYPES, ROW
from data_platform.plan.sql.expressions import literal, quoted

ROW_ID = "_row_id"
DIGITS = 20
"""Of a hash, in hexadecimal: enough for a hundred million rows of one asset."""


def row_hash(columns: Iterable[str], key: str) -> str:
    """The SQL of a row's hash.

    Args:
        columns: of the row.
        key: SQL of its partition's key: equal rows of two partitions are two rows.
    """
    parts = [f"LENGTH({key}) || ':' || {key}"]
    for name in sorted(set(columns) - set(HIDDEN_TYPES)):
        text = f"CAST({quoted(name)} AS VARCHAR)"
        label = literal(f"|{len(name)}:{name}=")
        parts.append(f"{label} || LENGTH({text}) || ':' || {text}")
    return f"LEFT(SHA256(CONCAT({', '.join(parts)})), {DIGITS})"


def identified(
    session: Session, relation: str, key: str, *, rows: str = "TRUE", hashes: str | None = None
) -> str:
    """A SELECT `(_file, _row, _row_id)` of some of a relation's rows.

    Numbers are told among all rows of the partition that are equal.

    Args:
        session: in which the relation is.
        relation: rows as they came, quoted.
        key: SQL of a row's partition key.
        rows: a condition that is true on the rows and on all that are equal to them.
        hashes: a SELECT of the hashes that are wanted; None means all.
    """
    columns = session.columns(f"SELECT * FROM {relation}")
    hashed = f"SELECT {FILE}, {ROW}, {row_hash(columns, key)} AS _hash FROM {relation} WHERE {rows}"
    wanted = f" WHERE _hash IN ({hashes})" if hashes else ""
    number = f"ROW_NUMBER() OVER (PARTITION BY _hash ORDER BY CAST({FILE} AS VARCHAR), {ROW})"
    return f"SELECT {FILE}, {ROW}, _hash || '-' || {number} AS {ROW_ID} FROM ({hashed}){wanted}"
