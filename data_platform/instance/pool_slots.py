"""Slots of pools, of which a step may take several: all that it needs, or none.

Called by `storage`. Dagster gives each step one slot. Here a step says how many by the tag
`data_platform/pool_slots`, which its run's plan keeps, and a claim is one transaction under a lock
of its pool: it takes all of them or waits. Nobody waits holding some, so that no two can wait for
one another. Who waits is served in order of priority, then of coming: a step takes slots only if
those before it could have theirs besides, so that many small steps never keep a large one out.
Dagster's own queries free them, by step and by run.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from dagster import DagsterInstance
from dagster._core.storage.event_log.schema import ConcurrencySlotsTable, PendingStepsTable
from dagster._utils.concurrency import ConcurrencyClaimStatus, ConcurrencySlotStatus
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from data_platform.instance.liveness import lock_key

POOL_SLOTS_TAG = "data_platform/pool_slots"
"""Of a step: how many slots of its pool it takes; 1 without it."""

AGAIN_SECONDS = 1.0
"""Until a step that waits asks again; Dagster's own pause grows to 15 seconds."""

_slots = ConcurrencySlotsTable.c
_pending = PendingStepsTable.c


def claim(
    connection: Connection,
    instance: DagsterInstance,
    pool: str,
    step: tuple[str, str],
    priority: int,
) -> ConcurrencyClaimStatus:
    """Take all slots of a pool that a step needs, or stay in the queue of those that wait.

    Args:
        connection: within a transaction.
        instance: that knows the plans of runs.
        pool: its name.
        step: the run's id and the step's key.
        priority: of the step in the queue; the higher come first.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_key(f"pool {pool}"))))
    _queue(connection, pool, step, priority)
    if _has_slots(connection, pool, step):
        return _status(pool, ConcurrencySlotStatus.CLAIMED, priority)
    free = connection.scalars(
        sa.select(_slots.id)
        .where(_slots.concurrency_key == pool, _slots.step_key.is_(None), ~_slots.deleted)
        .with_for_update()
    ).all()
    limit = _limit(connection, pool)
    # Where a pool has become smaller than a step, the step has it for itself.
    needs = [min(slots_of(instance, *one), limit) for one in _waiting_up_to(connection, pool, step)]
    if not limit or sum(needs) > len(free):
        return _status(pool, ConcurrencySlotStatus.BLOCKED, priority)
    run_id, step_key = step
    connection.execute(
        sa.update(ConcurrencySlotsTable)
        .where(_slots.id.in_(free[: needs[-1]]))
        .values(run_id=run_id, step_key=step_key)
    )
    connection.execute(
        sa.update(PendingStepsTable).where(_is(pool, step)).values(assigned_timestamp=sa.func.now())
    )
    return _status(pool, ConcurrencySlotStatus.CLAIMED, priority)


def slots_of(instance: DagsterInstance, run_id: str, step_key: str) -> int:
    """How many slots a step takes, as its run's plan says; 1 where it doesn't say."""
    run = instance.get_run_by_id(run_id)
    plan = run.execution_plan_snapshot_id if run else None
    return _slots_in_plan(instance, plan).get(step_key, 1) if plan else 1


@lru_cache(maxsize=256)
def _slots_in_plan(instance: DagsterInstance, plan: str) -> Mapping[str, int]:
    """Of the steps that take several; a plan of this identity never changes."""
    tags = {step.key: step.tags or {} for step in instance.get_execution_plan_snapshot(plan).steps}
    return {
        key: int(said[POOL_SLOTS_TAG])
        for key, said in tags.items()
        if said.get(POOL_SLOTS_TAG, "").isdecimal()
    }


def _queue(connection: Connection, pool: str, step: tuple[str, str], priority: int) -> None:
    run_id, step_key = step
    connection.execute(
        postgresql.insert(PendingStepsTable)
        .values(concurrency_key=pool, run_id=run_id, step_key=step_key, priority=priority)
        .on_conflict_do_nothing()
    )


def _waiting_up_to(
    connection: Connection, pool: str, step: tuple[str, str]
) -> list[tuple[str, str]]:
    """Those that wait for slots of the pool, in their order; the last one is this step."""
    held = sa.exists().where(
        _slots.concurrency_key == pool,
        _slots.run_id == _pending.run_id,
        _slots.step_key == _pending.step_key,
    )
    waiting = connection.execute(
        sa.select(_pending.run_id, _pending.step_key)
        .where(_pending.concurrency_key == pool, ~held)
        .order_by(_pending.priority.desc(), _pending.create_timestamp, _pending.id)
    )
    before: list[tuple[str, str]] = []
    for run_id, step_key in waiting:
        before.append((run_id, step_key))
        if (run_id, step_key) == step:
            break
    return before


def _has_slots(connection: Connection, pool: str, step: tuple[str, str]) -> bool:
    run_id, step_key = step
    found = sa.exists().where(
        _slots.concurrency_key == pool, _slots.run_id == run_id, _slots.step_key == step_key
    )
    return bool(connection.scalar(sa.select(found)))


def _limit(connection: Connection, pool: str) -> int:
    count = sa.select(sa.func.count()).where(_slots.concurrency_key == pool, ~_slots.deleted)
    return int(connection.scalar(count) or 0)


def _is(pool: str, step: tuple[str, str]) -> Any:
    run_id, step_key = step
    return sa.and_(
        _pending.concurrency_key == pool,
        _pending.run_id == run_id,
        _pending.step_key == step_key,
    )


def _status(pool: str, status: ConcurrencySlotStatus, priority: int) -> ConcurrencyClaimStatus:
    return ConcurrencyClaimStatus(
        concurrency_key=pool,
        slot_status=status,
        priority=priority,
        sleep_interval=AGAIN_SECONDS,
    )
