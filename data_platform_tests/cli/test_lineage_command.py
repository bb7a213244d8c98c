"""`data-platform lineage`: what a person and a program are told of a column."""

import json

import pytest
from factories import DAILY_SOURCE, Project

BODY = """staging:
  orders:
    from: raw.orders
    transformations:
      - add_columns: {total: price * qty}
      - filter_rows: qty > 0
    columns:
      price: {type: 'decimal(12,2)', nullable: false}
      total: {min: 0}
    extra_columns: keep
    on_violation: quarantine
analytics:
  totals:
    query: |
      select country, sum(total) as total, max(total) as highest, count(*) as orders,
        rank() over (order by country) as place
      from staging.orders group by country
    quality:
      - row_count: {min_rows: 1}
destinations:
  totals: {from: analytics.totals, type: database, connection: shop, table: report.totals}
"""
OTHER = """analytics:
  spread:
    query: select highest - total as spread, total as "Straße" from shop.analytics.totals
    quality:
      - expression: spread >= 0
"""


@pytest.fixture(autouse=True)
def shop(project: Project) -> Project:
    project.declare(DAILY_SOURCE + BODY, daily=True)
    project.declare(OTHER, name="other")
    return project


def lines(command, *arguments: str) -> list[str]:
    result = command("lineage", *arguments)
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.stdout.splitlines()]


