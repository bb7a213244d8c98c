"""What every contestant marks: the moment when its imports are done, and the end of its work.

Runs in the platform's environment and in that of the others, so it needs psutil and nothing else.
`measuring` reads what is printed.
"""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil


@contextmanager
def moving() -> Iterator[dict[str, Any]]:
    """Print when the block began and ended, its CPU seconds, the memory before it, what it adds."""
    facts: dict[str, Any] = {"uss_before": psutil.Process().memory_full_info().uss}
    before = _cpu_seconds()
    facts["began"] = time.monotonic()
    yield facts
    facts["ended"] = time.monotonic()
    facts["cpu_seconds"] = _cpu_seconds() - before
    print(json.dumps(facts), flush=True)


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
