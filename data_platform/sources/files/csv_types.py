"""Which type the texts of a CSV column have, and whether a text has a type without loss.

Called by `reading` beside it. Nothing is guessed that would lose a sign: `007` and `+49` are texts,
an integer of twenty digits stays one, and a day that could be another in another country is a text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.engine.session import Session
from data_platform.plan.conversions import Conversion, inexact
from data_platform.plan.sql.expressions import literal, quoted

SAMPLE = 20_000
"""Rows that show which types are worth a look at all rows."""
_NUMBER = "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_PLAIN_NUMBER = "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,6})?)?"
_MOMENT = f"^{_DAY}([ T]{_CLOCK})?$"
_ZONED = f"^{_DAY}[ T]{_CLOCK} ?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$"
_SAFE_DIGITS = 15
"""Significant digits that any double keeps."""
_DIGITS = 38
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL(38,0)"})
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_TRIED = (
    "BOOLEAN",
    "BIGINT",
    "DECIMAL(38,0)",
    "DOUBLE",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
)


def fits(name: str, kind: str) -> str:
    """A condition: the column's text, which isn't NULL, is a value of a type, with nothing lost.

    Args:
        name: of a column of text.
        kind: in DuckDB's words.
    """
    text = quoted(name)
    value = f"TRY_CAST({text} AS {kind})"
    decimal = _DECIMAL.fullmatch(kind)
    match kind:
        case "VARCHAR":
            return "TRUE"
        case "BOOLEAN":
            return f"LOWER({text}) IN ('true', 'false')"
        case "DOUBLE" | "FLOAT":
            return _fits_double(text, value)
        case "TIMESTAMP":
            return f"({value} IS NOT NULL AND REGEXP_MATCHES({text}, {literal(_MOMENT)}))"
        case "TIMESTAMP WITH TIME ZONE":
            return f"({value} IS NOT NULL AND REGEXP_MATCHES({text}, {literal(_ZONED)}))"
        case _ if kind in _INTEGERS or kind == "DATE":
            return f"COALESCE(CAST({value} AS VARCHAR) = {text}, FALSE)"
        case _ if decimal:
            point = f"LENGTH({text}) - STRPOS(REPLACE({text}, '.', '|'), '|')"
            few = f"(NOT CONTAINS({text}, '.') OR {point} <= {decimal[2]})"
            plain = f"REGEXP_MATCHES({text}, {literal(_PLAIN_NUMBER)})"
            return f"({value} IS NOT NULL AND {few} AND {plain})"
        case _:
            return f"({value} IS NOT NULL)"


def promised(name: str, kind: str) -> str:
    """The same for a type that a person named: any way to write a value that is exact."""
    return f"NOT ({inexact(name, Conversion(kind, kind))})"


def _fits_double(text: str, value: str) -> str:
    digits = f"REGEXP_REPLACE({text}, '[eE].*$', '')"
    digits = f"LTRIM(REPLACE(REPLACE({digits}, '-', ''), '.', ''), '0')"
    digits = f"LENGTH(RTRIM({digits}, '0'))"
    same = f"CAST({value} AS VARCHAR) = {text}"
    exact = f"(LENGTH({text}) <= {_SAFE_DIGITS} OR {digits} <= {_SAFE_DIGITS} OR {same})"
    finite = f"ISFINITE({value}) AND ({value} <> 0 OR NOT REGEXP_MATCHES({text}, '^[^eE]*[1-9]'))"
    number = f"REGEXP_MATCHES({text}, {literal(_NUMBER)}) AND {finite} AND {exact}"
    named = f"LOWER({text}) IN ('nan', 'inf', '-inf', 'infinity', '-infinity')"
    return f"COALESCE(({number}) OR {named}, FALSE)"


@dataclass(frozen=True)
class _Facts:
    """What a look at a column's texts told.

    Attributes:
        count: of texts.
        fitting: types that hold all of them, the narrowest first.
        decimal: the one that does where they are numbers.
    """

    count: int
    fitting: Sequence[str]
    decimal: str | None

    @property
    def type(self) -> str:
        """The narrowest that holds all."""
        if not self.count:
            return "VARCHAR"
        return self.fitting[0] if self.fitting else self.decimal or "VARCHAR"


def guessed(session: Session, query: str, names: Sequence[str], *, sampled: bool) -> dict[str, str]:
    """The narrowest type of each column that holds all of its texts without loss.

    Args:
        session: in which the query runs.
        query: a SELECT of texts.
        names: of the columns that are looked at.
        sampled: whether some rows are looked at first, so that all rows are asked less.
    """
    if not names:
        return {}
    tried: dict[str, Sequence[str]] = dict.fromkeys(names, _TRIED)
    if sampled:
        some = _looked_at(session, f"SELECT * FROM ({query}) LIMIT {SAMPLE}", tried)
        tried = {name: facts.fitting for name, facts in some.items()}
    return {name: facts.type for name, facts in _looked_at(session, query, tried).items()}


def _looked_at(
    session: Session, query: str, tried: Mapping[str, Sequence[str]]
) -> dict[str, _Facts]:
    parts: list[str] = []
    for name, kinds in tried.items():
        text = quoted(name)
        there = f"FILTER ({text} IS NOT NULL)"
        parts.append(f"COUNT({text})")
        parts += [f"BOOL_AND({fits(name, kind)}) {there}" for kind in kinds]
        parts += [
            f"BOOL_AND(REGEXP_MATCHES({text}, {literal(_PLAIN_NUMBER)})) {there}",
            f"MAX(LENGTH(SPLIT_PART(LTRIM({text}, '-'), '.', 1)))",
            f"MAX(LENGTH(SPLIT_PART({text}, '.', 2)))",
        ]
    row = iter(session.rows(f"SELECT {', '.join(parts)} FROM ({query})")[0])
    return {name: _facts(row, kinds) for name, kinds in tried.items()}


def _facts(row: Iterator[Any], kinds: Sequence[str]) -> _Facts:
    count = next(row)
    # Of no text at all nothing is known: whatever was tried is still possible.
    fitting = [kind for kind in kinds if next(row) or not count]
    numbers, whole, fraction = next(row), next(row), next(row)
    wide = not numbers or whole + fraction > _DIGITS
    return _Facts(count, fitting, None if wide else f"DECIMAL({_DIGITS},{fraction})")
