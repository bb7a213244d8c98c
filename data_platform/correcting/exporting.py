r"""Rows of quarantine in a file that somebody edits: CSV, JSON lines or Parquet, without loss.

Called by the command. What a spreadsheet would change by itself (long numbers, leading zeros,
times, formulas) stands behind an apostrophe in CSV, and NULL is `\N`: an empty cell is empty text.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from data_platform.correcting.held import HeldRow, HeldTable
from data_platform.engine.session import Session
from data_platform.plan.cells import value_of
from data_platform.plan.naming import PARTITION_FIELD
from data_platform.plan.sql.expressions import quoted
from data_platform.staging.held import REASONS
from data_platform.staging.identities import ROW_ID

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "parquet")
NULL = r"\N"
GUARD = "'"
OWN = (ROW_ID, PARTITION_FIELD, REASONS)
"""The columns of a file that aren't the row's."""

_SHORT_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_DIGITS_SHOWN = 10
"""Of a number: a spreadsheet shows, and so writes, no more than these."""
_WORD = re.compile(r"[^\W\d_][^\d\t\r]*(?<!\s)")
_CONVERTED = frozenset({"true", "false"})
_NUMBERS = re.compile(r"(TINYINT|SMALLINT|INTEGER|BIGINT|DECIMAL\(\d+,\d+\))")


def chosen(table: HeldTable, partition: str | None, rule: str | None) -> list[HeldRow]:
    """Rows that wait for somebody, of one partition or of all, that broke one rule or any."""
    return [
        row
        for row in table.rows.values()
        if row.discarded is None
        and partition in (None, row.partition)
        and (rule is None or row.broke(rule))
    ]


def as_csv(table: HeldTable, rows: Iterable[HeldRow]) -> str:
    """A header and a line a row."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([*OWN, *table.kinds])
    for row in rows:
        cells = [
            csv_cell(row.cells[name], "VARCHAR" if name in table.masked else kind)
            for name, kind in table.kinds.items()
        ]
        own = [row.row_id, csv_cell(row.partition, "VARCHAR"), "; ".join(row.reasons)]
        writer.writerow([*own, *cells])
    return target.getvalue()


def csv_cell(text: str | None, kind: str) -> str:
    """A value in a cell, so that a spreadsheet leaves it as it is."""
    if text is None:
        return NULL
    if text == "" or kind.endswith("[]") or kind == "BOOLEAN":
        return text
    if _NUMBERS.fullmatch(kind) or kind in {"DOUBLE", "FLOAT"}:
        digits = sum(sign.isdigit() for sign in text)
        plain = _SHORT_NUMBER.fullmatch(text) and digits <= _DIGITS_SHOWN
    else:
        # A half is a letter neither to Python nor to a spreadsheet, though `\w` takes it for one.
        word = _WORD.fullmatch(text) and text[0].isalpha()
        plain = word and text.lower() not in _CONVERTED
    return text if plain else f"{GUARD}{text}"


def as_json_lines(session: Session, table: HeldTable, rows: Sequence[HeldRow]) -> str:
    """An object a line; numbers keep every digit, lists of other things hold texts."""
    lists = _lists_as_json(session, table, rows)
    lines: list[str] = []
    for number, row in enumerate(rows):
        pairs = [
            f"{json.dumps(ROW_ID)}: {json.dumps(row.row_id)}",
            f"{json.dumps(PARTITION_FIELD)}: {json.dumps(row.partition or None)}",
            f"{json.dumps(REASONS)}: {json.dumps(row.reasons, ensure_ascii=False)}",
        ]
        for name, kind in table.kinds.items():
            text = row.cells[name]
            if name in lists:
                value = lists[name][number] or "null"
            else:
                value = _json_value(text, "VARCHAR" if name in table.masked else kind)
            pairs.append(f"{json.dumps(name, ensure_ascii=False)}: {value}")
        lines.append(f"{{{', '.join(pairs)}}}\n")
    return "".join(lines)


def _json_value(text: str | None, kind: str) -> str:
    if text is None:
        return "null"
    if kind == "BOOLEAN" or _NUMBERS.fullmatch(kind):
        return text
    if kind in {"DOUBLE", "FLOAT"} and text.lstrip("-") not in {"nan", "inf"}:
        return text
    return json.dumps(text, ensure_ascii=False)


def _lists_as_json(
    session: Session, table: HeldTable, rows: Sequence[HeldRow]
) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for name, kind in table.kinds.items():
        if not kind.endswith("[]") or name in table.masked:
            continue
        leaf = kind.rstrip("[]")
        shown = kind if _NUMBERS.fullmatch(leaf) else f"VARCHAR{kind[len(leaf) :]}"
        texts = [row.cells[name] for row in rows]
        session.register(
            "_texts", pa.table({"n": pa.array(range(len(rows))), "t": pa.array(texts, pa.string())})
        )
        query = f"SELECT CAST(TO_JSON(CAST(t AS {shown})) AS VARCHAR) FROM _texts ORDER BY n"
        found[name] = [row[0] for row in session.rows(query)]
    return found


def write_parquet(session: Session, table: HeldTable, rows: Sequence[HeldRow], path: Path) -> None:
    """A file whose columns have the types of the source; masked ones are texts."""
    columns: dict[str, pa.Array] = {
        ROW_ID: pa.array([row.row_id for row in rows], pa.string()),
        PARTITION_FIELD: pa.array([row.partition or None for row in rows], pa.string()),
        REASONS: pa.array([list(row.reasons) for row in rows], pa.list_(pa.string())),
    }
    for name in table.kinds:
        columns[name] = pa.array([row.cells[name] for row in rows], pa.string())
    session.register("_texts", pa.table(columns))
    values = [quoted(name) for name in OWN]
    values += [
        quoted(name) if name in table.masked else f"{value_of(name, kind)} AS {quoted(name)}"
        for name, kind in table.kinds.items()
    ]
    made = session.connection.sql(f"SELECT {', '.join(values)} FROM _texts").to_arrow_table()
    pq.write_table(made, path)
