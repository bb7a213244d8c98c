"""What a table that grows by batches says of itself, in the metadata of its partition column.

Written by `storage.lake` with each batch and read with each snapshot, so that nobody can read a
table otherwise than it was written, whatever has become of the pipeline since.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from data_platform.engine.lake_files import Newest
from data_platform.plan.naming import BATCH_FIELD

_FIELD = "data_platform"


@dataclass(frozen=True)
class Carried:
    """What the first batches were together before their files were merged or written anew.

    Attributes:
        number: of the last one of them.
        newest: how readers saw them, as text.
        version: the data version that the table had with them.
    """

    number: int
    newest: str
    version: str


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
        carried: the data version of batches whose files don't tell it any more.
    """

    number: int
    rows: int
    key: tuple[str, ...]
    cursor: str | None
    keep: Literal["latest", "history"]
    position: Mapping[str, Any] | None
    carried: Carried | None = field(default=None, compare=False)

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
    carried = found.get("carried")
    return Batches(
        found["number"],
        found["rows"],
        tuple(found["key"]),
        found["cursor"],
        found["keep"],
        found["position"],
        Carried(**carried) if carried else None,
    )


def version_of_batches(batches: Batches, parts: Sequence[tuple[str, str]]) -> str:
    """The data version of a table that grows by batches.

    Args:
        batches: its state.
        parts: the folder of each file that has rows, and the version that its name tells, in the
            order of their paths. A batch without rows changes nothing for readers.
    """
    newest, carried = str(batches.newest), batches.carried
    texts = [f"{folder} {version}" for folder, version in parts]
    if carried is not None:
        later = [
            f"{folder} {version}" for folder, version in parts if number_of(folder) > carried.number
        ]
        if not later and carried.newest == newest:
            return carried.version
        texts = [f"{carried.newest} {carried.version}", *later]
    return hashlib.sha256("|".join([newest, *texts]).encode()).hexdigest()[:20]


def folder_of(number: int) -> str:
    """The folder of a batch; names rise with the numbers."""
    return f"{BATCH_FIELD}={number:010}"


def number_of(folder: str) -> int:
    """The number of a batch by its folder."""
    return int(folder.partition("=")[2])
