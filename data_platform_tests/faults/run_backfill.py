"""A backfill in a process of its own, to be killed: the command's work without its printing.

The processes are forked from one that has imported everything, so that a kill costs half a second
and not four.
"""

import os
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from backfill_history import NOW, Watched
from forking import CONTEXT

from data_platform.backfills.commanding import Ground, Limits, begin, plan_backfill, resume
from data_platform.definitions import definitions_of
from data_platform.instance import launcher
from data_platform.instance.storage import open_instance
from data_platform.loading import load
from data_platform.running import Request
from data_platform.settings import load_settings


def start(environ: Mapping[str, str], backfill_id: str | None, size: int) -> ForkServerProcess:
    """Begin a backfill of all that is due, or go on with one."""
    process = CONTEXT.Process(target=run, args=(dict(environ), backfill_id, size))
    process.start()
    return process


def run(environ: Mapping[str, str], backfill_id: str | None, size: int) -> None:
    """What the process does."""
    os.environ.update(environ)
    # A kill is seen at once here; the patience is for servers that restart.
    launcher.COMMAND_PATIENCE_SECONDS = 0.0
    settings = load_settings()
    loaded = load(settings, environ)
    definitions = definitions_of(loaded, NOW)
    with open_instance(settings) as instance:
        home = Path(environ["DATA_PLATFORM_HOME"])
        ground = Ground(loaded, definitions, instance, home, lambda: loaded.plan)
        if backfill_id is not None:
            resume(backfill_id, ground, Watched())
            return
        request = Request("history")
        planned = plan_backfill(loaded, instance, request, None, Limits(size=size), NOW)
        if planned is not None:
            begin(planned, ground, Watched())
