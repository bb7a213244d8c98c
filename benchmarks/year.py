"""A year of retail: the platform's one backfill against the same year by hand, and in pandas.

    .venv/bin/python benchmarks/year.py [--rounds 3] [--only NAME] [--write-docs]

1,469,307 lines of receipts from PostgreSQL through raw, staging and analytics into three tables of
PostgreSQL, in turn and several times over:

    by hand    python benchmarks/year_by_hand.py ...
    platform   data-platform run retail --from 2017-01-01 --to 2018-01-01
    pandas     the first 31 days by contestants/year_in_pandas.py, its time scaled up

Each run is a process of its own with an empty lake and an empty warehouse, and Python's start is in
the figures of all. Dagster's storage is kept between the rounds, as a deployment has it: the first
round makes its tables. The three tables must be the same row for row, money to the cent; of pandas
the daily revenue of its days is compared. To reach: at most 3 times the script by hand.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg2
from ground import YEAR_DAYS, Ground, Options, carry_out
from measuring import Contestant, Results, Runs, contestant_program
from others import python_of_others
from tables import peak, process_cpu_seconds, ratio, seconds, table, whole

from data_platform.demo.retail_data import FIRST_DAY

NAME = "year"
BY_HAND, PLATFORM = "by hand", "platform"
SHARE_DAYS = 31
TABLES = {
    "daily_revenue": "day::date, department, revenue::numeric(18, 2), units, baskets, households",
    "weekly_revenue": "day::date, department, revenue::numeric(18, 2), units, baskets, households",
    "customer_metrics": "income, households, baskets, spend::numeric(18, 2), "
    "mean_basket::numeric(18, 2)",
}


def contestants(ground: Ground, days: int) -> list[Contestant]:
    """By hand, the platform, and a share in pandas."""
    share = min(SHARE_DAYS, days)
    end = FIRST_DAY + timedelta(days=days)
    pandas = f"pandas, {share} days, scaled up" if share < days else "pandas"
    return [
        _contestant(ground, BY_HAND, _by_hand(ground, end.isoformat()), days),
        _contestant(
            ground,
            PLATFORM,
            [
                str(Path(sys.executable).parent / "data-platform"),
                *("run", "retail", "--from", FIRST_DAY.isoformat(), "--to", end.isoformat()),
            ],
            days,
        ),
        _contestant(
            ground,
            pandas,
            contestant_program(
                "year_in_pandas", ground.url("shop"), ground.url(_database(pandas)),
                ground.root / "files", _lake(ground, pandas), share, python=python_of_others(),
            ),
            days,
            share / days,
        ),
    ]  # fmt: skip


def _by_hand(ground: Ground, end: str) -> list[str]:
    return [
        sys.executable,
        str(Path(__file__).parent / "year_by_hand.py"),
        *("--source-url", ground.url("shop")),
        *("--warehouse-url", ground.url(_database(BY_HAND))),
        *("--lake", str(_lake(ground, BY_HAND))),
        *("--files", str(ground.root / "files")),
        *("--end", end),
    ]


def _contestant(
    ground: Ground, name: str, command: list[str], days: int, share: float = 1
) -> Contestant:
    def prepare() -> None:
        ground.folder(_lake(ground, name).name)
        ground.empty(_database(name))

    return Contestant(
        name,
        command,
        _results(ground, name, days, whole=share == 1),
        prepare,
        {
            **ground.environment(_lake(ground, name), _database(name)),
            "DATA_PLATFORM_DATA_DIR": str(ground.root / "data"),
            "DATA_PLATFORM_STORAGE_URL": ground.url("dagster"),
        },
        share,
    )


def _database(name: str) -> str:
    return f"warehouse_{name.partition(',')[0].replace(' ', '_')}"


def _lake(ground: Ground, name: str) -> Path:
    return ground.root / f"lake_{_database(name)}"


def _results(
    ground: Ground, name: str, days: int, *, whole: bool
) -> Callable[[Mapping[str, Any]], Results]:
    """What is in the warehouse: of a share only what doesn't depend on the rest of the year."""
    share = FIRST_DAY + timedelta(days=min(SHARE_DAYS, days))

    def results(_: Mapping[str, Any]) -> Results:
        url = ground.url(_database(name))
        first = _hash(url, "daily_revenue", f"WHERE day < date '{share}'")
        found = {"daily revenue of the first days": first}
        return found | {table: _hash(url, table) for table in TABLES} if whole else found

    return results


def _hash(url: str, name: str, where: str = "") -> str:
    """Rows and hash of a result; with it the sum of its money, for people."""
    money = "spend" if name == "customer_metrics" else "revenue"
    query = (
        f"SELECT count(*), sum({money}), md5(string_agg(line::text, chr(10) ORDER BY line::text)) "
        f"FROM (SELECT ROW({TABLES[name]}) AS line, {money}::numeric(18, 2) AS {money} "
        f"FROM analytics.{name} {where}) AS lines"
    )
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        rows, total, digest = cursor.fetchone() or (0, None, None)
    return f"{rows} rows, {total} dollars, {digest}"


def _phases(runs: Runs) -> str:
    """Where the script by hand spends its time."""
    told = [run.facts["seconds"] for run in runs.get(BY_HAND, [])]
    if not told:
        return ""
    parts = [f"{phase} {median(each[phase] for each in told):.2f}" for phase in told[0]]
    return f"\n\nSeconds by hand: {', '.join(parts)}."


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the table."""
    rows = ground.load_shop(min(chosen.days + 1, YEAR_DAYS))
    runs, absent = chosen.compete(contestants(ground, chosen.days), {})
    columns = [
        seconds(of=whole),
        *ratio(runs, BY_HAND, "times by hand", whole),
        process_cpu_seconds(),
        peak(),
    ]
    return f"{rows:,} rows, {chosen.days} days:\n\n{table(runs, columns, absent)}{_phases(runs)}"


if __name__ == "__main__":
    carry_out(NAME, __doc__, run, YEAR_DAYS - 1)
