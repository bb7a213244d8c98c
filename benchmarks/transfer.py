"""Tables from one database into another: 1,469,307 rows, and ten times as many.

    .venv/bin/python benchmarks/transfer.py [--rounds 3] [--only NAME] [--write-docs]

PostgreSQL to PostgreSQL, PostgreSQL to a file of SQLite, that file to one of DuckDB, each as a
source and a destination of the platform: the rows go through the lake, compressed. A hash of all
values in PostgreSQL and in DuckDB must be that of the table in which they began; SQLite's rows are
counted, and held to the hash by what DuckDB gets of them.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
from ground import (
    Ground,
    Options,
    carry_out,
    fingerprint_of_files,
    fingerprint_of_table,
    run_sql,
    times,
)
from measuring import Contestant, Results, Run, contestant_program, median
from tables import above, cpu_seconds, rate, seconds, table

NAME = "transfer"
TENFOLD = 10
KINDS = {
    "postgres": "PostgreSQL to PostgreSQL",
    "sqlite": "PostgreSQL to SQLite",
    "duckdb": "SQLite to DuckDB",
}


def contestants(ground: Ground, suffix: str = "") -> list[Contestant]:
    """All three moves; the last takes what the one before it left."""
    return [
        Contestant(
            name,
            contestant_program("platform_transfer", f"{kind}{suffix}"),
            _results(ground, kind, "tenfold" if suffix else "transactions"),
            _emptied(ground, kind),
            ground.environment(ground.root / "lake"),
        )
        for kind, name in KINDS.items()
    ]


def _emptied(ground: Ground, kind: str) -> Callable[[], None]:
    """Makes lake and target empty."""

    def prepare() -> None:
        ground.folder("lake")
        if kind == "postgres":
            ground.empty("warehouse")
            return
        for ending in ("", "-wal", "-shm", ".wal"):
            Path(f"{_file(ground, kind)}{ending}").unlink(missing_ok=True)
        ground.rest()

    return prepare


def _results(ground: Ground, kind: str, name: str) -> Callable[[Mapping[str, Any]], Results]:
    def results(_: Mapping[str, Any]) -> Results:
        if kind == "postgres":
            return fingerprint_of_table(ground.url("warehouse"), name)
        if kind == "sqlite":
            with closing(sqlite3.connect(_file(ground, kind))) as connection:
                (rows,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            return {"rows": rows}
        folder = ground.folder("out")
        with duckdb.connect(str(_file(ground, kind)), read_only=True) as connection:
            connection.execute(f"COPY {name} TO '{folder}/rows.parquet'")
        return fingerprint_of_files(folder)

    return results


def _file(ground: Ground, kind: str) -> Path:
    return ground.root / f"transfer.{kind}"


def _half(which: str) -> Callable[[Sequence[Run]], str]:
    return lambda runs: f"{median(runs, lambda run: run.facts[which]):.2f}"


def _table(ground: Ground, chosen: Options, known: Results, suffix: str, rows: int) -> str:
    runs, absent = chosen.compete(contestants(ground, suffix), known)
    columns = [
        seconds(),
        ("of them out", _half("out")),
        ("and in", _half("in")),
        rate(rows),
        cpu_seconds(),
        above(),
    ]
    return f"{rows:,} rows:\n\n{table(runs, columns, absent)}"


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the tables."""
    rows = ground.load_shop(chosen.days)
    known = fingerprint_of_table(ground.url("shop"), "transactions")
    first = _table(ground, chosen, known, "", rows)
    run_sql(
        ground.url("shop"),
        "CREATE UNLOGGED TABLE tenfold AS "
        f"SELECT t.* FROM generate_series(1, {TENFOLD}), transactions t",
        "ANALYZE tenfold",
    )
    once = replace(chosen, rounds=1)
    more = _table(ground, once, times(known, TENFOLD), "_tenfold", TENFOLD * rows)
    return f"{first}\n\nOne round of ten times as many. {more}"


if __name__ == "__main__":
    carry_out(NAME, __doc__, run)
