"""How busy this machine is: its processors, memory and disks.

Called at each scrape. In a container these are the machine's, as far as that shows them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import Sample


def look_at_host(folders: Mapping[str, Path]) -> Iterator[Sample]:
    """The gauges of this machine.

    Args:
        folders: whose disks are looked at, by what they are called.
    """
    yield Sample(catalogue.CPU, (), psutil.cpu_percent() / 100)
    yield Sample(catalogue.MEMORY, (), psutil.virtual_memory().percent / 100)
    for name, folder in folders.items():
        there = next((place for place in (folder, *folder.parents) if place.exists()), None)
        if there is not None:
            disk = psutil.disk_usage(str(there))
            yield Sample(catalogue.DISK, (name,), disk.percent / 100)
            yield Sample(catalogue.DISK_FREE, (name,), disk.free)
