"""Who did what, the newest first, from all that keeps it.

Called by the command. Nothing is read but what is shown, and what was looked at for it.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa
from dagster import DagsterInstance

from data_platform.instance.audit_trail import AUDIT
from data_platform.instance.own_tables import has_tables, transaction
from data_platform.observability.audit.deeds import PAGE, Deed, Source, Span
from data_platform.observability.audit.of_events import ended_run, of_kind, runless, wiped
from data_platform.observability.audit.of_runs import backfills, runs

LOOKED_AT = 50_000
"""Deeds that are looked at for those that are wanted."""
_OWN = """
SELECT number, at, who, account, action, about, detail FROM data_platform_audit
WHERE (at, number) < (coalesce(CAST(:before AS timestamptz), 'infinity'), :below)
    AND at >= coalesce(CAST(:since AS timestamptz), '-infinity')
    AND at < coalesce(CAST(:until AS timestamptz), 'infinity')
ORDER BY at DESC, number DESC LIMIT :some
"""
_REGISTERED = """
SELECT id, create_timestamp AT TIME ZONE current_setting('TimeZone') AS at,
    partitions_def_name AS name, partition
FROM dynamic_partitions WHERE id < :below AND NOT EXISTS (
        SELECT FROM data_platform_audit AS noted
        WHERE noted.action = 'partitions registered' AND noted.about = ARRAY[partitions_def_name]
            AND noted.detail = partition
            AND noted.at >= create_timestamp AT TIME ZONE current_setting('TimeZone')
            AND noted.at < create_timestamp AT TIME ZONE current_setting('TimeZone')
                + interval '1 minute'
    )
    AND create_timestamp AT TIME ZONE current_setting('TimeZone')
        >= coalesce(CAST(:since AS timestamptz), '-infinity')
    AND create_timestamp AT TIME ZONE current_setting('TimeZone')
        < coalesce(CAST(:until AS timestamptz), 'infinity')
ORDER BY id DESC LIMIT :some
"""


@dataclass(frozen=True)
class Wanted:
    """What somebody asks for.

    Attributes:
        span: of which time.
        pipeline: only what was done to it.
        key: only what was done to this asset.
        who: only of those whose name has this in it.
        limit: of deeds; None means all.
    """

    span: Span = field(default_factory=Span)
    pipeline: str | None = None
    key: str | None = None
    who: str | None = None
    limit: int | None = None

    def matches(self, deed: Deed) -> bool:
        """Whether it is one of those."""
        names = f"{deed.who} {deed.account or ''}".lower()
        return (
            (self.pipeline is None or deed.concerns(self.pipeline))
            and (self.key is None or self.key in deed.about)
            and (self.who is None or self.who.lower() in names)
            and self.span.holds(deed.at)
        )


@dataclass(frozen=True)
class Deeds:
    """What was found.

    Attributes:
        deeds: the newest first.
        more: whether there are older ones.
        stopped: when the oldest was that was looked at, where that was as far as is looked.
    """

    deeds: tuple[Deed, ...]
    more: bool = False
    stopped: Deed | None = None


def deeds_of(instance: DagsterInstance, wanted: Wanted) -> Deeds:
    """What was done, the newest first."""
    sources: list[Source] = [runs, backfills]
    if has_tables(instance):
        # What was noted is first among what is of the same moment: see `_once`.
        sources = [own, *sources]
        sources += [
            registered,
            of_kind("PIPELINE_CANCELING", ended_run),
            of_kind("ASSET_WIPED", wiped),
            runless(_noted_since(instance)),
        ]
    told = [source(instance, wanted.span) for source in sources]
    merged = heapq.merge(*told, key=lambda deed: deed.at, reverse=True)
    found: list[Deed] = []
    for number, deed in enumerate(_once(merged), 1):
        if wanted.matches(deed):
            if wanted.limit is not None and len(found) == wanted.limit:
                return Deeds(tuple(found), more=True)
            found.append(deed)
        if number == LOOKED_AT:
            return Deeds(tuple(found), more=True, stopped=deed)
    return Deeds(tuple(found))


def _once(deeds: Iterable[Deed]) -> Iterator[Deed]:
    """Without what Dagster's log tells of deeds that were noted, with who it was."""
    for _, same in groupby(deeds, key=lambda deed: deed.at):
        noted: set[tuple[str, tuple[str, ...]]] = set()
        for deed in same:
            what = (deed.action, deed.about)
            if deed.account:
                noted.add(what)
            elif what in noted:
                continue
            yield deed


def own(instance: DagsterInstance, span: Span) -> Iterator[Deed]:
    """What commands and Dagster's UI changed, as it was noted."""
    for row in _pages(instance, _OWN, span):
        yield Deed(row.at, row.who, row.action, tuple(row.about), row.detail, account=row.account)


def registered(instance: DagsterInstance, span: Span) -> Iterator[Deed]:
    """Partitions that came, those of a minute together."""
    rows = _pages(instance, _REGISTERED, span)
    by_minute = groupby(rows, key=lambda row: (row.name, row.at.replace(second=0, microsecond=0)))
    for (name, _), some in by_minute:
        first = next(some)
        partitions = [first.partition, *islice((row.partition for row in some), 2)]
        more = sum(1 for _ in some)
        detail = ", ".join(partitions) + (f" and {more:,} more" if more else "")
        yield Deed(first.at, "", "partitions registered", (name,), detail)


def _noted_since(instance: DagsterInstance) -> datetime | None:
    with transaction(instance, AUDIT) as connection:
        return connection.scalar(sa.text("SELECT min(at) FROM data_platform_audit"))


def _pages(instance: DagsterInstance, asked: str, span: Span) -> Iterator[sa.Row[Any]]:
    below, before = 2**62, None
    while True:
        given = {
            "below": below,
            "before": before,
            "since": span.since,
            "until": span.until,
            "some": PAGE,
        }
        with transaction(instance, AUDIT) as connection:
            rows = connection.execute(sa.text(asked), given).all()
        yield from rows
        if len(rows) < PAGE:
            return
        below, before = rows[-1][0], rows[-1].at
