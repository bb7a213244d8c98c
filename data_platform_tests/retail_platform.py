"""The whole platform over some days of retail, for tests: shop, lake, warehouse and Dagster.

`RetailPlatform` owns a folder and three databases of its own on the tests' server; `end_to_end` and
`faults` make them with `Databases`. Its pipeline is the one that ships, but begins with the shop's
first day, so that windows of several days are whole from the start.
"""

import fcntl
import os
import pickle
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import duckdb
import psycopg2

from data_platform.definitions import definitions_of
from data_platform.demo.retail_data import lay_files, load_shop
from data_platform.embedded.server import server_url
from data_platform.instance.storage import open_instance
from data_platform.loading import Loaded, load
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import PACKAGE_DIR, Settings, load_settings
from data_platform.storage.lake import Lake
from data_platform.storage.versions import Snapshot

FIRST, END = "2017-12-20", "2018-01-01"
"""Twelve days with Christmas, which is empty, and the year's end."""
NOW = datetime(2018, 1, 1, 6, 0, tzinfo=UTC)
"""When the last day is due, and nothing has ended for long."""

LAKE_ASSETS = (
    "raw/transactions",
    "raw/products",
    "raw/demographics",
    "staging/transactions",
    "staging/products",
    "staging/demographics",
    "quarantine/transactions",
    "analytics/daily_revenue",
    "analytics/weekly_revenue",
    "analytics/customer_metrics",
)
TABLES = ("daily_revenue", "weekly_revenue", "customer_metrics")


def days(first: str = FIRST, end: str = END) -> list[str]:
    """The keys from `first` to `end`, `end` not included."""
    start, stop = date.fromisoformat(first).toordinal(), date.fromisoformat(end).toordinal()
    return [date.fromordinal(day).isoformat() for day in range(start, stop)]


