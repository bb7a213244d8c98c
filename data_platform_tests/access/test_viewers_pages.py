"""What those who only look see of Dagster's UI in a browser: what they can't do can't be clicked.

The browser is the machine's own Chromium; see `browser/conftest.py` for when there is none.
"""

import os
from collections.abc import Callable, Iterator

import pytest
from attacked import Attacked
from chromium import MISSING, find_chromium, launched
from playwright.sync_api import Page, expect
from webserver_process import Webserver

PATIENCE = 60_000
GRAPH = "/locations/attacked/asset-groups/default"
DENIED = "You do not have permission to materialize assets"


@pytest.fixture(scope="module")
def page(attacked: Attacked, start_webserver: Callable[..., Webserver]) -> Iterator[Page]:
    path = find_chromium()
    if path is None:
        if os.environ.get("DATA_PLATFORM_TESTS_REQUIRE_BROWSER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    server = start_webserver("pages", "--read-only")
    with launched(path) as browser:
        context = browser.new_context(base_url=server.url, viewport={"width": 1600, "height": 950})
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield context.new_page()


def test_assets_are_shown_and_not_materialized(page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(GRAPH)
    expect(page.get_by_text("orders", exact=True).first).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    button = page.get_by_role("button", name="Materialize all")
    expect(button).to_be_disabled()
    box = button.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_text(DENIED)).to_be_visible()
    expect(page.get_by_role("button", name="Reload definitions")).to_be_disabled()
    assert errors == []


def test_a_run_is_shown_and_not_ended_or_made_again(page: Page, attacked: Attacked) -> None:
    page.goto(f"/runs/{attacked.waiting}")
    expect(page.get_by_role("button", name="Terminate")).to_be_disabled()
    expect(page.get_by_role("button", name="Re-execute all")).to_be_disabled()
    expect(page.get_by_text("Run queued")).to_be_visible()


def test_a_sensor_is_shown_and_not_started_or_tried(page: Page, attacked: Attacked) -> None:
    page.goto("/locations/attacked/sensors/new_files")
    expect(page.get_by_role("checkbox")).to_be_disabled()
    # The UI doesn't know that trying one runs its code; the server does.
    page.get_by_role("button", name="Preview tick result").click()
    page.get_by_role("dialog").get_by_role("button", name="Continue").click()
    page.get_by_text("View error info").click()
    expect(page.get_by_text("this webserver is for reading").first).to_be_visible()
    assert not attacked.trace.exists()
