"""PostgreSQL to Parquet with pandas: `read_sql` in chunks, `to_parquet` of each.

    pandas_read.py URL TABLE FOLDER

The connection streams, which most scripts forget: without it psycopg2 holds all rows at once.
"""

import sys

import pandas as pd
import pyarrow.parquet  # noqa: F401 -- imported by the first to_parquet otherwise
import sqlalchemy
from moving import moving

CHUNK = 100_000


def main() -> None:
    url, table, folder = sys.argv[1:]
    engine = sqlalchemy.create_engine(url)
    with moving(), engine.connect().execution_options(stream_results=True) as connection:
        query = sqlalchemy.text(f"SELECT * FROM {table}")
        for number, chunk in enumerate(pd.read_sql(query, connection, chunksize=CHUNK)):
            chunk.to_parquet(f"{folder}/{number:04}.parquet", compression="zstd", index=False)


if __name__ == "__main__":
    main()
