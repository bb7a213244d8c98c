"""Statements that tell rows that are new from those that come again, and count what readers see.

Used by `raw.increments`, over what arrived and the batches that there are. Of known rows only those
from the lower bound on are compared, never the whole table.
"""

from collections.abc import Sequence

from data_platform.engine.session import Session
from data_platform.plan.naming import FILE, ROW, WHOLE
from data_platform.plan.sources.kinds import Increments
from data_platform.plan.sql.expressions import quoted
from data_platform.raw.cursors import Cursor
from data_platform.storage.batches import Batches
from data_platform.storage.publish import WRITTEN, Written
from data_platform.storage.versions import Snapshot

ARRIVED = "_arrived"
"""The relation of the rows that came, with the platform's own columns."""
_WANTED, _OLDER, _KNOWN = "_wanted", "_older", "_known_rows"


def new_rows_query(
    session: Session,
    increments: Increments,
    before: Snapshot | None,
    cursor: Cursor,
    wanted: str,
    names: Sequence[str],
) -> str:
    """A SELECT of the rows that are new, over what arrived."""
    session.run(f"CREATE OR REPLACE TEMP VIEW {_WANTED} AS SELECT * FROM {ARRIVED} WHERE {wanted}")
    latest = bool(increments.key) and increments.keep == "latest"
    if before is None:
        if not latest:
            return f"SELECT * FROM {_WANTED}"
        return f"{_top(increments.key, cursor)} ORDER BY {FILE}, {ROW}"
    _show_known(session, before, cursor, wanted, names)
    if not latest:
        return _further(f"SELECT * FROM {_WANTED}", f"SELECT * FROM {_KNOWN}", names)
    nameless = f"NOT ({named(increments.key)})"
    further = _further(
        f"SELECT * FROM {_WANTED} WHERE {nameless}",
        f"SELECT * FROM {_KNOWN} WHERE {nameless}",
        names,
    )
    return (
        f"SELECT * FROM ({_changed(increments.key, cursor, names)} "
        f"UNION ALL BY NAME {further}) ORDER BY {FILE}, {ROW}"
    )


def _show_known(
    session: Session, before: Snapshot, cursor: Cursor, wanted: str, names: Sequence[str]
) -> None:
    """Make the rows readable among which those that come again are; all others stay unread."""
    session.show(_OLDER, before.all_rows([WHOLE]))
    types = session.columns(f"SELECT * FROM {ARRIVED}")
    there = {field.name.lower() for field in before.schema}
    kept = ", ".join(
        quoted(name) if name.lower() in there else f"CAST(NULL AS {types[name]}) AS {quoted(name)}"
        for name in names
    )
    condition = wanted if cursor.name.lower() in there else "TRUE"
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {_KNOWN} AS "
        f"SELECT {kept}, {FILE}, {ROW} FROM {_OLDER} WHERE {condition}"
    )


def _top(key: Sequence[str], cursor: Cursor) -> str:
    """Of each key what has the greatest cursor; several rows where they are even."""
    keys = ", ".join(map(quoted, key))
    itself = f"CASE WHEN {named(key)} THEN 0 ELSE {ROW} + 1 END"
    window = f"PARTITION BY {keys}, {itself} ORDER BY {cursor.value} DESC"
    return f"SELECT * FROM {_WANTED} QUALIFY RANK() OVER ({window}) = 1"


def _changed(key: Sequence[str], cursor: Cursor, names: Sequence[str]) -> str:
    """The newest rows of keys that are others than before.

    A row that is known may have become the newest again: its key has nothing new then, and what
    was the newest didn't come.
    """
    keys = ", ".join(map(quoted, key))
    order = f"{FILE} DESC, {cursor.value} DESC NULLS LAST, {ROW} DESC"
    same_row, same_key = alike(names), alike(key)
    return (
        f"WITH tops AS (SELECT * FROM ({_top(key, cursor)}) WHERE {named(key)}), "
        f"newest AS (SELECT * FROM {_KNOWN} WHERE {named(key)} "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {order}) = 1), "
        f"fresh AS (SELECT o.* FROM tops AS o ANTI JOIN {_KNOWN} AS n ON {same_row}), "
        f"standing AS (SELECT o.* FROM tops AS o SEMI JOIN newest AS n ON {same_row}), "
        f"quiet AS (SELECT o.* FROM tops AS o ANTI JOIN fresh AS n ON {same_key}), "
        f"again AS (SELECT o.* FROM quiet AS o ANTI JOIN standing AS n ON {same_key} "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {ROW} DESC) = 1) "
        "SELECT * FROM fresh UNION ALL SELECT * FROM again"
    )


def _further(arrived: str, known: str, names: Sequence[str]) -> str:
    """Rows beyond as many equal ones as are known."""
    columns = ", ".join(map(quoted, names))
    return (
        f"SELECT o.* EXCLUDE (_nth) FROM "
        f"(SELECT *, ROW_NUMBER() OVER (PARTITION BY {columns}) AS _nth FROM ({arrived})) AS o "
        f"LEFT JOIN (SELECT {columns}, COUNT(*) AS _times FROM ({known}) GROUP BY ALL) AS n "
        f"ON {alike(names)} WHERE o._nth > COALESCE(n._times, 0)"
    )


def rows_seen(session: Session, state: Batches, before: Snapshot | None, fresh: Written) -> int:
    """How many rows readers see with a batch; only keys are read for it."""
    new = fresh.versions[WHOLE].rows
    if state.newest is None:
        files = before.partitions[WHOLE].files if before else ()
        return new + sum(file.rows for file in files)
    if before is None or before.batches is None:
        return _count(session, f"SELECT * FROM {WRITTEN}", state.key)
    session.show(_OLDER, before.all_rows([WHOLE]))
    if before.batches.newest is not None and before.batches.key == state.key:
        keys = ", ".join(map(quoted, state.key))
        added = (
            f"SELECT o.* FROM (SELECT DISTINCT {keys} FROM {WRITTEN} WHERE {named(state.key)}) "
            f"AS o ANTI JOIN {_OLDER} AS n ON {alike(state.key)} "
            f"UNION ALL SELECT {keys} FROM {WRITTEN} WHERE NOT ({named(state.key)})"
        )
        return before.batches.rows + int(session.rows(f"SELECT COUNT(*) FROM ({added})")[0][0])
    there = {field.name.lower() for field in before.schema}
    former = ", ".join(
        quoted(name) if name.lower() in there else f"NULL AS {quoted(name)}" for name in state.key
    )
    now = ", ".join(map(quoted, state.key))
    both = f"SELECT {now} FROM {WRITTEN} UNION ALL SELECT {former} FROM {_OLDER}"
    return _count(session, both, state.key)


def _count(session: Session, query: str, key: Sequence[str]) -> int:
    keys = ", ".join(map(quoted, key))
    whole, nameless = session.rows(
        f"SELECT COUNT(DISTINCT ROW({keys})) FILTER ({named(key)}), "
        f"COUNT(*) FILTER (NOT ({named(key)})) FROM ({query})"
    )[0]
    return int(whole) + int(nameless)


def alike(names: Sequence[str]) -> str:
    """Whether rows `o` and `n` have the same values."""
    return " AND ".join(f"o.{quoted(name)} IS NOT DISTINCT FROM n.{quoted(name)}" for name in names)


def named(key: Sequence[str], of: str = "") -> str:
    """Whether all columns of a key have a value."""
    return " AND ".join(f"{of}{quoted(name)} IS NOT NULL" for name in key)
