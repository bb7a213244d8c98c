"""Which events of assets nobody needs any more, in SQL: newer ones have replaced them for a while.

Used by `events` and `runs`. Of each asset, partition and kind of event the newest stays, of
materializations the newest two, from which `why` tells what was new. The materialization that was
the first of the newest data version stays too: Dagster compares what stood when an asset below was
built with what stands now, and that may have been told again since, any number of times.
"""

FAILURES = 1_000
"""The newest runs that failed or were ended, whose plans stay: `backfill --failed-only` looks at so
many."""
_FINISHED = "('SUCCESS', 'FAILURE', 'CANCELED')"
_VERSIONED = "('ASSET_MATERIALIZATION', 'ASSET_OBSERVATION')"
_PLANNED, _BUILT = "ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION"

UNFINISHED = (
    "EXISTS (SELECT 1 FROM runs AS r WHERE r.run_id = e.run_id"
    f" AND coalesce(r.status, '') NOT IN {_FINISHED})"
)
"""Whether the run of event `e` isn't over."""


def _of_partition(sql: str) -> str:
    """SQL with `{same}` for the same partition, in a form for which there is an index."""
    without, within = (
        sql.replace("{same}", same) for same in ("n.partition IS NULL", "n.partition = e.partition")
    )
    return f"CASE WHEN e.partition IS NULL THEN {without} ELSE {within} END"


def _version(alias: str) -> str:
    return (
        f"(SELECT t.value FROM asset_event_tags AS t WHERE t.event_id = {alias}.id"
        " AND t.key = 'dagster/data_version' LIMIT 1)"
    )


def _newer(kind: str, same: str = "TRUE") -> str:
    return (
        "EXISTS (SELECT 1 FROM event_logs AS n WHERE n.asset_key = e.asset_key"
        f" AND n.dagster_event_type = '{kind}' AND {same} AND n.id > e.id"
        " AND n.timestamp < :before)"
    )


_NEIGHBOURS = (
    "FROM event_logs AS n WHERE n.asset_key = e.asset_key"
    " AND n.dagster_event_type = e.dagster_event_type AND {same} AND n.id"
)


def _replaced(times: int) -> str:
    """Newer ones are there, and the first of them for a while."""
    return _of_partition(
        f"(SELECT count(*) = {times} AND (array_agg(f.timestamp ORDER BY f.id))[1] < :before"
        f" FROM (SELECT n.id, n.timestamp {_NEIGHBOURS} > e.id ORDER BY n.id LIMIT {times}) AS f)"
    )


_SAME_AS_BEFORE = _of_partition(
    f"coalesce((SELECT {_version('n')} IS NOT DISTINCT FROM {_version('e')}"
    f" {_NEIGHBOURS} < e.id ORDER BY n.id DESC LIMIT 1), FALSE)"
)
_OTHER_SINCE = _of_partition(
    f"EXISTS (SELECT 1 {_NEIGHBOURS} > e.id AND {_version('n')} IS DISTINCT FROM {_version('e')})"
)
# A plan for a range names no partition: any that is built since ends it.
_BUILT_OR_PLANNED_SINCE = (
    "CASE WHEN e.partition IS NULL"
    f" THEN {_newer(_PLANNED, 'n.partition IS NULL')} OR {_newer(_BUILT)}"
    f" ELSE {_newer(_PLANNED, 'n.partition = e.partition')}"
    f" OR {_newer(_BUILT, 'n.partition = e.partition')} END"
)

_FAILED_LATELY = (
    "e.run_id IN (SELECT f.run_id FROM runs AS f WHERE f.status IN ('FAILURE', 'CANCELED')"
    f" ORDER BY f.id DESC LIMIT {FAILURES})"
)

REPLACED = (
    "(e.asset_key IS NOT NULL AND e.timestamp < :before AND CASE"
    f" WHEN e.dagster_event_type = '{_PLANNED}'"
    f" THEN {_newer(_PLANNED)} AND {_BUILT_OR_PLANNED_SINCE} AND NOT {_FAILED_LATELY}"
    f" WHEN e.dagster_event_type IN {_VERSIONED}"
    f" THEN {_replaced(2)} AND ({_SAME_AS_BEFORE} OR {_OTHER_SINCE})"
    f" ELSE {_replaced(1)} END)"
)
"""Whether event `e` can go; `:before` says since when it must have been replaced."""
