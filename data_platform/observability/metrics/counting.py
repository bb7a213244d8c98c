"""Counts what is new in Dagster's log and among its ticks, in batches of bounded size.

Called by `exporter`. Any number of processes may: each event is counted once, and all of them read
the same counters. Each code location counts its own.
"""

import sqlalchemy as sa
from dagster import DagsterInstance

from data_platform.instance.locations import LOCATIONS, locations_in
from data_platform.instance.own_tables import transaction
from data_platform.observability.event_log import read_event_log
from data_platform.observability.failures import last_failures
from data_platform.observability.following.follower import Batch, Follower
from data_platform.observability.metrics import catalogue, ticks
from data_platform.observability.metrics.counters import TABLES, Counters, write
from data_platform.observability.metrics.folding import (
    BROKEN,
    CHECK,
    KINDS,
    OF_RUNS,
    WARNED,
    Folded,
    fold,
    labels_of,
)
from data_platform.observability.metrics.known import Known
from data_platform.observability.metrics.places import Elsewhere
from data_platform.observability.metrics.runs import RunTimes, read_runs

FOLLOWER = Follower("metrics", KINDS, (TABLES, LOCATIONS))
AT_ONCE = 1_000
GONE = RunTimes()
"""A run that was deleted."""
MOST_BATCHES = 10
"""Of a look: the rest comes with the next one."""


def count_new(instance: DagsterInstance, known: Known, counters: Counters) -> None:
    """Count what is new, and read what changed.

    Args:
        instance: Dagster's.
        known: the assets.
        counters: brought up to date.
    """
    for _ in range(MOST_BATCHES):
        with FOLLOWER.batch(instance, AT_ONCE) as batch:
            if batch is None:
                break
            _count(instance, known, batch)
            more = batch.more
        if not more:
            break
    with transaction(instance, TABLES) as connection:
        counters.read(connection)


def forget_gone(instance: DagsterInstance, known: Known, counters: Counters) -> None:
    """Remove counters of assets and pipelines that aren't there any more."""
    with transaction(instance, TABLES) as connection:
        counters.forget(connection, known)


def _count(instance: DagsterInstance, known: Known, batch: Batch) -> None:
    of_runs = {one.entry.run_id for one in batch.events if one.event.event_type in OF_RUNS}
    runs = read_runs(instance, of_runs)
    elsewhere = Elsewhere.of(locations_in(batch.connection), known.pipelines)
    own = [one for one in batch.events if not elsewhere.has(one, runs.get(one.entry.run_id, GONE))]
    folded = fold(own, runs, known)
    if "ticks" not in batch.state:
        _tell_what_is_so(instance, known, folded)
        batch.state["ticks"] = ticks.begin(batch.connection).as_json()
    seen = ticks.TicksSeen.from_json(batch.state["ticks"])
    now = float(batch.connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())")))
    batch.state["ticks"] = ticks.fold_ticks(
        batch.connection, seen, now, folded, elsewhere.ticking(batch.connection)
    ).as_json()
    batch.state["batches"] = batch.state.get("batches", 0) + 1
    write(batch.connection, folded, batch.state["batches"])


def _tell_what_is_so(instance: DagsterInstance, known: Known, folded: Folded) -> None:
    """What failed before anything was counted; any event that is counted says it anew."""
    failures = last_failures(instance, known.nodes)
    for key, logged in read_event_log(instance, known.nodes).items():
        folded.tell(catalogue.FAILED.name, labels_of(key), 0, float(key in failures))
        for names, result in ((logged.failed_checks, BROKEN), (logged.warned_checks, WARNED)):
            for name in names:
                folded.tell(CHECK, (*labels_of(key), name), 0, result)
