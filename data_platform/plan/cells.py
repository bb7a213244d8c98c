"""A value as text that somebody may edit, and the text as a value again, exactly or not at all.

The SQL of both. Used by `correcting`, which writes rows of quarantine into files and reads them
back, and by `staging`, which puts what was corrected in a row's place. Sessions are in UTC.
"""

from data_platform.plan.conversions import Conversion, converted, inexact
from data_platform.plan.sql.expressions import quoted


def text_of(name: str) -> str:
    """A column's values as text; NULL stays NULL."""
    return f"CAST({quoted(name)} AS VARCHAR)"


def value_of(name: str, kind: str) -> str:
    """What a column of texts says, as a type of the lake; NULL where it says nothing of it."""
    if kind.endswith("[]"):
        return f"TRY_CAST({quoted(name)} AS {kind})"
    return converted(name, Conversion(kind, kind))


def is_no_value(name: str, kind: str, depth: int = 0) -> str:
    """A condition: the text isn't exactly a value of the type. That of NULL is false."""
    if not kind.endswith("[]"):
        return inexact(name, Conversion(kind, kind))
    texts = f"TRY_CAST({quoted(name)} AS VARCHAR[])"
    item = f"_item_{depth}"
    wrong = is_no_value(item, kind[:-2], depth + 1)
    found = f"len(list_filter({texts}, lambda {item}: {wrong})) > 0"
    return f"({quoted(name)} IS NOT NULL AND COALESCE({texts} IS NULL OR {found}, TRUE))"
