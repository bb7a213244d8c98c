"""What a person does in Dagster's UI works, and what they read there is so.

Each test has a page of its own on the one installation of `conftest.ui`, and changes nothing that
another one looks at.
"""

import re
from itertools import chain
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect
from small_sales import LAST_DAY, LATE

GROUP = "/locations/data_platform.definitions/asset-groups/sales"
COLUMNS = [
    [("raw", "orders")],
    [("staging", "sound_orders")],
    [("quarantine", "sound_orders"), ("analytics", "daily_revenue"), ("analytics", LATE)],
    [("destinations", "revenue_table")],
]
"""The assets as they stand in the graph, from left to right."""


def test_the_graph_shows_the_pipeline_from_left_to_right_and_nothing_covers_it(page: Page) -> None:
    page.goto(GROUP)
    edge = 0.0
    for column in COLUMNS:
        boxes = [_box(_node(page, layer, name)) for layer, name in column]
        assert edge <= min(left for left, _ in boxes), f"{column} isn't right of what it reads"
        edge = max(right for _, right in boxes)
    expect(_nodes(page)).to_have_count(sum(map(len, COLUMNS)))
    expect(page.get_by_role("dialog")).to_have_count(0)
    for layer, name in chain(*COLUMNS):
        # A trial fails if anything else would get the click.
        _node(page, layer, name).get_by_text(name, exact=True).click(trial=True)


def test_one_partition_is_materialized_from_the_graph(page: Page) -> None:
    page.goto(GROUP)
    _node(page, "raw", "orders").get_by_text("orders", exact=True).click()
    page.get_by_role("button", name=re.compile("Materialize selected")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Launch runs to materialize raw / sales / orders")
    dialog.get_by_role("textbox").fill(LAST_DAY)
    dialog.get_by_role("textbox").press("Enter")
    dialog.get_by_role("button", name="Launch 1 run").click()
    run = _see_success(page)

    page.goto(f"/assets/raw/sales/orders?view=partitions&partition={LAST_DAY}")
    expect(page.get_by_text("Materialized (3)")).to_be_visible()
    expect(page.get_by_role("row", name="dagster/partition_row_count 1")).to_be_visible()
    page.goto("/assets/raw/sales/orders?view=checks&checkDetail=outside_partitions")
    expect(page.get_by_text("Passed", exact=True)).to_be_visible()
    # The result is of the launched run, and about what that run published.
    expect(page.locator(f"a[href$='{run}']")).to_be_visible()


def test_the_launchpad_shows_a_parameter_with_its_default_and_takes_another_value(
    page: Page,
) -> None:
    page.goto("/assets/analytics/sales/daily_revenue")
    page.get_by_role("button", name=re.compile("Materialize")).click(modifiers=["Shift"])
    launchpad = page.get_by_role("dialog")
    expect(launchpad).to_contain_text("Launchpad (configure assets)")
    written = launchpad.locator(".CodeMirror-line", has_text="least_amount")
    expect(written).to_contain_text("least_amount: 10")
    written.get_by_text("10", exact=True).dblclick()
    page.keyboard.type("50")
    expect(written).to_contain_text("least_amount: 50")
    launchpad.get_by_placeholder("Partition").fill("2024-03-01")
    page.keyboard.press("Enter")
    launchpad.get_by_role("button", name="Materialize").click()
    expect(page).to_have_url(re.compile("/runs/"))
    expect(page.get_by_text("Success", exact=True)).to_be_visible()

    page.goto("/assets/analytics/sales/daily_revenue?view=partitions&partition=2024-03-01")
    told = page.get_by_role("row", name=re.compile("^parameters"))
    expect(told).to_contain_text('"least_amount": 50')


def test_an_asset_tells_its_columns_and_its_sql(page: Page) -> None:
    page.goto("/assets/staging/sales/sound_orders")
    column = page.get_by_role("row", name=re.compile("^amount .*bigint What was paid, in euro"))
    expect(column).to_be_visible()
    dialog = page.get_by_role("dialog")
    for tries_left in (2, 1, 0):
        page.get_by_text("[Show Markdown]").click()
        # The page draws itself anew as more of the asset arrives, which closes what is open: what
        # was seen to be open may be closed before it was read.
        try:
            expect(dialog).to_contain_text('FROM "sales.raw.orders"', timeout=10_000)
        except AssertionError:
            if not tries_left:
                raise
        else:
            break


def test_a_check_shows_that_it_passed(page: Page) -> None:
    page.goto("/assets/staging/sales/sound_orders?view=checks&checkDetail=conservation")
    expect(page.get_by_text("Every row that came in went out")).to_be_visible()
    expect(page.get_by_text("Passed", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="rows 4", exact=True)).to_be_visible()


def test_a_failed_check_shows_the_rows_that_broke_it(page: Page) -> None:
    page.goto("/assets/staging/sales/sound_orders?view=checks")
    page.get_by_text("range_amount", exact=True).first.click()
    expect(page.get_by_text("amount is at least 0.")).to_be_visible()
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    example = page.get_by_role("row", name=re.compile("^-7 1003 2024-03-02 08:05:00 Ada"))
    expect(example).to_be_visible()


def test_what_was_overdue_becomes_fresh_when_it_is_materialized(page: Page) -> None:
    page.goto(f"/assets/analytics/sales/{LATE}")
    expect(page.get_by_text("Fails if more than 2 days since last materialization")).to_be_visible()
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    page.get_by_role("button", name=re.compile("Materialize$")).click()
    _see_success(page)

    page.goto(f"/assets/analytics/sales/{LATE}")
    expect(page.get_by_text("Passing", exact=True).first).to_be_visible()
    expect(page.get_by_text("Failed", exact=True)).to_have_count(0)


def _nodes(page: Page) -> Locator:
    """All assets of a graph: HTML inside its SVG, which has no role."""
    return page.locator("foreignObject")


def _node(page: Page, layer: str, name: str) -> Locator:
    """One asset, by what is written on and below it."""
    named = _nodes(page).filter(has=page.get_by_text(name, exact=True))
    return named.filter(has=page.get_by_text(layer, exact=True))


def _box(node: Locator) -> tuple[float, float]:
    """Its left and right edge."""
    expect(node).to_be_visible()
    box = node.bounding_box()
    assert box is not None
    return box["x"], box["x"] + box["width"]


def _see_success(page: Page) -> str:
    """Follow the notice about a launched run, wait for the run's success, and return its path."""
    page.get_by_role("link", name="View", exact=True).click()
    expect(page).to_have_url(re.compile("/runs/"))
    expect(page.get_by_text("Success", exact=True)).to_be_visible()
    return urlsplit(page.url).path
