"""Workspaces of any size for the benchmarks: the pipelines of a shop with many branches.

    .venv/bin/python benchmarks/workspaces.py FOLDER [--pipelines 200] [--seed 0]

A pipeline is ten assets: two sources, three staging, three analytics, two destinations, by day from
`start` on. Some read another pipeline's table, some promise freshness; the seed decides which.
Its sources begin by themselves when a day begins, so that a day's begin wakes everything.
"""

import argparse
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

ASSETS = 10
"""In a pipeline."""

_PLATFORM = """
connections:
  shop: {type: database, url: "postgresql://nobody@127.0.0.1:1/shop"}
  warehouse: {type: database, url: "postgresql://nobody@127.0.0.1:1/warehouse"}
"""
_HEAD = """version: 1
pipeline: {name}
description: Orders of branch {number}.
owner: team:branch
tags: {{domain: sales}}
partitions: {{every: day, start: {start}, timezone: UTC}}
sources:
  orders: {{type: database, connection: shop, table: orders, cursor: ordered_at, automation: eager}}
  returns: {{type: database, connection: shop, table: returns, cursor: at, automation: eager}}
staging:
"""
_STAGING = """  {name}:
    description: One sound line of a receipt, with its prices as money.
    from: raw.{source}
    transformations:
      - convert_types: {{amount: "decimal(12,2)", discount: "decimal(12,2)"}}
      - add_columns: {{net: amount - discount}}
      - deduplicate: {{by: [order_id], keep: last, order_by: ordered_at}}
    columns:
      order_id: {{type: bigint, nullable: false, description: Its number.}}
      customer_id: {{type: bigint, nullable: false, description: Who bought.}}
      status:
        type: varchar
        nullable: false
        accepted_values: [open, paid, sent]
        description: How far.
      amount: {{type: "decimal(12,2)", nullable: false, min: 0, description: In dollars.}}
      discount: {{type: "decimal(12,2)", description: In dollars.}}
      net: {{type: "decimal(13,2)", description: What was paid.}}
      ordered_at: {{type: timestamp, nullable: false, description: When.}}
    quality:
      - unique: [order_id]
      - expression: {{name: discount_is_less, condition: discount <= amount}}
    on_violation: quarantine
"""
_ANALYTICS = """  {name}:
    description: Revenue of each customer, day by day.
    sql: {name}.sql{freshness}
    quality:
      - unique: [customer_id]
      - row_count: {{min_rows: 1, on_violation: warn}}
"""
_FRESHNESS = "\n    freshness: {warn_after: 30h, fail_after: 36h}"
_DESTINATION = """  {name}:
    from: analytics.{table}
    type: database
    connection: warehouse
    table: reporting.{name}
"""
_SQL = """
with paid as (
    select a.customer_id, a.net, b.amount
    from {first} as a
    left join {second} as b on b.order_id = a.order_id
    where a.status in ('paid', 'sent')
)

select
    customer_id,
    count(*) as orders,
    cast(sum(net) as decimal(18, 2)) as revenue,
    cast(coalesce(sum(amount), 0) as decimal(18, 2)) as other,
    rank() over (order by sum(net) desc) as place
from paid
group by customer_id
"""


def year_ago() -> date:
    """A year before today."""
    return datetime.now(UTC).date() - timedelta(days=365)


def write(folder: Path, pipelines: int, *, seed: int = 0, start: date | None = None) -> int:
    """Write pipelines; returns how many assets they are."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "platform.yaml").write_text(_PLATFORM)
    chance = random.Random(seed)
    for number in range(pipelines):
        _write(folder, number, chance, start or year_ago())
    return pipelines * ASSETS


def _write(folder: Path, number: int, chance: random.Random, start: date) -> None:
    name = f"branch_{number:03}"
    own = folder / name
    own.mkdir()
    # One of five reads what an earlier pipeline has made sound.
    other = f"branch_{chance.randrange(number):03}." if number and chance.random() < 0.2 else ""
    tables = {
        "revenue": ("staging.orders", "staging.discounts"),
        "refunds": ("staging.returns", "staging.orders"),
        "compared": ("staging.orders", f"{other}staging.orders" if other else "staging.returns"),
    }
    text = _HEAD.format(name=name, number=number, start=start)
    text += _STAGING.format(name="orders", source="orders")
    text += _STAGING.format(name="discounts", source="orders")
    text += _STAGING.format(name="returns", source="returns")
    text += "analytics:\n"
    for table, (first, second) in tables.items():
        freshness = _FRESHNESS if chance.random() < 0.3 else ""
        text += _ANALYTICS.format(name=table, freshness=freshness)
        (own / f"{table}.sql").write_text(_SQL.format(first=first, second=second))
    text += "destinations:\n"
    text += _DESTINATION.format(name=f"revenue_{number}", table="revenue")
    text += _DESTINATION.format(name=f"compared_{number}", table="compared")
    (own / "pipeline.yaml").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pipelines", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"{write(arguments.folder, arguments.pipelines, seed=arguments.seed)} assets")


if __name__ == "__main__":
    main()
