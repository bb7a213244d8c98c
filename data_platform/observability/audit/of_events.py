"""What Dagster's log tells of people: runs that were ended, assets wiped, builds told by hand.

Called by `reading`. One kind of event is read at a time, the newest first, by its index.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa
from dagster import DagsterInstance
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster_shared.serdes import deserialize_value

from data_platform.observability.audit.deeds import PAGE, Deed, Source, Span

_BY = "data_platform/by"
_RUNLESS = ""


def of_kind(kind: str, deed: Callable[[EventLogEntry], Deed | None]) -> Source:
    """A source of deeds that are events of a kind."""
    return functools.partial(_events, Events.c.dagster_event_type == kind, deed)


def ended_run(entry: EventLogEntry) -> Deed:
    """A run that somebody ended."""
    message = entry.dagster_event.message if entry.dagster_event else ""
    return Deed(
        _at(entry),
        "",
        "run cancelled",
        (entry.job_name or "",),
        (message or "").strip(),
        run_id=entry.run_id,
    )


def wiped(entry: EventLogEntry) -> Deed | None:
    """An asset whose history somebody wiped."""
    event = entry.dagster_event
    if event is None or event.asset_key is None:
        return None
    return Deed(_at(entry), "", "asset wiped", ("/".join(event.asset_key.path),))


def runless(noted_since: datetime | None) -> Source:
    """A source of builds and observations that no run made.

    Args:
        noted_since: from when on what our commands tell is left out: they noted it, with more.
    """

    def deed(entry: EventLogEntry) -> Deed | None:
        found = _told_by_hand(entry)
        if found is None or (found.account and noted_since and found.at >= noted_since):
            return None
        return replace(found, account=None)

    kinds = Events.c.dagster_event_type.in_(["ASSET_MATERIALIZATION", "ASSET_OBSERVATION"])
    return functools.partial(_events, sa.and_(Events.c.run_id == _RUNLESS, kinds), deed)


def _told_by_hand(entry: EventLogEntry) -> Deed | None:
    """The event as a deed, with its author for account where a command told it."""
    event = entry.dagster_event
    if event is None or event.asset_key is None:
        return None
    data = event.event_specific_data
    told = getattr(data, "materialization", None) or getattr(data, "asset_observation", None)
    if told is None:
        return None
    by, source = (
        str(told.metadata[one].value) if one in told.metadata else "" for one in (_BY, "told_by")
    )
    action = "build told" if event.is_step_materialization else "observation told"
    about = ("/".join(event.asset_key.path),)
    detail = "; ".join(part for part in (told.partition, told.description) if part)
    return Deed(_at(entry), by or source, action, about, detail, account=by or None)


def _events(
    which: sa.ColumnElement[bool],
    deed: Callable[[EventLogEntry], Deed | None],
    instance: DagsterInstance,
    span: Span,
) -> Iterator[Deed]:
    below = 2**62
    asked = sa.select(Events.c.id, Events.c.event).where(which).order_by(Events.c.id.desc())
    if span.since:
        asked = asked.where(Events.c.timestamp >= _naive(span.since))
    if span.until:
        asked = asked.where(Events.c.timestamp < _naive(span.until))
    storage = instance.event_log_storage
    while True:
        with storage.index_connection() as connection:  # type: ignore[attr-defined]
            rows = connection.execute(asked.where(Events.c.id < below).limit(PAGE)).all()
        for _, text in rows:
            found = deed(deserialize_value(text, EventLogEntry))
            if found is not None:
                yield found
        if len(rows) < PAGE:
            return
        below = rows[-1][0]


def _at(entry: EventLogEntry) -> datetime:
    return datetime.fromtimestamp(entry.timestamp, UTC)


def _naive(moment: datetime) -> datetime:
    """As Dagster's table has it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
