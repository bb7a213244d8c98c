"""`docs/reliability.md`: what a campaign did, how often, and what came of it.

Campaign tests call `record`, `conftest.py` calls `write_report` at the end. Figures go through a
folder, since xdist runs tests in other processes. What people wrote of the page is in
`reliability_promises.md`.
"""

import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

PROMISES = (Path(__file__).parent / "reliability_promises.md").read_text()
"""What stands above the figures."""
HEADER = "| what was done | times | what was found | seconds | on |\n|---|---:|---|---:|---|"
_PACKAGES = ("dagster", "duckdb", "deltalake", "adbc-driver-postgresql", "pyarrow")


@dataclass(frozen=True)
class Figures:
    """What a campaign test did.

    Attributes:
        what: the fault.
        times: how often it was done.
        outcome: what was found, in words.
        seconds: in all.
    """

    what: str
    times: int
    outcome: str
    seconds: float


def record(figures: Figures) -> None:
    """Keep figures for the report."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(asdict(figures)))


def write_report(path: Path) -> None:
    """Write the report, if any campaign test has recorded figures; they are gone afterwards.

    Rows of tests that didn't run this time stay as they are.
    """
    files = sorted(_folder().glob("*.json"), key=lambda file: file.stat().st_mtime)
    if not files:
        return
    found = [Figures(**json.loads(file.read_text())) for file in files]
    for file in files:
        file.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_text(report(found, path.read_text() if path.exists() else ""))


def report(found: list[Figures], before: str = "") -> str:
    """The page.

    Args:
        found: this time.
        before: the page as it was.
    """
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    _, _, known = before.partition(HEADER)
    rows = {
        line.split(" | ")[0].removeprefix("| "): line
        for line in known.splitlines()
        if line.startswith("| ")
    }
    rows |= {
        one.what: f"| {one.what} | {one.times:,} | {one.outcome} | {one.seconds:,.0f} | {today} |"
        for one in found
    }
    table = "\n".join(rows[what] for what in sorted(rows))
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"""{PROMISES}
{HEADER}
{table}

With {os.cpu_count()} cores, {memory:.0f} GiB of memory,
{platform.system()}, Python {platform.python_version()}; {packages}; PostgreSQL from the embedded
wheel, without fsync.
"""


def _folder() -> Path:
    # One run of the tests has one server folder, whose name its workers share.
    run = Path(os.environ.get("DATA_PLATFORM_TESTS_SERVER", "none")).name
    return Path(tempfile.gettempdir()) / f"reliability-{run}"
