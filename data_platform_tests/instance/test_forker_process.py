"""The forker by itself, without a `dagster dev`: its life, and what goes wrong with it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._serdes import serialize_value
from dagster_dev import clean_environment, wait_until

import data_platform
from data_platform.instance import forker_process
from data_platform.instance.forker_process import ForkerProcess, ForkerUnavailable
from data_platform.instance.worker import RunRequest

THREADED = """
import sys, threading, time
from multiprocessing.connection import Connection
from data_platform.instance.forker import RunForker
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
RunForker(Connection(int(sys.argv[1]))).serve()
"""


@pytest.fixture
def request_of_run(instance: dg.DagsterInstance) -> RunRequest:
    return {
        "run_id": "nobody's",
        "instance": serialize_value(instance.get_ref()),
        "environ": clean_environment(),
    }


@pytest.fixture
def forker() -> Iterator[Callable[..., ForkerProcess]]:
    made: list[ForkerProcess] = []

    def make(*command: str) -> ForkerProcess:
        arguments = [command] if command else []
        made.append(ForkerProcess(clean_environment(), *arguments))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def refuse(pid: int) -> None:
    raise LookupError(pid)


def test_forker_that_cant_start_says_so_and_isnt_tried_again_at_once(
    forker: Callable[..., ForkerProcess], request_of_run: RunRequest
) -> None:
    broken = forker("-c", "raise SystemExit(3)")
    with pytest.raises(ForkerUnavailable, match=r"didn't start \(exit code 3, EOFError\(\)\)"):
        broken.fork(request_of_run, refuse)
    with pytest.raises(ForkerUnavailable, match="failed a short while ago"):
        broken.fork(request_of_run, refuse)
    assert broken.pid is None


def test_forker_with_several_threads_refuses(
    forker: Callable[..., ForkerProcess], request_of_run: RunRequest
) -> None:
    with pytest.raises(ForkerUnavailable, match="has 2 threads, and can fork only while it has"):
        forker("-c", THREADED).fork(request_of_run, refuse)


def test_process_that_wasnt_announced_does_nothing_and_ends(
    forker: Callable[..., ForkerProcess], request_of_run: RunRequest, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(LookupError) as raised:
        forker().fork(request_of_run, refuse)
    (pid,) = raised.value.args
    wait_until(lambda: not psutil.pid_exists(pid), 60)
    assert instance.get_runs() == []


def test_forker_is_started_anew_when_a_module_of_any_package_changed(
    forker: Callable[..., ForkerProcess],
    request_of_run: RunRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert Path(data_platform.__file__).parent == forker_process._PACKAGE
    module = tmp_path / "engine" / "work.py"
    module.parent.mkdir()
    module.write_text("")
    monkeypatch.setattr(forker_process, "_PACKAGE", tmp_path)
    changing = forker()
    forked = changing.fork(request_of_run, lambda pid: None)
    first = changing.pid
    module.write_text("changed = True")
    assert changing.fork(request_of_run, lambda pid: None) != forked
    assert changing.pid != first
    wait_until(lambda: not psutil.pid_exists(first), 10)


def test_forker_has_one_thread_and_ends_when_it_is_told(
    forker: Callable[..., ForkerProcess], request_of_run: RunRequest
) -> None:
    one = forker()
    one.fork(request_of_run, lambda pid: None)
    process = psutil.Process(one.pid)
    assert process.num_threads() == 1
    one.stop()
    wait_until(lambda: not process.is_running(), 10)
    with pytest.raises(ForkerUnavailable):
        one.fork(request_of_run, lambda pid: None)
