"""A file that somebody may still be writing is waited for, and nobody waits for ever."""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data_platform.engine.work import Work
from data_platform.errors import SourceUnavailable
from data_platform.sources.files.finding import find
from data_platform.sources.files.found import Found
from data_platform.sources.files.settling import settled


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.csv"
    path.parent.mkdir()
    path.write_text("id\n1\n")
    return path


def wait(path: Path, settle: float, work: Work | None = None) -> list[Found]:
    found = find(str(path), None)
    return settled(found, settle, path.parent.parent, work or Work())


def later(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, each time."""
    asked: list[float] = []
    real = threading.Event.wait

    def wait_(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout is not None and timeout < 60:
            asked.append(timeout)
        return real(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", wait_)
    return asked


def test_an_old_file_is_taken_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(file, (0, 0))
    asked = waits(monkeypatch)
    assert [found.name for found in wait(file, 60)] == [str(file)]
    assert not asked


def test_no_time_to_settle_is_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = waits(monkeypatch)
    assert wait(file, 0)
    assert not asked


def test_a_new_file_is_waited_for(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    begin = file.stat().st_mtime
    wait(file, 1)
    assert time.time() - begin >= 1
    assert "a.csv changed less than 1 s ago: waiting 1 s for them to stand still" in caplog.text


def test_a_file_that_grows_is_taken_whole(file: Path) -> None:
    def grow() -> None:
        with file.open("a") as opened:
            opened.write("2\n")

    later(0.5, grow)
    [found] = wait(file, 1)
    assert found.bytes == len("id\n1\n2\n")
    assert file.stat().st_mtime <= time.time() - 1


def test_a_file_of_the_future_is_not_waited_for_for_ever(file: Path) -> None:
    future = time.time() + 10**8
    os.utime(file, (future, future))
    begin = time.monotonic()
    assert wait(file, 0.5)
    assert 0.5 <= time.monotonic() - begin < 30


def test_a_file_that_goes_away(file: Path) -> None:
    later(0.3, file.unlink)
    with pytest.raises(SourceUnavailable, match=r"a\.csv went away while it was waited for"):
        wait(file, 1)


def test_a_file_that_never_stands_still(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def touch(_event: threading.Event, _timeout: float | None = None) -> bool:
        os.utime(file)
        time.sleep(0.01)
        return False

    monkeypatch.setattr(threading.Event, "wait", touch)
    with pytest.raises(SourceUnavailable, match=r"still being written to.*`settle`"):
        wait(file, 0.05)


def test_a_step_that_is_ended_waits_no_longer(file: Path) -> None:
    work = Work()
    later(0.3, lambda: work.stop(SourceUnavailable("the time is up")))
    begin = time.monotonic()
    with pytest.raises(SourceUnavailable, match="the time is up"):
        wait(file, 600, work)
    assert time.monotonic() - begin < 60
