"""Old things go in small steps, of which each is a short transaction that gives way to others.

Called by the command and by the sensor. Each kind of thing has a module beside this one, which
knows what may go; here is for how long steps are taken, and where somebody who was stopped goes on.
"""

import json
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from dagster import DagsterInstance
from sqlalchemy.exc import OperationalError

from data_platform.errors import PlatformError
from data_platform.instance.liveness import lock_key
from data_platform.observability.retention.ground import Gone, Ground, Kind, Position

EVERY = timedelta(hours=20)
"""After this a kind is looked through again by itself."""
LONGEST_REST = 1.0


@dataclass
class Swept:
    """What came of it.

    Attributes:
        gone: by what it is called, in the order in which it went.
        trouble: why some kinds weren't looked through to their end, by their names.
        ended: whether all were.
    """

    gone: dict[str, Gone] = field(default_factory=dict[str, Gone])
    trouble: dict[str, str] = field(default_factory=dict[str, str])
    ended: bool = True


def sweep(ground: Ground, kinds: Sequence[Kind]) -> Swept | None:
    """Look through all from the beginning; None where somebody else removes things now."""
    with _alone(ground.instance) as alone:
        if not alone and not ground.dry:
            return None
        swept = Swept()
        for kind in kinds:
            _look_through(ground, kind, None, None, swept)
        return swept


def go_on(ground: Ground, kinds: Sequence[Kind], seconds: float) -> Swept | None:
    """Go on where the last call stopped; each kind is looked through about once a day.

    Args:
        ground: of the steps.
        kinds: what is looked through.
        seconds: after which no step is begun.

    Returns:
        What was done; None where somebody else is at it.
    """
    until = time.monotonic() + seconds
    with _alone(ground.instance) as alone:
        if not alone:
            return None
        swept = Swept()
        for kind in kinds:
            begun, position = _kept(ground, kind)
            if begun:
                _look_through(ground, kind, position, until, swept)
        return swept


def _look_through(
    ground: Ground, kind: Kind, position: Position, until: float | None, swept: Swept
) -> None:
    while until is None or time.monotonic() < until:
        begun = time.monotonic()
        try:
            step = kind.step(ground, position)
        except (OperationalError, PlatformError) as error:
            # Somebody else works with these rows, or the database is slow: another time will do.
            about = error.orig if isinstance(error, OperationalError) else error
            swept.trouble[kind.name] = str(about).strip().splitlines()[0]
            swept.ended = False
            return
        for name, gone in step.gone.items():
            swept.gone[name] = swept.gone.get(name, Gone()) + gone
        position = step.position
        if not ground.dry:
            _keep(ground, kind, position)
        if position is None:
            return
        # Others have the database half of the time.
        if any(gone.count for gone in step.gone.values()) and not ground.dry:
            time.sleep(min(time.monotonic() - begun, LONGEST_REST))
    swept.ended = False


def _kept(ground: Ground, kind: Kind) -> tuple[bool, Position]:
    """Whether a kind is to be looked through now, and from where."""
    asked = sa.text("SELECT position, ended_at FROM data_platform_retention WHERE kind = :kind")
    with ground.brief() as connection:
        row = connection.execute(asked, {"kind": kind.name}).one_or_none()
    if row is None:
        return True, None
    position, ended = row
    return position is not None or ended is None or ended < ground.now - EVERY, position


def _keep(ground: Ground, kind: Kind, position: Position) -> None:
    with ground.brief() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO data_platform_retention (kind, position, ended_at)"
                " VALUES (:kind, CAST(:position AS jsonb), :ended)"
                " ON CONFLICT (kind) DO UPDATE SET position = excluded.position,"
                " ended_at = coalesce(excluded.ended_at, data_platform_retention.ended_at)"
            ),
            {
                "kind": kind.name,
                "position": None if position is None else json.dumps(position),
                "ended": ground.now if position is None else None,
            },
        )


@contextmanager
def _alone(instance: DagsterInstance) -> Generator[bool]:
    """Whether nobody else removes anything now; held until the end."""
    key = {"key": lock_key("data_platform.retention")}
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        alone = bool(connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), key))
        try:
            yield alone
        finally:
            if alone:
                connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), key)
