"""Prints of what partitions are built from, as a commit keeps them beside their data versions.

Handed to a table by `storage.built_from`, kept by `storage.publish`. What a commit says is true for
good: this version of a partition was built from this. So nothing but the lake needs to be asked
whether a partition would be built from the same again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from data_platform.storage.versions import PartitionVersion

BUILT = "built"
"""In a commit's metadata: `{partition: [data version, print, versions before it]}` as JSON."""

Versions = Mapping[str, PartitionVersion]
Kept = tuple[str, str, str]
"""A data version, the print that it was built from, and a hash of the versions before it."""


@dataclass(frozen=True)
class Prints:
    """What the partitions of a step are built from.

    Attributes:
        by_key: a hash of inputs, code and configuration, by partition; none where the same inputs
            may give other rows.
        earlier: how many published partitions before its own a rule compares one with.
    """

    by_key: Mapping[str, str] = field(default_factory=dict[str, str])
    earlier: int = 0

    def kept(self, versions: Versions, standing: Versions) -> dict[str, str]:
        """What the commit of these versions says.

        Args:
            versions: of the partitions that are published, unchanged ones included.
            standing: of all partitions before the commit.
        """
        now = {**standing, **versions}
        told = {key: self.of(key, now) for key in versions if key in self.by_key}
        return {BUILT: json.dumps(told)} if told else {}

    def of(self, key: str, versions: Versions) -> Kept:
        """What is kept of a partition, where these are the versions of all."""
        return versions[key].data_version, self.by_key[key], self._before(key, versions)

    def trailing(self, key: str, keys: Iterable[str]) -> list[str]:
        """The partitions that a rule compares one with."""
        if not self.earlier:
            return []
        return sorted(other for other in keys if other < key)[-self.earlier :]

    def _before(self, key: str, versions: Versions) -> str:
        past = [versions[one].data_version for one in self.trailing(key, versions)]
        return hashlib.sha256(" ".join(past).encode()).hexdigest()[:8] if past else ""


def kept_in(metadata: Mapping[str, object]) -> dict[str, Kept]:
    """What a commit says of partitions, by partition; nothing where it says nothing of the kind."""
    found: dict[str, list[str]] = json.loads(str(metadata.get(BUILT, "{}")))
    return {key: (version, made, before) for key, (version, made, before) in found.items()}
