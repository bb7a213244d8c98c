"""What every contestant marks: the moment when its imports are done, and the end of its work.

Runs in the platform's environment and in that of the others, so it needs psutil and nothing else.
`measuring` reads what is printed.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil


@contextmanager
def moving() -> Iterator[dict[str, Any]]:
    """Print when the block began and ended, the process's memory before it, and what it adds."""
    facts: dict[str, Any] = {"uss_before": psutil.Process().memory_full_info().uss}
    facts["began"] = time.monotonic()
    yield facts
    facts["ended"] = time.monotonic()
    print(json.dumps(facts), flush=True)
