"""`data-platform impact`: who reads an asset, whose that is, and what is promised of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from factories import DAILY_SOURCE, Project
from screen import lines_on_screen, too_wide

from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.readers import readers_of
from data_platform.terminal.impact_tables import print_readers

Command = Callable[..., Result]
BODY = """criticality: high
staging:
  orders:
    from: raw.orders
    columns:
      price: {type: 'decimal(12,2)', min: 0}
      country: {}
analytics:
  totals:
    query: select country, sum(price) as total from staging.orders group by country
    freshness: {fail_after: 8h}
    quality: [{row_count: {min_rows: 1}}]
  week:
    query: select count(*) as orders from staging.orders
    inputs: {staging.orders: {last: 7}}
destinations:
  totals: {from: analytics.totals, type: database, connection: shop, table: report.totals}
"""
OTHER = """owner: team:finance
criticality: critical
sources:
  reported: {type: database, connection: shop, table: report.totals}
analytics:
  margin:
    query: select sum(total) as margin from shop.analytics.totals
    owner: team:margin
    freshness: {deadline: "0 6 * * *", within: 4h, timezone: Europe/Berlin}
"""


@pytest.fixture(autouse=True)
def shop(project: Project) -> Project:
    project.declare(DAILY_SOURCE + BODY, daily=True)
    path = project.declare(OTHER, name="other")
    path.write_text(path.read_text().replace("owner: team:other\n", ""))
    return project


def told(command: Command, *arguments: str) -> dict[str, Any]:
    result = command("impact", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_all_that_hangs_on_an_asset_is_listed_once_with_the_way(command: Command):
    page = told(command, "raw/orders")
    found = {one["key"]: (one["steps"], one["by"], one["how"]) for one in page["readers"]}
    assert found == {
        "staging/shop/orders": (1, "raw/shop/orders", "reads"),
        "analytics/shop/totals": (2, "staging/shop/orders", "reads"),
        "analytics/shop/week": (2, "staging/shop/orders", "reads"),
        "destinations/shop/totals": (3, "analytics/shop/totals", "reads"),
        "analytics/other/margin": (3, "analytics/shop/totals", "reads"),
        "raw/other/reported": (4, "destinations/shop/totals", "table"),
    }
    week = next(one for one in page["readers"] if one["key"] == "analytics/shop/week")
    assert (week["reads"], week["last"], week["owner"]) == ("last", 7, "team:shop")
    assert page["owners"] == {
        "team:shop": [key for key in found if "/shop/" in key],
        "team:finance": ["raw/other/reported"],
        "team:margin": ["analytics/other/margin"],
    }


def test_people_see_readers_then_tables_outside_then_owners(command: Command):
    result = command("impact", "staging/orders")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    way = "through analytics/shop/totals"
    assert lines == [
        "asset how owner fresh criticality",
        "readers",
        "analytics/shop/totals same partition team:shop within 8h high",
        "analytics/shop/week last 7 team:shop - high",
        "readers of these",
        f"analytics/other/margin all partitions team:margin by 06:00 Europe/Berlin critical {way}",
        "raw/other/reported its table team:finance - critical through destinations/shop/totals",
        "outside",
        f"destinations/shop/totals same partition team:shop - high -> shop.report.totals; {way}",
        "",
        "5 assets of 3 owners",
        "team:shop: 3 assets, criticality high, promised within 8h",
        "team:finance: 1 asset, criticality critical",
        "team:margin: 1 asset, criticality critical, promised by 06:00 Europe/Berlin",
    ]


def test_a_column_leaves_out_what_it_does_not_touch(command: Command):
    page = told(command, "staging/orders", "--column", "price")
    touched = {one["key"]: one["touched"] for one in page["readers"]}
    assert touched == {
        "analytics/shop/totals": "makes total",
        "destinations/shop/totals": "makes total",
        "analytics/other/margin": "makes margin",
        "raw/other/reported": "makes total",
    }
    country = told(command, "staging/orders", "--column", "country")["readers"]
    assert {one["key"]: one["touched"] for one in country}["analytics/shop/totals"] == (
        "makes country; its rows hang on it; checks row_count"
    )


def test_what_nobody_reads_touches_nobody(command: Command):
    assert command("impact", "other/margin").exit_code == 1
    assert command("impact", "analytics/other/margin").stdout == (
        "nothing reads analytics/other/margin\n"
    )
    assert told(command, "analytics/margin")["readers"] == []


def test_a_column_that_there_is_not_is_an_error(command: Command):
    result = command("impact", "analytics/totals", "--column", "totl")
    assert result.exit_code == 1
    assert "analytics/shop/totals has no column 'totl'" in result.stderr


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_holds_at_any_width(width: int, shop: Project):
    lineage = Lineage(shop.build().plan)
    node = shop.node("raw/orders")
    lines = lines_on_screen(
        width, lambda console: print_readers(console, node, readers_of(lineage, node.key))
    )
    assert too_wide(lines, width) == []
