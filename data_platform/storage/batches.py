"""What a table that grows by batches says of itself, in the metadata of its partition column.

Written by `storage.lake` with each batch and read with each snapshot, so that nobody can read a
table otherwise than it was written, whatever has become of the pipeline since.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from data_platform.engine.session import Newest
from data_platform.plan.naming import BATCH_FIELD

_FIELD = "data_platform"


@dataclass(frozen=True)
class Batches:
    """The state of a table after its newest batch.

    Attributes:
        number: of the newest batch; the first one is 1.
        rows: that readers see.
        key: the columns that name a row.
        cursor: the column that rises, if there is one.
        keep: whether readers see the newest row of each key, or all rows.
        position: how far the source was read, in JSON's types; None where it doesn't say.
    """

    number: int
    rows: int
    key: tuple[str, ...]
    cursor: str | None
    keep: Literal["latest", "history"]
    position: Mapping[str, Any] | None

    @property
    def newest(self) -> Newest | None:
        """What readers see; None means all rows."""
        return Newest(self.key, self.cursor) if self.key and self.keep == "latest" else None

    def to_metadata(self) -> dict[str, str]:
        """As the partition column carries it."""
        return {_FIELD: json.dumps(asdict(self))}


def batches_of(metadata: Mapping[str, Any]) -> Batches:
    """What the partition column of a table carries."""
    found: dict[str, Any] = json.loads(metadata[_FIELD])
    return Batches(
        found["number"],
        found["rows"],
        tuple(found["key"]),
        found["cursor"],
        found["keep"],
        found["position"],
    )


def folder_of(number: int) -> str:
    """The folder of a batch; names rise with the numbers."""
    return f"{BATCH_FIELD}={number:010}"
