"""What was found, and how bad it is: the thresholds of `data-platform doctor`.

Made by the other modules of this package, shown by `terminal.doctor_tables`. Nothing is asked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Level = Literal["ok", "warn", "fail"]

CONNECTIONS_WARN, CONNECTIONS_FAIL = 0.80, 0.95
"""Shares of a server's connections that are in use."""
DISK_WARN, DISK_FAIL, DISK_LEAST = 0.10, 0.03, 10**9
"""Shares of a disk that are free, and the bytes below which it fails at any share."""
SKEW_WARN, SKEW_FAIL = 2.0, 30.0
"""Seconds by which another clock may differ."""
SILENT_SECONDS = 300
"""A daemon that runs says so every 30 seconds."""
_FEWER = (
    "let fewer steps use it at once, by a pool of the connection's name in platform.yaml, end "
    "sessions that are idle (pg_stat_activity), or raise the limit"
)
_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: of the platform, such as `lake` or `connection shop`.
        what: was looked at.
        level: how it is.
        found: in words.
        advice: what to do, in a line; empty where it is ok.
        figures: what was measured, for programs.
    """

    area: str
    what: str
    level: Level
    found: str
    advice: str = ""
    figures: Mapping[str, float | str] = field(default_factory=dict[str, "float | str"])

    def __post_init__(self) -> None:
        if self.level != "ok" and not self.advice:
            raise ValueError(f"{self.area}, {self.what}: nothing is said about what to do")


def reached(area: str, seconds: float, version: str = "", what: str = "reachable") -> Finding:
    """That it answered, how fast, and what it calls itself."""
    found = ", ".join(part for part in (in_time(seconds), version) if part)
    figures: dict[str, float | str] = {"seconds": round(seconds, 4)}
    return Finding(
        area, what, "ok", found, figures=figures | ({"version": version} if version else {})
    )


def connections(area: str, used: int, most: int, of: str = "the server's") -> Finding:
    """How many connections of how many are in use.

    Args:
        area: where.
        used: now.
        most: that are allowed.
        of: whose limit it is.
    """
    share = used / most if most else 1.0
    level = _level(share, CONNECTIONS_WARN, CONNECTIONS_FAIL)
    return Finding(
        area,
        "connections",
        level,
        f"{used} of {of} {most} in use",
        "" if level == "ok" else _FEWER,
        {"used": used, "max": most},
    )


def no_connection_left(area: str, said: str) -> Finding:
    """That a server has none for whoever asks how many it has.

    Args:
        area: where.
        said: by the server, in a line.
    """
    return Finding(area, "connections", "fail", said, _FEWER)


def disk(area: str, what: str, free: int, total: int) -> Finding:
    """How much of a disk is free."""
    share = free / total if total else 0.0
    level: Level = "ok"
    if share < DISK_WARN:
        level = "warn"
    if share < DISK_FAIL or free < DISK_LEAST:
        level = "fail"
    return Finding(
        area,
        what,
        level,
        f"{in_bytes(free)} of {in_bytes(total)} free",
        ""
        if level == "ok"
        else "make room: remove old versions of tables (`data-platform lake vacuum --apply`), old "
        "compute logs, or move the lake to a larger disk",
        {"free": free, "total": total},
    )


def skew(area: str, seconds: float) -> Finding:
    """By how much another clock is ahead of this machine's; negative is behind."""
    level = _level(abs(seconds), SKEW_WARN, SKEW_FAIL)
    way = "ahead of" if seconds > 0 else "behind"
    found = (
        "as this machine's" if abs(seconds) < 1 else f"{abs(seconds):,.1f} s {way} this machine's"
    )
    return Finding(
        area,
        "clock",
        level,
        found,
        ""
        if level == "ok"
        else "let both machines keep time by NTP (`timedatectl`): watermarks, freshness and signed "
        "requests go by the clock",
        {"skew_seconds": round(seconds, 2)},
    )


def daemons(area: str, ages: Mapping[str, float]) -> Finding:
    """Whether Dagster's daemon is alive, by the seconds since each of its parts said so."""
    what = "daemon"
    if not ages:
        return Finding(
            area,
            what,
            "warn",
            "has never run",
            "schedules, sensors and queued runs wait: start `dagster dev` or `dagster-daemon run`",
        )
    youngest = min(ages.values())
    figures: dict[str, float | str] = {"seconds_since_heartbeat": round(youngest, 1)}
    if youngest > SILENT_SECONDS:
        return Finding(
            area,
            what,
            "warn",
            f"last heard of {in_time(youngest)} ago",
            "schedules, sensors and queued runs wait: start `dagster dev` or `dagster-daemon run`",
            figures,
        )
    silent = sorted(name for name, age in ages.items() if age > SILENT_SECONDS)
    found = f"alive, heartbeat {in_time(max(youngest, 0.0))} ago"
    return Finding(area, what, "ok", found, figures=figures | ({"silent": ", ".join(silent)}))


def moment_skew(theirs: datetime, before: float, after: float) -> float:
    """By how much a clock is ahead, read between two moments of this machine's.

    Args:
        theirs: aware.
        before: seconds since 1970, before it was asked.
        after: the same, after it had answered.
    """
    at = theirs.timestamp()
    if before <= at <= after:
        return 0.0
    return at - after if at > after else at - before


def in_bytes(count: int) -> str:
    """Such as `12 GB`."""
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"


def in_time(seconds: float) -> str:
    """Such as `12 ms`, `3.4 s`, `5 min` or `2 d`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.1f} s"


def _level(value: float, warn: float, fail: float) -> Level:
    if value > fail:
        return "fail"
    return "warn" if value > warn else "ok"
