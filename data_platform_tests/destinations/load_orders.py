"""Load a day of a destination. Run by `test_ended_loads` in a process of its own, which is killed.

Arguments: the project's folder, the database's URL, the partition.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from factories import database_outside

from data_platform.destinations.loading import deliver
from data_platform.plan.building import build_plan
from data_platform.plan.keys import Key
from data_platform.plan.nodes import DestinationNode
from data_platform.spec.reading import read_workspace
from data_platform.storage.lake import Lake
from data_platform.storage.workbench import Workbench

if __name__ == "__main__":
    folder, url, day = sys.argv[1:]
    workspace = read_workspace([Path(folder) / "pipelines"], os.environ, Path(folder))
    node = build_plan(workspace).plan[Key("destinations", "shop", "orders")]
    assert isinstance(node, DestinationNode)
    deliver(
        node,
        [day],
        Workbench(Lake(Path(folder) / "lake"), threads=1),
        database_outside(url),
        "killed",
    )
