"""The manifest beside a file: which version of which partition it holds, and how to know it whole.

Written by `delivering` after the file, so that one which tells of a file tells of all of it; read
by the next run, by `status`, and by readers who want certainty.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from data_platform.targets.deliveries import Version

FORM = 1
"""Of the manifest, and of how values are written: another one writes all files anew."""


@dataclass(frozen=True)
class Manifest:
    """What a file holds.

    Attributes:
        file: its name, without the folder.
        asset: whose rows they are.
        partition: of them; empty where there are none.
        data_version: that the lake gave them.
        rows, bytes: how many.
        sha256: of the file.
        format: how they are written, with the options that decide about it.
        columns: their types in DuckDB's words.
        run_id: of the run that wrote it.
        written_at: in ISO 8601, UTC.
        mark: what the place said of the file then: its ETag, or when it was modified.
    """

    file: str
    asset: str
    partition: str
    data_version: str
    rows: int
    bytes: int
    sha256: str
    format: Mapping[str, Any]
    columns: Mapping[str, str]
    run_id: str
    written_at: str
    mark: str

    @property
    def version(self) -> Version:
        """What the partition holds."""
        return Version(self.data_version, self.rows)


def encoded(manifest: Manifest) -> bytes:
    """A manifest as it is kept."""
    text = json.dumps({"manifest": FORM, **manifest.__dict__}, indent=2, ensure_ascii=False)
    return f"{text}\n".encode()


def decoded(content: bytes | None) -> Manifest | None:
    """A manifest that was read; None where there is none, or it is none that this version wrote."""
    try:
        read: Any = json.loads(content or b"null")
        if not isinstance(read, dict):
            return None
        given = cast("dict[str, Any]", read)
        if given.pop("manifest", None) != FORM:
            return None
        return Manifest(**given)
    except (ValueError, TypeError):
        return None
