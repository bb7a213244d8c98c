"""Which events and ticks are of another code location of the same Dagster, and are counted there.

Called by `counting`. Each location counts its own; what is of none, such as a run by hand of no
pipeline, is counted by one of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorState
from dagster._core.storage.schedules.schema import InstigatorsTable
from dagster_shared.serdes import deserialize_value
from sqlalchemy.engine import Connection

from data_platform.code_locations import Noted, others
from data_platform.instance.location_names import own_location
from data_platform.observability.following.follower import Followed
from data_platform.observability.metrics.catalogue import NO_PIPELINE
from data_platform.observability.metrics.folding import key_of_event
from data_platform.observability.metrics.runs import RunTimes


@dataclass(frozen=True)
class Elsewhere:
    """What is of other locations.

    Attributes:
        pipelines: of them alone.
        served: what Dagster calls them.
        counts_rest: whether what is of no location is counted here.
    """

    pipelines: frozenset[str] = frozenset()
    served: frozenset[str] = frozenset()
    counts_rest: bool = True

    @classmethod
    def of(cls, known: Iterable[Noted], own: frozenset[str]) -> "Elsewhere":
        """By what locations have noted.

        Args:
            known: all of them, this one too.
            own: pipelines of this one.
        """
        known = list(known)
        theirs = others(known, own_location())
        here = {one.served_as for one in known if one not in theirs}
        first = min([own_location(), *(one.name for one in theirs)])
        return cls(
            frozenset(name for one in theirs for name in one.about.pipelines) - own,
            frozenset(one.served_as for one in theirs if one.served_as) - here,
            first == own_location(),
        )

    def has(self, one: Followed, run: RunTimes) -> bool:
        """Whether an event is of another location."""
        if not self.pipelines and not self.served:
            return False
        if (key := key_of_event(one)) is not None:
            return key.pipeline in self.pipelines
        if one.event.step_key is not None:
            return False  # whose step it is, the assets tell
        if run.pipelines != (NO_PIPELINE,):
            return self.pipelines.issuperset(run.pipelines)
        return run.location in self.served or (run.location is None and not self.counts_rest)

    def ticking(self, connection: Connection) -> frozenset[str]:
        """The sensors and schedules of other locations, as ticks name them."""
        if not self.served:
            return frozenset()
        asked = sa.select(InstigatorsTable.c.selector_id, InstigatorsTable.c.instigator_body)
        return frozenset(
            selector
            for selector, body in connection.execute(asked)
            if location_of(deserialize_value(body, InstigatorState)) in self.served
        )


def location_of(state: InstigatorState) -> str:
    """What Dagster calls the code location of a sensor or schedule."""
    return state.origin.repository_origin.code_location_origin.location_name