class Databases:
    """Databases on the tests' server, and templates that all workers of a test run share."""

    def __init__(self, data_dir: Path, admin_url: str, dagster_template: str) -> None:
        self._data_dir = data_dir
        self._admin_url = admin_url
        self._dagster_template = dagster_template

    @contextmanager
    def alone(self, name: str) -> Iterator[Path]:
        """Nobody else is in such a block of this name; gives a folder that all workers share."""
        with (self._data_dir / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._data_dir / name

    def shop(self, first: str, end: str) -> str:
        """A copy of the shop's database from a day on, with the hours after the year's end."""
        name = f"template_shop_{first}_{end}".replace("-", "")
        with self.alone(name):
            if not query(self._admin_url, f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
                url = server_url(self._data_dir, f"{name}_new")
                load_shop(url, date.fromisoformat(first), date.fromisoformat(end))
                query(self._admin_url, f"ALTER DATABASE {name}_new RENAME TO {name}")
        return self.copy(name)

    def empty(self) -> str:
        """A database with nothing in it."""
        return self.copy("template1")

    def dagster(self) -> str:
        """A database with Dagster's tables."""
        return self.copy(self._dagster_template)

    def drop(self, *urls: str) -> None:
        """Drop databases, whoever is still connected."""
        for url in urls:
            query(self._admin_url, f"DROP DATABASE IF EXISTS {name_of(url)} WITH (FORCE)")

    def keep(self, url: str, template: str) -> None:
        """Make one to make others from, like a database as it is now, which nobody works with."""
        name = name_of(url)
        query(
            self._admin_url,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        query(self._admin_url, f"CREATE DATABASE {template} TEMPLATE {name} STRATEGY file_copy")

    def copy(self, template: str) -> str:
        """A new database like one that is there."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        query(self._admin_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return server_url(self._data_dir, name)


@dataclass
class Watched:
    """A run's progress, kept."""

    started_steps: list[str] = field(default_factory=list)
    reports: list[AssetReport] = field(default_factory=list)

    def started(self, key: Key, partitions: int) -> None:
        self.started_steps.append(f"{key.layer}/{key.name}")

    def finished(self, report: AssetReport) -> None:
        self.reports.append(report)


class RetailPlatform:
    """One installation.

    Args:
        folder: of its own; the lake, the files and the pipelines are below it.
        shop_url, warehouse_url, dagster_url: its databases.
        first: the pipeline's first day.
        marketing: whether the pipeline that stands on it is there too.
    """

    def __init__(
        self,
        folder: Path,
        shop_url: str,
        warehouse_url: str,
        dagster_url: str,
        first: str = FIRST,
        *,
        marketing: bool = False,
    ) -> None:
        self.folder = folder
        self.shop_url = shop_url
        self.warehouse_url = warehouse_url
        self.dagster_url = dagster_url
        self.pipelines = folder / "pipelines"
        shutil.copytree(PACKAGE_DIR / "pipelines", self.pipelines)
        if not marketing:
            shutil.rmtree(self.pipelines / "marketing")
        pipeline = self.pipelines / "retail" / "pipeline.yaml"
        text = pipeline.read_text().replace("start: 2017-01-01", f"start: {first}")
        pipeline.write_text(text)
        lay_files(self.files)
        self.campaign_api = "http://127.0.0.1:9"
        """Nobody is there, unless a test serves the marketing system and says where."""
        self.lake_environ = {"LAKE_ROOT": "lake"}
        """Where the lake is, and how to reach it."""
        self.last_progress = Watched()

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def environ(self) -> dict[str, str]:
        """What a process must have in its environment to work on this installation."""
        return {
            "DATA_PLATFORM_HOME": str(self.folder),
            "DATA_PLATFORM_PIPELINES": str(self.pipelines),
            "DATA_PLATFORM_STORAGE_URL": self.dagster_url,
            **self.lake_environ,
            "SHOP_URL": self.shop_url,
            "WAREHOUSE_URL": self.warehouse_url,
            "RETAIL_FILES": str(self.files),
            "CAMPAIGN_API": self.campaign_api,
        }

    @contextmanager
    def environment(self) -> Iterator[None]:
        """This installation's variables in the process's own environment."""
        with mock.patch.dict(os.environ, self.environ):
            yield

    @cached_property
    def settings(self) -> Settings:
        return load_settings(self.environ)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """Close it with `close`."""
        with self.environment():
            return open_instance(self.settings)

    @cached_property
    def loaded(self) -> Loaded:
        return load(self.settings, self.environ)

    @cached_property
    def definitions(self) -> dg.Definitions:
        with self.environment():
            return definitions_of(self.loaded, NOW)

    @cached_property
    def lake(self) -> Lake:
        return self.loaded.lake()

    def close(self) -> None:
        """Let go of the connections."""
        if "instance" in self.__dict__:
            self.instance.dispose()

    def reload(self) -> None:
        """Read the pipelines anew, as a restart would."""
        for name in ("loaded", "definitions"):
            self.__dict__.pop(name, None)

    def run(
        self,
        first: str | None = None,
        end: str | None = None,
        select: Sequence[str] = (),
        pipeline: str = "retail",
    ) -> RunReport:
        """Run a pipeline over a range, all of it by default."""
        partitioned = [name for name in select if name not in UNPARTITIONED]
        wanted = Request(pipeline, first=first, end=end, select=select)
        if not first and not end and (partitioned or not select):
            wanted = Request(pipeline, first=FIRST, end=END, select=select)
        self.last_progress = Watched()
        with self.environment():
            return run_pipeline(
                self.definitions, self.loaded, self.instance, wanted, self.last_progress, NOW
            )

    def snapshot(self, asset: str) -> Snapshot | None:
        """What is current of an asset: `layer/name`."""
        layer, _, name = asset.partition("/")
        return self.lake.table(Key(layer, "retail", name)).snapshot()

    def versions(self) -> dict[str, dict[str, str]]:
        """The data version of every partition of every table of the lake."""
        found = {asset: self.snapshot(asset) for asset in LAKE_ASSETS}
        return {
            asset: {key: part.data_version for key, part in snapshot.partitions.items()}
            for asset, snapshot in found.items()
            if snapshot
        }

    def delta_versions(self) -> dict[str, int]:
        """The number of each table's newest commit."""
        found = {asset: self.snapshot(asset) for asset in LAKE_ASSETS}
        return {asset: snapshot.version for asset, snapshot in found.items() if snapshot}

    def ask_lake(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask SQL of the lake's tables, as `layer_name`, with the partition in `partition`.

        Where a row is from isn't there: it differs between installations.
        """
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for asset in LAKE_ASSETS:
                snapshot = self.snapshot(asset)
                if snapshot is None:
                    continue
                paths = list(snapshot.files(snapshot.partitions).paths)
                hive = (
                    "true, hive_types = {'partition': VARCHAR}" if snapshot.partitioned else "false"
                )
                connection.execute(
                    f"CREATE VIEW {asset.replace('/', '_')} AS "
                    "SELECT COLUMNS(lambda name: NOT starts_with(name, '_source_')) "
                    f"FROM read_parquet({paths!r}, "
                    f"union_by_name = true, hive_partitioning = {hive})"
                )
            return connection.execute(sql).fetchall()

    def ask_shop(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.shop_url, sql)

    def ask_warehouse(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.warehouse_url, sql)

    def ledger(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        """What the warehouse's ledger says: (table, partition) -> (version, rows, loaded at)."""
        rows = self.ask_warehouse(
            "SELECT table_name, partition, data_version, rows, loaded_at FROM data_platform.loads"
        )
        return {(table, key): tuple(rest) for table, key, *rest in rows}

    def warehouse_tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the destinations' tables, in order."""
        return {
            table: sorted(self.ask_warehouse(f"SELECT * FROM analytics.{table}"), key=str)
            for table in TABLES
        }


UNPARTITIONED = (
    "raw/products",
    "raw/demographics",
    "staging/products",
    "staging/demographics",
    "analytics/customer_metrics",
    "destinations/customer_metrics",
)


@contextmanager
def retail_platform(
    databases: Databases,
    folder: Path,
    first: str = FIRST,
    end: str = "2018-01-02",
    *,
    marketing: bool = False,
) -> Iterator[RetailPlatform]:
    """An installation over the shop's days from `first` to `end`, removed afterwards."""
    urls = databases.shop(first, end), databases.empty(), databases.dagster()
    platform = RetailPlatform(folder, *urls, first=first, marketing=marketing)
    try:
        yield platform
    finally:
        platform.close()
        databases.drop(*urls)


BUILT = [f"template_built_{name}" for name in ("shop", "warehouse", "dagster")]


def built_platform(databases: Databases) -> tuple[RetailPlatform, RunReport]:
    """The installation of all workers where all days have run once, and the report.

    Only look at it; close it afterwards.
    """
    with databases.alone("retail_built") as folder:
        if not (folder / "pickled").exists():
            folder.mkdir()
            urls = databases.shop(FIRST, "2018-01-02"), databases.empty(), databases.dagster()
            platform = RetailPlatform(folder / "installation", *urls)
            pickled = pickle.dumps(platform)
            report = platform.run()
            platform.close()
            for url, template in zip(urls, BUILT, strict=True):
                databases.keep(url, template)
            (folder / "pickled").write_bytes(pickle.dumps((pickled, report)))
        pickled, report = pickle.loads((folder / "pickled").read_bytes())
        return pickle.loads(pickled), report


@contextmanager
def copied_platform(databases: Databases, folder: Path) -> Iterator[RetailPlatform]:
    """A copy of `built_platform`, for a test that goes on with it."""
    original, _ = built_platform(databases)
    urls = [databases.copy(template) for template in BUILT]
    platform = RetailPlatform(folder, *urls)
    shutil.copytree(original.folder, folder, dirs_exist_ok=True)
    try:
        yield platform
    finally:
        platform.close()
        databases.drop(*urls)


def name_of(url: str) -> str:
    """The name of the database that a URL is of."""
    return url.partition("?")[0].rpartition("/")[2]


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement on a database, and commit it."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def outcome_of(report: RunReport, asset: str) -> AssetReport:
    """What a run did to an asset: `layer/name`."""
    return next(one for one in report.assets if f"{one.key.layer}/{one.key.name}" == asset)


def whole() -> str:
    """The key of the one partition of an asset without partitions."""
    return WHOLE
