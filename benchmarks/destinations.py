"""Destinations in PostgreSQL: each write mode, into nothing and over a full table.

    .venv/bin/python benchmarks/destinations.py [--rounds 3] [--only NAME] [--write-docs]

1,469,307 rows of the lake go into an empty database; then over a table that has all of them with
another quantity and nothing the ledger knows, so that every row is replaced or updated; and ten
times as many rows go into an empty database, one round. The others do what they have for it:
psycopg by hand in one transaction, dlt by its write dispositions, pandas with the first 20,000 rows
and its time scaled up. A hash of all values in the table must be the source's. To reach: 400,000
rows a second, at most 150 MiB above the process before it, for ten times the rows as well.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
from ground import (
    ROW,
    Ground,
    Options,
    carry_out,
    fingerprint_of_first,
    fingerprint_of_table,
    run_sql,
)
from lakes import land, only_file
from measuring import Contestant, Results, contestant_program
from others import python_of_others
from tables import above, cpu_seconds, rate, seconds, table

from data_platform.demo.retail_data import FIRST_DAY

NAME = "destinations"
SHARE_ROWS = 20_000
TENFOLD = 10
WAREHOUSE = "warehouse"
OURS = {
    "replace": "whole",
    "replace_partition": "daily",
    "merge": "merged",
    "append": "appended",
    "create": "created",
}
"""The destination of each mode."""
OVER = ("replace", "replace_partition", "merge")
"""The modes that change a table that is full; the others refuse it, or add to it."""
MANY = ("replace", "replace_partition", "merge", "append")
"""The modes that are tried with ten times the rows; a new table is filled as by `replace`."""
DISTINCT = "household_id, store_id, basket_id + 1000000000000 * n AS basket_id, " + ", ".join(
    part.split("::")[0] for part in ROW.split(", ")[3:]
)
"""Columns of ten times the rows; baskets of their own, so that no key comes twice."""


@dataclass(frozen=True)
class Way:
    """One way to write a table.

    Attributes:
        name: in the tables.
        command: that writes it.
        environment: of the command.
        table: that is written.
        share: of the rows that it writes.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    table: str = "transactions"
    share: float = 1


def ours(
    ground: Ground, lake: Path, days: int, modes: Sequence[str], prefix: str = ""
) -> list[Way]:
    """The platform, by its modes."""
    first, end = FIRST_DAY, FIRST_DAY + timedelta(days=days)
    return [
        Way(
            f"platform, {mode}",
            contestant_program("platform_load", f"{prefix}{OURS[mode]}", first, end),
            ground.environment(lake, WAREHOUSE),
            f"{prefix}{OURS[mode]}",
        )
        for mode in modes
    ]


def by_hand(ground: Ground, file: Path, mode: str) -> Way:
    """Psycopg, in one transaction."""
    name = {"replace": "psycopg, COPY as CSV", "merge": "psycopg, COPY as CSV and ON CONFLICT"}
    return _other(name[mode], "psycopg_write", mode, ground.url(WAREHOUSE), file)


def by_dlt(ground: Ground, file: Path, mode: str) -> Way:
    """Dlt with a write disposition."""
    arguments = ("parquet", ground.url(WAREHOUSE), file, ground.root / "dlt", mode)
    return replace(_other(f"dlt, {mode}", "dlt_load", *arguments), table="theirs.transactions")


def by_pandas(ground: Ground, file: Path, rows: int) -> Way:
    """Pandas, with some of the rows."""
    share = min(SHARE_ROWS, rows)
    name = f"pandas to_sql(method='multi'), {share:,} rows, scaled up"
    way = _other(name, "pandas_to_sql", ground.url(WAREHOUSE), file, share)
    return replace(way, share=share / rows)


def _other(name: str, program: str, *arguments: object) -> Way:
    return Way(name, contestant_program(program, *arguments, python=python_of_others()), {})


