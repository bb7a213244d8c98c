"""A small pipeline for a browser to look at: orders of three days, to a table with their revenue.

Called by `conftest.ui`. Nothing of it runs by itself, so that each test finds what it expects.
"""

import shutil
import time
from pathlib import Path

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster_dev import clean_environment
from forked_command import run_command

from data_platform.instance.storage import open_instance
from data_platform.settings import PACKAGE_DIR, load_settings

LATE = "all_time"
"""The asset whose freshness has failed when the tests begin."""
LAST_DAY = "2024-03-03"
"""The partition that hasn't run."""
ORDERS = """
CREATE TABLE orders (order_id bigint, ordered_at timestamp, customer text, amount bigint);
INSERT INTO orders VALUES
    (1001, '2024-03-01 09:12:00', 'Ada', 25), (1002, '2024-03-01 10:47:00', 'Grace', 110),
    (1003, '2024-03-02 08:05:00', 'Ada', -7), (1004, '2024-03-02 11:26:00', 'Edsger', 31),
    (1005, '2024-03-03 12:00:00', 'Grace', 60)
"""
PLATFORM = """
connections:
  shop: {type: database, url: "${SHOP_URL}"}
  warehouse: {type: database, url: "${WAREHOUSE_URL}"}
"""
PIPELINE = f"""
version: 1
pipeline: sales
description: Orders of three days.
owner: team:sales
partitions: {{every: day, start: 2024-03-01, end: 2024-03-04}}
sources:
  orders: {{type: database, connection: shop, table: orders, cursor: ordered_at}}
staging:
  sound_orders:
    from: raw.orders
    columns:
      order_id: {{type: bigint, nullable: false, unique: true}}
      ordered_at: {{type: timestamp}}
      customer: {{type: varchar}}
      amount: {{type: bigint, min: 0, description: "What was paid, in euro."}}
    on_violation: quarantine
    automation: manual
analytics:
  daily_revenue:
    parameters:
      least_amount: {{type: int, default: 10, description: "Smaller orders don't count, in euro."}}
    query: |
      SELECT CAST(ordered_at AS DATE) AS day, CAST(SUM(amount) AS BIGINT) AS revenue
      FROM staging.sound_orders WHERE amount >= :least_amount GROUP BY ALL
    automation: manual
  {LATE}:
    query: SELECT CAST(SUM(amount) AS BIGINT) AS revenue FROM staging.sound_orders
    partitions: none
    freshness: {{warn_after: 1d, fail_after: 2d}}
    automation: manual
destinations:
  revenue_table:
    from: analytics.daily_revenue
    type: database
    connection: warehouse
    table: reporting.daily_revenue
    automation: manual
"""


def lay_out(folder: Path) -> None:
    """Write the pipeline and Dagster's configuration."""
    shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
    pipeline = folder / "pipelines" / "sales"
    pipeline.mkdir(parents=True)
    (pipeline.parent / "platform.yaml").write_text(PLATFORM)
    (pipeline / "pipeline.yaml").write_text(PIPELINE)


def run(folder: Path, environ: dict[str, str]) -> None:
    """Run it for all days but the last, which must succeed."""
    command = ["data-platform", "run", "sales", "--from", "2024-03-01", "--to", LAST_DAY]
    done = run_command(command, folder, clean_environment() | environ)
    assert done.returncode == 0, done.stdout


def let_age(environ: dict[str, str], days: int) -> None:
    """Make the newest materialization of `LATE` one of some days ago."""
    key = dg.AssetKey(["analytics", "sales", LATE])
    event = DagsterEvent(
        DagsterEventType.ASSET_MATERIALIZATION.value,
        "a run of long ago",
        event_specific_data=StepMaterializationData(dg.AssetMaterialization(key)),
    )
    entry = EventLogEntry(
        error_info=None,
        level=20,
        user_message="",
        run_id="",
        timestamp=time.time() - days * 86_400,
        dagster_event=event,
    )
    with open_instance(load_settings(environ)) as instance:
        instance.handle_new_event(entry)
