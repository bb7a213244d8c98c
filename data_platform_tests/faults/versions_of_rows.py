"""Rows whose versions can be told apart, and what a table must hold of them, in plain Python.

A version of a partition is a number, and its rows follow from both. So an oracle knows what a table
must hold after any loads in any mode, and whoever looks at it can tell a whole version from a part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from data_platform.plan.naming import WHOLE
from data_platform.spec.destinations import WriteMode

ROWS = 40
"""Of which a version has four fifths."""
COLUMNS = {
    "id": "BIGINT",
    "number": "INTEGER",
    "amount": "DECIMAL(12,2)",
    "name": "VARCHAR",
    "at": "TIMESTAMP",
}
PARTITIONED: dict[WriteMode, bool] = {
    "replace_partition": True,
    "merge": True,
    "append": True,
    "replace": False,
    "create": False,
}
"""Which modes there are, and whether they are tried with partitions."""
_TYPES = {
    "id": pa.int64(),
    "number": pa.int32(),
    "amount": pa.decimal128(12, 2),
    "name": pa.string(),
    "at": pa.timestamp("us"),
}
_BEGIN = datetime(2024, 1, 1)  # noqa: DTZ001 -- a timestamp without a zone is tried

Row = tuple[int, int, Decimal | None, str | None, datetime, str]
"""With the partition last."""
Numbers = Mapping[str, int]
"""The version of each partition."""


class Refused(Exception):
    """A mode doesn't take such a load."""


def keys_of(mode: WriteMode, *partitions: str) -> tuple[str, ...]:
    """The partitions of a mode that has some, or the one that stands for none."""
    return partitions if PARTITIONED[mode] else (WHOLE,)


def day(number: int) -> str:
    """The key of a partition."""
    return (_BEGIN + timedelta(days=number)).date().isoformat()


def rows_of(partition: str, number: int) -> list[Row]:
    """The rows of a version: other versions lack others, and no value but the key is the same."""
    days = 0 if partition == WHOLE else (date.fromisoformat(partition) - _BEGIN.date()).days
    first = days * 1000
    return [_row(partition, number, first + n) for n in range(ROWS) if (n + number) % 5]


def _row(partition: str, number: int, row_id: int) -> Row:
    amount = None if row_id % 11 == 0 else Decimal(number * 1000 + row_id) / 100
    name = None if row_id % 7 == 0 else f"Zürich ✓ {number} '\\\t{'x' * (row_id % 40)}"
    return row_id, number, amount, name, _BEGIN + timedelta(seconds=row_id, days=number), partition


def arrow_of(numbers: Numbers, column: str | None) -> pa.RecordBatchReader:
    """The rows of versions, in several batches, as a target takes them.

    Args:
        numbers: the versions.
        column: that the partition is added as; None where it isn't.
    """
    schema = pa.schema([*_TYPES.items(), *([(column, pa.string())] if column else [])])
    batches = (
        pa.record_batch(
            [pa.array(values, field.type) for values, field in zip(columns, schema, strict=False)],
            schema=schema,
        )
        for partition, number in numbers.items()
        for columns in _halves(rows_of(partition, number))
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _halves(rows: list[Row]) -> list[list[tuple[object, ...]]]:
    middle = len(rows) // 2
    return [list(zip(*some, strict=True)) for some in (rows[:middle], rows[middle:])]


@dataclass(frozen=True)
class Held:
    """What a table holds.

    Attributes:
        rows: in order; one that is there twice is there twice.
        ledger: the version of each partition, and how many rows it has.
    """

    rows: list[Row] = field(default_factory=list[Row])
    ledger: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])


def version_of(number: int) -> str:
    """As the lake would name it."""
    return f"version-{number}"


def after(held: Held, mode: WriteMode, numbers: Numbers) -> Held:
    """What a table holds once versions were loaded.

    Raises:
        Refused: by this mode; the table stays as it is.
    """
    entries = {key: (version_of(n), len(rows_of(key, n))) for key, n in numbers.items()}
    due = {key: n for key, n in numbers.items() if held.ledger.get(key) != entries[key]}
    new = [row for key, number in due.items() for row in rows_of(key, number)]
    match mode:
        case "replace_partition":
            kept = [row for row in held.rows if row[-1] not in due]
        case "replace":
            kept = [] if due else held.rows
        case "merge":
            ids = {row[0] for row in new}
            kept = [row for row in held.rows if row[0] not in ids]
        case "append" | "create":
            if due.keys() & held.ledger.keys():
                raise Refused
            kept = held.rows
    return Held(sorted(kept + new, key=_order), {**held.ledger, **entries})


def torn(held: Held, mode: WriteMode) -> str | None:
    """Why a table can't be what whole loads left; None where it can."""
    number = {key: int(version.rpartition("-")[2]) for key, (version, _) in held.ledger.items()}
    promised = [row for key, n in number.items() for row in rows_of(key, n)]
    if mode != "merge":
        same = held.rows == sorted(promised, key=_order)
        return None if same else f"{_told(held.rows)} in the table, {number} in the ledger"
    by_id = {row[0]: row for row in held.rows}
    if len(by_id) != len(held.rows):
        return f"keys that are there twice: {_told(held.rows)}"
    missing = [row for row in promised if by_id.get(row[0]) != row]
    strange = [row for row in held.rows if row != _row(row[-1], row[1], row[0])]
    if missing or strange:
        return f"{_told(missing)} missing and {_told(strange)} strange: {number} in the ledger"
    return None


def in_order(rows: list[Row]) -> list[Row]:
    """As the oracle has them."""
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple[object, ...]:
    return tuple("" if value is None else str(value) for value in row)


def _told(rows: list[Row]) -> str:
    found: dict[str, int] = {}
    for row in rows:
        of = f"{row[-1]}@{row[1]}"
        found[of] = found.get(of, 0) + 1
    return f"rows {found}"
