"""All that is looked at, at the same time; what hangs is told and hides nothing else.

Called by the command. Threads rather than a pool of them: one that hangs in a driver can't be
ended, and must not keep the process from ending either.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from data_platform.doctor.findings import Finding
from data_platform.errors import PlatformError, TransientError

REACH = "is the server up, and the address right? Does a firewall let this machine in?"
MEND = "correct the connection in platform.yaml, or what it refers to"


@dataclass(frozen=True)
class Examination:
    """Something to look at.

    Attributes:
        area: of the platform.
        what: is looked at first, by which it is told if nothing comes of it.
        look: gives findings; what it raises is one.
        advice: what to do where it fails for good, or doesn't end.
    """

    area: str
    what: str
    look: Callable[[], Iterable[Finding]]
    advice: str = MEND


@dataclass
class _Looking:
    """A thread at work, and what it has found so far."""

    examination: Examination
    findings: list[Finding] = field(default_factory=list[Finding])
    lock: threading.Lock = field(default_factory=threading.Lock)
    given_up: bool = False

    def add(self, finding: Finding) -> None:
        with self.lock:
            if not self.given_up:
                self.findings.append(finding)

    def work(self) -> None:
        one = self.examination
        try:
            for finding in one.look():
                self.add(finding)
        except PlatformError as error:
            advice = REACH if isinstance(error, TransientError) else one.advice
            self.add(Finding(one.area, one.what, "fail", one_line(error), advice))
        except Exception as error:  # noqa: BLE001 -- of a driver; its words may hold a secret
            about = f"{type(error).__module__}.{type(error).__name__}"
            self.add(Finding(one.area, one.what, "fail", f"couldn't be looked at: {about}", MEND))


def examine(examinations: Sequence[Examination], seconds: float) -> list[Finding]:
    """Look at everything; gives findings in the order of what was to be looked at.

    Args:
        examinations: what to look at.
        seconds: that each may take.
    """
    started = time.monotonic()
    looking = [_Looking(one) for one in examinations]
    threads = [threading.Thread(target=one.work, daemon=True) for one in looking]
    for thread in threads:
        thread.start()
    for one, thread in zip(looking, threads, strict=True):
        thread.join(max(0.0, started + seconds - time.monotonic()))
        with one.lock:
            one.given_up = True
            if thread.is_alive():
                one.findings.append(_hanging(one, seconds))
    return [finding for one in looking for finding in one.findings]


def one_line(error: Exception) -> str:
    """What an error says, in a line."""
    return " ".join(str(error).split())


def _hanging(one: _Looking, seconds: float) -> Finding:
    what = one.examination.what if not one.findings else "the rest"
    return Finding(one.examination.area, what, "fail", f"no answer within {seconds:g} s", REACH)
