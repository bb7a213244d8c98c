"""Sensors and schedules whose last tick failed.

Called by `platform_troubles`. One question for all of them, which reads three ticks of each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from dagster import DagsterInstance
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster_shared.serdes import deserialize_value

from data_platform.instance.own_tables import has_tables, transaction
from data_platform.reporting.failure_texts import in_a_line
from data_platform.run_reports import own_words
from data_platform.secrets.masker import mask

SEVERAL = 3
"""So many failures in a row don't pass by themselves."""
_FORGOTTEN = timedelta(days=2)
"""Dagster keeps ticks of sensors that are gone, as of a code location that was renamed."""
_CLOCKS = timedelta(minutes=5)
"""By which clocks of machines may differ: what is later was told by one that was ahead."""
_LAST = sa.text(
    "SELECT asked.selector_id, tick.tick_body FROM unnest(CAST(:selectors AS text[]))"
    " AS asked (selector_id), LATERAL (SELECT tick_body, timestamp FROM job_ticks"
    " WHERE job_ticks.selector_id = asked.selector_id AND status <> :going_on"
    " AND timestamp BETWEEN :oldest AND :newest ORDER BY timestamp DESC LIMIT :several) AS tick"
    " ORDER BY asked.selector_id, tick.timestamp DESC"
)


@dataclass(frozen=True)
class Failing:
    """A sensor or schedule whose last tick failed.

    Attributes:
        name: of it.
        at: when it ticked; aware.
        reason: why it failed, in a line, without secrets.
        again: whether the ticks before failed as well.
    """

    name: str
    at: datetime
    reason: str
    again: bool


def failing(
    instance: DagsterInstance, selectors: Mapping[str, str], now: datetime
) -> Iterator[Failing]:
    """Those whose last tick failed.

    Args:
        instance: Dagster's.
        selectors: names by what Dagster calls their selectors.
        now: aware.
    """
    if not selectors or not has_tables(instance):
        return
    asked = {
        "selectors": list(selectors),
        "going_on": TickStatus.STARTED.value,
        "oldest": _naive(now - _FORGOTTEN),
        "newest": _naive(now + _CLOCKS),
        "several": SEVERAL,
    }
    found: dict[str, list[TickData]] = {}
    with transaction(instance) as connection:
        for selector, body in connection.execute(_LAST, asked):
            found.setdefault(selector, []).append(deserialize_value(body, TickData))
    for selector, ticks in found.items():
        if ticks[0].status is TickStatus.FAILURE:
            at = datetime.fromtimestamp(ticks[0].timestamp, UTC)
            reason = in_a_line(mask(own_words(ticks[0].error))) or "it doesn't say why"
            bad = [one for one in ticks if one.status is TickStatus.FAILURE]
            yield Failing(selectors[selector], at, reason, again=len(bad) == SEVERAL)


def _naive(moment: datetime) -> datetime:
    """As Dagster keeps it: of UTC, without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
