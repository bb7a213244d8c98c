"""Where contestants meet: a PostgreSQL of the benchmark's own, the shop's data, folders for lakes.

Called by every benchmark. The data is the demo's, 1,469,307 real lines of receipts; everything is
in a folder that is removed at the end.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import psycopg2
from measuring import Contestant, Results, Runs, compete
from others import HOW_TO_INSTALL, installed
from tables import load_average, report, write_docs

from data_platform.demo.retail_data import AFTER_LAST_DAY, FIRST_DAY, lay_files, load_shop
from data_platform.embedded.server import server_url, stop_server
from data_platform.loading import Loaded, load
from data_platform.settings import Settings

PIPELINES = Path(__file__).parent / "pipelines"
YEAR_DAYS = (AFTER_LAST_DAY - FIRST_DAY).days
ROW = (
    "household_id::bigint, store_id::bigint, basket_id::bigint, product_id::bigint, "
    "quantity::bigint, sales_value::double precision, retail_disc::double precision, "
    "coupon_disc::double precision, coupon_match_disc::double precision, week::bigint, "
    "transaction_timestamp::timestamp"
)
"""The columns of a transaction, in the types in which all results are compared."""


@dataclass(frozen=True)
class Ground:
    """The server and the folders.

    Attributes:
        root: a folder that the server's own user can enter.
        server: the data folder of the embedded server.
        prefix: of the names of databases, where the server has other users.
    """

    root: Path
    server: Path
    prefix: str = ""

    def url(self, database: str) -> str:
        """Of a database, made if it is missing."""
        return server_url(self.server, self.prefix + database)

    def empty(self, database: str) -> str:
        """A database without anything in it, on a server that has nothing left to write."""
        drop = f"DROP DATABASE IF EXISTS {self.prefix}{database} WITH (FORCE)"
        run_sql(server_url(self.server, "postgres"), drop, "CHECKPOINT")
        return self.url(database)

    def copy(self, database: str, to: str) -> None:
        """A copy of a database that nobody uses, in place of what had its name."""
        self.drop(to)
        run_sql(
            server_url(self.server, "postgres"),
            f"CREATE DATABASE {self.prefix}{to} TEMPLATE {self.prefix}{database} "
            "STRATEGY file_copy",
        )

    def drop(self, database: str) -> None:
        """Leave nothing of a database."""
        drop = f"DROP DATABASE IF EXISTS {self.prefix}{database} WITH (FORCE)"
        run_sql(server_url(self.server, "postgres"), drop)

    def rest(self) -> None:
        """Let the server write now what it would otherwise write while somebody is timed."""
        run_sql(server_url(self.server, "postgres"), "CHECKPOINT")

    def folder(self, name: str) -> Path:
        """An empty folder."""
        path = self.root / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def load_shop(self, days: int) -> int:
        """The shop's database with the first days of the year, and the files; gives its rows."""
        lay_files(self.root / "files")
        return load_shop(self.url("shop"), FIRST_DAY, FIRST_DAY + timedelta(days=days))

    def environment(self, lake: Path, warehouse: str = "warehouse") -> dict[str, str]:
        """What the pipelines' variables refer to."""
        return {
            "DATA_PLATFORM_HOME": str(self.root),
            "SHOP_URL": self.url("shop"),
            "WAREHOUSE_URL": self.url(warehouse),
            "LAKE_ROOT": str(lake),
            "RETAIL_FILES": str(self.root / "files"),
        }

    def load(self, lake: Path) -> Loaded:
        """The benchmark's pipelines."""
        return load_pipelines(self.environment(lake))


def load_pipelines(environ: dict[str, str]) -> Loaded:
    """The benchmark's pipelines over these variables."""
    home = Path(environ["DATA_PLATFORM_HOME"])
    loaded = load(Settings(home, home / ".data", (PIPELINES,)), environ)
    if loaded.problems:
        raise SystemExit("\n".join(map(str, loaded.problems)))
    return loaded


