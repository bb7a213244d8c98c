"""All benchmarks, one after the other: what `make bench` runs.

    .venv/bin/python benchmarks/run_all.py [--write-docs] [NAME ...]

Installs the others' packages where they are missing, runs each script in a process of its own, and
goes on where one fails. Tables are in `.data/benchmarks/<name>.md`; of a script that writes none,
what it printed is there. On a quiet machine it takes about 20 minutes.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from others import RESULTS, install
from tables import load_average, origin, write_docs

SCRIPTS = (
    "postgres_to_parquet",
    "parquet_to_postgres",
    "destinations",
    "year",
    "unchanged",
    "audit",
    "dagster_events",
    "launch_latency",
    "definitions_load",
    "automation_ticks",
)
FOLDER = Path(__file__).parent


def run(name: str) -> bool:
    """Run a script, show what it prints, and keep it; False if it failed."""
    kept = RESULTS / f"{name}.md"
    kept.unlink(missing_ok=True)
    load = load_average()
    print(f"== {name}", flush=True)
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    printed: list[str] = []
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            printed.append(line)
    if process.returncode == 0 and not kept.exists():
        kept.write_text(f"```text\n{''.join(printed)}```\n\n{origin(f'{name}.py', load)}\n")
    return process.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into the docs")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in SCRIPTS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are: {', '.join(SCRIPTS)}")
    install()
    RESULTS.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    names = [name for name in given.names or SCRIPTS if (FOLDER / f"{name}.py").is_file()]
    failed = [name for name in names if not run(name)]
    print(f"{len(names)} benchmarks in {(time.monotonic() - start) / 60:.1f} minutes")
    if given.write_docs:
        missing = write_docs([*names, "machine"])
        print(f"docs/benchmarks.md: {f'no result for {missing}' if missing else 'written'}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
