"""A process whose wall clock is ahead or behind, as Python's code sees it.

For a process of a test's own: what was changed stays. Monotonic clocks, timeouts, other processes
and libraries that ask the kernel by themselves aren't touched, nor is a database: its clock is
another machine's.
"""

import ctypes
import gc
import time
from datetime import UTC, date, datetime, timedelta, tzinfo

VARIABLE = "TESTS_CLOCK_AHEAD"
"""Of a forked command's environment: by how many seconds its clock is ahead."""


def jump(seconds: float) -> None:
    """Set this process's clock ahead, or back where it is negative."""
    real_time, real_time_ns, real_now = time.time, time.time_ns, datetime.now
    real_gmtime, real_localtime = time.gmtime, time.localtime
    ahead = timedelta(seconds=seconds)

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        moment = real_now(UTC) + ahead
        local = moment.astimezone(tz) if tz else moment.astimezone().replace(tzinfo=None)
        return local if cls is datetime else cls.fromtimestamp(moment.timestamp(), tz)

    def utcnow(cls: type[datetime]) -> datetime:
        return now(cls, UTC).replace(tzinfo=None)

    def today(cls: type[date]) -> date:
        if issubclass(cls, datetime):
            return now(cls)
        local = now(datetime)
        return cls(local.year, local.month, local.day)

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 1e9)
    time.gmtime = lambda at=None: real_gmtime(time.time() if at is None else at)
    time.localtime = lambda at=None: real_localtime(time.time() if at is None else at)
    _replace(datetime, now=now, utcnow=utcnow)
    _replace(date, today=today)


def _replace(kind: type, **methods: object) -> None:
    """Give a type of C's, which lets nobody set them, other class methods: all have it by name."""
    [own] = [one for one in gc.get_referents(kind.__dict__) if isinstance(one, dict)]
    own.update({name: classmethod(method) for name, method in methods.items()})  # type: ignore[arg-type]
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
