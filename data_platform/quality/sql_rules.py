"""Rules that a person writes as SQL: one value for each partition, compared with what is wanted.

Called by `quality.audit`. One statement gives the values of a range where there is such a form;
whatever it doesn't tell is asked partition by partition, and a statement that fails for one
partition says nothing about another.
"""

from dataclasses import dataclass

import duckdb

from data_platform.engine.session import Session
from data_platform.engine.windows import show_windows
from data_platform.plan.checks.comparisons import Incomparable, compares, in_words
from data_platform.plan.checks.sql_checks import TABLE, as_read_by_rule
from data_platform.plan.checks.value_kinds import SqlCheck
from data_platform.plan.lineage.masking import MASKED
from data_platform.plan.naming import FILE, HIDDEN_TYPES, PARTITION, ROW
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.candidates import Candidate
from data_platform.quality.outcomes import Finding, Outcome

_SHOWN = 200
"""Characters of a value."""


@dataclass(frozen=True)
class _Trouble:
    """Why a statement gave no value."""

    text: str


def judge_sql(candidate: Candidate, check: SqlCheck) -> Outcome:
    """The value of each partition.

    Args:
        candidate: what would be published.
        check: the rule.
    """
    values = _Rows(candidate, check).values()
    findings = {key: _judged(candidate.left(key), values[key], check) for key in candidate.keys}
    return Outcome(check, findings)


def _judged(rows: int, value: object, check: SqlCheck) -> Finding:
    wanted = in_words(check.operator, check.expected)
    if isinstance(value, _Trouble):
        return Finding(rows, 0, check.effect, value.text)
    shown = MASKED if check.masked else _shown(value)
    try:
        holds = compares(value, check.operator, check.expected)
    except Incomparable as error:
        return Finding(rows, 0, check.effect, f"{error} (wanted {wanted})", shown)
    detail = None if holds else f"{shown}, wanted {wanted}"
    return Finding(rows, 0, "pass" if holds else check.effect, detail, shown)


class _Rows:
    """What the statement of a rule reads, and gives.

    Args:
        candidate: what would be published.
        check: the rule.
    """

    def __init__(self, candidate: Candidate, check: SqlCheck) -> None:
        self._candidate, self._check = candidate, check
        self._session: Session = candidate.session
        columns = self._session.columns(f"SELECT * FROM {candidate.relation}")
        own = [name for name in columns if name not in HIDDEN_TYPES and not _is_flag(name)]
        self._own = ", ".join(map(quoted, own))

    def values(self) -> dict[str, object]:
        """The value of each partition."""
        keys = self._candidate.keys
        several = self._check.range_sql is not None and len(keys) > 1
        found = self._at_once() if several else None
        if found is None:
            return {key: self._of(key) for key in keys}
        rest = [key for key in keys if key not in found]
        if self._check.total and rest:
            # A total over nothing is the same for all.
            return {**dict.fromkeys(rest, self._of(rest[0])), **found}
        return {**{key: self._of(key) for key in rest}, **found}

    def _at_once(self) -> dict[str, object] | None:
        """The values of the partitions that have rows; None where the statement fails."""
        self._show(TABLE, f"SELECT {self._own}, {PARTITION} FROM {self._candidate.good}")
        if self._check.partitions is not None:
            show_windows(self._session, self._check.partitions, self._candidate.keys)
        try:
            found = self._session.rows(self._check.range_sql or "")
        except (duckdb.DataError, duckdb.ProgrammingError):
            self._session.work.go_on()
            return None  # each partition will say for itself
        values: dict[str, object] = {}
        for *given, partition in found:
            key = str(partition)
            several = key in values or len(given) != 1
            values[key] = _not_one(None, len(given)) if several else given[0]
        return {key: value for key, value in values.items() if key in set(self._candidate.keys)}

    def _of(self, key: str) -> object:
        """The value of one partition."""
        own = f"WHERE {PARTITION} = {literal(key)}"
        self._show(TABLE, f"SELECT {self._own} FROM {self._candidate.good} {own}")
        for relation, by_partition in self._check.reads.items():
            where = own if by_partition else ""
            query = f"SELECT * EXCLUDE ({PARTITION}, {FILE}, {ROW}) FROM {quoted(relation)} {where}"
            self._show(as_read_by_rule(relation), query)
        bound = self._check.partitions.bound(key) if self._check.partitions else {}
        given = {name: bound[name] for name in self._check.parameters}
        try:
            found = self._session.rows(self._check.sql, given)
        except (duckdb.DataError, duckdb.ProgrammingError) as error:
            self._session.work.go_on()
            about = " ".join(str(error).split("\n\n")[0].split())[:_SHOWN]
            return _Trouble(f"the SQL fails: {MASKED if self._check.personal else about}")
        if len(found) != 1 or len(found[0]) != 1:
            return _not_one(len(found), len(found[0]) if found else 1)
        return found[0][0]

    def _show(self, relation: str, query: str) -> None:
        self._session.run(f"CREATE OR REPLACE TEMP VIEW {quoted(relation)} AS {query}")


def _not_one(rows: int | None, columns: int) -> _Trouble:
    found = "several rows" if rows is None else f"{rows:,} rows" if rows != 1 else "a row"
    more = f" of {columns} columns" if columns != 1 else ""
    return _Trouble(f"the SQL gives {found}{more}: a rule gives one value, so let it count or sum")


def _shown(value: object) -> str:
    return "NULL" if value is None else str(value)[:_SHOWN]


def _is_flag(name: str) -> bool:
    return name.startswith(("_breaks_", "_converts_"))
