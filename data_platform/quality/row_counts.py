"""Row-level checks: which rows break them, how many by partition, and which are held back.

Called by `quality.audit`. Rows aren't marked: a condition costs less to evaluate again, on the few
checks that are broken, than a column of every check in every row. One scan, grouped by partition,
counts all of them; each foreign key is one join before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_platform.engine.session import Session
from data_platform.plan.checks.kinds import Check, RowCheck
from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.candidates import counted
from data_platform.quality.outcomes import Finding

NEVER = "FALSE"
HELD_BACK = "_held_back"
"""A table of the numbers of rows that are held back, with their partitions."""


@dataclass(frozen=True)
class RowCounts:
    """What one scan tells.

    Attributes:
        rows: by partition.
        broken: offending rows of each row-level check, by its number and the partition.
    """

    rows: Mapping[str, int]
    broken: Mapping[int, Mapping[str, int]]


def numbered(checks: Sequence[Check]) -> list[tuple[int, RowCheck]]:
    """The row-level checks with their numbers."""
    return [(number, check) for number, check in enumerate(checks) if isinstance(check, RowCheck)]


def breaking(session: Session, relation: str, checks: Sequence[Check]) -> dict[int, str]:
    """Conditions that are true on rows that break a check and false on others, by its number.

    Args:
        session: in which the relation is.
        relation: with the asset's columns.
        checks: of the asset.
    """
    return {
        number: _unknown_keys(session, relation, number, check)
        if check.references
        else f"COALESCE({check.offends}, FALSE)"
        for number, check in numbered(checks)
    }


def _unknown_keys(session: Session, relation: str, number: int, check: RowCheck) -> str:
    """The condition of a foreign key, whose join is made once: the keys that it misses are kept."""
    table = f"_unknown_{number}"
    columns = ", ".join(map(quoted, check.columns))
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {table} AS "
        f"SELECT DISTINCT {columns} FROM {relation} WHERE {check.offends}"
    )
    ((unknown,),) = session.rows(f"SELECT COUNT(*) FROM {table}")
    if not unknown:
        return NEVER
    key = columns if len(check.columns) == 1 else f"ROW({columns})"
    return f"COALESCE({key} IN (SELECT {key} FROM {table}), FALSE)"


def count_rows(
    session: Session,
    relation: str,
    conditions: Mapping[int, str],
    keys: Sequence[str],
) -> RowCounts:
    """Count everything in one scan.

    Args:
        session: in which the relation is.
        relation: with the asset's columns and `_partition`.
        conditions: of the row-level checks, as `breaking` gives them.
        keys: the partitions to judge, those without rows included.
    """
    asked = {number: text for number, text in conditions.items() if text != NEVER}
    marks = "".join(f", {text} AS _breaks_{number}" for number, text in asked.items())
    counts = "".join(f", COUNT_IF(_breaks_{number})" for number in asked)
    found = session.rows(
        f"SELECT {PARTITION}, COUNT(*){counts} "
        f"FROM (SELECT {PARTITION}{marks} FROM {relation}) GROUP BY 1"
    )
    by_key = {str(key): numbers for key, *numbers in found}
    nothing = [0] * (len(asked) + 1)
    by_column = [[int(by_key.get(key, nothing)[n]) for key in keys] for n in range(len(nothing))]
    rows, *broken = [dict(zip(keys, column, strict=True)) for column in by_column]
    by_number = dict(zip(asked, broken, strict=True))
    return RowCounts(
        rows, {number: by_number.get(number, dict.fromkeys(keys, 0)) for number in conditions}
    )


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


def held_back(
    session: Session,
    relation: str,
    checks: Sequence[Check],
    conditions: Mapping[int, str],
    findings: Mapping[int, Mapping[str, Finding]],
    *,
    stored: bool,
) -> tuple[str, Mapping[str, int]]:
    """The rows that a check with effect quarantine acts on: none where its tolerance holds.

    Args:
        session: in which the relation is.
        relation: with the asset's columns and `_partition`.
        checks: of the asset.
        conditions: of the row-level checks, as `breaking` gives them.
        findings: of the row-level checks, by number and partition.
        stored: whether the relation is a table, whose rows have numbers.

    Returns:
        A condition that is true on them, and how many there are, by partition.
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
        parts.append(f"({conditions[number]}{where})")
    if not parts:
        return NEVER, {}
    condition = " OR ".join(parts)
    if stored and not any(name.lower() == "rowid" for name in session.columns(f"FROM {relation}")):
        # The split is made once: a condition may cost more than a look for a number.
        session.run(
            f"CREATE OR REPLACE TEMP TABLE {HELD_BACK} AS "
            f"SELECT rowid AS number, {PARTITION} FROM {relation} WHERE {condition}"
        )
        condition = f"rowid IN (SELECT number FROM {HELD_BACK})"
        split = f"FROM {HELD_BACK}"
    else:
        split = f"FROM {relation} WHERE {condition}"
    return condition, counted(session, f"SELECT {PARTITION}, COUNT(*) {split} GROUP BY 1")
