import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest

from data_platform.instance import liveness
from data_platform.instance.liveness import Absences, RunLocks, alive_runs, lock_key

HOLD_AND_FORK = """
import os, sys, time
from data_platform.instance.liveness import RunLocks
locks = RunLocks(sys.argv[1])
locks.hold("run")
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(300)
"""


DEAF = """
import signal, sys, time
from data_platform.instance import liveness, overruled
liveness.CHECK_SECONDS = overruled.GRACE_SECONDS = 0.1
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(print("heard", flush=True)))
locks = liveness.RunLocks(sys.argv[1], lambda runs: {"canceled"} & set(runs))
locks.hold("other")
time.sleep(0.5)
print("lives", flush=True)
locks.hold("canceled")
while True:
    time.sleep(60)
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(liveness.time, "monotonic", clock)
    return clock


@pytest.fixture
def locks(postgres_url: str) -> Iterator[RunLocks]:
    locks = RunLocks(postgres_url)
    yield locks
    for run_id in list(locks._runs):
        locks.release(run_id)


def alive(url: str, *run_ids: str) -> set[str]:
    with closing(psycopg2.connect(url)) as connection:
        return alive_runs(connection, run_ids)


def end_sessions(url: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline
        time.sleep(0.05)


def test_key_of_a_run_never_changes() -> None:
    # Processes of an older version hold the same locks during an upgrade.
    assert lock_key("3f1c8a4e-0000-4000-8000-000000000000") == 2001854943439722655


def test_run_is_alive_while_its_lock_is_held(locks: RunLocks, postgres_url: str) -> None:
    assert alive(postgres_url, "a", "b") == set()
    locks.hold("a")
    assert alive(postgres_url, "a", "b") == {"a"}
    locks.release("a")
    assert alive(postgres_url, "a", "b") == set()


def test_many_runs_of_one_process_are_told_apart(locks: RunLocks, postgres_url: str) -> None:
    names = [f"run {number}" for number in range(50)]
    for name in names:
        locks.hold(name)
    locks.release(names[0])
    assert alive(postgres_url, *names) == set(names[1:])


def test_run_that_was_never_held_can_be_released(locks: RunLocks) -> None:
    locks.release("a")


def test_lock_held_in_another_database_doesnt_count(
    locks: RunLocks, postgres_admin_url: str
) -> None:
    locks.hold("a")
    assert alive(postgres_admin_url, "a") == set()


def test_lock_is_taken_anew_after_the_server_dropped_it(locks: RunLocks, postgres_url: str) -> None:
    locks.hold("a")
    end_sessions(postgres_url)
    assert alive(postgres_url, "a") == set()
    wait_for(lambda: alive(postgres_url, "a") == {"a"})


def test_run_that_starts_after_the_loss_of_the_connection_is_held(
    locks: RunLocks, postgres_url: str
) -> None:
    locks.hold("a")
    end_sessions(postgres_url)
    locks.hold("b")
    assert alive(postgres_url, "a", "b") == {"a", "b"}


def test_no_connection_is_left_when_no_run_is_held(locks: RunLocks, postgres_url: str) -> None:
    locks.hold("a")
    locks.release("a")
    with closing(psycopg2.connect(postgres_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'data_platform%'"
        )
        assert cursor.fetchone() == (0,)


def test_forked_child_doesnt_keep_a_killed_process_alive(postgres_url: str) -> None:
    command = [sys.executable, "-c", HOLD_AND_FORK, postgres_url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    try:
        assert alive(postgres_url, "run") == {"run"}
        process.kill()
        process.wait()
        wait_for(lambda: alive(postgres_url, "run") == set())
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        process.kill()
        process.stdout.close()


def test_process_of_a_run_that_others_ended_is_interrupted_and_then_killed(
    postgres_url: str,
) -> None:
    command = [sys.executable, "-c", DEAF, postgres_url]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.stdout.split() == ["lives", "heard"]
    assert ended.returncode == -signal.SIGKILL


def test_run_whose_end_this_process_records_is_not_looked_at(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "CHECK_SECONDS", 60)
    locks = RunLocks(postgres_url, set)
    ended: list[set[str]] = []
    monkeypatch.setattr(locks._ending, "end", ended.append)
    locks.hold("a")
    locks._end_overruled()
    locks.ends("a")
    locks._end_overruled()
    locks.release("a")
    assert ended == [{"a"}]


def test_run_without_a_lock_is_dead_only_after_a_while(postgres_url: str, clock: Clock) -> None:
    absences = Absences(postgres_url, patience=10)
    assert absences.dead(["a"]) == set()
    assert absences.suspected() == {"a"}
    clock.now += 9
    assert absences.dead(["a"]) == set()
    clock.now += 1
    assert absences.dead(["a"]) == {"a"}


def test_run_that_was_seen_alive_in_between_is_not_dead(
    locks: RunLocks, postgres_url: str, clock: Clock
) -> None:
    absences = Absences(postgres_url, patience=10)
    absences.dead(["a"])
    clock.now += 6
    locks.hold("a")
    assert absences.dead(["a"]) == set()
    locks.release("a")
    clock.now += 6
    assert absences.dead(["a"]) == set()


def test_time_without_the_server_doesnt_count(
    postgres_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    absences = Absences(postgres_url, patience=10)
    absences.dead(["a"])
    clock.now += 20
    monkeypatch.setattr(absences, "_url", "postgresql://postgres@/none?host=/nowhere")
    with pytest.raises(psycopg2.OperationalError):
        absences.dead(["a"])
    monkeypatch.setattr(absences, "_url", postgres_url)
    assert absences.dead(["a"]) == set()
