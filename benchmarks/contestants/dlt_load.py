"""Parquet to PostgreSQL with dlt, over files of Parquet or of CSV.

dlt_load.py parquet|csv URL FILE FOLDER [append|replace|merge]
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from moving import moving

BATCH = 122_880
_MERGE = {
    "primary_key": ("basket_id", "product_id"),
    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
}


def main() -> None:
    file_format, url, path, folder, *mode = sys.argv[1:]
    # dlt wants a host and a password; libpq takes the socket's folder from the query.
    credentials = url.replace("postgres@/", "postgres:unused@localhost:5432/")
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=folder,
        destination=dlt.destinations.postgres(credentials),
        dataset_name="theirs",
    )
    disposition = mode[0] if mode else "append"
    hints: dict[str, Any] = {"write_disposition": disposition}

    @dlt.resource(name="transactions", **(_MERGE if disposition == "merge" else hints))
    def rows() -> Iterator[pa.Table]:
        for batch in pq.ParquetFile(path).iter_batches(BATCH):
            yield pa.Table.from_batches([batch])

    with moving():
        pipeline.run(rows(), loader_file_format=file_format)


if __name__ == "__main__":
    main()
