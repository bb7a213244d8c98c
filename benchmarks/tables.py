"""Tables in Markdown, on the screen, in `.data/benchmarks/<name>.md` and in docs/benchmarks.md.

Called by every benchmark with its runs and columns. A table in the docs stands between
`<!-- table: name -->` and `<!-- end -->`; `write_docs` replaces what is between them.
"""

import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
from measuring import Run, Runs, median
from others import RESULTS, ROOT, installed, python_of_others, versions

DOCS = ROOT / "docs" / "benchmarks.md"
OURS = ("dagster", "dagster-postgres", "duckdb", "deltalake", "pyarrow", "adbc-driver-postgresql")
OTHERS = ("dlt", "pandas", "pandera", "polars", "psycopg", "sqlalchemy")
Column = tuple[str, Callable[[Sequence[Run]], str]]
"""A title and the text of a contestant's cell."""


def work(run: Run) -> float:
    """Seconds without Python's start."""
    return run.seconds


def whole(run: Run) -> float:
    """Seconds with Python's start and the imports."""
    return run.process_seconds


def seconds(
    title: str = "seconds, median (least to most)", of: Callable[[Run], float] = work
) -> Column:
    """Median and spread."""

    def cell(runs: Sequence[Run]) -> str:
        least, most = min(map(of, runs)), max(map(of, runs))
        return f"{median(runs, of):.2f} ({least:.2f} to {most:.2f})"

    return title, cell


def process_seconds() -> Column:
    """With Python's start and imports."""
    return "with start", lambda runs: f"{median(runs, whole):.2f}"


def cpu_seconds() -> Column:
    """Of the work, without PostgreSQL."""
    return "CPU seconds", lambda runs: f"{median(runs, lambda run: run.cpu_seconds):.2f}"


def process_cpu_seconds() -> Column:
    """With Python's start and imports, without PostgreSQL."""
    title = "CPU seconds"
    return title, lambda runs: f"{median(runs, lambda run: run.process_cpu_seconds):.2f}"


def peak() -> Column:
    """Of the whole process."""
    return "peak USS, MiB", lambda runs: f"{median(runs, lambda run: run.peak_mib):.0f}"


def above() -> Column:
    """Memory of the work alone; the worst, since that is what a machine must have."""
    return "MiB above start, worst", lambda runs: f"{max(run.above_mib for run in runs):.0f}"


def rate(rows: int) -> Column:
    """Rows a second."""
    title = "rows a second"
    return title, lambda runs: f"{rows / median(runs, work):,.0f}"


def ratio(runs: Runs, to: str, title: str, of: Callable[[Run], float] = work) -> list[Column]:
    """How many times as long as another contestant; no column where that one wasn't run."""
    if not runs.get(to):
        return []
    base = median(runs[to], of)
    return [(title, lambda own: f"{median(own, of) / base:.2f}")]


def table(runs: Runs, columns: Sequence[Column], absent: Sequence[str] = ()) -> str:
    """A row a contestant; those that aren't installed are named without figures."""
    lines = ["| | " + " | ".join(title for title, _ in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, several in runs.items():
        lines.append(f"| {name} | " + " | ".join(cell(several) for _, cell in columns) + " |")
    lines += [f"| {name} | not installed" + " |" * len(columns) for name in absent]
    return "\n".join(lines)


def report(name: str, text: str, script: str, rounds: int, load: float) -> None:
    """Print a table, and keep it with how it was measured."""
    rest = f"Medians of {rounds} {'round' if rounds == 1 else 'rounds'}. {origin(script, load)}"
    RESULTS.mkdir(parents=True, exist_ok=True)
    whole = f"{text}\n\n{rest}\n"
    (RESULTS / f"{name}.md").write_text(whole)
    (RESULTS / "machine.md").write_text(machine())
    print(whole)


def origin(script: str, load: float) -> str:
    """By which command, when, and beside how much other work."""
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"`python benchmarks/{script}`, {day}, load average {load:.1f} at the start."


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def machine() -> str:
    """What it was measured on, as a table."""
    ours = versions(Path(sys.executable), *OURS)
    listed = [f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in ours.items())]
    memory = psutil.virtual_memory().total / 2**30
    rows = {
        "CPU, cores": f"{_cpu()}, {os.cpu_count()}",
        "memory": f"{memory:.0f} GiB",
        "system": platform.system(),
        "versions": ", ".join(listed),
    }
    if installed():
        others = versions(python_of_others(), *OTHERS)
        rows["versions of the others"] = ", ".join(f"{k} {v}" for k, v in others.items())
    lines = [f"| {title} | {value} |" for title, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()


def write_docs(names: Sequence[str] = ()) -> list[str]:
    """Put tables that were measured into the docs.

    Args:
        names: of the tables; none means all that are there.

    Returns:
        The tables of the docs for which there is no result.
    """
    text = DOCS.read_text(encoding="utf-8")
    missing: list[str] = []

    def replaced(found: re.Match[str]) -> str:
        name = found["name"]
        file = RESULTS / f"{name}.md"
        if names and name not in names:
            return found[0]
        if not file.is_file():
            missing.append(name)
            return found[0]
        return f"<!-- table: {name} -->\n{file.read_text().strip()}\n<!-- end -->"

    pattern = r"<!-- table: (?P<name>\w+) -->\n.*?<!-- end -->"
    DOCS.write_text(re.sub(pattern, replaced, text, flags=re.DOTALL), encoding="utf-8")
    return missing
