"""A process that has imported everything, and forks a process for each run.

A program of its own, `python -P -m data_platform.instance.forker DESCRIPTOR`, started and talked
to by `forker_process`. It reads no pipelines and opens nothing: a run finds pipelines, environment
and databases as a new process would. It must stay a process of one thread, since a fork copies only
the thread that forks, and the locks of all; with more it refuses. It ends with its starter, and
runs go on without it.
"""

import contextlib
import gc
import importlib
import os
import selectors
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NoReturn

from data_platform.instance.worker import GO, RunRequest, execute, report_death

READY = "ready"

PRELOADED = (
    "data_platform.definitions",
    "data_platform.instance.launcher",
    # What these import only where it is needed, which is in nearly every run.
    "data_platform.sources.database.arriving",
    "data_platform.sources.database.postgres",
    "data_platform.sources.files.arriving",
    "data_platform.storage.workbench",
    "pandas",  # pyarrow, to tell whether it was given a frame
)
LIKELY = (
    # What libraries import late. One that a later version hasn't is imported by the run, as ever.
    "dagster._core.definitions.repository_definition.repository_data_builder",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "dagster._utils.test.definitions",
    "fsspec.implementations.local",
    "psycopg2.extras",
    "sqlglot.dialects.duckdb",
    "sqlglot.dialects.postgres",
    "upath.implementations.local",
)


@dataclass
class Child:
    """A forked process.

    Attributes:
        pidfd: readable when it has ended.
        run: that it was told to execute; None until then.
    """

    pid: int
    pidfd: int
    run: RunRequest | None = None


@dataclass
class RunForker:
    """Forks when it is asked over `connection`, until that is closed."""

    connection: Connection
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def serve(self) -> None:
        """Answer requests and bury the dead."""
        self._selector.register(self.connection, selectors.EVENT_READ)
        self.connection.send(READY)
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.data, Child):
                    self._bury(key.data)
                    continue
                try:
                    self._answer()
                except (EOFError, ConnectionError):
                    return

    def _answer(self) -> None:
        """Fork, tell the process, and let it begin when that is allowed.

        Until then the launcher may change its mind: a run must never have two processes.
        """
        request: RunRequest = self.connection.recv()
        if (threads := thread_count()) != 1:
            self.connection.send(f"it has {threads} threads, and can fork only while it has one")
            return
        permission, allow = os.pipe()

        def begin() -> None:
            os.close(allow)  # or it would wait for itself when the launcher changes its mind
            execute(request, permission)

        child = self._fork(begin)
        os.close(permission)
        try:
            self.connection.send(child.pid)
            if self.connection.recv() == GO:
                child.run = request
                os.write(allow, GO)
        except BrokenPipeError:
            return  # it died before; `_bury` reports it
        finally:
            os.close(allow)

    def _bury(self, child: Child) -> None:
        """Take what is left of a process; if it had a run that it didn't end, that ends now."""
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        exit_code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        run = child.run
        if run is not None and exit_code:
            self._fork(lambda: report_death(run, exit_code))

    def _fork(self, work: Callable[[], None]) -> Child:
        pid = os.fork()
        if pid == 0:
            self._become(work)
        child = Child(pid, os.pidfd_open(pid))
        self._selector.register(child.pidfd, selectors.EVENT_READ, child)
        return child

    def _become(self, work: Callable[[], None]) -> NoReturn:
        """Do nothing but `work` in a process that was forked just now."""
        exit_code = 1
        try:
            for key in list(self._selector.get_map().values()):
                if isinstance(key.data, Child):
                    os.close(key.data.pidfd)
            self._selector.close()
            self.connection.close()
            work()
            exit_code = 0
        except BaseException:  # noqa: BLE001 -- nothing of the forker may run in its child
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_code)


def thread_count() -> int:
    """All threads of this process, those that Python doesn't know too."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 -- made by the kernel


def preload() -> None:
    """Import what runs will need. Starts no thread, see `ENVIRONMENT` of `forker_process`."""
    for name in PRELOADED:
        importlib.import_module(name)
    for name in LIKELY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main() -> None:
    """Import, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runs and for the starter
    connection = Connection(int(sys.argv[1]))
    preload()
    # What is there now stays: collections of garbage in a run needn't touch, and so copy it.
    gc.collect()
    gc.freeze()
    RunForker(connection).serve()
    # What was frozen can't be taken down in order: libraries would complain.
    os._exit(0)


if __name__ == "__main__":
    main()
