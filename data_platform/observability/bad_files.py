"""Files of sources in quarantine: which, why, and where their copies are.

Called by the command's `quarantine files`. `storage.bad_files` keeps them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.plan.nodes import LakeNode, RawNode
from data_platform.plan.sources.kinds import Files
from data_platform.storage.bad_files import kept_bad_files
from data_platform.storage.lake import Lake


@dataclass(frozen=True)
class BadFile:
    """A file that couldn't be read.

    Attributes:
        asset: the source's.
        file: its path or address.
        reason: in words.
        quarantined: when, in ISO 8601.
        bytes: of it.
        copy: where its bytes are kept.
        checksum: SHA-256.
        run_id: of the run that met it first.
    """

    asset: str
    file: str
    reason: str
    quarantined: str
    bytes: int
    copy: str
    checksum: str
    run_id: str | None


def bad_files(nodes: Sequence[LakeNode], lake: Lake) -> list[BadFile]:
    """The files in quarantine of some sources, the newest first."""
    found = [
        _read(copy, said)
        for node in nodes
        if isinstance(node, RawNode) and isinstance(node.source, Files)
        for copy, said in kept_bad_files(lake, node.key).items()
    ]
    return sorted(found, key=lambda file: file.quarantined, reverse=True)


def _read(copy: str, said: Mapping[str, Any]) -> BadFile:
    return BadFile(
        asset=said["asset"],
        file=said["file"],
        reason=said["reason"],
        quarantined=said["quarantined"],
        bytes=said["bytes"],
        copy=copy,
        checksum=said["checksum"],
        run_id=said["run_id"],
    )
