"""Rows become files in scratch: one a partition, each row read once, whatever the number of them.

Called by `delivering`. DuckDB writes: partitions of few rows many by one statement, which tells
their rows apart; one of many rows by a statement of its own, as they come.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import duckdb
import pyarrow as pa

from data_platform.engine.session import Session
from data_platform.errors import StorageError
from data_platform.plan.destinations.kinds import FileTarget
from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.targets.deliveries import Delivery
from data_platform.targets.files.texts import field, json_value

ROWS_AT_ONCE = 500_000
"""Of a statement that tells rows apart: it holds them, and keeps what doesn't fit in scratch."""
PARTITIONS_AT_ONCE = 92
"""Files that it has open, a quarter of a year."""
ARRIVING = "_arriving"
"""The relation of the rows that are written."""
_PARQUET = {"none": "uncompressed", "gzip": "gzip", "zstd": "zstd", "snappy": "snappy"}


@dataclass(frozen=True)
class Staged:
    """A file in scratch.

    Attributes:
        path: of it.
        rows, bytes: how many.
        sha256: of its content.
    """

    path: Path
    rows: int
    bytes: int
    sha256: str


def groups(delivery: Delivery, keys: Sequence[str]) -> Iterator[list[str]]:
    """Partitions that are written by one statement each, all of them in order."""
    group: list[str] = []
    rows = 0
    for key in keys:
        more = delivery.versions[key].rows
        if group and (rows + more > ROWS_AT_ONCE or len(group) == PARTITIONS_AT_ONCE):
            yield group
            group, rows = [], 0
        group.append(key)
        rows += more
    if group:
        yield group


class Writer:
    """Writes the files of one delivery.

    Args:
        delivery: whose rows they are.
        target: how they are written.
        session: of its own, which may write in the folder.
        folder: in scratch, empty.
    """

    def __init__(
        self, delivery: Delivery, target: FileTarget, session: Session, folder: Path
    ) -> None:
        self._delivery, self._target = delivery, target
        self._session, self._folder = session, folder
        self._written = 0

    def write(self, keys: Sequence[str]) -> dict[str, Staged]:
        """Write the files of a group of partitions.

        Raises:
            StorageError: a value can't be written so that it can be read back, or rows came that
                belong to no partition that was asked for.
        """
        self._written += 1
        folder = self._folder / f"{self._written}"
        folder.mkdir()
        counted: Counter[str] = Counter()
        paths: dict[str, Path] = {}
        if filled := [key for key in keys if self._delivery.versions[key].rows]:
            reader = _counted(self._delivery.rows(filled), counted)
            self._session.register(ARRIVING, reader)
            try:
                paths = self._copy(filled, folder)
            finally:
                self._session.connection.unregister(ARRIVING)
        if strangers := sorted(counted.keys() - set(filled)):
            raise StorageError(
                f"{self._target.path}: rows of partitions that nobody asked for: "
                f"{', '.join(strangers[:3])}"
            )
        for key in keys:
            if key not in paths:
                paths[key] = self._empty(folder / f"empty-{key}")
        return {key: _staged(paths[key], counted[key]) for key in keys}

    def _copy(self, keys: Sequence[str], folder: Path) -> dict[str, Path]:
        """Write what arrives; the files by their partitions."""
        select, options = self._select(), self._options()
        if len(keys) == 1:
            path = folder / "data"
            self._run(f"COPY ({select} FROM {ARRIVING}) TO {literal(str(path))} ({options})")
            return {keys[0]: path}
        listed = ", ".join(map(literal, keys))
        number = f"LIST_POSITION([{listed}], {PARTITION}) AS {PARTITION}"
        target = folder / "parts"
        self._run(
            f"COPY ({select}, {number} FROM {ARRIVING}) TO {literal(str(target))} "
            f"({options}, PARTITION_BY ({PARTITION}))"
        )
        found: dict[str, Path] = {}
        for number, key in enumerate(keys, 1):
            folder = target / f"{PARTITION}={number}"
            if folder.is_dir():
                [found[key]] = folder.iterdir()
        return found

    def _empty(self, path: Path) -> Path:
        """A file without rows, which is whole like any other."""
        nulls = ", ".join(
            f"CAST(NULL AS {kind}) AS {quoted(name)}"
            for name, kind in self._delivery.columns.items()
        )
        nothing = f"(SELECT {nulls} WHERE FALSE)"
        self._run(
            f"COPY ({self._select()} FROM {nothing}) TO {literal(str(path))} ({self._options()})"
        )
        return path

    def _run(self, sql: str) -> None:
        try:
            self._session.run(sql)
        except duckdb.InvalidInputException as error:
            self._session.work.go_on()
            said = str(error).removeprefix("Invalid Input Error: ").split("\n")[0]
            raise StorageError(f"{self._target.path}: {said}") from error

    def _select(self) -> str:
        columns = self._delivery.columns
        match self._target.format:
            case "parquet":
                values = [quoted(name) for name in columns]
            case "csv":
                values = [
                    f"{self._field(name, kind)} AS {quoted(name)}" for name, kind in columns.items()
                ]
            case "jsonl":
                values = [
                    f"{json_value(name, kind)} AS {quoted(name)}" for name, kind in columns.items()
                ]
            case _:
                assert_never(self._target.format)
        return f"SELECT {', '.join(values)}"

    def _field(self, name: str, kind: str) -> str:
        text = field(name, kind)
        if len(self._delivery.columns) > 1 or self._target.csv.null_value:
            return text
        about = literal(
            f"column {name} is the only one, and NULL in it would be a blank line, which readers "
            "leave out: set csv.null_value"
        )
        return f"CASE WHEN {quoted(name)} IS NULL THEN ERROR({about}) ELSE {text} END"

    def _quoted_ones(self) -> str:
        """An empty text that is all of a line is quoted, or the line would be blank."""
        [first, *others] = self._delivery.columns
        return "" if others else f", FORCE_QUOTE ({quoted(first)})"

    def _options(self) -> str:
        target = self._target
        match target.format:
            case "parquet":
                return f"FORMAT parquet, COMPRESSION {_PARQUET[target.compression]}"
            case "csv":
                csv = target.csv
                return (
                    f"FORMAT csv, COMPRESSION {target.compression}, HEADER {csv.header}, "
                    f"DELIMITER {literal(csv.delimiter)}, NULLSTR {literal(csv.null_value)}, "
                    f"""QUOTE '"', ESCAPE '"'{self._quoted_ones()}"""
                )
            case "jsonl":
                return f"FORMAT json, COMPRESSION {target.compression}"
            case _:
                assert_never(target.format)


def _counted(reader: pa.RecordBatchReader, counted: Counter[str]) -> pa.RecordBatchReader:
    """The same rows, counted by partition as they come."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            for found in batch.column(PARTITION).value_counts().to_pylist():
                counted[str(found["values"])] += found["counts"]
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _staged(path: Path, rows: int) -> Staged:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Staged(path, rows, path.stat().st_size, digest)


def form_of(target: FileTarget) -> dict[str, object]:
    """How files are written, as far as their bytes depend on it."""
    said: dict[str, object] = {"name": target.format, "compression": target.compression}
    if target.format == "csv":
        said |= target.csv.model_dump()
    return said
