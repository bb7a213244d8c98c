"""What was noted when partitions landed: what was asked, when, and what the source said of itself.

Kept by `raw.extraction` in a small file a partition beside its table, written after the commit. A
note counts only while the table holds the very version that it names: whatever a crash leaves, and
whoever else publishes, nothing is ever skipped that isn't there.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.retrying import in_words
from data_platform.sources.arrivals import Landing
from data_platform.storage.lake import LakeTable
from data_platform.storage.publish import Publication
from data_platform.storage.versions import Snapshot

FOLDER, WHOLE_NAME = "_landings", "whole"


def asked(node: RawNode, key: str, parameters: Mapping[str, Any]) -> str:
    """A hash of what a source is asked for a partition."""
    given = sorted((name, repr(value)) for name, value in parameters.items())
    text = f"{node.code}|{node.contract}|{key}|{given}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def known_landings(
    node: RawNode,
    table: LakeTable,
    before: Snapshot | None,
    keys: Iterable[str],
    parameters: Mapping[str, Any],
) -> dict[str, Landing]:
    """The landings of partitions that stand as they landed, after the same question."""
    found: dict[str, Landing] = {}
    standing = {key: _version(before, key) for key in keys} if before is not None else {}
    wanted = [key for key, version in standing.items() if version is not None]
    for key, noted in _read(table, wanted).items():
        if noted.get("data_version") != standing[key]:
            continue
        try:
            landing = Landing(
                str(noted["asked"]),
                datetime.fromisoformat(noted["at"]),
                {str(name): str(value) for name, value in noted["marks"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # a note that can't be read is none
        if landing.at.tzinfo is not None and landing.asked == asked(node, key, parameters):
            found[key] = landing
    return found


def not_to_be_asked(
    node: RawNode, landings: Mapping[str, Landing], keys: Sequence[str], now: datetime
) -> dict[str, str]:
    """Why partitions needn't be read, by partition: the same was asked not long ago.

    What is left is contiguous: of a range, partitions are left out from both ends.
    """
    if node.skip_for is None:
        return {}
    age = {key: now - landing.at for key, landing in landings.items()}
    lasting = {key for key, past in age.items() if past < node.skip_for and past.days >= 0}
    due = [number for number, key in enumerate(keys) if key not in lasting]
    read = range(due[0], due[-1] + 1) if due else range(0)
    expires = in_words(node.skip_for.total_seconds())
    return {
        key: f"the same was asked {in_words(round(age[key].total_seconds()))} ago, "
        f"and that holds for {expires}"
        for number, key in enumerate(keys)
        if number not in read
    }


def note_landings(
    node: RawNode,
    table: LakeTable,
    publication: Publication,
    marks: Mapping[str, Mapping[str, str]],
    parameters: Mapping[str, Any],
    now: datetime,
) -> None:
    """Note what has landed, where somebody will ask: after the commit.

    Args:
        node: the raw asset.
        table: of the asset.
        publication: of the partitions, unchanged ones included.
        marks: what the source said of its state, by partition.
        parameters: of the run.
        now: when it was asked; aware.
    """
    if node.skip_for is None and not marks:
        return
    notes: list[tuple[str, bytes]] = []
    for key in [WHOLE] if node.increments else publication.versions:
        noted = {
            "asked": asked(node, key, parameters),
            "at": now.isoformat(),
            "marks": dict(marks.get(key, {})),
            "data_version": str(publication.lake_version)
            if node.increments
            else publication.versions[key].data_version,
        }
        content = json.dumps(noted, ensure_ascii=False).encode()
        notes.append((_note(table, key), content))
    table.place.write_all(notes)


def _version(snapshot: Snapshot, key: str) -> str | None:
    if snapshot.batches is not None:
        return str(snapshot.version)
    version = snapshot.partitions.get(key)
    return version.data_version if version else None


def _note(table: LakeTable, key: str) -> str:
    return f"{table.relative}/{FOLDER}/{quote(key, safe='') or WHOLE_NAME}.json"


def _read(table: LakeTable, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The notes that there are, by partition."""
    found: dict[str, dict[str, Any]] = {}
    for key, content in zip(
        keys, table.place.read_all([_note(table, key) for key in keys]), strict=True
    ):
        try:
            noted = json.loads(content or b"")
        except ValueError:
            continue
        if isinstance(noted, dict):
            found[key] = noted
    return found
