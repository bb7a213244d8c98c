"""A year of retail: the platform's one backfill against the same year by hand.

`make bench` runs it. PostgreSQL (embedded, in a folder that is deleted afterwards) gets the shop's
database and the files once; then, in turn and several times over:

    by hand    python benchmarks/year_by_hand.py ...
    platform   data-platform run retail --from 2017-01-01 --to 2018-01-01

Each run is a process of its own with an empty lake and an empty warehouse, so what is timed starts
with Python's start. Dagster's storage is kept between the rounds, as a deployment has it: the
first round makes its tables. Memory is the unique set size (USS) of the process and all that it
started, sampled every 50 ms; PostgreSQL, which is the same for both, is left out of it.

The machine's other work decides more than a second between two runs: look at the ratio, and at
the CPU seconds beside it.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import psutil
from adbc_driver_postgresql import dbapi

from data_platform.embedded_server import server_url, stop_server
from data_platform.retail_data import lay_files, load_shop

SAMPLE_SECONDS = 0.05
TIMEOUT_SECONDS = 900
BY_HAND, PLATFORM = "by hand", "platform"


@dataclass(frozen=True)
class Site:
    """Where everything is that a run reads and writes."""

    root: Path

    @property
    def files(self) -> Path:
        """Products and demographics."""
        return self.root / "files"

    def url(self, database: str) -> str:
        """Of a database on the benchmark's server, made if it is missing."""
        return server_url(self.root / "server", database)

    def lake(self, who: str) -> Path:
        """One lake for each of the two."""
        return self.root / f"lake_{database_of(who)}"


@dataclass(frozen=True)
class Measured:
    """One run: wall clock, CPU of the process tree, peak USS of the tree, and what came out."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    revenue: Decimal | None
    output: str


def database_of(who: str) -> str:
    return "warehouse_" + who.replace(" ", "_")


def command(who: str, site: Site) -> list[str]:
    if who == PLATFORM:
        program = str(Path(sys.executable).parent / "data-platform")
        return [program, "run", "retail", "--from", "2017-01-01", "--to", "2018-01-01"]
    return [
        sys.executable,
        str(Path(__file__).parent / "year_by_hand.py"),
        *("--source-url", site.url("shop")),
        *("--warehouse-url", site.url(database_of(who))),
        *("--lake", str(site.lake(who))),
        *("--files", str(site.files)),
    ]


def environment(who: str, site: Site) -> dict[str, str]:
    # Without compiled bytecode every run would pay for compiling Dagster anew.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if who == BY_HAND:
        return inherited
    return inherited | {
        "DATA_PLATFORM_DATA_DIR": str(site.root / "data"),
        "DATA_PLATFORM_STORAGE_URL": site.url("dagster"),
        "SHOP_URL": site.url("shop"),
        "WAREHOUSE_URL": site.url(database_of(who)),
        "LAKE_ROOT": str(site.lake(who)),
        "RETAIL_FILES": str(site.files),
    }


def empty(who: str, site: Site) -> None:
    """Nothing of the round before is left in the lake or in the warehouse."""
    shutil.rmtree(site.lake(who), ignore_errors=True)
    database = database_of(who)
    with dbapi.connect(site.url("postgres"), autocommit=True) as server, server.cursor() as cursor:
        cursor.execute(f"drop database if exists {database} with (force)")
        # What the round before wrote shall not be written to disk while this one is timed.
        cursor.execute("checkpoint")
    site.url(database)


def peak_uss(process: psutil.Process, peak: list[int], stop: threading.Event) -> None:
    """Keep the highest sum of USS over the process tree, PostgreSQL left out, in `peak[0]`."""
    while not stop.wait(SAMPLE_SECONDS):
        total = 0
        with suppress(psutil.NoSuchProcess):
            for member in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if member.name() != "postgres":
                        total += member.memory_full_info().uss
        peak[0] = max(peak[0], total)


def measure(who: str, site: Site) -> Measured:
    empty(who, site)
    arguments, environ = command(who, site), environment(who, site)
    peak, stop = [0], threading.Event()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(
        arguments, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    sampler = threading.Thread(target=peak_uss, args=(psutil.Process(process.pid), peak, stop))
    sampler.start()
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        seconds = time.perf_counter() - start
    finally:
        process.kill()
        stop.set()
        sampler.join()
    if process.returncode != 0:
        raise SystemExit(f"{who} failed ({process.returncode}): {arguments}\n{output[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu, peak[0] / 2**20, revenue(who, site), output)


def revenue(who: str, site: Site) -> Decimal | None:
    url = site.url(database_of(who))
    with dbapi.connect(url, autocommit=True) as server, server.cursor() as cursor:
        cursor.execute("select sum(revenue)::text from analytics.daily_revenue")
        (total,) = cursor.fetchone()
    return None if total is None else Decimal(total)


def stop(site: Site) -> None:
    """Stop PostgreSQL, as soon as the last run that used it has let go of it."""
    end = time.monotonic() + 5
    while not stop_server(site.root / "server") and time.monotonic() < end:
        time.sleep(0.1)


def report(runs: dict[str, list[Measured]]) -> bool:
    """Print medians, ratios and the check; False if both didn't get the same revenue."""
    medians = {}
    for who, measured in runs.items():
        medians[who] = statistics.median(run.seconds for run in measured)
        cpu = statistics.median(run.cpu_seconds for run in measured)
        peak = statistics.median(run.peak_mib for run in measured)
        rounds = ", ".join(f"{run.seconds:.1f}" for run in measured)
        print(
            f"{who:9} median {medians[who]:6.2f} s ({rounds})  cpu {cpu:6.2f} s"
            f"  peak USS {peak:5.0f} MiB (worst {max(run.peak_mib for run in measured):.0f})"
        )
    phases = [json.loads(run.output.splitlines()[-1])["seconds"] for run in runs.get(BY_HAND, [])]
    for phase in phases[0] if phases else []:
        print(f"  {phase:22} {statistics.median(seconds[phase] for seconds in phases):5.2f} s")
    if len(runs) > 1:
        print(
            f"platform / by hand  {medians[PLATFORM] / medians[BY_HAND]:.2f} (to reach: 3 or less)"
        )
    revenues = {run.revenue for measured in runs.values() for run in measured}
    same = len(revenues) == 1 and None not in revenues
    print(
        f"revenue   {'the same to the cent' if same else 'DIFFERS'}: {sorted(map(str, revenues))}"
    )
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[BY_HAND, PLATFORM], help="run one of the two")
    arguments = parser.parse_args()
    contenders = [arguments.only] if arguments.only else [BY_HAND, PLATFORM]
    runs: dict[str, list[Measured]] = {who: [] for who in contenders}
    with tempfile.TemporaryDirectory(prefix="year-") as folder:
        # The server runs as a user of its own when this is root's process.
        Path(folder).chmod(0o755)
        site = Site(Path(folder))
        try:
            print(f"{load_shop(site.url('shop')):,} rows in the shop's database")
            lay_files(site.files)
            for number in range(arguments.rounds):
                for who in contenders:
                    run = measure(who, site)
                    runs[who].append(run)
                    print(f"round {number + 1}: {who} {run.seconds:.2f} s", flush=True)
        finally:
            stop(site)
    if not report(runs):
        sys.exit(1)


if __name__ == "__main__":
    main()
