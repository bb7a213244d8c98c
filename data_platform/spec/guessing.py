"""Which assets a broken pipeline seems to have, so that they stay in sight.

Called by `spec.reading`. Guesses: it must never raise, and never be taken for what was written.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from data_platform.errors import ConfigurationError
from data_platform.spec.document import read_text

AssetName = tuple[str, str, str]
"""Layer, pipeline, name."""

MAX_GUESSES = 1000
_LAYERS = {
    "sources": "raw",
    "staging": "staging",
    "analytics": "analytics",
    "destinations": "destinations",
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_KEY = re.compile(r"(?P<indent> *)(?P<key>[a-z][a-z0-9_]{0,99}) *:(?= |$)")


def guess_assets(
    pipeline: str, file: Path, data: Mapping[str, Any] | None = None
) -> tuple[AssetName, ...]:
    """The assets by their places in the file.

    Args:
        pipeline: the name of its folder.
        file: the file, which is read where there is no data.
        data: what the YAML means, if it can be read.
    """
    if not _NAME.fullmatch(pipeline):
        return ()
    found = _in_lines(file) if data is None else _in_data(data)
    assets = dict.fromkeys((layer, pipeline, name) for layer, name in found)
    return tuple(assets)[:MAX_GUESSES]


def _in_data(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section, layer in _LAYERS.items():
        entries = data.get(section)
        if isinstance(entries, dict):
            for name in cast("dict[str, Any]", entries):
                if _NAME.fullmatch(name):
                    yield layer, name


def _in_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Keys of the first level below a section, line by line, whatever else is wrong."""
    try:
        lines = read_text(file).splitlines()
    except ConfigurationError:
        return
    layer: str | None = None
    level: int | None = None
    for line in lines:
        match = _KEY.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        if indent == 0:
            layer, level = _LAYERS.get(match["key"]), None
        elif layer and indent == (level := level or indent):
            yield layer, match["key"]
