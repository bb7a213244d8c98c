"""A file is landed without being held in memory, however large it is."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

LANDING = Path(__file__).parent / "land_file.py"
LIMIT = 150_000_000
"""Bytes that a step may take beyond what its process had before."""
ROWS = """
    SELECT i AS id, 'name ' || i AS name, i / 7 AS price,
        TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS at
    FROM range({rows}) t(i)
"""


def taken(folder: Path, rows: int, ending: str) -> dict[str, int]:
    """What landing a file of rows takes."""
    file = folder / f"o.{ending.removesuffix('.gz')}"
    with duckdb.connect(config={"memory_limit": "200MB", "threads": "1"}) as connection:
        connection.execute(f"COPY ({ROWS.format(rows=rows)}) TO '{file}'")
        connection.execute(f"COPY ({ROWS.format(rows=1)}) TO '{folder}/small{file.suffix}'")
    if ending.endswith(".gz"):
        with file.open("rb") as plain, gzip.open(f"{file}.gz", "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed)
        file.unlink()
    command = [sys.executable, str(LANDING), str(folder), "100MB", ending.removesuffix(".gz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_file_of_half_a_million_rows(tmp_path: Path, ending: str) -> None:
    found = taken(tmp_path, 500_000, ending)
    assert found["rows"] == 500_000
    assert found["bytes"] <= LIMIT


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_ten_million_rows(tmp_path: Path, ending: str) -> None:
    found = taken(tmp_path, 10_000_000, ending)
    assert found["rows"] == 10_000_000
    assert found["bytes"] <= LIMIT
