"""Code locations of one Dagster, as they have noted themselves, and what is wrong between them.

Used by `instance.locations`, which keeps the notes, and by `doctor`. Knows nothing of Dagster.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

ALIVE = timedelta(minutes=5)
"""A location notes itself each minute: one that hasn't for so long doesn't run now."""


@dataclass(frozen=True)
class About:
    """What others know of a location.

    Attributes:
        owner: by which its pools are told from others'.
        pipelines: their names.
        pools: slots by name, as its platform.yaml has them.
        retention: seconds for which its platform.yaml keeps things, by kind; None means for ever.
    """

    owner: str = ""
    pipelines: Sequence[str] = ()
    pools: Mapping[str, int] = field(default_factory=dict[str, int])
    retention: Mapping[str, float | None] = field(default_factory=dict[str, "float | None"])

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "About":
        """What was noted."""
        return cls(
            kept.get("owner", ""),
            tuple(kept.get("pipelines", ())),
            kept.get("pools", {}),
            kept.get("retention", {}),
        )


@dataclass(frozen=True)
class Noted:
    """A location as it was noted.

    Attributes:
        name: by which its state is kept.
        served_as: what Dagster calls it; empty where nobody knows.
        about: it.
        alive: whether it was noted just now.
    """

    name: str
    served_as: str
    about: About
    alive: bool

    @classmethod
    def of(cls, name: str, served_as: str, about: Mapping[str, Any], alive: bool) -> "Noted":  # noqa: FBT001
        """From a row, which another version of the platform may have written."""
        return cls(name, served_as, About.of(about), alive)


def others(known: Iterable[Noted], own: str) -> list[Noted]:
    """Of locations, those of other names than one."""
    return [one for one in known if one.name != own]


def clashes(known: Iterable[Noted], own: str, pipelines: Iterable[str]) -> dict[str, str]:
    """Pipelines of a location that another one that runs has too, and that in words.

    Args:
        known: all locations.
        own: the name of the one.
        pipelines: of it.
    """
    names = set(pipelines)
    found: dict[str, str] = {}
    for one in others(known, own):
        for name in sorted(names & set(one.about.pipelines)) if one.alive else ():
            found[name] = (
                f"code location {one.name} has a pipeline {name} too: their assets have the same "
                "keys, so that each takes the other's events for its own; rename one of them"
            )
    return found


def namesakes(known: Iterable[Noted], own: str) -> str | None:
    """In words, that several locations that run keep their state by one name; None if not."""
    served = sorted(one.served_as for one in known if one.name == own and one.alive)
    if len(served) < 2:  # noqa: PLR2004 -- one is this one
        return None
    return (
        f"code locations {', '.join(served)} of this Dagster are all called {own}: each takes the "
        "other's alerts, metrics and lineage; set DATA_PLATFORM_LOCATION to another name in each"
    )
