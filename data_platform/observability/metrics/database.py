"""What is so now in Dagster's database: runs, pools, daemons, sizes, connections.

Called by `exporter` at each look. No question here answers with more rows when more has happened.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from dagster import DagsterInstance, DagsterRunStatus
from sqlalchemy.engine import Connection

from data_platform.instance.own_tables import transaction
from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import Sample

_UNDER_WAY = (
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)
# As Dagster reads it: a moment without a zone is of UTC.
_RUNS = sa.text(
    "SELECT status, count(*),"
    " extract(epoch FROM now() AT TIME ZONE 'UTC' - min(create_timestamp)),"
    " extract(epoch FROM now()) - min(start_time)"
    " FROM runs WHERE status = ANY(:statuses) GROUP BY status"
)
_POOLS = sa.text(
    "SELECT concurrency_key, count(*) FILTER (WHERE NOT deleted), count(step_key)"
    " FROM concurrency_slots GROUP BY concurrency_key"
)
_WAITING = sa.text(
    "SELECT concurrency_key, count(*) FROM pending_steps AS step WHERE NOT EXISTS"
    " (SELECT 1 FROM concurrency_slots AS slot WHERE slot.concurrency_key = step.concurrency_key"
    " AND slot.run_id = step.run_id AND slot.step_key = step.step_key) GROUP BY concurrency_key"
)
_SIZES = sa.text(
    "SELECT pg_total_relation_size('event_logs'),"
    " (SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = CAST('event_logs' AS regclass)),"
    " pg_database_size(current_database()), CAST(current_setting('max_connections') AS integer)"
)
_FOLLOWERS = sa.text(
    "SELECT name, greatest(0, (SELECT max(id) FROM event_logs) - (position->>'upto')::bigint),"
    " extract(epoch FROM updated_at) FROM data_platform_followers"
)
_CONNECTIONS = sa.text(
    "SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' GROUP BY 1"
)


def look_at_database(instance: DagsterInstance) -> list[Sample]:
    """All gauges of the database."""
    with transaction(instance) as connection:
        found = [
            *_runs(connection),
            *_pools(connection),
            *_sizes(connection),
            *_followers(connection),
            *(
                Sample(catalogue.CONNECTIONS, (state,), count)
                for state, count in connection.execute(_CONNECTIONS)
            ),
        ]
    return [*found, *_daemons(instance)]


def _runs(connection: Connection) -> Iterator[Sample]:
    statuses = [status.value for status in _UNDER_WAY]
    found = {row[0]: row[1:] for row in connection.execute(_RUNS, {"statuses": statuses})}
    for status in statuses:
        count = found[status][0] if status in found else 0
        yield Sample(catalogue.RUNS, (status.lower(),), count)
    queued = found.get(DagsterRunStatus.QUEUED.value, (0, 0, 0))[1]
    yield Sample(catalogue.OLDEST_QUEUED, (), _age(queued))
    started = found.get(DagsterRunStatus.STARTED.value, (0, 0, 0))[2]
    yield Sample(catalogue.OLDEST_STARTED, (), _age(started))


def _age(seconds: float | None) -> float:
    """Of what is there; clocks of two machines may differ by a little."""
    return max(0.0, float(seconds or 0))


def _pools(connection: Connection) -> Iterator[Sample]:
    slots = connection.execute(_POOLS).all()
    waiting = {row[0]: row[1] for row in connection.execute(_WAITING)}
    for pool, limit, used in slots:
        yield Sample(catalogue.POOL_SLOTS, (pool,), limit)
        yield Sample(catalogue.POOL_USED, (pool,), used)
    for pool in sorted({pool for pool, _, _ in slots} | set(waiting)):
        yield Sample(catalogue.POOL_WAITING, (pool,), waiting.get(pool, 0))


def _sizes(connection: Connection) -> Iterator[Sample]:
    row = connection.execute(_SIZES).one()
    metrics = (
        catalogue.EVENT_LOG_BYTES,
        catalogue.EVENT_LOG_ROWS,
        catalogue.DATABASE_BYTES,
        catalogue.MAX_CONNECTIONS,
    )
    for metric, value in zip(metrics, row, strict=True):
        yield Sample(metric, (), value or 0)


def _followers(connection: Connection) -> Iterator[Sample]:
    for name, behind, at in connection.execute(_FOLLOWERS):
        yield Sample(catalogue.BEHIND, (name,), behind or 0)
        yield Sample(catalogue.FOLLOWED_AT, (name,), float(at))


def _daemons(instance: DagsterInstance) -> Iterator[Sample]:
    told = instance.run_storage.get_daemon_heartbeats()
    for daemon in sorted({*instance.get_required_daemon_types(), *told}):
        beat = told.get(daemon)
        yield Sample(catalogue.HEARTBEAT, (daemon,), beat.timestamp if beat else 0)
        errors = len(beat.errors or ()) if beat else 0
        yield Sample(catalogue.DAEMON_ERRORS, (daemon,), errors)
