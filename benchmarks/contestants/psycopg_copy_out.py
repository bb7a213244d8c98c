"""PostgreSQL to Parquet with psycopg's COPY.

    psycopg_copy_out.py discard|rows|csv URL TABLE FOLDER

`discard` only receives binary rows and throws them away: what nobody can be faster than who has to
receive them. `rows` has psycopg parse them, `csv` has pyarrow parse text; both write Parquet.
"""

import io
import sys

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from moving import moving
from pyarrow import csv

BATCH = 100_000
_KINDS = [*["int8"] * 5, *["float8"] * 4, "int8", "timestamp"]
_ARROW = {"int8": pa.int64(), "float8": pa.float64(), "timestamp": pa.timestamp("us")}
_NAMES = [
    "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value",
    "retail_disc", "coupon_disc", "coupon_match_disc", "week", "transaction_timestamp",
]  # fmt: skip
SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in zip(_NAMES, _KINDS, strict=True)])


class _Stream(io.RawIOBase):
    """A COPY as a file that can be read once."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._blocks = iter(copy)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        if not self._rest:
            self._rest = bytes(next(self._blocks, b""))
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def discard(cursor: psycopg.Cursor, table: str) -> None:
    with cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
        for _ in copy:
            pass


def rows(cursor: psycopg.Cursor, table: str, writer: pq.ParquetWriter) -> None:
    with cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(_KINDS)
        batch = []
        for row in copy.rows():
            batch.append(row)
            if len(batch) == BATCH:
                _write(writer, batch)
                batch = []
        _write(writer, batch)


def _write(writer: pq.ParquetWriter, batch: list[tuple[object, ...]]) -> None:
    if batch:
        arrays = [
            pa.array(values, field.type)
            for values, field in zip(zip(*batch, strict=True), SCHEMA, strict=True)
        ]
        writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))


def text(cursor: psycopg.Cursor, table: str, writer: pq.ParquetWriter) -> None:
    with cursor.copy(f"COPY {table} TO STDOUT (FORMAT csv)") as copy:
        reader = csv.open_csv(
            io.BufferedReader(_Stream(copy), 1 << 20),
            csv.ReadOptions(column_names=SCHEMA.names, block_size=8 << 20),
            convert_options=csv.ConvertOptions(column_types=SCHEMA),
        )
        for batch in reader:
            writer.write_batch(batch)


def main() -> None:
    mode, url, table, folder = sys.argv[1:]
    with moving() as facts, psycopg.connect(url) as connection, connection.cursor() as cursor:
        if mode == "discard":
            discard(cursor, table)
        else:
            with pq.ParquetWriter(f"{folder}/data.parquet", SCHEMA, compression="zstd") as writer:
                (rows if mode == "rows" else text)(cursor, table, writer)
        facts["rows"] = cursor.rowcount


if __name__ == "__main__":
    main()
