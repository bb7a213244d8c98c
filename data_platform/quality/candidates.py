"""What would be published, as the rules see it that judge it as a whole.

Made by `quality.audit` once it is known which rows are held back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_platform.engine.session import Session
from data_platform.plan.naming import FILE, PARTITION, ROW
from data_platform.plan.sql.expressions import quoted
from data_platform.quality.outcomes import MAX_EXAMPLES


@dataclass(frozen=True)
class Candidate:
    """The rows of one audit.

    Attributes:
        session: in which they are.
        relation: all rows that came in.
        held_back: a condition that is true on rows that go to quarantine.
        keys: the partitions to judge, those without rows included.
        rows: that came in, by partition.
        quarantined: rows held back, by partition.
        others: a relation of the asset's other published partitions; None where there are none.
    """

    session: Session
    relation: str
    held_back: str
    keys: Sequence[str]
    rows: Mapping[str, int]
    quarantined: Mapping[str, int]
    others: str | None

    @property
    def good(self) -> str:
        """The rows that would be published."""
        return f"(SELECT * FROM {self.relation} WHERE NOT ({self.held_back}))"

    def left(self, key: str) -> int:
        """How many rows of a partition would be published."""
        return self.rows[key] - self.quarantined.get(key, 0)


def counted(session: Session, query: str) -> dict[str, int]:
    """A number by partition."""
    return {str(key): int(count) for key, count in session.rows(query)}


def examples(session: Session, query: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """At most five rows as text: what the check is about first, the partition last.

    Args:
        session: in which they are.
        query: that gives them.
        columns: that the check is about.
    """
    there = [
        name
        for name in session.columns(query)
        if name not in {FILE, ROW} and not name.startswith(("_breaks_", "_converts_"))
    ]
    first = [name for name in columns if name in there]
    others = [name for name in there if name not in {*first, PARTITION}]
    chosen = [*first, *others, *[name for name in there if name == PARTITION]]
    few = (
        f"SELECT {', '.join(map(quoted, chosen))} FROM ({query}) ORDER BY ALL LIMIT {MAX_EXAMPLES}"
    )
    listed = ", ".join(f"LEFT(CAST({quoted(name)} AS VARCHAR), 200)" for name in chosen)
    found = session.rows(f"SELECT {listed} FROM ({few}) ORDER BY ALL")
    return [
        dict(zip(chosen, ("NULL" if v is None else str(v) for v in row), strict=True))
        for row in found
    ]
