"""Calls a person's `on_finish` in a process of its own: whatever it does, it harms nothing here.

Called by `telling`. The process is killed with all that it started when its time is over.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from data_platform.endings.facts import RunFacts
from data_platform.plan.functions import UserFunction

HOOK_SECONDS = 30.0
"""What a function has, its imports included: a sensor's tick has a minute for what is over."""
_SAID = 2_000
_START = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from data_platform.endings.hook_process import main; main()"
)


def call(function: UserFunction, facts: RunFacts, seconds: float = HOOK_SECONDS) -> str | None:
    """Call it, and wait for its end.

    Args:
        function: the person's.
        facts: what it gets.
        seconds: that it has.

    Returns:
        What went wrong, in words; None if nothing did.
    """
    told = {
        "function": function.written,
        "pipeline": function.pipeline,
        "folder": str(function.folder) if function.folder else None,
        "facts": facts.as_json(),
    }
    process = subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-P", "-c", _START, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(json.dumps(told).encode(), seconds)
    except subprocess.TimeoutExpired:
        _kill(process)
        return f"{function.written} wasn't done within {seconds:.0f} s, and was ended"
    except BaseException:
        _kill(process)
        raise
    if process.returncode == 0:
        return None
    said = output.decode(errors="replace").strip()[-_SAID:]
    how = f"signal {-process.returncode}" if process.returncode < 0 else "an error"
    return f"{function.written} ended with {how}: {said or 'it said nothing'}"


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=5)


def folder_of(told: str | None) -> Path | None:
    """A folder as another process was told of it."""
    return Path(told) if told else None
