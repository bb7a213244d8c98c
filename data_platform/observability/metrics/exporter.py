"""Looks at Dagster's database every few seconds, and keeps what it saw for whoever scrapes.

Called by the command. A scrape asks the database nothing, so it takes no time of it however often
it comes. While the database is gone, this says so and tries again.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from dagster import DagsterInstance

from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.assets import AssetLooks
from data_platform.observability.metrics.budgets import look_at_runs
from data_platform.observability.metrics.catalogue import Sample
from data_platform.observability.metrics.counters import Counters
from data_platform.observability.metrics.counting import count_new, forget_gone
from data_platform.observability.metrics.database import look_at_database
from data_platform.observability.metrics.plans import Plans, reason_of
from data_platform.observability.metrics.told import look_at_told

EVERY = 5.0
"""Seconds between looks."""
SELDOM_EVERY = 60.0
"""Seconds between looks that ask about each asset, and about all that waits to be told."""
FORGET_EVERY = 86_400.0
"""Seconds between looks for counters of what isn't there any more."""
STALE = 90.0
"""Seconds after which what was seen counts as nothing: a look hangs, or the thread is gone."""
_log = logging.getLogger("data_platform.metrics")


@dataclass(frozen=True)
class Seen:
    """What the last looks saw.

    Attributes:
        gauges: of the database and its assets; none while it can't be reached.
        at: when the last look ended well, in seconds since 1970; 0 means never.
        seconds: that it took.
        well: whether the last look ended well.
    """

    gauges: tuple[Sample, ...] = ()
    at: float = 0.0
    seconds: float = 0.0
    well: bool = False


@dataclass
class Exporter:
    """Looks, and what they saw.

    Attributes:
        instance: Dagster's.
        plans: the pipelines.
        tasks: done after each look, by this process that lives when the daemon doesn't.
        counters: of events.
        seen: by the last looks.
    """

    instance: DagsterInstance
    plans: Plans
    tasks: Sequence[Callable[[], object]] = ()
    counters: Counters = field(default_factory=Counters)
    seen: Seen = field(default_factory=Seen)
    _seldom: tuple[Sample, ...] = ()
    _seldom_at: float = 0.0
    _forgot_at: float = 0.0
    _complained: bool = False
    _looks: AssetLooks = field(default_factory=AssetLooks)
    _ending: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Look once; that it goes wrong is told and seen, and nothing else comes of it."""
        began = time.monotonic()
        try:
            gauges = self._look()
        except Exception as error:  # noqa: BLE001 -- the next look may go well
            if not self._complained and not self._ending.is_set():
                _log.warning("Dagster's database can't be looked at: %s", reason_of(error))
            self._complained = True
            self.seen = replace(self.seen, gauges=(), well=False)
            return
        if self._complained:
            _log.warning("Dagster's database is there again")
            self._complained = False
        self.seen = Seen(gauges, time.time(), time.monotonic() - began, well=True)

    def run(self) -> None:
        """Look until `end` is called."""
        while not self._ending.is_set():
            self.look()
            for task in self.tasks if self.seen.well else ():
                _done(task)
            self._ending.wait(EVERY)

    def end(self) -> None:
        """Let `run` return; a look that is on its way ends first."""
        self._ending.set()

    def is_up(self, now: float) -> bool:
        """Whether the last look went well, and wasn't too long ago."""
        return self.seen.well and now - self.seen.at < STALE

    def _look(self) -> tuple[Sample, ...]:
        count_new(self.instance, self.plans.known, self.counters)
        gauges = look_at_database(self.instance)
        if not self._seldom_at or time.monotonic() - self._seldom_at >= SELDOM_EVERY:
            self.plans.refresh()
            known = self.plans.known
            if not self._forgot_at or time.monotonic() - self._forgot_at >= FORGET_EVERY:
                forget_gone(self.instance, known, self.counters)
                self._forgot_at = time.monotonic()
            self._seldom = (
                *self._looks.look(self.instance, known.shown, datetime.now(UTC)),
                *look_at_runs(self.instance, known.nodes),
                *self._told(),
            )
            self._seldom_at = time.monotonic()
        return (*gauges, *self._seldom)

    def _told(self) -> list[Sample]:
        """What waits to be told; what can't be read, as of another version, hides nothing else."""
        try:
            return list(look_at_told(self.instance))
        except ValueError as error:
            _log.warning("what alerts keep can't be read: %s", reason_of(error))
            return []

    def own_gauges(self, now: float) -> list[Sample]:
        """What this says of itself.

        Args:
            now: in seconds since 1970.
        """
        known = self.plans.known
        return [
            Sample(catalogue.UP, (), float(self.is_up(now))),
            Sample(catalogue.LOOKED_AT, (), self.seen.at),
            Sample(catalogue.LOOK_SECONDS, (), self.seen.seconds),
            Sample(catalogue.LEFT_OUT, (), known.left_out),
            Sample(catalogue.BROKEN, (), known.broken),
            Sample(catalogue.UNREADABLE, (), float(known.unreadable)),
        ]


def _done(task: Callable[[], object]) -> None:
    try:
        task()
    except Exception as error:  # noqa: BLE001 -- the next time may go well
        _log.warning("what is done after each look failed this time: %s", reason_of(error))
