"""Folds what was seen into incidents: one for each cause, with what stands behind it.

Called by `alerts.watching` with all incidents that are open or were lately. Pure: it asks nobody,
and its clock is handed in. What is to be told is decided by `telling`.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from data_platform.observability.incidents.model import Behind, Incident, Matter, Part, Sign
from data_platform.observability.incidents.seen import Aged, Built, Checked, Failed, Seen, Standing
from data_platform.plan.keys import Key
from data_platform.plan.naming import BUDGET, LAST_GOOD, WHOLE
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import Event, Severity

WAIT = timedelta(seconds=10)
"""For which nobody is told: the tick after the next look, so that its cause may come."""
GRACE = timedelta(minutes=30)
"""What an asset has to become good by itself when what held it up is over."""
MOST_PARTS = 2_000
"""Partitions of an asset that an incident remembers."""

FAILURE, STALE, HELD = "failure", "stale", "held"
_EVENTS: Mapping[Matter, Event] = {"over_budget": "over_budget", "quarantined": "quarantined"}
"""Of checks that tell of something else than that they failed."""
_STANDING: Mapping[Matter, tuple[Event, Severity]] = {
    "pipeline": ("broken_pipeline", "error"),
    "slow_runs": ("over_budget", "error"),
    "daemon": ("daemon_down", "critical"),
}
"""What is told of what is looked at whole."""


class Folding:
    """Incidents while they are folded.

    Args:
        incidents: that are open, and those that were closed lately.
        plan: of the sound pipelines.
        now: aware.
        lately: since when one that comes again is the same again.
        place: the code location, where that is to be in the identity of incidents.
    """

    def __init__(
        self,
        incidents: Iterable[Incident],
        plan: Plan,
        now: datetime,
        lately: timedelta,
        place: str = "",
    ) -> None:
        self.plan = plan
        self.now = now
        self._lately = now - lately
        self._place = place
        self._before = {one.id: one for one in incidents}
        self._by_id = dict(self._before)
        self._open = {_subject(one): one.id for one in self._before.values() if not one.closed}

    @property
    def open(self) -> list[Incident]:
        """Those that aren't closed."""
        return [self._by_id[identity] for identity in self._open.values()]

    @property
    def changed(self) -> list[Incident]:
        """Those that are other than before."""
        return [one for one in self._by_id.values() if self._before.get(one.id) != one]

    def see(self, seen: Iterable[Seen]) -> None:
        """Fold what was seen, in the order of the log."""
        for one in sorted(seen, key=lambda one: getattr(one, "number", 0)):
            self._fold(one)

    def _fold(self, seen: Seen) -> None:
        match seen:
            case Standing():
                self._stand(seen)
            case Failed():
                self._fail(seen)
            case Built():
                self._build(seen)
            case Checked():
                self._check(seen)
            case Aged():
                self._age(seen)
            case _:
                assert_never(seen)

    def put(self, incident: Incident) -> None:
        """Keep an incident as it is now."""
        self._by_id[incident.id] = incident
        if incident.closed is None:
            self._open[_subject(incident)] = incident.id
        elif self._open.get(_subject(incident)) == incident.id:
            del self._open[_subject(incident)]

    def get(self, identity: str) -> Incident | None:
        """An incident by its id."""
        return self._by_id.get(identity)

    def of(self, matter: Matter, name: object) -> Incident | None:
        """The open incident of an asset, pipeline or daemon."""
        identity = self._open.get((matter, str(name)))
        return self._by_id[identity] if identity else None

    def hold_up(self, incident: Incident, keys: Mapping[Key, Behind]) -> None:
        """That an incident holds up assets; of those that it does already, since when stays."""
        held_up = incident.held_up
        new = {str(key): one for key, one in keys.items() if key not in held_up}
        self.put(replace(incident, behind={**incident.behind, **new}))

    def let_go(self, incident: Incident, key: str) -> None:
        """That what an incident held up is well."""
        behind = {**incident.behind, key: replace(incident.behind[key], over=True)}
        self.put(replace(incident, behind=behind))

    def top(self, incident: Incident) -> Incident:
        """The incident in whose messages one is told; itself, unless it stands behind another."""
        while incident.under is not None:
            above = self._by_id.get(incident.under)
            if above is None or above.closed is not None:
                break
            incident = above
        return incident

    # What was seen ------------------------------------------------------------------------------

    def _fail(self, seen: Failed) -> None:
        known = self.of("trouble", seen.key)
        before = known.signs.get(FAILURE) if known else None
        parts = {key: Part(seen.number) for key in seen.partitions}
        sign = Sign(
            "failure",
            "warning" if seen.canceled else "error",
            seen.at,
            seen.number,
            seen.text,
            seen.run_id,
            _some({**(before.parts if before else {}), **parts}),
            seen.facts,
            system=seen.system,
        )
        incident = self._show("trouble", seen.key, FAILURE, sign)
        self.hold_up(incident, {key: Behind("skipped", seen.at) for key in seen.skipped})

    def _build(self, seen: Built) -> None:
        trouble = self.of("trouble", seen.key)
        if trouble and (sign := trouble.signs.get(FAILURE)):
            left = {
                key: part
                for key, part in sign.parts.items()
                if key not in seen.partitions or part.number > seen.number
            }
            if len(left) < len(sign.parts):
                self._set(trouble, FAILURE, replace(sign, parts=left) if left else None)
        for other in self.open:
            one = other.behind.get(str(seen.key))
            if one and one.how == "skipped" and not one.over and _is_of(other, seen.partitions):
                self.let_go(other, str(seen.key))
        if seen.held:
            self._hold(seen)

    def _hold(self, seen: Built) -> None:
        """Rows that are held back beside what was published."""
        known = self.of("quarantined", seen.key)
        before = known.signs.get(HELD) if known else None
        parts = dict(before.parts) if before else {}
        for key, rows in seen.held.items():
            if key not in parts or parts[key].number < seen.number:
                parts[key] = Part(seen.number, rows)
        parts = _some({key: part for key, part in parts.items() if part.rows})
        if not parts:
            if known:
                self._set(known, HELD, None)
            return
        if before is not None and not any(seen.held.values()):
            # Some were mended: that is no news to tell.
            self._show("quarantined", seen.key, HELD, replace(before, parts=parts))
            return
        sign = Sign("quarantined", "warning", seen.at, seen.number, "", seen.run_id, parts)
        self._show("quarantined", seen.key, HELD, sign)

    def _check(self, seen: Checked) -> None:
        name = f"check {seen.check}"
        matter: Matter = "trouble" if seen.grade == "fail" else "warned"
        if seen.check == BUDGET:
            matter = "over_budget"
        elif seen.check == LAST_GOOD:
            matter = "trouble"
        elif seen.grade == "warn" and self._holds_back(seen):
            matter = "quarantined"
        for other in ("trouble", "warned", "over_budget", "quarantined"):
            known = self.of(other, seen.key)
            there = known.signs.get(name) if known else None
            if known is None or there is None or (other == matter and seen.grade != "pass"):
                continue
            if there.number < seen.number:
                self._set(known, name, None)
        if seen.grade == "pass":
            return
        sign = Sign(
            _EVENTS.get(matter, "check_failed"),
            "error" if seen.grade == "fail" else "warning",
            seen.at,
            seen.number,
            seen.check,
            seen.run_id,
            facts=seen.facts,
            examples=seen.examples,
        )
        self._show(matter, seen.key, name, sign)

    def _holds_back(self, seen: Checked) -> bool:
        """Whether what breaks a check is put into quarantine."""
        node = self.plan.get(seen.key)
        checks = node.checks if node else ()
        return any(one.name == seen.check and one.effect == "quarantine" for one in checks)

    def _age(self, seen: Aged) -> None:
        known = self.of("trouble", seen.key)
        if seen.grade == "pass":
            if known and (sign := known.signs.get(STALE)) and sign.number < seen.number:
                self._set(known, STALE, None)
            return
        severity = "error" if seen.grade == "fail" else "warning"
        sign = Sign("stale", severity, seen.at, seen.number, seen.limit)
        new = known is None
        incident = self._show("trouble", seen.key, STALE, sign)
        if new and self._nothing_started():
            self.put(replace(incident, due=self.now + GRACE))

    def _nothing_started(self) -> bool:
        """Whether the daemon is down, or was until lately: what is late then comes by itself."""
        return any(
            one.matter == "daemon" and (one.closed is None or self.now - one.closed < GRACE)
            for one in self._by_id.values()
        )

    def _stand(self, seen: Standing) -> None:
        for name, text in seen.found.items():
            known = self.of(seen.matter, name)
            before = known.signs.get(seen.matter) if known else None
            if before is not None and before.text == text:
                continue
            event, severity = _STANDING[seen.matter]
            severity = "warning" if name in seen.mild else severity
            sign = Sign(event, severity, seen.at, 0, text, seen.run_ids.get(name))
            self._show(seen.matter, name, seen.matter, sign)
        for one in self.open:
            known = one.name in seen.found or one.name in seen.unknown
            if one.matter == seen.matter and not known and one.signs:
                self._set(one, seen.matter, None)

    # Incidents ----------------------------------------------------------------------------------

    def _show(self, matter: Matter, name: Key | str, sign_name: str, sign: Sign) -> Incident:
        """An incident with a sign, made where there is none."""
        incident = self.of(matter, name) or self._made(matter, str(name), sign)
        if incident.under and sign.event != "stale":
            # What fails by itself isn't told behind another.
            incident = replace(incident, under=None, due=self.now + WAIT)
        before = incident.signs.get(sign_name)
        if before is not None and sign.number < before.number:
            return incident
        signs = {**incident.signs, sign_name: sign}
        incident = replace(incident, signs=signs, mended=None)
        self.put(incident)
        return incident

    def _made(self, matter: Matter, name: str, sign: Sign) -> Incident:
        lately = [
            one
            for one in self._by_id.values()
            if _subject(one) == (matter, name) and one.closed and one.closed >= self._lately
        ]
        text = f"{matter} {name} {sign.number} {sign.at.isoformat()}{self._place}"
        identity = hashlib.sha256(text.encode()).hexdigest()[:16]
        times = max((one.times for one in lately if one.told_at), default=0) + 1
        return Incident(identity, matter, name, sign.at, self.now + WAIT, times=times)

    def _set(self, incident: Incident, name: str, sign: Sign | None) -> None:
        """A sign as it is now, or that it is gone."""
        signs = {key: one for key, one in incident.signs.items() if key != name}
        if sign is not None:
            signs[name] = sign
        self.put(replace(incident, signs=signs, mended=None if signs else self.now))


def _subject(incident: Incident) -> tuple[Matter, str]:
    return incident.matter, incident.name


def _is_of(incident: Incident, partitions: Collection[str]) -> bool:
    """Whether partitions are of those that an incident's failure is about."""
    sign = incident.signs.get(FAILURE)
    if sign is None or WHOLE in partitions or WHOLE in sign.parts:
        return True
    return not sign.parts.keys().isdisjoint(partitions)


def _some(parts: Mapping[str, Part]) -> dict[str, Part]:
    """The newest partitions, where there are more than anybody looks at."""
    if len(parts) <= MOST_PARTS:
        return dict(parts)
    return dict(sorted(parts.items(), key=lambda entry: entry[1].number)[-MOST_PARTS:])
