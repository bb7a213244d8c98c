"""A landing takes the memory of some batches, however many rows there are."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from factories import Project

BOUND = 150
"""MB above what the process had before."""
DAYS = [f"2024-01-{day:02}" for day in range(1, 31)]
SOURCE = """    type: database
    connection: shop
    table: {table}
    {partitions}
"""


@pytest.mark.parametrize("keys", [[], DAYS], ids=["whole", "daily"])
@pytest.mark.parametrize(
    "rows", [300_000, pytest.param(10_000_000, marks=pytest.mark.campaign)], ids="{:,}".format
)
def test_memory_is_bounded(project: Project, postgres_url: str, rows: int, keys: list[str]) -> None:
    with closing(psycopg2.connect(postgres_url)) as connection, connection:
        connection.cursor().execute(generated("orders", rows) + generated("few", 1000))
    partitions = "cursor: at" if keys else "partitions: none"
    project.declare(
        "sources:\n"
        + "".join(
            f"  {table}:\n{SOURCE.format(table=table, partitions=partitions)}"
            for table in ("orders", "few")
        ),
        daily=True,
    )
    taken = measured(project.folder, postgres_url, keys)
    assert taken < BOUND


def generated(table: str, rows: int) -> str:
    """A table of receipts, evenly over the days; the server generates its rows."""
    return (
        f"CREATE VIEW {table} AS SELECT i AS id, i % 1000 AS customer, "
        "md5(i::text) AS receipt, (i % 10000 / 100.0)::numeric(12,2) AS total, "
        f"timestamp '2024-01-01' + i * interval '30 days' / {rows + 1} AS at "
        f"FROM generate_series(0, {rows} - 1) i;"
    )


def measured(folder: Path, url: str, keys: list[str]) -> float:
    """What the landing of a process of its own took."""
    command = [sys.executable, str(Path(__file__).with_name("landing_memory.py"))]
    done = subprocess.run(
        [*command, str(folder), url, *keys],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])
