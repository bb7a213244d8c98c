"""What a step takes of the process that it runs in: time, processor, memory.

Called by `lake_steps`, `destinations.assets` and `handwritten.assets`. Steps of a run follow one
another in one process, so that the most memory that it held since a step began is that step's.
"""

import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FORGET_PEAK = Path("/proc/self/clear_refs"), "5"
_STATUS = Path("/proc/self/status")
_KIB = 1024


@dataclass(frozen=True)
class Taken:
    """What a step took.

    Attributes:
        seconds: from its begin on.
        cpu_seconds: of the processor; processes that it started count when they have ended.
        peak_bytes: the most that its process held at once. Where the system can't count a step's
            own, it is the most that the process ever held.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int

    def metadata(self) -> dict[str, float | int]:
        """As materializations tell it; seconds are told partition by partition."""
        return {"cpu_seconds": round(self.cpu_seconds, 3), "peak_memory_bytes": self.peak_bytes}


class Meter:
    """Counts from the moment at which it is made."""

    def __init__(self) -> None:
        with suppress(OSError):
            _FORGET_PEAK[0].write_text(_FORGET_PEAK[1])
        self._started = time.monotonic()
        self._cpu = _cpu_seconds()

    def read(self) -> Taken:
        """What was taken so far."""
        return Taken(time.monotonic() - self._started, _cpu_seconds() - self._cpu, _peak_bytes())


def _cpu_seconds() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _peak_bytes() -> int:
    with suppress(OSError, ValueError, StopIteration):
        lines = _STATUS.read_text().splitlines()
        said = next(line for line in lines if line.startswith("VmHWM:"))
        return int(said.split()[1]) * _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