@contextmanager
def opened() -> Iterator[Ground]:
    """A ground of one's own, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        root = Path(folder)
        # The server runs as a user of its own when this is root's process.
        root.chmod(0o755)
        try:
            yield Ground(root, root)
        finally:
            _stop(root)


def run_sql(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def fingerprint_of_table(url: str, table: str) -> Results:
    """Rows and a hash of a table in PostgreSQL, read as text and not by any contestant's driver."""
    with tempfile.NamedTemporaryFile("w+b", suffix=".csv") as file:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'")
            cursor.copy_expert(f"COPY (SELECT {ROW} FROM {table}) TO STDOUT (FORMAT csv)", file)
        file.flush()
        columns = {part.split("::")[0]: part.split("::")[1] for part in ROW.split(", ")}
        return _fingerprint(f"read_csv('{file.name}', header = false, columns = {columns})")


def fingerprint_of_files(folder: Path) -> Results:
    """Rows and a hash of all Parquet files below a folder."""
    return _fingerprint(f"read_parquet('{folder}/**/*.parquet', hive_partitioning = false)")


def fingerprint_of_first(file: Path, rows: int) -> Results:
    """Rows and a hash of the first rows of a Parquet file."""
    return _fingerprint(f"(FROM read_parquet('{file}') WHERE file_row_number < {rows})")


def times(results: Results, factor: int) -> Results:
    """The fingerprint of the same rows several times over."""
    return {what: int(str(value)) * factor for what, value in results.items()}


def _fingerprint(relation: str) -> Results:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"SELECT count(*), sum(hash({ROW})) FROM {relation}").fetchone()
    rows, total = found or (0, None)
    return {"rows": rows, "hash of all values": int(total or 0)}


@dataclass(frozen=True)
class Options:
    """What the command line of a benchmark says.

    Attributes:
        rounds: how often each contestant runs.
        days: of the year, from the first.
        only: the contestants that take part; none means all.
        docs: whether docs/benchmarks.md gets the table.
        load: the load average before anything began.
    """

    rounds: int
    days: int
    only: tuple[str, ...]
    docs: bool
    load: float

    def compete(
        self,
        contestants: Sequence[Contestant],
        known: Results,
        may_differ: Collection[str] = (),
    ) -> tuple[Runs, tuple[str, ...]]:
        """Run those who take part; gives their runs, and who isn't installed."""
        chosen = [c for c in contestants if not self.only or c.name in self.only]
        absent = tuple(c.name for c in chosen if not _runs_here(c))
        if absent:
            print(f"not installed: {', '.join(absent)}; run {HOW_TO_INSTALL}", file=sys.stderr)
        able = [contestant for contestant in chosen if contestant.name not in absent]
        return compete(able, self.rounds, known, may_differ), absent

    def finish(self, name: str) -> None:
        """Put the table into the docs, if that was asked for."""
        if self.docs:
            write_docs([name])


def options(description: str | None, rounds: int, days: int = YEAR_DAYS) -> Options:
    """Read the command line.

    Args:
        description: the script's docstring.
        rounds: unless it says otherwise.
        days: the most that there are.
    """
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    parser.add_argument("--days", type=int, default=days, help=f"of the year, default {days}")
    parser.add_argument(
        "--only", action="append", default=[], help="a contestant; may be given several times"
    )
    parser.add_argument("--write-docs", action="store_true", help="put the table into the docs")
    given = parser.parse_args()
    if not (given.rounds >= 1 and 1 <= given.days <= days):
        parser.error(f"--rounds is 1 or more, --days is 1 to {days}")
    # Ended by `timeout` or `kill`, a benchmark stops its server and removes its folder, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    return Options(given.rounds, given.days, tuple(given.only), given.write_docs, load_average())


def _runs_here(contestant: Contestant) -> bool:
    return contestant.command[0] == sys.executable or _is_own(contestant) or installed()


def _is_own(contestant: Contestant) -> bool:
    return Path(contestant.command[0]).parent == Path(sys.executable).parent


def _stop(server: Path) -> None:
    """Stop PostgreSQL, as soon as the last run that used it has let go of it."""
    end = time.monotonic() + 5
    while not stop_server(server) and time.monotonic() < end:
        time.sleep(0.1)


def carry_out(
    name: str,
    doc: str | None,
    run: Callable[[Ground, Options], str],
    days: int = YEAR_DAYS,
    rounds: int = 3,
) -> None:
    """What every script does: read its options, run, report, and put the table where it goes."""
    chosen = options(doc, rounds=rounds, days=days)
    with opened() as ground:
        text = run(ground, chosen)
    report(name, text, f"{name}.py", chosen.rounds, chosen.load)
    chosen.finish(name)
