"""A table from one database into another by the platform: a source and a destination.

platform_transfer.py DESTINATION
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import adbc_driver_postgresql.dbapi  # noqa: F401 -- imported when something connects otherwise
from contestants.moving import moving
from ground import load_pipelines
from lakes import METADATA

from data_platform.destinations.loading import deliver
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode, RawNode
from data_platform.raw.extraction import extract


def main() -> None:
    (name,) = sys.argv[1:]
    loaded = load_pipelines(dict(os.environ))
    node = loaded.plan[Key("destinations", "transfer", name)]
    assert isinstance(node, DestinationNode)
    source = loaded.plan[node.source]
    assert isinstance(source, RawNode)
    workbench, outside = loaded.workbench(), loaded.outside()
    with moving() as facts:
        began = time.monotonic()
        passage = extract(source, [WHOLE], workbench, outside, METADATA)
        facts["out"] = time.monotonic() - began
        loading = deliver(node, [WHOLE], workbench, outside, "benchmark")
        facts["in"] = time.monotonic() - began - facts["out"]
        facts["failed"] = len(passage.failed) + len(loading.failed)


if __name__ == "__main__":
    main()
