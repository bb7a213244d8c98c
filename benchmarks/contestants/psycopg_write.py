"""Parquet into a table of PostgreSQL by psycopg, in one transaction, as somebody writes it by hand.

    psycopg_write.py MODE URL FILE

`replace` deletes what is there and copies; `merge` copies into a temporary table, from which rows
are taken by `INSERT ... ON CONFLICT`. Rows travel as the CSV that pyarrow makes of each batch.
"""

import io
import sys

import psycopg
import pyarrow.parquet as pq
from moving import moving
from pyarrow import csv

BATCH = 122_880
KEYS = "basket_id, product_id"
_CREATE = """
CREATE TABLE IF NOT EXISTS transactions (
    household_id bigint, store_id bigint, basket_id bigint, product_id bigint, quantity bigint,
    sales_value double precision, retail_disc double precision, coupon_disc double precision,
    coupon_match_disc double precision, week bigint, transaction_timestamp timestamp
)"""
_UNIQUE = f"CREATE UNIQUE INDEX IF NOT EXISTS by_keys ON transactions ({KEYS})"
_TEMPORARY = "CREATE TEMP TABLE coming (LIKE transactions) ON COMMIT DROP"


def copy(cursor: psycopg.Cursor, table: str, file: pq.ParquetFile) -> None:
    options = csv.WriteOptions(include_header=False)
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copying:
        for batch in file.iter_batches(BATCH):
            buffer = io.BytesIO()
            csv.write_csv(batch, buffer, options)
            copying.write(buffer.getbuffer())


def replace(cursor: psycopg.Cursor, file: pq.ParquetFile) -> None:
    cursor.execute("DELETE FROM transactions")
    copy(cursor, "transactions", file)


def merge(cursor: psycopg.Cursor, file: pq.ParquetFile) -> None:
    cursor.execute(_UNIQUE)
    cursor.execute(_TEMPORARY)
    copy(cursor, "coming", file)
    others = [name for name in file.schema_arrow.names if name not in KEYS.split(", ")]
    taken = ", ".join(f"{name} = excluded.{name}" for name in others)
    names = ", ".join(file.schema_arrow.names)
    cursor.execute(
        f"INSERT INTO transactions ({names}) SELECT {names} FROM coming "
        f"ON CONFLICT ({KEYS}) DO UPDATE SET {taken}"
    )


def main() -> None:
    mode, url, path = sys.argv[1:]
    with moving(), psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_CREATE)
        (merge if mode == "merge" else replace)(cursor, pq.ParquetFile(path))


if __name__ == "__main__":
    main()