def told(command, *arguments: str) -> dict:
    result = command("lineage", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_down_is_a_tree_to_destinations_over_all_pipelines(command):
    assert lines(command, "staging.orders.total", "--down") == [
        "down: what is made of it, and what hangs on it",
        "staging/shop/orders.total",
        "├── contract: any type",
        "├── check: range_total (quarantines)",
        "├── value: analytics/shop/totals.total",
        "│   ├── value: analytics/other/spread.spread",
        "│   │   └── check: expression_spread (fails)",
        "│   ├── value: analytics/other/spread.Straße",
        "│   └── value: destinations/shop/totals.total (table shop.report.totals)",
        "└── value: analytics/shop/totals.highest",
        "    ├── value: analytics/other/spread.spread (see above)",
        "    └── value: destinations/shop/totals.highest (table shop.report.totals)",
        "changing it touches 6 columns of 3 assets in 2 pipelines: analytics/shop/totals,",
        "analytics/other/spread, destinations/shop/totals",
        "and these checks: range_total of staging/shop/orders; expression_spread of",
        "analytics/other/spread",
    ]


def test_up_is_a_tree_to_the_source_with_what_decides_about_rows(command):
    assert lines(command, "shop.analytics.totals.total", "--up") == [
        "up: what it is made of",
        "analytics/shop/totals.total",
        "├── group key: staging/shop/orders.country decides about rows",
        "└── value: staging/shop/orders.total",
        "    ├── filter: raw/shop/orders.qty decides about rows",
        "    ├── value: raw/shop/orders.price",
        "    │   ├── partition cursor: shop.orders.at decides about rows",
        "    │   └── value: shop.orders.price",
        "    └── value: raw/shop/orders.qty",
        "        └── value: shop.orders.qty",
        "it comes from shop.orders.price, shop.orders.qty",
    ]


def test_both_ways_are_shown_without_a_flag(command):
    shown = lines(command, "analytics/shop/totals.total")
    assert "up: what it is made of" in shown
    assert "down: what is made of it, and what hangs on it" in shown


def test_a_column_that_only_filters_touches_rows_and_counts(command):
    shown = "\n".join(lines(command, "shop.raw.orders.qty", "--down"))
    assert "filter: rows of staging/shop/orders" in shown
    assert "and the rows of 4 assets: staging/shop/orders, analytics/shop/totals," in shown
    assert "row_count of" in shown


def test_a_group_key_and_the_order_of_a_window_are_told(command):
    shown = "\n".join(lines(command, "staging.orders.country", "--down"))
    assert "group key: rows of analytics/shop/totals" in shown
    assert "window: analytics/shop/totals.place" in shown


def test_a_count_comes_from_no_column(command):
    assert lines(command, "analytics.totals.orders", "--up")[-1] == (
        "it comes from no column of a source"
    )


def test_a_column_of_a_sources_table_can_be_asked_for(command):
    down = told(command, "shop.orders.price", "--down")["down"]
    assert {"asset": "destinations/shop/totals", "column": "total"} in down["columns"]
    assert told(command, "shop.orders.at", "--down")["down"]["uses"] == [
        {
            "column": {"source": "shop.orders", "column": "at"},
            "asset": "raw/shop/orders",
            "uses": ["partition cursor"],
        }
    ]


def test_names_are_compared_without_regard_to_case(command):
    assert told(command, "staging.orders.TOTAL")["column"]["column"] == "total"
    assert told(command, "other.analytics.spread.straße")["column"] == {
        "asset": "analytics/other/spread",
        "column": "Straße",
    }


def test_json_is_flat_and_whole(command):
    found = told(command, "staging.orders.price")
    assert found["format"] == 1
    assert found["declared"] is True
    assert set(found) == {"format", "column", "declared", "down", "up"}
    down = found["down"]
    assert down["contracts"] == [
        {
            "asset": "staging/shop/orders",
            "column": "price",
            "type": "DECIMAL(12,2)",
            "nullable": False,
            "unique": False,
        }
    ]
    assert {(each["check"], each["on_violation"]) for each in down["checks"]} == {
        ("types", "quarantine"),
        ("not_null", "quarantine"),
    }
    assert found["up"]["sources"] == [{"source": "shop.orders", "column": "price"}]
    assert {
        "from": {"source": "shop.orders", "column": "price"},
        "to": {"asset": "raw/shop/orders", "column": "price"},
        "way": "value",
    } in found["up"]["links"]


def test_a_column_that_may_arrive_in_a_run_is_followed_and_said_to_be_unknown(command):
    shown = lines(command, "shop.raw.orders.colour", "--down")
    assert shown[0].startswith("raw/shop/orders.colour is declared nowhere: it is taken for one")
    assert "└── value: staging/shop/orders.colour" in shown
    assert told(command, "shop.raw.orders.colour")["declared"] is False


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            "staging.orders.totl",
            "staging/shop/orders has no column 'totl' that is known; did you mean total?",
        ),
        (
            "staging.order.total",
            "there is no asset 'staging.order'; did you mean staging.orders.total?",
        ),
        (
            "analytics.totals.xyz",
            "analytics/shop/totals has no column 'xyz' that is known; it has country, total, ",
        ),
        (
            "analytics.totals",
            "analytics/shop/totals is an asset: name a column of it; it has country, total, ",
        ),
        ("nonsense", "there is no column 'nonsense'; a column is layer.name.column"),
        (
            "shop.raw.orders.pric",
            "raw/shop/orders has no column 'pric' that is known; did you mean price?",
        ),
        ("shop.raw.orders.", "raw/shop/orders is an asset: name a column of it; it has "),
        ("", "there is no column ''; a column is layer.name.column"),
    ],
)
def test_a_wrong_name_gets_the_nearest_one(command, column: str, message: str):
    result = command("lineage", column)
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_name_in_several_pipelines_lists_them(command, project: Project):
    project.declare(DAILY_SOURCE, name="third", daily=True)
    result = command("lineage", "raw.orders.at")
    assert result.exit_code == 1
    assert "raw/shop/orders.at" in result.stderr
    assert "raw/third/orders.at" in result.stderr


def test_a_broken_pipeline_hides_no_other(command, project: Project):
    project.declare("staging: 1\n", name="wrong")
    result = command("lineage", "staging.orders.total")
    assert result.exit_code == 0
    assert "pipeline wrong has mistakes and is left out" in result.stderr


def test_text_holds_at_eighty_columns_without_colour(command, project: Project):
    long = "_".join(["wide"] * 12)
    steps = [f"  {long}0: {{from: raw.orders}}"]
    steps += [f"  {long}{n}: {{from: staging.{long}{n - 1}}}" for n in range(1, 15)]
    project.declare(DAILY_SOURCE + "staging:\n" + "\n".join(steps) + "\n", name="long", daily=True)
    shown = command("lineage", "long.raw.orders.at").stdout
    assert f"staging/long/{long}14.at" in "".join(
        line.strip(" │├└─") for line in shown.splitlines()
    )
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
