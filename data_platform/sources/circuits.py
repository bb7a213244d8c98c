"""Circuit breakers: a system that is down isn't asked again and again by everybody.

Used by the stages around what they ask of a connection. After failures in a row the circuit opens:
for a while nobody asks, then one does on trial. The state is a small text in a store that runs and
processes share, handed in by whoever calls; nothing here knows Dagster or a clock.
"""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from data_platform.errors import SourceUnavailable, StorageUnavailable
from data_platform.plan.sources.kinds import AnySource, Api, connection_of
from data_platform.spec.references import VariableError

FAILURES = 5
"""In a row, after which it opens."""
OPEN_FOR, LONGEST = timedelta(seconds=30), timedelta(minutes=10)
"""How long it is open at first, and at most: each trial that fails doubles it."""
TRIAL = timedelta(minutes=2)
"""How long others wait for a trial; whoever tried may be dead, or reading for hours."""
PASSING = (SourceUnavailable, StorageUnavailable)
"""What counts as a failure; a system that answers, and be it no, is there."""


class CircuitOpen(SourceUnavailable):
    """Nobody was asked: the system failed just before."""


class Store(Protocol):
    """Where circuits are kept: a text by name, for all processes."""

    def get(self, name: str) -> str | None:
        """The text, or None."""
        ...

    def set(self, name: str, text: str) -> None:
        """Keep a text."""
        ...


@dataclass(frozen=True)
class Circuit:
    """The state of one system.

    Attributes:
        failures: in a row.
        since: of the first of them, aware, as ISO text; None where there was none.
        until: to which nobody asks; None where it is closed.
        trial_until: to which others wait for the one who tries.
        said: by the last failure.
    """

    failures: int = 0
    since: str | None = None
    until: str | None = None
    trial_until: str | None = None
    said: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it failed so often that it is asked on trial only."""
        return self.until is not None


CLOSED = Circuit()


def circuit_of(source: AnySource, expand: Callable[[str], str]) -> str | None:
    """The name of a source's circuit: its connection's, or that of an address's server."""
    connection = connection_of(source)
    if connection is not None:
        return f"connection {connection}"
    if isinstance(source, Api) and source.url:
        try:
            parts = urlsplit(expand(source.url))
            port = f":{parts.port}" if parts.port else ""
        except (VariableError, ValueError):
            return None  # no address, or a variable of it isn't set: whoever asks will say so
        return f"server {parts.scheme}://{parts.hostname}{port}"
    return None


def read(text: str | None) -> Circuit:
    """A circuit from its text; one that can't be read is closed."""
    try:
        return Circuit(**json.loads(text)) if text else CLOSED
    except (TypeError, ValueError):
        return CLOSED


def asked(circuit: Circuit, name: str, now: datetime) -> Circuit:
    """The circuit while somebody asks.

    Raises:
        CircuitOpen: nobody is to ask now.
    """
    if not circuit.is_open:
        return circuit
    waits = [datetime.fromisoformat(at) for at in (circuit.until, circuit.trial_until) if at]
    until = max(waits)
    # One that is further away was kept by a clock that was ahead, and nobody would ask for days.
    if now < until <= now + LONGEST:
        whose = "somebody tries it" if circuit.trial_until else "it is tried again"
        raise CircuitOpen(
            f"{name} wasn't asked: it has failed {circuit.failures} times in a row since "
            f"{_clock(circuit.since)}, and {whose} at {_clock(until.isoformat())}"
            f"{' at the latest' if circuit.trial_until else ''}; it said: {circuit.said}"
        )
    return replace(circuit, trial_until=(now + TRIAL).isoformat())


def outage_words(name: str, circuit: Circuit) -> str:
    """What there is to say of an open circuit."""
    return (
        f"{name} is down: {circuit.failures} failures in a row since {_clock(circuit.since)}, "
        f"nobody asks it before {_clock(circuit.until)}; it said: {circuit.said}"
    )


def failed(circuit: Circuit, why: str, now: datetime) -> Circuit:
    """The circuit after a failure."""
    failures = circuit.failures + 1
    since = circuit.since or now.isoformat()
    if failures < FAILURES:
        return Circuit(failures, since, said=why)
    if circuit.is_open and circuit.trial_until is None:
        # Of one who had asked before it opened.
        return replace(circuit, failures=failures)
    doublings = min(failures - FAILURES, 10)
    wait = min(OPEN_FOR * 2**doublings, LONGEST)
    return Circuit(failures, since, (now + wait).isoformat(), None, why)


@contextmanager
def guarded(store: Store, name: str | None, clock: Callable[[], datetime]) -> Generator[None]:
    """Ask a system in the block, unless its circuit is open; what comes of it counts.

    Two processes that read the state at the same moment may both try: that is two requests instead
    of one, and no lock that somebody could die with.

    Args:
        store: of the circuits.
        name: of the circuit; None where the system has none.
        clock: the time, aware.

    Raises:
        CircuitOpen: nobody is to ask now.
    """
    if name is None:
        yield
        return
    before = read(store.get(name))
    during = asked(before, name, clock())
    if during != before:
        store.set(name, _text(during))
    try:
        yield
    except PASSING as error:
        told = " ".join(str(error).split())[:300]
        store.set(name, _text(failed(read(store.get(name)), told, clock())))
        raise
    except Exception:
        _close(store, name)
        raise
    except BaseException:
        if during != before:  # somebody ended the run: another may try
            store.set(name, _text(before))
        raise
    _close(store, name)


def _close(store: Store, name: str) -> None:
    if read(store.get(name)) != CLOSED:
        store.set(name, _text(CLOSED))


def _text(circuit: Circuit) -> str:
    return json.dumps(asdict(circuit), ensure_ascii=False)


def _clock(moment: str | None) -> str:
    return f"{datetime.fromisoformat(moment):%H:%M:%S %Z}" if moment else "?"
