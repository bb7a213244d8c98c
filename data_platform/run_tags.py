"""Tags of runs that the platform sets and reads: why one was started, and what it is held to.

Set by whoever starts runs (`running`, `backfills`, `automation`); read by steps, by `keeping` and
by the command. What a tag says is decided here only; who started a run, in `instance.users`.
"""

import json
from collections.abc import Mapping

from data_platform.errors import PermanentError
from data_platform.plan.keys import Key

ORIGIN_TAG = "data_platform/origin"
"""`command`: a command started the run, and builds what is below sound partitions itself."""
CAUSE_TAG = "data_platform/cause"
"""Why it was started, in short words: `backfill ab12cd34`, `follow-up of run 1a2b3c4d`."""
FORCE_TAG = "data_platform/force"
"""`true`: compute though nothing changed."""
PINNED_TAG = "data_platform/pinned_versions"
"""Of a run or backfill: versions that it reads, as `{"raw/shop/orders": 12}`, or lists of them."""
PINNED_EVENTS_TAG = "data_platform/pinned_events"
"""Beside them: the newest materialization of each in the event log when they were current."""


def is_forced(tags: Mapping[str, str]) -> bool:
    """Whether a run computes though nothing changed."""
    return tags.get(FORCE_TAG, "").lower() == "true"


def pinned_versions(tags: Mapping[str, str], name: str) -> dict[Key, frozenset[int]]:
    """The versions that a run or backfill reads, by asset.

    Args:
        tags: of it.
        name: of it, for a message.

    Raises:
        PermanentError: the tag can't be read.
    """
    written = tags.get(PINNED_TAG)
    if not written:
        return {}
    try:
        said: dict[str, int | list[int]] = json.loads(written)
        return {
            Key(*key.split("/")): frozenset(
                map(int, versions if isinstance(versions, list) else [versions])
            )
            for key, versions in said.items()
        }
    except (ValueError, TypeError, AttributeError):
        raise PermanentError(
            f"{name} has a tag {PINNED_TAG} that can't be read: {written!r}; write it as "
            '{"layer/pipeline/name": version}'
        ) from None


def pinned_events(tags: Mapping[str, str]) -> dict[Key, int | None]:
    """The newest materialization of each pinned asset when it was pinned; None: there was none."""
    said: dict[str, int | None] = json.loads(tags.get(PINNED_EVENTS_TAG, "{}"))
    return {Key(*key.split("/")): event for key, event in said.items()}


def pins(versions: Mapping[Key, int], events: Mapping[Key, int | None]) -> dict[str, str]:
    """The tags that pin what a run reads."""
    if not versions:
        return {}
    return {
        PINNED_TAG: json.dumps({str(key): version for key, version in versions.items()}),
        PINNED_EVENTS_TAG: json.dumps({str(key): events.get(key) for key in versions}),
    }
