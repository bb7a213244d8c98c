"""What a change of pipelines means, as it is told: assets, what hangs on them, what is stale.

Made by `changes.planned`; printed by `terminal.change_tables`.
"""

from dataclasses import dataclass
from typing import Literal

from data_platform.changes.parts import ColumnChange, Part
from data_platform.errors import Problem
from data_platform.plan.keys import Key


@dataclass(frozen=True)
class Stale:
    """Partitions that have to be built anew.

    Attributes:
        partitions: their keys in order; `WHOLE` alone where the asset has none.
        rows: in them now.
        seconds: that they take, by the last runs; None where nobody knows.
    """

    partitions: tuple[str, ...]
    rows: int
    seconds: float | None


@dataclass(frozen=True)
class AssetChange:
    """An asset that isn't what it was.

    Attributes:
        key: of it.
        kind: of the change.
        parts: what of it changed.
        columns: that aren't what they were.
        breaks: what breaks, for whom.
        stale: what of it is published and would be built anew.
        table: where rows of one that is gone stay; None where there are none.
        notes: what it means for rows that are stored.
    """

    key: Key
    kind: Literal["added", "changed", "removed"]
    parts: tuple[Part, ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    breaks: tuple[str, ...] = ()
    stale: Stale | None = None
    table: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Below:
    """An asset below what changes.

    Attributes:
        key: of it.
        stale: what of it is published and would be built anew.
        reads: the columns that change of which it is made, as `layer/pipeline/name.column`.
    """

    key: Key
    stale: Stale
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """What a change means.

    Attributes:
        against: what it was compared with.
        assets: that aren't what they were.
        below: what hangs on them.
        outdated: what is stale by newer inputs, whatever changes.
        broke: mistakes that pipelines have and hadn't.
        unread: what couldn't be compared, and why.
    """

    against: str
    assets: tuple[AssetChange, ...]
    below: tuple[Below, ...]
    outdated: tuple[Below, ...] = ()
    broke: tuple[Problem, ...] = ()
    unread: tuple[Problem, ...] = ()

    @property
    def breaking(self) -> bool:
        """Whether somebody has to follow."""
        return bool(self.broke) or any(one.breaks for one in self.assets)

    @property
    def stale(self) -> list[Stale]:
        """All that the change would have built anew."""
        own = [one.stale for one in self.assets if one.stale]
        return [*own, *(one.stale for one in self.below)]
