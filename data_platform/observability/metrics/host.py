"""How busy this machine is: its processors, memory and disks.

Called at each scrape. In a container these are the machine's, as far as that shows them.
"""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import Sample


class Worked(NamedTuple):
    """What all processors together have done since the machine began.

    Attributes:
        busy, whole: in seconds.
    """

    busy: float
    whole: float

    @classmethod
    def of(cls, times: Any) -> "Worked":
        """From psutil's times; those of guests are in the others already."""
        told = {name: value for name, value in times._asdict().items() if "guest" not in name}
        whole = sum(told.values())
        return cls(whole - told["idle"] - told.get("iowait", 0.0), whole)


class Host:
    """This machine.

    Args:
        folders: whose disks are looked at, by what they are called.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._before = Worked.of(psutil.cpu_times())
        self._ratio = 0.0
        self._one_at_a_time = threading.Lock()

    def look(self) -> Iterator[Sample]:
        """The gauges of this machine."""
        yield Sample(catalogue.CPU, (), self._cpu(Worked.of(psutil.cpu_times())))
        yield Sample(catalogue.MEMORY, (), psutil.virtual_memory().percent / 100)
        for name, folder in self._folders.items():
            there = next((place for place in (folder, *folder.parents) if place.exists()), None)
            if there is not None:
                disk = psutil.disk_usage(str(there))
                yield Sample(catalogue.DISK, (name,), disk.percent / 100)
                yield Sample(catalogue.DISK_FREE, (name,), disk.free)

    def _cpu(self, now: Worked) -> float:
        """How much of the time since the look before the processors were busy.

        psutil's own percentage is of the calling thread's look before, and each scrape has a thread
        of its own.
        """
        with self._one_at_a_time:
            whole = now.whole - self._before.whole
            if whole > 0:
                self._ratio = min(1.0, max(0.0, (now.busy - self._before.busy) / whole))
                self._before = now
            return self._ratio
