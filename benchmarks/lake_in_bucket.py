"""A lake in a bucket against one in a folder: reading 30, 365 and 3,000 files, and a large one.

    .venv/bin/python benchmarks/lake_in_bucket.py [--rounds 3] [--only NAME] [--write-docs]

A server of objects on this machine stands for S3: by itself, and with 30 ms before each answer.
Rows that are read must be the same. What fetching the bytes alone takes is shown beside.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from ground import Ground, Options, carry_out
from measuring import CONTESTANTS, Contestant, Results, contestant_program
from tables import above, cpu_seconds, ratio, seconds, table

NAME = "lake_in_bucket"
PLATFORM = "folder"
LATE = (0, 30)
"""Milliseconds before each answer."""
SHAPES = {"30 files": (30, 4000), "365 files": (365, 4000), "3,000 files": (3000, 4000)}
LARGE = "one file of 500 MB"
LARGE_ROWS = 12_000_000


def lay_files(folder: Path, files: int, rows: int) -> int:
    """Write files of so many rows; gives their bytes."""
    with duckdb.connect() as connection:
        for number in range(files):
            target = folder / f"partition={number:05}"
            target.mkdir(parents=True)
            connection.execute(
                f"COPY (SELECT {number * rows} + i AS a, MD5(({number * rows} + i)::VARCHAR) AS t "
                f"FROM RANGE({rows}) AS r (i)) TO '{target}/data.parquet' (FORMAT parquet)"
            )
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


@contextmanager
def served(folder: Path, late: int) -> Iterator[str]:
    """A server over a folder; gives its URL."""
    command = [sys.executable, str(CONTESTANTS / "object_server.py"), str(folder), str(late)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


def contestants(folder: Path, urls: Mapping[int, str]) -> list[Contestant]:
    """A folder, and each server twice."""

    def one(name: str, *arguments: object) -> Contestant:
        return Contestant(name, contestant_program("reading_files", *arguments), _results)

    found = [one(PLATFORM, "folder", folder)]
    for late, url in urls.items():
        about = f", {late} ms away" if late else ""
        found.append(one(f"bucket{about}", "bucket", folder, url))
        found.append(one(f"its bytes alone{about}", "fetch", folder, url))
    return found


def _results(facts: Mapping[str, Any]) -> Results:
    return {name: facts[name] for name in ("rows", "sum", "hashes", "bytes") if name in facts}


def run(ground: Ground, chosen: Options) -> str:
    """Measure each shape, and give the tables."""
    parts: list[str] = []
    for name, (files, rows) in {**SHAPES, LARGE: (1, LARGE_ROWS)}.items():
        folder = ground.folder("files")
        size = lay_files(folder, files, rows)
        with served(folder, LATE[0]) as near, served(folder, LATE[1]) as far:
            runs, _ = chosen.compete(
                contestants(folder, {LATE[0]: near, LATE[1]: far}),
                {"rows": files * rows, "bytes": size},
            )
        columns = [seconds(), *ratio(runs, PLATFORM, "times the folder"), cpu_seconds(), above()]
        parts.append(f"{name}, {size / 1e6:,.0f} MB:\n\n{table(runs, columns)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    carry_out(NAME, __doc__, run)
