"""A shop with a long history: real runs of days, one of them told hundreds of times by SQL."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2

from data_platform.automation.evaluation.sensor import AutomationSensor
from data_platform.definitions import definitions_of
from data_platform.loading import Loaded, load
from data_platform.observability.retention.ground import Gone
from data_platform.observability.retention.kinds import remove_old
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
partitions: {every: day, start: 2024-01-01, end: 2024-01-05}
sources:
  orders: {type: file, path: "in/{partition_key}.csv", settle: 0s}
staging:
  orders:
    from: raw.orders
    quality:
      - {range: {column: id, max: 100}}
      - {range: {column: amount, max: 1000, on_violation: quarantine}}
"""
NOW = datetime(2024, 1, 20, tzinfo=UTC)
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
NEVER = "2024-01-04"
"""A day whose run failed, and that wasn't run again."""
STATEMENTS_AT_MOST = "1s"
_TOLD = ("runs", "run_tags", "event_logs", "asset_event_tags", "asset_check_executions")


class Silent:
    """Hears of a run and says nothing."""

    def started(self, key: Key, partitions: int) -> None:
        """Nothing."""

    def finished(self, report: AssetReport) -> None:
        """Nothing."""


class RememberingShop:
    """The shop, its lake and its instance.

    Args:
        folder: of its own.
        instance: Dagster's.
        url: of Dagster's database.
    """

    def __init__(self, folder: Path, instance: dg.DagsterInstance, url: str) -> None:
        self.folder, self.instance, self.url = folder, instance, url
        (folder / "pipelines" / "shop").mkdir(parents=True, exist_ok=True)
        (folder / "in").mkdir(exist_ok=True)
        (folder / "pipelines" / "shop" / "pipeline.yaml").write_text(PIPELINE)
        self.keep("{}")

    def keep(self, retention: str) -> Loaded:
        """Say what is kept for how long."""
        platform = f'lake: {{root: "{self.folder}/lake"}}\nretention: {retention}\n'
        (self.folder / "pipelines" / "platform.yaml").write_text(platform)
        settings = Settings(self.folder, self.folder / ".data", (self.folder / "pipelines",))
        self.loaded = load(settings, {})
        assert not self.loaded.problems, self.loaded.problems
        return self.loaded

    def orders(self, day: str, *rows: tuple[int, int]) -> None:
        """Write the file of a day: numbers and amounts."""
        lines = ["id,amount", *(f"{number},{amount}" for number, amount in rows)]
        (self.folder / "in" / f"{day}.csv").write_text("\n".join(lines) + "\n")

    @property
    def definitions(self) -> dg.Definitions:
        """Of Dagster."""
        return definitions_of(self.loaded, NOW)

    def run(self, *days: str) -> RunReport:
        """Run all of it for days."""
        request = Request("shop", keys=days)
        return run_pipeline(self.definitions, self.loaded, self.instance, request, Silent(), NOW)

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


def evaluated(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """What conditions that know nothing yet ask for."""
    assert any(isinstance(one, AutomationSensor) for one in definitions.sensors or ())
    result = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=NOW)
    found: dict[str, list[str]] = {}
    for one in result.results:
        subset = one.true_subset
        keys = subset.expensively_compute_asset_partitions() if subset.size else ()
        found[one.key.to_user_string()] = sorted(str(key.partition_key) for key in keys)
    return found


def remove(shop: RememberingShop, retention: str, *, dry: bool = False) -> dict[str, Gone]:
    """What goes, by kind."""
    swept = remove_old(shop.keep(retention), shop.instance, "ann", dry=dry)
    assert swept is not None
    assert (swept.trouble, swept.ended) == ({}, True)
    return {name: gone for name, gone in swept.gone.items() if gone.count}
