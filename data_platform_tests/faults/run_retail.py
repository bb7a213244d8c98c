"""A run of a pipeline in a process of its own, to be killed or interrupted.

The processes are forked from one that has imported everything, so that a kill costs half a second
and not four.
"""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from forking import CONTEXT

from data_platform.definitions import definitions_of
from data_platform.instance import launcher
from data_platform.instance.storage import open_instance
from data_platform.loading import load
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import load_settings


class Silent:
    def started(self, key: Key, partitions: int) -> None: ...

    def finished(self, report: AssetReport) -> None: ...


def start(
    environ: Mapping[str, str], first: str | None, end: str | None, pipeline: str = "retail"
) -> tuple[ForkServerProcess, Connection]:
    """Start a run; the connection says `running` when it is about to begin, then how it ended."""
    receiving, sending = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=run, args=(dict(environ), first, end, pipeline, sending))
    process.start()
    sending.close()
    return process, receiving


def run(
    environ: Mapping[str, str],
    first: str | None,
    end: str | None,
    pipeline: str,
    connection: Connection,
) -> None:
    """What the process does."""
    os.environ.update(environ)
    # A kill is seen at once here; the patience is for servers that restart.
    launcher.COMMAND_PATIENCE_SECONDS = 0.0
    settings = load_settings()
    loaded = load(settings, environ)
    now = datetime(2018, 1, 1, 6, tzinfo=UTC)
    definitions = definitions_of(loaded, now)
    with open_instance(settings) as instance:
        connection.send("running")
        wanted = Request(pipeline, first=first, end=end)
        try:
            report = run_pipeline(definitions, loaded, instance, wanted, Silent(), now)
        except KeyboardInterrupt:
            connection.send("interrupted")
            sys.exit(130)
    connection.send("succeeded" if report.succeeded else "failed")
