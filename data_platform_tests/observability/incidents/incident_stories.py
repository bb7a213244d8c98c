"""Stories of incidents: a platform of plain SQL, things that are seen of it, and a clock.

`Story` plays ticks as `alerts.watching` does, with channels that take everything.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from factories import Project

from data_platform.observability.incidents.folding import Folding
from data_platform.observability.incidents.model import Incident, severity_of
from data_platform.observability.incidents.seen import Aged, Built, Checked, Failed, Seen, Standing
from data_platform.observability.incidents.telling import Told, turns
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.pipelines import Plan

Grade = Literal["pass", "warn", "fail"]
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(seconds=15)
HOURS = timedelta(hours=1)
RAW, CLEAN = Key("raw", "shop", "orders"), Key("staging", "shop", "orders")


def chain(project: Project, length: int, head: str = "") -> Plan:
    """A source, a staging asset of it, and a chain of that many below it."""
    lines = [
        f'  a{number}: {{query: "SELECT * FROM {above}"}}\n'
        for number in range(length)
        for above in [f"analytics.a{number - 1}" if number else "staging.orders"]
    ]
    project.know(orders={"id": "BIGINT"})
    project.declare(f"{head}staging:\n  orders: {{from: raw.orders}}\nanalytics:\n{''.join(lines)}")
    return project.build().plan


def below(number: int) -> Key:
    """An asset of the chain."""
    return Key("analytics", "shop", f"a{number}")


class Story:
    """What is told while time goes on.

    Args:
        plan: of the platform.
        repeat_after: as in platform.yaml.
    """

    def __init__(self, plan: Plan, repeat_after: timedelta = 4 * HOURS) -> None:
        self.plan = plan
        self.now = NOON
        self.incidents: dict[str, Incident] = {}
        self.told: list[Told] = []
        self._repeat_after = repeat_after
        self._number = 0

    @property
    def turns(self) -> list[tuple[str, str]]:
        """What was told, as the turn and the name."""
        return [(told.turn, told.incident.name) for told in self.told]

    @property
    def open(self) -> list[Incident]:
        """The incidents that are open."""
        return [one for one in self.incidents.values() if not one.closed]

    def tick(self, *seen: Seen, after: timedelta = TICK) -> list[Told]:
        """Time goes on, and what happened until then is folded; gives what is told."""
        self.now += after
        folding = Folding(self.incidents.values(), self.plan, self.now, self._repeat_after)
        folding.see(seen)
        told = turns(folding, self._repeat_after)
        for one in told:
            current = folding.get(one.incident.id)
            assert current is not None
            folding.put(
                replace(
                    current,
                    told_at=self.now,
                    told_as=severity_of(current, self.plan),
                    told_to=("chat",),
                    messages=current.messages + 1,
                )
            )
        for incident in folding.changed:
            self.incidents[incident.id] = incident
        self.told += told
        return told

    def quiet(self, ticks: int = 3) -> list[Told]:
        """Some ticks in which nothing happens."""
        return [told for _ in range(ticks) for told in self.tick()]

    def failed(
        self,
        key: Key,
        *,
        partitions: Sequence[str] = (WHOLE,),
        skipped: Sequence[Key] = (),
        system: str | None = None,
        canceled: bool = False,
    ) -> Failed:
        return Failed(
            key=key,
            number=self._next(),
            at=self.now,
            run_id="run",
            text="no such table",
            partitions=tuple(partitions),
            skipped=tuple(skipped),
            system=system,
            canceled=canceled,
        )

    def built(self, key: Key, *partitions: str, held: int | None = None) -> Built:
        keys = partitions or (WHOLE,)
        rows = {} if held is None else dict.fromkeys(keys, held)
        return Built(key=key, number=self._next(), at=self.now, partitions=keys, held=rows)

    def checked(self, key: Key, grade: Grade, check: str = "id_unique") -> Checked:
        return Checked(
            key=key, number=self._next(), at=self.now, check=check, grade=grade, run_id="run"
        )

    def aged(self, key: Key, grade: Grade = "fail") -> Aged:
        return Aged(key=key, number=self._next(), at=self.now, grade=grade)

    def standing(self, matter: Literal["pipeline", "daemon"], **found: str) -> Standing:
        return Standing(matter, self.now, found)

    def _next(self) -> int:
        self._number += 1
        return self._number