class Full:
    """Databases that a way has filled before, with other values since.

    Args:
        ground: with the server.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._kept: dict[str, str] = {}

    def lay(self, way: Way) -> None:
        """Have the warehouse as it was after that."""
        if way.name not in self._kept:
            self._kept[way.name] = f"{WAREHOUSE}_full_{len(self._kept)}"
            self._fill(way)
            self._ground.copy(WAREHOUSE, self._kept[way.name])
        else:
            self._ground.copy(self._kept[way.name], WAREHOUSE)

    def drop(self) -> None:
        """Leave none of them."""
        for name in self._kept.values():
            self._ground.drop(name)

    def _fill(self, way: Way) -> None:
        self._ground.empty(WAREHOUSE)
        subprocess.run(
            way.command, env={**os.environ, **way.environment}, check=True, capture_output=True
        )
        url = self._ground.url(WAREHOUSE)
        run_sql(url, f"UPDATE {way.table} SET quantity = -1", f"VACUUM (FULL, ANALYZE) {way.table}")
        if way.name.startswith("platform"):
            run_sql(url, "UPDATE data_platform.loads SET data_version = 'older'")


def contestant(ground: Ground, way: Way, full: Full | None, *, quick: bool = False) -> Contestant:
    """A way, into an empty database or over a full one."""

    def prepare() -> None:
        ground.folder("dlt")
        if full is None:
            ground.empty(WAREHOUSE)
        else:
            full.lay(way)
        ground.rest()

    def results(_: Mapping[str, Any]) -> Results:
        find = quick_fingerprint if quick else fingerprint_of_table
        found = find(ground.url(WAREHOUSE), way.table)
        return found if way.share == 1 else _of_the_share(found)

    return Contestant(way.name, way.command, results, prepare, way.environment, way.share)


def _of_the_share(results: Results) -> Results:
    return {f"{what} of the share": value for what, value in results.items()}


def quick_fingerprint(url: str, name: str) -> Results:
    """Rows and a hash of a table, by the server itself: of ten times the rows."""
    values = f"SELECT {ROW} FROM {name}"
    count = (
        f"SELECT count(*), sum(hashtextextended(row::text, 0)::numeric)::text FROM ({values}) row"
    )
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(count)
        rows, total = cursor.fetchone() or (0, "")
    return {"rows": rows, "hash of all values": total}


def competition(
    ground: Ground, chosen: Options, ways: Sequence[Way], known: Results, rows: int, **how: Any
) -> str:
    """The table of one competition; nothing where nobody of it takes part."""
    ways = [way for way in ways if not chosen.only or way.name in chosen.only]
    if not ways:
        return ""
    full = Full(ground) if how.pop("full", False) else None
    try:
        entrants = [contestant(ground, way, full, **how) for way in ways]
        runs, absent = chosen.compete(entrants, known)
    finally:
        if full is not None:
            full.drop()
    return table(runs, [rate(rows), seconds(), cpu_seconds(), above()], absent)


def tenfold(ground: Ground, chosen: Options, rows: int) -> str:
    """Ten times the rows, into an empty database, one round."""
    shop, lake = ground.url("shop"), ground.folder("lake_tenfold")
    run_sql(
        shop,
        f"CREATE UNLOGGED TABLE tenfold AS SELECT {DISTINCT} "
        f"FROM generate_series(0, {TENFOLD - 1}) AS n, transactions",
        "CREATE INDEX ON tenfold (transaction_timestamp)",
        "ANALYZE tenfold",
    )
    loaded = ground.load(lake)
    land(loaded, "tenfold_whole", chosen.days)
    land(loaded, "tenfold_daily", chosen.days)
    land(loaded, "tenfold_keyed", chosen.days)
    file = only_file(lake, "tenfold_whole")
    ways = [
        *ours(ground, lake, chosen.days, MANY, "tenfold_"),
        by_hand(ground, file, "replace"),
    ]
    known = quick_fingerprint(shop, "tenfold")
    once = replace(chosen, rounds=1)
    return competition(ground, once, ways, known, TENFOLD * rows, quick=True)


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the tables."""
    rows = ground.load_shop(chosen.days)
    lake = ground.folder("lake")
    loaded = ground.load(lake)
    land(loaded, "whole", chosen.days)
    land(loaded, "daily", chosen.days)
    land(loaded, "keyed", chosen.days)
    file = only_file(lake, "whole")
    known = fingerprint_of_table(ground.url("shop"), "transactions")
    share = _of_the_share(fingerprint_of_first(file, min(SHARE_ROWS, rows)))
    into_nothing = [
        *ours(ground, lake, chosen.days, tuple(OURS)),
        *(by_hand(ground, file, mode) for mode in ("replace", "merge")),
        *(by_dlt(ground, file, mode) for mode in ("append", "merge")),
        by_pandas(ground, file, rows),
    ]
    over_all = [
        *ours(ground, lake, chosen.days, OVER),
        *(by_hand(ground, file, mode) for mode in ("replace", "merge")),
        *(by_dlt(ground, file, mode) for mode in ("replace", "merge")),
    ]
    first = competition(ground, chosen, into_nothing, {**known, **share}, rows)
    second = competition(ground, chosen, over_all, known, rows, full=True)
    third = tenfold(ground, chosen, rows)
    return (
        f"{rows:,} rows into an empty database:\n\n{first}\n\n"
        f"{rows:,} rows over a table where all of them have another quantity:\n\n{second}\n\n"
        f"{TENFOLD * rows:,} rows into an empty database, one round:\n\n{third}"
    )


if __name__ == "__main__":
    carry_out(NAME, __doc__, run)
