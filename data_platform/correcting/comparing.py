"""What somebody changed in a file of rows, cell by cell, or every mistake in it.

Called by `correcting.deciding`. A cell that says what quarantine shows was not edited, however a
spreadsheet wrote it; only edited cells become a correction, so that a masked value is never taken
for the value itself.
"""

# pyright: reportUnknownMemberType=false
# pyarrow comes without types.

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from data_platform.correcting.held import Cells, HeldRow, HeldTable
from data_platform.correcting.sheets import Cell, Sheet, SheetRow
from data_platform.engine.session import Session
from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.cells import is_no_value, text_of, value_of
from data_platform.plan.naming import PARTITION_FIELD
from data_platform.staging.held import REASONS
from data_platform.staging.identities import DIGITS, ROW_ID

_IDENTITY = re.compile(rf"[0-9a-f]{{{DIGITS}}}-[1-9]\d*")
_TEXTS = frozenset({"VARCHAR", "BLOB"})
"""Types of which an empty cell is a value."""
MAX_SHOWN = 40
"""Characters of a value in a message."""


@dataclass(frozen=True)
class Edits:
    """What a file says.

    Attributes:
        changed: edited cells of rows that are in quarantine, by identity.
        same: rows of quarantine of which nothing is edited.
        done: rows that were taken back in before, and aren't in quarantine any more.
        others: rows of other partitions than the one that is asked for.
    """

    changed: Mapping[str, Cells]
    same: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    others: int = 0


@dataclass
class _Found:
    """Cells that differ as text, by column: `(identity, cell, shown)`."""

    problems: list[Problem] = field(default_factory=list[Problem])
    different: dict[str, list[tuple[str, Cell, str | None]]] = field(
        default_factory=dict[str, list[tuple[str, Cell, "str | None"]]]
    )
    same: set[str] = field(default_factory=set[str])
    done: set[str] = field(default_factory=set[str])
    others: int = 0


def compare(session: Session, sheet: Sheet, table: HeldTable, partition: str | None) -> Edits:
    """The edited cells of a file.

    Args:
        session: converts.
        sheet: the file.
        table: what is in quarantine.
        partition: rows of others are left alone; None means all.

    Raises:
        ConfigurationError: every mistake in the file, in order.
    """
    found = _Found()
    unseen = {ROW_ID, PARTITION_FIELD, REASONS}
    for name, at in sheet.columns.items():
        if name not in table.kinds and name not in unseen:
            known = ", ".join(table.kinds)
            found.problems.append(Problem(at, f"no column {name!r}; the row has {known}"))
    seen: dict[str, Location] = {}
    for row in sheet.rows:
        _look_at(row, table, partition, seen, found)
    changed: dict[str, dict[str, str | None]] = {}
    for name, cells in found.different.items():
        kind, masked = table.kinds[name], name in table.masked
        for identity, text in _edited(session, name, kind, cells, found.problems, masked=masked):
            changed.setdefault(identity, {})[name] = text
    if found.problems:
        raise ConfigurationError(found.problems)
    return Edits(
        changed, frozenset(found.same - changed.keys()), frozenset(found.done), found.others
    )


def _look_at(
    row: SheetRow,
    table: HeldTable,
    partition: str | None,
    seen: dict[str, Location],
    found: _Found,
) -> None:
    cell = row.cells.get(ROW_ID)
    identity = (cell.text or "").strip() if cell else ""
    at = cell.location if cell else row.location
    if identity in seen:
        message = f"row {identity} is there twice: in line {seen[identity].line} too"
        found.problems.append(Problem(at, message))
        return
    seen[identity] = at
    held = table.rows.get(identity)
    if held is None:
        if _was_taken(row, table, identity):
            found.done.add(identity)
        else:
            found.problems.append(Problem(at, _why_unknown(identity, table)))
        return
    if held.discarded is not None:
        message = f"row {identity} was discarded ({held.discarded}): restore it first"
        found.problems.append(Problem(at, message))
        return
    told = row.cells.get(PARTITION_FIELD)
    if told is not None and (told.text or "") != held.partition:
        message = f"row {identity} is of partition {held.partition or '(none)'}: it can't be moved"
        found.problems.append(Problem(told.location, message))
        return
    if partition not in (None, held.partition):
        found.others += 1
        return
    found.same.add(identity)
    _differences(row, held, table, found)


def _differences(row: SheetRow, held: HeldRow, table: HeldTable, found: _Found) -> None:
    for name, kind in table.kinds.items():
        cell = row.cells.get(name)
        if cell is None:
            continue
        shown = held.cells[name]
        text = cell.text
        if cell.raw_empty and kind not in _TEXTS and name not in table.masked:
            text = None
        if _line_ends(text) == _line_ends(shown):
            continue
        plain = Cell(text, cell.location)
        found.different.setdefault(name, []).append((held.row_id, plain, shown))


def _line_ends(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _was_taken(row: SheetRow, table: HeldTable, identity: str) -> bool:
    """Whether the correction that stands is what the file says."""
    standing = table.correction(identity)
    if not standing:
        return False
    texts = {name: row.cells[name].text if name in row.cells else "" for name in standing}
    return all(_line_ends(texts[name]) == _line_ends(text) for name, text in standing.items())


def _why_unknown(identity: str, table: HeldTable) -> str:
    if not identity:
        return f"no {ROW_ID}: a row without one can't be taken back in"
    if not _IDENTITY.fullmatch(identity):
        return f"{identity[:MAX_SHOWN]!r} is no {ROW_ID}, such as `quarantine export` writes them"
    return (
        f"row {identity} isn't in quarantine of {table.node.key} (any more): it was published, or "
        "its source has other rows now; export anew"
    )


def _edited(
    session: Session,
    name: str,
    kind: str,
    cells: list[tuple[str, Cell, str | None]],
    problems: list[Problem],
    *,
    masked: bool,
) -> list[tuple[str, str | None]]:
    """The values of cells that really are others, as the database writes them."""
    columns = {
        "n": pa.array(range(len(cells))),
        "new": pa.array([cell.text for _, cell, _ in cells], pa.string()),
    }
    session.register("_cells", pa.table(columns))
    value = value_of("new", kind)
    judged = session.rows(
        f"SELECT {is_no_value('new', kind)}, {text_of('made')} FROM "
        f"(SELECT n, new, {value} AS made FROM _cells) ORDER BY n"
    )
    edited: list[tuple[str, str | None]] = []
    for (wrong, text), (identity, cell, shown) in zip(judged, cells, strict=True):
        if wrong:
            what = "what stands here" if masked else f"{(cell.text or '')[:MAX_SHOWN]!r}"
            message = f"{name}: {what} isn't a value of {kind}"
            problems.append(Problem(cell.location, message))
        elif text != shown or masked:
            edited.append((identity, text))
    return edited
