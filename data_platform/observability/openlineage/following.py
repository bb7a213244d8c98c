"""Follows Dagster's log and makes events of OpenLineage of it, into the outbox.

Called by the sensor at each tick. What was read of the log, what is known of open steps and the
events that came of both are kept in one transaction: a process that dies leaves all, or nothing.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any, cast

import dagster as dg

from data_platform.errors import TransientError
from data_platform.observability.following.follower import Batch, Follower
from data_platform.observability.openlineage.describing import Descriptions
from data_platform.observability.openlineage.events import bare_event, event_of
from data_platform.observability.openlineage.moments import KINDS, Moment, Moments
from data_platform.observability.openlineage.open_steps import OpenSteps
from data_platform.observability.openlineage.outbox import TABLES, put
from data_platform.secrets.masker import mask

FOLLOWER = Follower("openlineage", KINDS, (TABLES,))
_LOG = logging.getLogger(__name__)


def follow(instance: dg.DagsterInstance, descriptions: Descriptions, seconds: float) -> int:
    """Put events into the outbox for all that is new in the log; gives how many.

    Args:
        instance: Dagster's.
        descriptions: of the plan.
        seconds: after which no other batch is begun.

    Raises:
        TransientError: a name can't be known now, since a store of secrets doesn't answer; nothing
            is lost: the same is looked at again.
    """
    until = time.monotonic() + seconds
    made = 0
    more = True
    while more and time.monotonic() < until:
        with FOLLOWER.batch(instance) as batch:
            if batch is None:
                return made
            made += put(batch.connection, _events(batch, instance, descriptions))
            more = batch.more
    return made


def _events(
    batch: Batch, instance: dg.DagsterInstance, descriptions: Descriptions
) -> Iterator[dict[str, Any]]:
    """The events of a batch; what is open after it is kept with it."""
    known = OpenSteps.model_validate(batch.state)
    moments = Moments(descriptions.plan, instance, known)
    for followed in batch.events:
        for moment in moments.after(followed.entry):
            # An asset may be gone by the time its step ends.
            if descriptions.plan.get(moment.key) is not None:
                yield cast("dict[str, Any]", masked(_event(moment, descriptions)))
    batch.state.clear()
    batch.state.update(known.model_dump(exclude_defaults=True))


def _event(moment: Moment, descriptions: Descriptions) -> dict[str, Any]:
    try:
        return event_of(moment, descriptions)
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001 -- all others wait for what can't be described
        _LOG.exception("lineage of %s can't be described", moment.key)
        return bare_event(moment, descriptions, error)


def masked(content: object) -> object:
    """The same without secrets in any of its texts."""
    match content:
        case str():
            return mask(content)
        case dict():
            entries = cast("dict[str, object]", content)
            return {name: masked(below) for name, below in entries.items()}
        case list():
            return [masked(below) for below in cast("list[object]", content)]
        case _:
            return content
