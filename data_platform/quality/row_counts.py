"""Row-level checks: what breaks them is flagged, counted by partition and held back.

Called by `quality.audit` and by the gate, which makes the flagged relation. One scan, grouped by
partition, counts all of them.
"""

from collections.abc import Mapping, Sequence

from data_platform.engine.session import Session
from data_platform.plan.check_kinds import Check, RowCheck
from data_platform.plan.expressions import literal
from data_platform.plan.naming import PARTITION
from data_platform.quality.outcomes import Finding


def flag(number: int) -> str:
    """The name of the column that says whether a row breaks the check of this number."""
    return f"_breaks_{number}"


def flagged(relation: str, checks: Sequence[Check]) -> str:
    """A SELECT of a relation with a flag for each row-level check."""
    flags = "".join(
        f",\n  COALESCE({check.offends}, FALSE) AS {flag(number)}"
        for number, check in enumerate(checks)
        if isinstance(check, RowCheck)
    )
    return f"SELECT *{flags}\nFROM {relation}"


def flag_names(checks: Sequence[Check]) -> list[str]:
    """The names of the columns that `flagged` adds."""
    return [flag(number) for number, check in enumerate(checks) if isinstance(check, RowCheck)]


def numbered(checks: Sequence[Check]) -> list[tuple[int, RowCheck]]:
    """The row-level checks with their numbers."""
    return [(number, check) for number, check in enumerate(checks) if isinstance(check, RowCheck)]


def count_rows(
    session: Session, relation: str, checks: Sequence[Check], keys: Sequence[str]
) -> tuple[dict[str, int], dict[int, dict[str, int]]]:
    """Rows by partition, and offending rows of each row-level check, in one scan.

    Args:
        session: in which the relation is.
        relation: as `flagged` makes it.
        checks: in the order in which they were flagged.
        keys: the partitions to judge, those without rows included.
    """
    numbers = [number for number, _ in numbered(checks)]
    counts = "".join(f", COUNT_IF({flag(number)})" for number in numbers)
    found = session.rows(f"SELECT {PARTITION}, COUNT(*){counts} FROM {relation} GROUP BY 1")
    by_key = {str(row[0]): row[1:] for row in found}
    nothing = (0,) * (len(numbers) + 1)
    rows = {key: int(by_key.get(key, nothing)[0]) for key in keys}
    broken = {
        number: {key: int(by_key.get(key, nothing)[position + 1]) for key in keys}
        for position, number in enumerate(numbers)
    }
    return rows, broken


def judge_rows(check: RowCheck, rows: int, offending: int) -> Finding:
    """What a check says of a partition.

    Args:
        check: a row-level check.
        rows: of the partition.
        offending: of them.
    """
    if rows == 0:
        return Finding(0, 0, check.on_empty)
    tolerated = 100 * offending <= check.max_percentage * rows
    return Finding(rows, offending, "pass" if tolerated else check.effect)


def held_back(checks: Sequence[Check], findings: Mapping[int, Mapping[str, Finding]]) -> str:
    """The rows that a check with effect quarantine acts on: none where its tolerance holds.

    Args:
        checks: in the order in which they were flagged.
        findings: of the row-level checks, by number and partition.
    """
    parts: list[str] = []
    for number, check in numbered(checks):
        acting = [
            key for key, finding in findings[number].items() if finding.verdict == "quarantine"
        ]
        if not acting:
            continue
        where = (
            f" AND {PARTITION} IN ({', '.join(map(literal, acting))})"
            if check.max_percentage
            else ""
        )
        parts.append(f"({flag(number)}{where})")
    return " OR ".join(parts) or "FALSE"
