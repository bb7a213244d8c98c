"""On what old things are removed: short transactions that give way, and what went in them.

Used by the other modules of this package.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.engine import Connection

from data_platform.instance.own_tables import Tables, transaction
from data_platform.spec.telemetry import Retention

LEFT_ALONE = timedelta(days=30)
"""A reader of the event log that hasn't looked for so long is gone: nothing stays for it."""
_CREATE = """
CREATE TABLE data_platform_retention (
    kind text PRIMARY KEY,
    position jsonb,
    ended_at timestamptz
)
"""
_POSITIONS = Tables("retention", (_CREATE,))
_HELD = """
SELECT min(LEAST((position ->> 'upto')::bigint + 1, (position -> 'gaps' -> 0 ->> 0)::bigint))
FROM data_platform_followers WHERE updated_at > :since
"""

Position = Any
"""Up to where a kind was looked through, as JSON has it; None before the first step."""


@dataclass(frozen=True)
class Gone:
    """What went, or would go.

    Attributes:
        count: of rows, runs, or files.
        bytes: of what they say; 0 where that isn't known.
        oldest, newest: of them.
    """

    count: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def __add__(self, other: "Gone") -> "Gone":
        """Both together."""
        moments = [
            moment
            for moment in (self.oldest, self.newest, other.oldest, other.newest)
            if moment is not None
        ]
        return Gone(
            self.count + other.count,
            self.bytes + other.bytes,
            min(moments, default=None),
            max(moments, default=None),
        )


@dataclass(frozen=True)
class Step:
    """What a step did.

    Attributes:
        gone: by what it is called.
        position: where the next step begins; None where there is none.
    """

    gone: Mapping[str, Gone]
    position: Position


@dataclass(frozen=True)
class Ground:
    """On what steps are taken.

    Attributes:
        instance: Dagster's.
        declared: what is kept, and for how long.
        now: aware.
        dry: whether nothing goes.
    """

    instance: DagsterInstance
    declared: Retention
    now: datetime
    dry: bool = False

    def before(self, *names: str) -> datetime | None:
        """Before which things of these keys may go, the latest of them; None where none is said."""
        ages = [getattr(self.declared, name) for name in names]
        said = [age for age in ages if age is not None]
        return self.now - min(said) if said else None

    @contextmanager
    def brief(self) -> Generator[Connection]:
        """A transaction that waits for nobody, and in which nothing can go where it is dry."""
        with transaction(self.instance, _POSITIONS) as connection:
            if self.dry:
                connection.execute(sa.text("SET TRANSACTION READ ONLY"))
            connection.execute(sa.text("SET LOCAL lock_timeout = '500ms'"))
            connection.execute(sa.text("SET LOCAL statement_timeout = '30s'"))
            yield connection


@dataclass(frozen=True)
class Table:
    """A table of which rows go; a row is `e`.

    Attributes:
        name: of it.
        moment: when a row is of, as SQL.
        size: of a row in bytes, as SQL: of its long text.
        key: the column by which a row is known.
    """

    name: str
    moment: str
    size: str
    key: str = "id"


EVENT_LOG = Table("event_logs", "e.timestamp", "octet_length(e.event)")


class Kind(Protocol):
    """A kind of thing that is kept for a while."""

    @property
    def name(self) -> str:
        """Under which the position is kept."""
        ...

    def step(self, ground: Ground, position: Position) -> Step:
        """Remove some of what may go."""
        ...


def held(connection: Connection, now: datetime) -> int:
    """The number from which on events stay, because somebody hasn't read them yet."""
    there = connection.scalar(sa.text("SELECT to_regclass('data_platform_followers')"))
    since = {"since": now - LEFT_ALONE}
    first = None if there is None else connection.scalar(sa.text(_HELD), since)
    return 2**62 if first is None else int(first)


def removed(
    connection: Connection, ground: Ground, table: Table, where: str, given: Mapping[str, object]
) -> Gone:
    """Remove rows, or see which would go.

    Args:
        connection: of the transaction.
        ground: whether it is dry.
        table: of them.
        where: SQL, true of what goes; a row is `e`.
        given: its parameters.
    """
    told = f"e.{table.key} AS id, {table.moment} AS at, {table.size} AS size"
    gone = (
        f"SELECT {told} FROM {table.name} AS e WHERE {where}"
        if ground.dry
        else f"DELETE FROM {table.name} AS e WHERE {where} RETURNING {told}"
    )
    tags = (
        ", tags AS (DELETE FROM asset_event_tags WHERE event_id IN (SELECT id FROM gone))"
        if table is EVENT_LOG and not ground.dry
        else ""
    )
    asked = (
        f"WITH gone AS ({gone}){tags}"
        " SELECT count(*), coalesce(sum(size), 0), min(at), max(at) FROM gone"
    )
    count, size, oldest, newest = connection.execute(sa.text(asked), dict(given)).one()
    return Gone(count, int(size), aware(oldest), aware(newest))


def aware(moment: datetime | None) -> datetime | None:
    """A moment of Dagster's tables, which is in UTC and doesn't say so."""
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC)
