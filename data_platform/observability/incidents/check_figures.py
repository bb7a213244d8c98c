"""What a check found, as an incident keeps it: figures in words, and rows that break the rule.

Called by `reading`.
"""

from collections.abc import Mapping

from dagster import MetadataValue, TableMetadataValue

_FACTS, _FACT_WIDTH, _EXAMPLES = 8, 200, 3
_NO_FACTS = frozenset({"standing_version", "candidate", "partitions"})


def facts_of(metadata: Mapping[str, MetadataValue]) -> dict[str, str]:
    """The figures of a check, as text."""
    found = {
        name: _text(value.value)
        for name, value in metadata.items()
        if isinstance(value.value, int | float | str) and name not in _NO_FACTS
    }
    return dict(list(found.items())[:_FACTS])


def _text(value: float | str) -> str:
    match value:
        case bool() | str():
            return str(value)[:_FACT_WIDTH]
        case int():
            return f"{value:,}"
        case _:
            return f"{value:g}"


def examples_of(metadata: Mapping[str, MetadataValue]) -> tuple[Mapping[str, str], ...]:
    """Rows that break a rule, masked as the check has them."""
    found = metadata.get("examples")
    if not isinstance(found, TableMetadataValue):
        return ()
    rows = [record.data for record in found.records[:_EXAMPLES]]
    return tuple({name: str(value) for name, value in row.items()} for row in rows)
