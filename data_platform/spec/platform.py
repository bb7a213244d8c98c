"""`platform.yaml`: where the lake is and what the pipelines connect to.

Texts with `${VAR}` stay as written here: they are resolved by `spec.variables` when something
connects, so that no secret gets into definitions, events, logs or the UI.
"""

from typing import Annotated, Literal

from pydantic import Field

from data_platform.spec.model import Model
from data_platform.spec.values import Name


class Lake(Model):
    """Where the tables of all assets are kept."""

    root: str = "${LAKE_ROOT:-.data/lake}"
    """A folder; a relative one starts at the platform's home."""


class DatabaseConnection(Model):
    """A database."""

    type: Literal["database"]
    """What it connects to."""
    url: str
    """`postgresql://...`, or `embedded://<name>` for the PostgreSQL that starts by itself."""


class Platform(Model):
    """What all pipelines share."""

    lake: Lake = Lake()
    """Where the tables are."""
    connections: dict[Name, DatabaseConnection] = Field(default_factory=dict)
    """Outside systems, by the names that pipelines use."""
    pools: dict[Name, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """How many steps of each pool may run at once."""
