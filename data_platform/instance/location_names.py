"""By what names a code location keeps its state in Dagster's database.

Used by whoever keeps something there for one location alone. What was kept before there could be
several stays as it is called: it is the default location's.
"""

from data_platform.settings import DEFAULT_LOCATION, location_name

DEFAULT = DEFAULT_LOCATION
COLUMN = f"location text NOT NULL DEFAULT '{DEFAULT}'"
"""Of a table with rows of each location."""


def own_location() -> str:
    """The name of this process's location."""
    return location_name()


def named(name: str) -> str:
    """A name of something that is kept for this process's location alone."""
    return named_of(name, own_location())


def named_of(name: str, location: str) -> str:
    """The same for any location."""
    return name if location == DEFAULT else f"{name}@{location}"
