"""The example of an asset that Spark computes: run as it stands, with Spark on this machine.

`make campaign` installs Spark; it needs Java, and takes half a minute.
"""

import random
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster_dev import clean_environment
from forked_command import run_command

ROOT = Path(__file__).parents[2]
SPARK = ROOT / ".venv" / "spark" / "bin" / "python"


def _lines() -> pa.Table:
    """Baskets of up to five products; some products twice in a basket."""
    chance = random.Random(7)
    rows = [(basket, f"p{chance.randrange(30)}") for basket in range(3_000) for _ in range(5)]
    return pa.table({"basket_id": [b for b, _ in rows], "product": [p for _, p in rows]})


def _pairs(lines: pa.Table) -> Counter[tuple[str, str]]:
    baskets: dict[int, set[str]] = {}
    for row in lines.to_pylist():
        baskets.setdefault(row["basket_id"], set()).add(row["product"])
    return Counter(pair for held in baskets.values() for pair in combinations(sorted(held), 2))


@pytest.mark.campaign
@pytest.mark.skipif(
    not (SPARK.exists() and shutil.which("java")),
    reason="needs Java, and Spark by `make .venv/spark/installed`",
)
def test_spark_counts_and_the_platform_publishes(tmp_path: Path, dagster_url: str):
    shutil.copytree(ROOT / "examples" / "spark" / "pipelines", tmp_path / "pipelines")
    (tmp_path / "data" / "lines").mkdir(parents=True)
    lines = _lines()
    pq.write_table(lines, tmp_path / "data" / "lines" / "all.parquet")
    environ = clean_environment() | {
        "SPARK_PYTHON": str(SPARK),
        "DATA_PLATFORM_STORAGE_URL": dagster_url,
    }
    done = run_command(["data-platform", "run", "sales"], tmp_path, environ)
    assert done.returncode == 0, done.stdout
    sql = "SELECT product, other, baskets FROM sales.analytics.bought_together"
    query = ["data-platform", "query", sql, "--format", "csv", "--limit", "0"]
    asked = run_command(query, tmp_path, environ)
    found = {(a, b): int(n) for a, b, n in (row.split(",") for row in asked.stdout.split()[1:])}
    assert found == _pairs(lines)
