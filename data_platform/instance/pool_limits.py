"""Sets the limits of pools in Dagster's instance, and removes those of pools that are gone.

Called by `coordinator` before a run is queued, by a sensor each minute and by the command before it
runs. Only pools that were set from a platform.yaml are removed; those of other owners, and what
somebody made in the UI, stay. A pool is of the whole Dagster: where several code locations give one
a limit, the smallest counts, since it protects what the strictest of them wants protected.
"""

import json
from collections.abc import Mapping

from dagster import DagsterInstance
from dagster._core.storage.event_log.base import EventLogStorage
from sqlalchemy.exc import IntegrityError

from data_platform.instance.locations import known_locations

_CURSOR = "data_platform/pools/"


def apply_limits(instance: DagsterInstance, pools: Mapping[str, int], owner: str) -> list[str]:
    """Let the instance's pools be as they are written.

    Args:
        instance: Dagster's.
        pools: slots by name.
        owner: who has said so; what the same one said before and says no more is removed.

    Returns:
        What was set or removed, in words.
    """
    storage, cursors = instance.event_log_storage, instance.daemon_cursor_storage
    cursor = f"{_CURSOR}{owner}"
    said = cursors.get_cursor_values({cursor}).get(cursor)
    ours: list[str] = json.loads(said) if said else []
    known = {pool.name: pool for pool in storage.get_pool_limits()}
    theirs = _of_others(instance, owner) if pools or ours else {}
    done: list[str] = []
    for name, own in pools.items():
        limit = min([own, *theirs.get(name, ())])
        if name not in known or known[name].from_default or known[name].limit != limit:
            _set_limit(storage, name, limit)
            done.append(f"{name}: {limit}")
    for name in ours:
        if name not in pools and name in known and name not in theirs:
            storage.delete_concurrency_limit(name)
            done.append(f"{name} removed")
    if sorted(ours) != sorted(pools):
        cursors.set_cursor_values({cursor: json.dumps(sorted(pools))})
    return done


def _of_others(instance: DagsterInstance, owner: str) -> dict[str, list[int]]:
    """What other code locations say, by pool."""
    found: dict[str, list[int]] = {}
    for one in known_locations(instance):
        for name, limit in one.about.pools.items() if one.about.owner != owner else ():
            found.setdefault(name, []).append(limit)
    return found


def _set_limit(storage: EventLogStorage, name: str, limit: int) -> None:
    """Set a pool's limit; another process that begins at the same moment may just have made it."""
    try:
        storage.set_concurrency_slots(name, limit)
    except IntegrityError:
        storage.set_concurrency_slots(name, limit)
