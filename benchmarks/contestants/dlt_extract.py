"""PostgreSQL to Parquet with dlt: `sql_table` with the pyarrow backend, to the file system.

dlt_extract.py URL TABLE FOLDER
"""

import os
import sys

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt
import pyarrow.parquet  # noqa: F401
import sqlalchemy
from dlt.sources.sql_database import sql_table
from moving import moving

CHUNK = 100_000


def main() -> None:
    url, table, folder = sys.argv[1:]
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=f"{folder}/state",
        destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/out"),
        dataset_name="shop",
    )
    with moving():
        rows = sql_table(
            sqlalchemy.create_engine(url), table=table, backend="pyarrow", chunk_size=CHUNK
        )
        pipeline.run(rows, loader_file_format="parquet")


if __name__ == "__main__":
    main()
