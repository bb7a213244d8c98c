"""What tests fork processes from: one that has imported everything and has used nothing of it.

A process that is forked does what a new one does, but for the seconds of its imports. There is one
such server for all tests of a process, so what any of them needs is named here.
"""

import multiprocessing

from data_platform.instance.forker import LIKELY, PRELOADED

CONTEXT = multiprocessing.get_context("forkserver")
# By names that are installed: the server doesn't know the tests' folders, and says nothing of what
# it can't import.
CONTEXT.set_forkserver_preload(
    [
        *PRELOADED,
        *LIKELY,
        "data_platform.backfills.commanding",
        "data_platform.cli",
        "data_platform.running",
        "data_platform.targets.databases.loading",
        "adbc_driver_postgresql.dbapi",
        "psycopg2",
    ]
)
