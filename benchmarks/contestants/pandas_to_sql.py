"""Parquet to PostgreSQL with pandas: `to_sql(method="multi")` of the first rows.

pandas_to_sql.py URL FILE ROWS
"""

import sys

import pandas as pd
import pyarrow.parquet as pq
import sqlalchemy
from moving import moving

CHUNK = 1_000


def main() -> None:
    url, path, count = sys.argv[1:]
    engine = sqlalchemy.create_engine(url)
    frame = next(pq.ParquetFile(path).iter_batches(int(count))).to_pandas()
    with moving():
        frame.to_sql(
            "transactions", engine, index=False, if_exists="append", method="multi", chunksize=CHUNK
        )
    pd.testing.assert_index_equal(frame.index, pd.RangeIndex(int(count)))


if __name__ == "__main__":
    main()
