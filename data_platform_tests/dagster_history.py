"""Dagster's own database as it is after years: what is in it made older, and told again by SQL."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

STATEMENTS_AT_MOST = "1s"
_TOLD = ("runs", "run_tags", "event_logs", "asset_event_tags", "asset_check_executions")
"""Tables that grow with each run."""


class History:
    """What Dagster remembers.

    Args:
        url: of its database.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def sql(self, statement: str, *given: object) -> list[tuple[Any, ...]]:
        """What a statement answers."""
        with (
            closing(psycopg2.connect(self.url)) as connection,
            connection,
            connection.cursor() as at,
        ):
            at.execute(statement, given or None)
            return at.fetchall() if at.description else []

    def grow_older(self, days: int) -> None:
        """Let all that Dagster remembers be of so many days before."""
        for table, columns in {
            "event_logs": ["timestamp"],
            "asset_event_tags": ["event_timestamp"],
            "asset_check_executions": ["evaluation_event_timestamp", "create_timestamp"],
            "runs": ["create_timestamp", "update_timestamp"],
        }.items():
            moved = ", ".join(f"{name} = {name} - interval '{days} days'" for name in columns)
            self.sql(f"UPDATE {table} SET {moved}")
        seconds = days * 86_400
        for name in ("start_time", "end_time"):
            self.sql(f"UPDATE runs SET {name} = {name} - {seconds}")

    def tell_again(self, run_id: str, times: int) -> None:
        """Tell of a run as if there had been so many like it since, one each quarter of a day."""
        runs = (
            "(SELECT n, 'old-' || n AS run, n * interval '6 hours' AS later"
            f" FROM generate_series(1, {times}) AS n) AS n"
        )
        self.sql(
            "INSERT INTO runs (run_id, snapshot_id, pipeline_name, status, run_body,"
            " create_timestamp, update_timestamp, start_time, end_time)"
            " SELECT n.run, r.snapshot_id, r.pipeline_name, r.status,"
            " replace(r.run_body, r.run_id, n.run), r.create_timestamp + n.later,"
            " r.update_timestamp + n.later, r.start_time + n.n * 21600, r.end_time + n.n * 21600"
            f" FROM runs AS r, {runs} WHERE r.run_id = %s ORDER BY n.n",
            run_id,
        )
        self.sql(
            "INSERT INTO run_tags (run_id, key, value) SELECT n.run, t.key, t.value"
            f" FROM run_tags AS t, {runs} WHERE t.run_id = %s",
            run_id,
        )
        self.sql(
            "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, step_key,"
            " asset_key, partition) SELECT n.run, replace(e.event, e.run_id, n.run),"
            " e.dagster_event_type, e.timestamp + n.later, e.step_key, e.asset_key, e.partition"
            f" FROM event_logs AS e, {runs} WHERE e.run_id = %s ORDER BY n.n, e.id",
            run_id,
        )
        self.sql(
            "INSERT INTO asset_event_tags (event_id, asset_key, key, value, event_timestamp)"
            " SELECT o.id, t.asset_key, t.key, CASE WHEN t.key = 'dagster/data_version'"
            " THEN o.run_id ELSE t.value END, o.timestamp FROM event_logs AS e"
            " JOIN asset_event_tags AS t ON t.event_id = e.id JOIN event_logs AS o"
            " ON o.dagster_event_type = e.dagster_event_type AND o.asset_key = e.asset_key"
            " AND o.partition IS NOT DISTINCT FROM e.partition"
            " WHERE e.run_id = %s AND o.run_id LIKE 'old-%%'",
            run_id,
        )
        self.sql(
            "INSERT INTO asset_check_executions (asset_key, check_name, partition, run_id,"
            " execution_status, evaluation_event, evaluation_event_timestamp)"
            " SELECT c.asset_key, c.check_name, c.partition, n.run, c.execution_status,"
            " c.evaluation_event, c.evaluation_event_timestamp + n.later"
            f" FROM asset_check_executions AS c, {runs} WHERE c.run_id = %s ORDER BY n.n",
            run_id,
        )
        for table in _TOLD:
            self.sql(f"ANALYZE {table}")

    def counts(self) -> Mapping[str, int]:
        """How many rows there are in Dagster's tables."""
        return {name: self.sql(f"SELECT count(*) FROM {name}")[0][0] for name in _TOLD}

    @contextmanager
    def another(self) -> Iterator[psycopg2.extensions.cursor]:
        """Somebody else in Dagster's database, whose statements may not wait."""
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"SET statement_timeout = '{STATEMENTS_AT_MOST}'")
            yield cursor
