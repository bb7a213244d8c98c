"""What each partition must hold, told by plain Python over the rows of a source.

Used by `test_partitions_and_oracle`. Nothing here asks the platform: a key is written as the
language says it is, from the clocks of `zoneinfo`.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

REGIONS = ("eu", "us", "Zürich & Bern")
CUSTOMERS = ("anna", "a/b", "50% off", "Ö ş", "it's")
Group = tuple[str | None, int, int]
"""Of one region: its name, how many rows, their sum."""


@dataclass(frozen=True)
class Sale:
    """A row of the source."""

    id: int
    at: datetime | None
    region: str | None
    customer: str
    amount: int


KeyOf = Callable[[Sale], str | None]
"""The partition of a row; None where it is of none."""


@dataclass(frozen=True)
class Late:
    """An asset whose partitions are others than those of what it reads.

    Attributes:
        name: of the asset.
        yaml: its partitions, and how it reads.
        keys: the partitions that are built.
        reads: the partitions that one of them is made of.
    """

    name: str
    yaml: str
    keys: Sequence[str]
    reads: Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Kind:
    """A kind of partitions, and which of them are built.

    Attributes:
        yaml: the partitions of the pipeline.
        source: of the source, besides its type and connection.
        keys: the partitions that are built, in order.
        key_of: a row's, whether it is built or not.
        first, last: moments between which most rows are.
        late: assets with other partitions.
    """

    yaml: str
    source: str
    keys: Sequence[str]
    key_of: KeyOf
    first: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    last: datetime = datetime(2024, 1, 9, tzinfo=UTC)
    late: Sequence[Late] = field(default=())

    def rows(self, chance: random.Random, count: int) -> list[Sale]:
        """Rows of all partitions, of others, and of none; many at the edges of hours."""
        hours = int((self.last - self.first) / timedelta(hours=1))
        return [
            Sale(
                number,
                _moment(chance, self.first, hours),
                chance.choice((*REGIONS, *REGIONS, "nowhere", None)),
                chance.choice((*CUSTOMERS, "nobody")),
                chance.randint(-3, 20),
            )
            for number in range(count)
        ]

    def held(self, rows: Sequence[Sale]) -> dict[str, list[Sale]]:
        """The rows of each partition that is built."""
        found: dict[str, list[Sale]] = {key: [] for key in self.keys}
        for row in rows:
            key = self.key_of(row)
            if key in found:
                found[key].append(row)
        return found


def groups(rows: Sequence[Sale]) -> list[Group]:
    """What the analytics make of rows."""
    found: dict[str | None, list[int]] = defaultdict(list)
    for row in rows:
        found[row.region].append(row.amount)
    return sorted(((r, len(some), sum(some)) for r, some in found.items()), key=str)


def hour_key(zone: str) -> KeyOf:
    """Hours by the clocks of a zone; the second of two equal ones has its offset."""

    def key_of(row: Sale) -> str | None:
        if row.at is None:
            return None
        local = row.at.astimezone(ZoneInfo(zone))
        return local.strftime("%Y-%m-%d-%H:00" + ("%z" if local.fold else ""))

    return key_of


def date_key(zone: str, begin: Callable[[date], date]) -> KeyOf:
    """Days, weeks or months by the clocks of a zone."""

    def key_of(row: Sale) -> str | None:
        if row.at is None:
            return None
        return begin(row.at.astimezone(ZoneInfo(zone)).date()).isoformat()

    return key_of


def region_key(row: Sale) -> str | None:
    """Named values."""
    return row.region if row.region in REGIONS else None


def both_keys(time: KeyOf) -> KeyOf:
    """Time and named values."""

    def key_of(row: Sale) -> str | None:
        first, second = time(row), region_key(row)
        return None if first is None or second is None else f"{first}|{second}"

    return key_of


def days(first: str, count: int) -> list[str]:
    """Days one after the other."""
    return [(date.fromisoformat(first) + timedelta(days=n)).isoformat() for n in range(count)]


def _moment(chance: random.Random, first: datetime, hours: int) -> datetime | None:
    if chance.random() < 0.05:
        return None
    begin = first + timedelta(hours=chance.randint(-2, hours + 2))
    edge = chance.choice((timedelta(0), -timedelta(microseconds=1), None))
    return begin + (timedelta(seconds=chance.randint(0, 3599)) if edge is None else edge)
