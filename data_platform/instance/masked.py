"""What Dagster's storage keeps, without secrets: messages, errors, metadata, ticks, backfills.

Called by `event_log` and `storage` before something is written. What names a thing, such as an
asset's key or a run, stays as it is, also where it is spelled as a secret: it would be another.
"""

import json
from typing import Any, TypeVar, cast

from dagster_shared.serdes import deserialize_value, serialize_value

from data_platform.secrets.masker import mask

_NAMES = frozenset(
    {
        *("__class__", "__enum__", "__set__", "__frozenset__", "asset_key", "event_type_value"),
        *("job_name", "pipeline_name", "run_id", "root_run_id", "parent_run_id", "step_key"),
        *("partition", "partition_key", "check_name", "solid_name", "op_name"),
        *("output_name", "step_output_handle", "node_handle", "step_handle", "location_name"),
        *("repository_name", "location_origin", "backfill_id", "status", "log_key", "file_key"),
        *("run_config", "tags", "cursor", "serialized_asset_backfill_data", "run_key"),
    }
)
"""Keys below which nothing is masked; run configuration and tags are what a person typed."""

KeptT = TypeVar("KeptT")


def masked(kept: KeptT) -> KeptT:
    """The same without secrets; the very same where there are none.

    Args:
        kept: of a class that Dagster serializes.
    """
    text = serialize_value(cast(Any, kept))
    safe = masked_text(text)
    return kept if safe is text else cast(KeptT, deserialize_value(safe))


def masked_text(text: str) -> str:
    """What Dagster has serialized, without secrets; the very same text where there are none."""
    if mask(text) == text:
        return text
    content = json.loads(text)
    safe = _masked(content)
    return text if safe == content else json.dumps(safe)


def _is_key(name: str, content: object) -> bool:
    """Whether it is what an asset's key consists of, and no path of a file."""
    return name == "path" and isinstance(content, list)


def _masked(content: object) -> object:
    match content:
        case str():
            return mask(content)
        case dict():
            entries = cast("dict[str, object]", content)
            return {
                key: below if key in _NAMES or _is_key(key, below) else _masked(below)
                for key, below in entries.items()
            }
        case list():
            return [_masked(below) for below in cast("list[object]", content)]
        case _:
            return content
