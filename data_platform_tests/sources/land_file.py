"""Land the source `orders` of a project and say how much memory that took beyond what there was.

Run by `test_file_memory` in a process of its own: another one has memory of what it did before.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psutil
from factories import Project

from data_platform.storage.workbench import Workbench


def main(folder: Path, memory_limit: str, ending: str) -> None:
    """Land it; something small first, so that all that is imported and begun is there."""
    project = Project(folder)
    project.workbench = Workbench(project.workbench.lake, memory_limit, threads=2)
    source = f"{{type: file, path: '{folder}/o.*', format: {ending}}}"
    small = f"{{type: file, path: '{folder}/small.{ending}'}}"
    project.declare(f"sources:\n  orders: {source}\n  small: {small}\n")
    project.land_source("small")
    before = psutil.Process().memory_info().rss
    publication = project.land_source("orders").publication
    peak = _peak()
    assert publication is not None
    rows = sum(version.rows for version in publication.versions.values())
    sys.stdout.write(json.dumps({"rows": rows, "bytes": peak - before}))


def _peak() -> int:
    """Bytes at most so far; what getrusage says begins with the memory of the parent process."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
