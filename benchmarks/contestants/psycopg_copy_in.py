"""Parquet to PostgreSQL with psycopg's COPY.

    psycopg_copy_in.py rows|csv URL FILE

`rows` writes binary rows from Python's values, `csv` the text that pyarrow makes of each batch.
"""

import io
import sys

import psycopg
import pyarrow.parquet as pq
from moving import moving
from pyarrow import csv

BATCH = 122_880
_CREATE = """
CREATE TABLE transactions (
    household_id bigint, store_id bigint, basket_id bigint, product_id bigint, quantity bigint,
    sales_value double precision, retail_disc double precision, coupon_disc double precision,
    coupon_match_disc double precision, week bigint, transaction_timestamp timestamp
)"""
_KINDS = [*["int8"] * 5, *["float8"] * 4, "int8", "timestamp"]


def rows(cursor: psycopg.Cursor, file: pq.ParquetFile) -> None:
    with cursor.copy("COPY transactions FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(_KINDS)
        for batch in file.iter_batches(BATCH):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                copy.write_row(row)


def text(cursor: psycopg.Cursor, file: pq.ParquetFile) -> None:
    options = csv.WriteOptions(include_header=False)
    with cursor.copy("COPY transactions FROM STDIN (FORMAT csv)") as copy:
        for batch in file.iter_batches(BATCH):
            buffer = io.BytesIO()
            csv.write_csv(batch, buffer, options)
            copy.write(buffer.getbuffer())


def main() -> None:
    mode, url, path = sys.argv[1:]
    with moving(), psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_CREATE)
        (rows if mode == "rows" else text)(cursor, pq.ParquetFile(path))


if __name__ == "__main__":
    main()
