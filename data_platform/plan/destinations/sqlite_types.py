"""Types of SQLite's columns, which are words by which it and others take the values in them.

Used by `column_types`, and by what binds values: both have to agree. A source reads the same words
back as the types that they stand for (`engine.sqlite_values`).
"""

import re

EXACT_DIGITS = 15
"""Of a decimal with a fraction that SQLite's numbers hold, whatever they are."""
INTEGER_DIGITS = 18
"""Of one without."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_TYPES = {
    # An integer takes as many bytes as its value needs, whatever its column is declared.
    "TINYINT": "INTEGER",
    "SMALLINT": "INTEGER",
    "INTEGER": "INTEGER",
    "BIGINT": "INTEGER",
    "FLOAT": "REAL",
    "DOUBLE": "REAL",
    "VARCHAR": "TEXT",
    "BOOLEAN": "BOOLEAN",
    "BLOB": "BLOB",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
}

_DECLARED_DECIMAL = re.compile(
    r"(?:DECIMAL|NUMERIC|NUMBER)(?:_TEXT)? ?\( ?(\d+) ?(?:, ?(\d+) ?)?\)"
)
_AFFINITIES = (
    (("INT",), "INTEGER"),
    (("CHAR", "CLOB", "TEXT"), "TEXT"),
    (("BLOB",), "BLOB"),
    (("REAL", "FLOA", "DOUB"), "REAL"),
)


def sqlite_type(kind: str) -> str | None:
    """The word for one of DuckDB's types; None where there is none."""
    if kind.endswith("[]"):
        return "JSON" if sqlite_type(kind.removesuffix("[]")) else None
    found = _DECIMAL.fullmatch(kind)
    if found is None:
        return _TYPES.get(kind)
    precision, scale = int(found[1]), int(found[2])
    # A word with TEXT in it keeps SQLite from making a number of the digits.
    word = "DECIMAL_TEXT" if kept_as_text(precision, scale) else "DECIMAL"
    return f"{word}({precision},{scale})"


def kept_as_text(precision: int, scale: int) -> bool:
    """Whether a decimal has more digits than SQLite's numbers hold."""
    return precision > (EXACT_DIGITS if scale else INTEGER_DIGITS)


def holds_exactly(kind: str, declared: str) -> bool:
    """Whether a column holds the values of one of DuckDB's types as they are bound.

    SQLite makes numbers of texts and texts of numbers where a column's type says so: what comes
    out then isn't what went in.

    Args:
        kind: of the rows.
        declared: of the column, by the platform or by whoever made the table.
    """
    declared = " ".join(declared.upper().split())
    own = sqlite_type(kind)
    if not declared or declared == own:
        return True
    affinity = _affinity(declared)
    match own:
        case "INTEGER":
            return affinity == "INTEGER"
        case "REAL":
            return affinity == "REAL"
        case "TEXT":
            return affinity in {"TEXT", "BLOB"}
        case "BLOB":
            return affinity == "BLOB"
        case "TIMESTAMP":
            return declared == "DATETIME"
        case None:
            return False
        case _:
            return own.startswith("DECIMAL") and _as_wide(kind, declared)


def _as_wide(kind: str, declared: str) -> bool:
    """Whether a decimal's digits have room in a column, on both sides of its point."""
    rows, column = _DECIMAL.fullmatch(kind), _DECLARED_DECIMAL.fullmatch(declared)
    if rows is None or column is None:
        return False
    digits, scale = int(rows[1]), int(rows[2])
    wide, behind = int(column[1]), int(column[2] or 0)
    as_text = kept_as_text(digits, scale)
    fits = behind >= scale and wide - behind >= digits - scale
    return fits and (not as_text or _affinity(declared) == "TEXT")


def _affinity(declared: str) -> str:
    """What SQLite makes of values by a column's type, by its own rules in their order."""
    for words, affinity in _AFFINITIES:
        if any(word in declared for word in words):
            return affinity
    return "NUMERIC"
