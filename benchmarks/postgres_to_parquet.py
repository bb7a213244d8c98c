"""PostgreSQL to Parquet: 1,469,307 rows, and ten times as many for the platform's memory.

    .venv/bin/python benchmarks/postgres_to_parquet.py [--rounds 3] [--only NAME] [--write-docs]

Every contestant reads the same table of the same server and writes zstd Parquet, one file or as
many as it likes; a hash of all values must be the source's. The platform takes part three times:
with the move alone, as the others; with all that a raw asset is, in one file; and the same with a
file for each day. To reach: the move in at most 1.3 times the COPY whose rows are thrown away, and
at most 150 MiB above the process before it, for ten times the rows as well.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ground import (
    Ground,
    Options,
    carry_out,
    fingerprint_of_files,
    fingerprint_of_table,
    run_sql,
    times,
)
from measuring import Contestant, Results, contestant_program
from others import python_of_others
from tables import above, cpu_seconds, process_seconds, ratio, seconds, table

from data_platform.demo.retail_data import FIRST_DAY

NAME = "postgres_to_parquet"
COPY = "psycopg binary COPY, rows thrown away"
TENFOLD = 10


def contestants(ground: Ground, days: int) -> list[Contestant]:
    """All that move the table once."""
    daily = "platform, a raw asset of daily partitions"

    def other(name: str, program: str, *arguments: str) -> Contestant:
        return _other(ground, name, program, *arguments, ground.url("shop"), "transactions")

    return [
        other(COPY, "psycopg_copy_out", "discard"),
        _platform(ground, "platform, the move alone", "copy", "whole", days),
        _platform(ground, "platform, a raw asset", "land", "whole", days),
        _platform(ground, daily, "land", "daily", days),
        other("psycopg COPY as CSV, pyarrow", "psycopg_copy_out", "csv"),
        other("psycopg binary COPY, pyarrow", "psycopg_copy_out", "rows"),
        other("pandas read_sql, to_parquet", "pandas_read"),
        other("dlt sql_table, pyarrow backend", "dlt_extract"),
    ]


def tenfold(ground: Ground, days: int) -> list[Contestant]:
    """The platform with ten times the rows."""
    return [
        _platform(ground, "platform, the move alone", "copy", "tenfold_whole", days),
        _platform(ground, "platform, a raw asset", "land", "tenfold_whole", days),
        _platform(
            ground, "platform, a raw asset of daily partitions", "land", "tenfold_daily", days
        ),
    ]


def _platform(ground: Ground, name: str, mode: str, source: str, days: int) -> Contestant:
    folder = ground.root / "out"
    end = FIRST_DAY + timedelta(days=days)

    def results(_: Mapping[str, Any]) -> Results:
        return fingerprint_of_files(folder)

    return Contestant(
        name,
        contestant_program("platform_extract", mode, source, FIRST_DAY, end, folder),
        results,
        lambda: _prepare(ground, folder),
        ground.environment(folder),
    )


def _other(ground: Ground, name: str, program: str, *arguments: str) -> Contestant:
    folder = ground.root / "out"

    def results(facts: Mapping[str, Any]) -> Results:
        # Rows that were thrown away can be counted, no more.
        return {"rows": facts["rows"]} if name == COPY else fingerprint_of_files(_data(folder))

    return Contestant(
        name,
        contestant_program(program, *arguments, folder, python=python_of_others()),
        results,
        lambda: _prepare(ground, folder),
    )


def _data(folder: Path) -> Path:
    """Where a contestant's rows are; dlt writes tables of its own beside them."""
    theirs = folder / "out" / "shop" / "transactions"
    return theirs if theirs.is_dir() else folder


def _prepare(ground: Ground, folder: Path) -> None:
    ground.folder(folder.name)
    ground.rest()


def measure_tenfold(ground: Ground, chosen: Options, known: Results, rows: int) -> str:
    """A table of ten times the rows, one round."""
    run_sql(
        ground.url("shop"),
        "CREATE UNLOGGED TABLE tenfold AS "
        f"SELECT t.* FROM generate_series(1, {TENFOLD}), transactions t",
        "CREATE INDEX ON tenfold (transaction_timestamp)",
        "ANALYZE tenfold",
    )
    once = replace(chosen, rounds=1)
    runs, _ = once.compete(tenfold(ground, chosen.days), times(known, TENFOLD))
    text = table(runs, [seconds("seconds"), cpu_seconds(), above()]) if runs else ""
    return f"{TENFOLD * rows:,} rows, one round:\n\n{text}"


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the tables."""
    rows = ground.load_shop(chosen.days)
    known = fingerprint_of_table(ground.url("shop"), "transactions")
    runs, absent = chosen.compete(contestants(ground, chosen.days), known)
    columns = [
        seconds(),
        *ratio(runs, COPY, "times the COPY"),
        process_seconds(),
        cpu_seconds(),
        above(),
    ]
    text = f"{rows:,} rows:\n\n{table(runs, columns, absent)}"
    return f"{text}\n\n{measure_tenfold(ground, chosen, known, rows)}"


if __name__ == "__main__":
    carry_out(NAME, __doc__, run)
