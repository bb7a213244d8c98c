"""Files of sources that couldn't be read: a copy of each beside the lake's tables, and why.

Written for `sources.files.refusing`, which knows neither the lake nor its place, and read by
`observability`.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_platform.plan.keys import Key
from data_platform.plan.naming import REASON_ENDING
from data_platform.storage.lake import Lake
from data_platform.storage.scratch import scratch_folder


def keep_bad_file(lake: Lake, key: Key, name: str, file: Path, said: Mapping[str, Any]) -> None:
    """Keep a copy of a bad file with its reason; one that is kept already is left as it is.

    Args:
        lake: in which.
        key: of the source.
        name: of the copy, another one for another content.
        file: which is left where it is.
        said: why, and of what file.
    """
    place, folder = lake.place, lake.bad_files(key)
    reason = f"{folder}/{name}{REASON_ENDING}"
    if place.read(reason) is not None:
        return
    with scratch_folder(lake.scratch_root) as scratch:
        copy = Path(shutil.copyfile(file, scratch / "copy"))
        place.adopt(copy, f"{folder}/{name}")
    place.write(reason, json.dumps(said, ensure_ascii=False, indent=2).encode())


def kept_bad_files(lake: Lake, key: Key) -> dict[str, dict[str, Any]]:
    """What was said of the files that are kept of a source, by the paths of their copies."""
    names = [
        found.relative
        for found in lake.place.list(lake.bad_files(key))
        if found.relative.endswith(REASON_ENDING)
    ]
    return {
        lake.place.path_of(name.removesuffix(REASON_ENDING)): json.loads(content)
        for name, content in zip(names, lake.place.read_all(names), strict=True)
        if content is not None
    }
