"""A person's browser in front of Dagster's UI: one `dagster dev` over a small pipeline of its own.

The browser is the machine's own Chromium. Without one these tests are skipped, or fail where
DATA_PLATFORM_TESTS_REQUIRE_BROWSER says that there must be one, as in `.ci/run`. A test that fails
leaves what its page showed last in its `tmp_path`.
"""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import MISSING, find_chromium, launched
from dagster_dev import DagsterDev
from playwright.sync_api import Browser, Error, Page, expect
from retail_platform import Databases, query
from small_sales import ORDERS, lay_out, let_age, run

LOG = logging.getLogger(__name__)
PATIENCE = 60_000
"""How long a page may take to show something, in milliseconds: a loaded machine is slow."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window.

    Not of the session: Playwright keeps a loop of asyncio running in this thread meanwhile.
    """
    path = find_chromium()
    if path is None:
        if os.environ.get("DATA_PLATFORM_TESTS_REQUIRE_BROWSER"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with launched(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def ui(
    browser: Browser,
    data_dir: Path,
    postgres_admin_url: str,
    dagster_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    start_dagster_dev: Callable[..., DagsterDev],
) -> Iterator[str]:
    """The address of a UI whose pipeline has run for all days but the last."""
    databases = Databases(data_dir, postgres_admin_url, dagster_template)
    shop, warehouse, dagster = databases.empty(), databases.empty(), databases.dagster()
    folder = tmp_path_factory.mktemp("sales")
    environ = {
        "DATA_PLATFORM_HOME": str(folder),
        "DATA_PLATFORM_PIPELINES": "pipelines",
        "DATA_PLATFORM_STORAGE_URL": dagster,
        "SHOP_URL": shop,
        "WAREHOUSE_URL": warehouse,
    }
    query(shop, ORDERS)
    lay_out(folder)
    run(folder, environ)
    location = "-m", "data_platform.definitions"
    dev = start_dagster_dev(folder, *location, **environ, FRESHNESS_DAEMON_INTERVAL_SECONDS="1")
    let_age(environ, days=3)
    yield f"http://127.0.0.1:{dev.port}"
    dev.stop()
    databases.drop(shop, warehouse, dagster)


@pytest.fixture
def page(
    browser: Browser, ui: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A new window; addresses begin at the UI's."""
    context = browser.new_context(base_url=ui, viewport={"width": 1600, "height": 950})
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    opened = context.new_page()
    failed_before = request.session.testsfailed
    yield opened
    if request.session.testsfailed > failed_before:
        _keep(opened, tmp_path)
    context.close()


def _keep(page: Page, folder: Path) -> None:
    try:
        page.screenshot(path=folder / "page.png")
        (folder / "page.html").write_text(page.content())
    except Error as error:
        LOG.warning("the page can't be kept: %s", error)
    else:
        LOG.warning("what %s showed last: %s/page.png and page.html", page.url, folder)
