"""How much memory a landing takes, told by a process of its own.

Called by `test_database_memory` as `landing_memory.py FOLDER URL PARTITION...`: the pipeline is in
the folder. Writes by how many MB its greatest resident set is above what it was before.
"""

import re
import sys
from pathlib import Path

from factories import Project

from data_platform.storage.lake import Lake
from data_platform.storage.workbench import Workbench


def resident(field: str) -> float:
    """MB, by what the kernel says: VmRSS is now, VmHWM the greatest."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def main(folder: Path, url: str, keys: list[str]) -> None:
    """Land once to have everything loaded, then measure."""
    project = Project.__new__(Project)
    project.folder, project.pipelines = folder, folder / "pipelines"
    project.know()
    project.workbench = Workbench(Lake(folder / "small"), threads=1)
    project.land_source("few", *keys, url=url)
    project.workbench = Workbench(Lake(folder / "lake"), threads=1)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the greatest begins anew
    passage = project.land_source("orders", *keys, url=url)
    assert not passage.failed
    sys.stdout.write(f"{resident('VmHWM') - before}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
