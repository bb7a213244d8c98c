"""Ticks of sensors and schedules that ended since the last look, each counted once.

Called by `counting`, in the transaction of its batch. They are in no event log: their own table is
followed in the same way, and those that hadn't ended are looked at again.
"""

from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.schedules.schema import JobTickTable
from dagster_shared.serdes import deserialize_value
from sqlalchemy.engine import Connection

from data_platform.observability.following.positions import Position
from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.folding import Folded

AT_ONCE = 500
MOST_OPEN = 500
_ticks = JobTickTable.c


@dataclass(frozen=True)
class TicksSeen:
    """How far it is.

    Attributes:
        position: in the table.
        open: ticks that hadn't ended, the oldest first.
    """

    position: Position
    open: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """To be kept."""
        return {"position": self.position.as_json(), "open": list(self.open)}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(Position.from_json(kept["position"]), tuple(kept["open"]))


def begin(connection: Connection) -> TicksSeen:
    """From now on: what was before isn't counted."""
    newest = connection.scalar(sa.select(sa.func.max(_ticks.id))) or 0
    return TicksSeen(Position(newest))


def fold_ticks(
    connection: Connection,
    seen: TicksSeen,
    now: float,
    folded: Folded,
    elsewhere: frozenset[str] = frozenset(),
) -> TicksSeen:
    """Count the ticks that have ended.

    Args:
        connection: of the batch's transaction.
        seen: how far it was.
        now: by the database's clock.
        folded: to which they are added.
        elsewhere: sensors and schedules of other code locations, which count these.
    """
    gaps = [_ticks.id.between(gap.first, gap.last) for gap in seen.position.gaps]
    wanted = sa.or_(_ticks.id > seen.position.upto, _ticks.id.in_(seen.open), *gaps)
    asked = (
        sa.select(_ticks.id, _ticks.tick_body, _ticks.selector_id).where(wanted).order_by(_ticks.id)
    )
    rows = connection.execute(asked.limit(AT_ONCE + len(seen.open))).all()
    still_open: list[int] = []
    for number, body, selector in rows:
        tick = deserialize_value(body, TickData)
        if tick.status is TickStatus.STARTED:
            still_open.append(number)
        elif selector not in elsewhere:
            _count(folded, tick)
    others = [number for number, *_ in rows if number not in seen.open]
    return TicksSeen(seen.position.after(others, now), tuple(still_open[-MOST_OPEN:]))


def _count(folded: Folded, tick: TickData) -> None:
    labels = (tick.instigator_type.value.lower(), tick.instigator_name)
    folded.count(catalogue.TICKS, (*labels, tick.status.value.lower()))
    seconds = tick.end_timestamp - tick.timestamp if tick.end_timestamp is not None else None
    folded.observe(catalogue.TICK_SECONDS, labels, seconds)
