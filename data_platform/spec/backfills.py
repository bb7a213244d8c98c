"""How an asset wants its history to be filled.

Part of what any asset may say, see `spec.asset`.
"""

from pydantic import Field

from data_platform.spec.model import Model


class Backfill(Model):
    """How many partitions a run of a range covers."""

    partitions_per_run: int | None = Field(default=None, ge=1)
    """The most partitions of one run; None means that a range is one run."""
