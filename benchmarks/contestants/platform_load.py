"""Parquet to PostgreSQL by the platform's destination.

platform_load.py DESTINATION FIRST_DAY END_DAY
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import adbc_driver_postgresql.dbapi  # noqa: F401 -- imported when something connects otherwise
from contestants.moving import moving
from ground import load_pipelines

from data_platform.destinations.loading import deliver
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode


def main() -> None:
    name, first, end = sys.argv[1:]
    loaded = load_pipelines(dict(os.environ))
    node = loaded.plan[Key("destinations", "bench", name)]
    assert isinstance(node, DestinationNode)
    keys = node.partitions.timed.between(first, end) if node.partitions else [WHOLE]
    workbench, outside = loaded.workbench(), loaded.outside()
    with moving() as facts:
        loading = deliver(node, keys, workbench, outside, "benchmark")
        facts["failed"] = len(loading.failed)


if __name__ == "__main__":
    main()
