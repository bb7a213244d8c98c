"""Files of sources in quarantine: which, why, and where their copies are.

Called by the command's `quarantine files`. `sources.files.refusing` writes what is read here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_platform.plan.naming import REASON_ENDING
from data_platform.plan.nodes import LakeNode, RawNode
from data_platform.plan.sources.kinds import Files
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
    copy: Path
    checksum: str
    run_id: str | None


def bad_files(nodes: Sequence[LakeNode], lake: Lake) -> list[BadFile]:
    """The files in quarantine of some sources, the newest first."""
    found = [
        _read(path)
        for node in nodes
        if isinstance(node, RawNode) and isinstance(node.source, Files)
        for path in lake.bad_files(node.key).glob(f"*{REASON_ENDING}")
    ]
    return sorted(found, key=lambda file: file.quarantined, reverse=True)


def _read(path: Path) -> BadFile:
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return BadFile(
        asset=said["asset"],
        file=said["file"],
        reason=said["reason"],
        quarantined=said["quarantined"],
        bytes=said["bytes"],
        copy=path.with_name(path.name.removesuffix(REASON_ENDING)),
        checksum=said["checksum"],
        run_id=said["run_id"],
    )
