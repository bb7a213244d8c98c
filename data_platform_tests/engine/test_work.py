"""The end of a step's work from outside, and how far it is."""

import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress

import duckdb
import pytest

from data_platform.engine import work as engine_work
from data_platform.engine.work import Moved, Work, ended_after, ended_by_signals
from data_platform.errors import PlatformError, SourceUnavailable, TimedOut


def reason(moved: Moved) -> TimedOut:
    return TimedOut(f"ended after {moved.rows} rows")


def test_a_statement_that_computes_for_ever_is_ended() -> None:
    work = Work()
    with duckdb.connect() as connection, pytest.raises(TimedOut, match="ended after 3 rows"):  # noqa: PT012, SIM117
        with ended_after(work, 0.3, reason):
            work.count(3)
            with work.stoppable(connection.interrupt):
                connection.execute(
                    "SELECT sum(a.range * b.range) FROM range(1000000000) a, range(1000000000) b"
                )


def test_what_is_between_two_statements_is_ended_at_the_next() -> None:
    work = Work()
    with duckdb.connect() as connection, work.stoppable(connection.interrupt):
        work.stop(TimedOut("over"))
        # The interruption meets no statement, and the next one would run: it must ask first.
        with pytest.raises(TimedOut, match="over"):
            work.go_on()


def test_nothing_that_begins_after_the_end_runs() -> None:
    work = Work()
    work.stop(TimedOut("over"))
    with pytest.raises(TimedOut, match="over"), work.stoppable(lambda: None):
        pytest.fail("it ran")


def test_the_first_reason_is_told() -> None:
    work = Work()
    work.stop(TimedOut("first"))
    work.stop(TimedOut("second"))
    with pytest.raises(TimedOut, match="first"):
        work.go_on()


def test_one_stop_that_raises_does_not_keep_the_others_from_theirs() -> None:
    work, stopped = Work(), threading.Event()

    def broken() -> None:
        raise OSError("closed already")

    with work.stoppable(broken), work.stoppable(stopped.set):
        work.stop(TimedOut("over"))
    assert stopped.is_set()


def test_an_error_of_its_own_stays_what_it_is() -> None:
    work = Work()
    with (
        pytest.raises(SourceUnavailable, match="gone"),
        ended_after(work, 60, reason),
        work.stoppable(lambda: None),
    ):
        raise SourceUnavailable("gone")


def test_python_that_never_asks_is_interrupted_in_the_main_thread() -> None:
    with pytest.raises(TimedOut), ended_after(Work(), 0.1, reason, patience=0.1):
        time.sleep(600)


def test_what_catches_every_interruption_comes_to_the_last_resort(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_work, "LAST_PATIENCE", 0.2)
    told: list[PlatformError] = []
    with (
        suppress(TimedOut),
        ended_after(Work(), 0.1, reason, patience=0.1, last_resort=told.append),
    ):
        while not told:
            with suppress(Exception):
                time.sleep(600)
    assert [str(error) for error in told] == ["ended after 0 rows"]


def test_a_thread_that_is_not_the_main_one_ends_where_it_asks() -> None:
    work, ended = Work(), threading.Event()

    def run() -> None:
        try:
            with ended_after(work, 0.1, reason, patience=0.1):
                while True:
                    time.sleep(0.01)
                    work.go_on()
        except TimedOut:
            ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ended.wait(60)
    thread.join()


def test_nothing_is_left_behind_by_a_limit_that_was_not_reached() -> None:
    code = """
import signal, threading
from data_platform.engine.work import Work, ended_after
before = signal.getsignal(signal.SIGUSR2)
with ended_after(Work(), 600, lambda moved: None):
    assert threading.active_count() == 2
assert threading.active_count() == 1
assert signal.getsignal(signal.SIGUSR2) is before
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_threads_may_count_at_once() -> None:
    told: list[Moved] = []
    work = Work(told.append)

    def count() -> None:
        for _ in range(1_000):
            work.count(1, 2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (work.moved.rows, work.moved.bytes) == (4_000, 8_000)
    assert len(told) == 4_000


def signalled(body: str, *, handler: str) -> str:
    """What a process prints whose work of DuckDB gets a signal half a second after it began."""
    code = f"""
import os, signal, threading
import duckdb
import pyarrow as pa
from data_platform.engine.work import Work, ended_by_signals

def raising(*_):
    raise RuntimeError("somebody pressed Ctrl-C")

work, connection = Work(), duckdb.connect()
before = signal.set_wakeup_fd(-1)
signal.signal(signal.SIGINT, {handler})
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    with ended_by_signals(work), work.stoppable(connection.interrupt):
{textwrap.indent(textwrap.dedent(body), " " * 8)}
except KeyboardInterrupt as interrupted:
    print(interrupted.__context__)
    assert interrupted.__suppress_context__, "what it says may name a person"
assert signal.set_wakeup_fd(-1) == before
assert threading.active_count() == 1
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout


def test_a_signal_stops_what_the_main_thread_waits_for_in_another_language() -> None:
    # Who only waits for the main thread hears nothing.
    handler = "lambda *_: None"
    query = """
        connection.execute("SELECT sum(a.range * b.range) FROM range(1000000000) a, "
                           "range(1000000000) b")
    """
    assert "somebody ended the run" in signalled(query, handler=handler)


@pytest.mark.parametrize(
    "query",
    [
        """
        def batches():
            while True:
                yield pa.record_batch({"n": pa.array([1])})
        schema = pa.schema([("n", pa.int64())])
        reader = pa.RecordBatchReader.from_batches(schema, batches())
        connection.execute("SELECT sum(n) FROM reader").fetchall()
        """,
        """
        def same(number: int) -> int:
            return sum(range(1_000))
        connection.create_function("same", same)
        connection.execute("SET threads = 1")
        connection.execute("SELECT sum(same(range)) FROM range(1000000000)").fetchall()
        """,
    ],
    ids=["stream", "function"],
)
def test_an_interruption_that_hits_python_called_by_duckdb_is_one(query: str) -> None:
    """DuckDB makes an error of its own of it, of whatever it finds."""
    assert signalled(query, handler="raising")


def test_who_fails_without_a_signal_has_its_own_error() -> None:
    with pytest.raises(ValueError, match="of its own"), ended_by_signals(Work()):
        raise ValueError("of its own")
