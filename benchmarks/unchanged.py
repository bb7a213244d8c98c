"""A year of retail and marketing, run twice: what the second run costs, which has nothing to do.

    .venv/bin/python benchmarks/unchanged.py [--rounds 1] [--days 365] [--write-docs]

In each round into an empty lake and an empty warehouse, each run in a process of its own:

    first      data-platform run retail, then marketing, --from 2017-01-01 --to 2018-01-01
    second     the same again: the same sources, code and configuration
    records    as many materializations through the platform's storage, and nothing else

Sources are read again in both, since nothing but their rows says whether they changed. The second
run must leave every file of the lake and every row of the warehouse as the first one wrote it, not
only equal: if it doesn't, there are no figures. What it writes is Dagster's: a materialization of
each partition, which says that it is unchanged.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
from dagster_events import DATABASE
from ground import YEAR_DAYS, Ground, Options, carry_out
from measuring import (
    Contestant,
    Results,
    Run,
    contestant_program,
    measure,
    require_agreement,
)
from tables import Column, cpu_seconds, ratio, seconds, table

from data_platform.demo.retail_data import FIRST_DAY, lay_targets
from data_platform.demo.year import MARKETING, PIPELINE, marketing_system

NAME = "unchanged"
FIRST, SECOND, RECORDS = "first", "second", "records alone"
ASSETS = 10
"""That have a partition a day, in both pipelines, destinations included."""
WAREHOUSE, NOTES = "warehouse", "_landings"
WRITTEN, NOTED = "bytes written to the lake", "bytes of notes"


@dataclass
class Watched:
    """The lake and the warehouse, before and after a run.

    Attributes:
        ground: where they are.
        before: the files of the lake, each told so that one that is written again is another.
    """

    ground: Ground
    before: Mapping[Path, tuple[int, ...]] = field(default_factory=dict)

    def empty(self) -> None:
        """Leave nothing of them."""
        self.ground.folder("lake")
        self.ground.empty(WAREHOUSE)
        self.before = {}

    def look(self) -> None:
        """Remember what there is."""
        self.before = self._files()

    def results(self, facts: Mapping[str, Any]) -> Results:
        """What there is now, and what was written meanwhile."""
        files = self._files()
        new = {path: told for path, told in files.items() if self.before.get(path) != told}
        notes = sum(told[0] for path, told in new.items() if NOTES in path.parts)
        stand = [item for item in sorted(files.items()) if NOTES not in item[0].parts]
        return {
            "run": facts["success"],
            "files of the lake": f"{len(stand)}, {_hash(stand)}",
            "rows of the warehouse": _rows(self.ground.url(WAREHOUSE)),
            WRITTEN: sum(told[0] for told in new.values()) - notes,
            NOTED: notes,
        }

    def _files(self) -> dict[Path, tuple[int, ...]]:
        stats = {path: path.stat() for path in (self.ground.root / "lake").rglob("*")}
        return {
            path: (stat.st_size, stat.st_ino, stat.st_mtime_ns)
            for path, stat in stats.items()
            if path.is_file()
        }


def _rows(url: str) -> str:
    """The tables, each row with the transaction that wrote it."""
    told: list[object] = []
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT xmin::text, ctid::text FROM {name} ORDER BY ctid")
            rows = cursor.fetchall()
            told.append((name, len(rows), _hash(rows)))
    return str(told)


def _hash(told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def contestants(ground: Ground, days: int, environment: Mapping[str, str]) -> list[Contestant]:
    """The first run, the second, and records alone, in the order in which they run."""
    end = (FIRST_DAY + timedelta(days=days)).isoformat()
    command = contestant_program("run_pipelines", FIRST_DAY.isoformat(), end, PIPELINE, MARKETING)
    watched = Watched(ground)
    return [
        Contestant(FIRST, command, watched.results, watched.empty, environment),
        Contestant(SECOND, command, watched.results, watched.look, environment),
        Contestant(RECORDS, _recording(ground, days), lambda _: {}, lambda: _renew(ground)),
    ]


def _recording(ground: Ground, days: int) -> list[str]:
    folder, url = ground.root / "instance", ground.url(DATABASE)
    return contestant_program("record_events", "batches", url, folder, ASSETS, days)


def _renew(ground: Ground) -> None:
    ground.folder("instance")
    ground.empty(DATABASE)


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the table."""
    rows = ground.load_shop(min(chosen.days + 1, YEAR_DAYS))
    lay_targets(ground.root / "files" / "drop")
    runs: dict[str, list[Run]] = {}
    with marketing_system({}) as found:
        environment = {
            **ground.environment(ground.root / "lake", WAREHOUSE),
            "DATA_PLATFORM_DATA_DIR": str(ground.root / "data"),
            "DATA_PLATFORM_STORAGE_URL": ground.url("dagster"),
            **found,
        }
        for _ in range(chosen.rounds):
            for contestant in contestants(ground, chosen.days, environment):
                runs.setdefault(contestant.name, []).append(measure(contestant))
            pair = {name: runs[name][-1:] for name in (FIRST, SECOND)}
            require_agreement(pair, {"run": True}, (WRITTEN, NOTED))
    columns = [
        cpu_seconds(),
        *ratio(runs, FIRST, "of the first", lambda one: one.cpu_seconds),
        seconds(),
        _bytes(WRITTEN),
        _bytes(NOTED),
    ]
    return f"{rows:,} rows, {chosen.days} days:\n\n{table(runs, columns)}"


def _bytes(what: str) -> Column:
    def cell(runs: Sequence[Run]) -> str:
        most = max(
            (int(str(run.results[what])) for run in runs if what in run.results), default=None
        )
        return "" if most is None else f"{most:,}"

    return what, cell


if __name__ == "__main__":
    carry_out(NAME, __doc__, run, YEAR_DAYS - 1, rounds=1)
