"""From what was measured to how bad it is, and all of it at the same time."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from data_platform.doctor.examining import Examination, examine
from data_platform.doctor.findings import (
    Finding,
    connections,
    daemons,
    disk,
    in_time,
    moment_skew,
    skew,
)
from data_platform.errors import SourceError, SourceUnavailable

GB = 10**9


@pytest.mark.parametrize(
    ("used", "most", "level"),
    [(0, 100, "ok"), (80, 100, "ok"), (81, 100, "warn"), (95, 100, "warn"), (96, 100, "fail"),
     (5, 0, "fail")],
)  # fmt: skip
def test_connections(used: int, most: int, level: str) -> None:
    found = connections("shop", used, most)
    assert found.level == level
    assert found.found == f"{used} of the server's {most} in use"


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [(100 * GB, 1000 * GB, "ok"), (99 * GB, 1000 * GB, "warn"), (30 * GB, 1000 * GB, "warn"),
     (29 * GB, 1000 * GB, "fail"), (GB - 1, 2 * GB, "fail"), (GB, 2 * GB, "ok"), (0, 0, "fail")],
)  # fmt: skip
def test_disks(free: int, total: int, level: str) -> None:
    assert disk("machine", "disk", free, total).level == level


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [
        (0.0, "ok", "as this machine's"),
        (2.0, "ok", "2.0 s ahead of"),
        (-2.1, "warn", "2.1 s behind"),
        (30.0, "warn", "30.0 s ahead of"),
        (-3601.0, "fail", "3,601.0 s behind"),
    ],
)
def test_clocks(seconds: float, level: str, words: str) -> None:
    found = skew("shop", seconds)
    assert found.level == level
    assert words in found.found


def test_an_answer_between_two_moments_is_no_skew() -> None:
    theirs = datetime.fromtimestamp(100.0, UTC)
    assert moment_skew(theirs, 99.0, 101.0) == 0
    assert moment_skew(theirs, 90.0, 95.0) == 5
    assert moment_skew(theirs, 103.0, 104.0) == -3


@pytest.mark.parametrize(
    ("ages", "level", "words"),
    [
        ({}, "warn", "has never run"),
        ({"SENSOR": 12.0, "SCHEDULER": 400.0}, "ok", "alive, heartbeat 12.0 s ago"),
        ({"SENSOR": 7200.0}, "warn", "last heard of 2 h ago"),
        ({"SENSOR": -3.0}, "ok", "alive, heartbeat 0 ms ago"),
    ],
)
def test_daemons(ages: dict[str, float], level: str, words: str) -> None:
    found = daemons("dagster", ages)
    assert (found.level, found.found) == (level, words)


def test_durations() -> None:
    spans = [0.0004, 0.012, 1.0, 119.0, 120.0, 7200.0, 200_000.0]
    assert [in_time(span) for span in spans] == [
        "0 ms", "12 ms", "1.0 s", "119.0 s", "2 min", "2 h", "2 d",
    ]  # fmt: skip


def test_what_is_not_ok_must_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="nothing is said about what to do"):
        Finding("a", "b", "warn", "c")


def test_one_that_hangs_hides_none_of_the_others() -> None:
    ended = threading.Event()

    def hanging() -> Iterator[Finding]:
        yield Finding("slow", "reachable", "ok", "1 ms")
        ended.wait(30)
        yield Finding("slow", "late", "ok", "too late")

    def stuck() -> Iterator[Finding]:
        ended.wait(30)
        yield Finding("stuck", "late", "ok", "too late")

    def refusing() -> Iterator[Finding]:
        raise SourceError("no such\n  bucket")

    def away() -> Iterator[Finding]:
        raise SourceUnavailable("nobody answers")

    def broken() -> Iterator[Finding]:
        raise KeyError("a-canary")

    looks = {"slow": hanging, "stuck": stuck, "refusing": refusing, "away": away, "broken": broken}
    examinations = [
        Examination(name, "reachable", look, advice="mend it") for name, look in looks.items()
    ]
    found = examine(examinations, 0.5)
    ended.set()
    time.sleep(0.05)
    assert [(f.area, f.what, f.level, f.found) for f in found] == [
        ("slow", "reachable", "ok", "1 ms"),
        ("slow", "the rest", "fail", "no answer within 0.5 s"),
        ("stuck", "reachable", "fail", "no answer within 0.5 s"),
        ("refusing", "reachable", "fail", "no such bucket"),
        ("away", "reachable", "fail", "nobody answers"),
        ("broken", "reachable", "fail", "couldn't be looked at: builtins.KeyError"),
    ]
    assert found[3].advice == "mend it"
    assert "is the server up" in found[4].advice


def test_all_are_looked_at_at_the_same_time() -> None:
    together = threading.Barrier(4)

    def look() -> Iterator[Finding]:
        together.wait(20)
        yield Finding("a", "b", "ok", "c")

    assert len(examine([Examination("a", "b", look)] * 4, 30)) == 4
    assert not together.broken
