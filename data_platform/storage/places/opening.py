"""Which place a lake's root names.

Called by whoever knows platform.yaml: `resources` and `loading`.
"""

from pathlib import Path

from data_platform.errors import PermanentError
from data_platform.spec.lake_root import SCHEME, wrong_root
from data_platform.spec.platform import S3Connection
from data_platform.storage.places.folder import Folder
from data_platform.storage.places.place import Place


def place_of(root: str, home: Path, connection: S3Connection | None = None) -> Place:
    """The place of a lake.

    Args:
        root: a folder, or `s3://bucket/prefix`; its variables have values.
        home: at which a relative folder starts.
        connection: with its secrets in place; None means the usual chain.

    Raises:
        PermanentError: no lake can be there.
    """
    if wrong := wrong_root(root):
        raise PermanentError(f"the lake's root: {wrong}")
    if root.startswith(SCHEME):
        # Imported here: obstore takes its time, and definitions load without it.
        from data_platform.storage.places.bucket import Bucket  # noqa: PLC0415

        return Bucket(root, connection or S3Connection(type="s3"))
    return Folder(home / root)
