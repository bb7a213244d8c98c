"""What a rule in Python says of the rows that it was given.

For people: `from data_platform.quality.results import Result`. Imports nothing of the platform.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One thing that was looked at.

    Attributes:
        name: of what was looked at.
        passed: whether it is right.
        rows: that were judged; None means all of the partition.
        offending: of them; None where that isn't counted.
        detail: figures in words, such as `mean 7.1, at most 5`.
    """

    name: str
    passed: bool
    rows: int | None = None
    offending: int | None = None
    detail: str | None = None
