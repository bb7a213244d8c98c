"""The pictures of the README, made anew: the demo's year in Dagster's UI.

    make screenshots

Runs the demo in a folder of its own, starts `dagster dev` over it, and writes `docs/images/*.png`.
Needs Chromium. A page that lacks what its picture is about is an error, and no picture is written.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "data_platform_tests"))

from chromium import MISSING, find_chromium, launched
from dagster_dev import DagsterDev, clean_environment
from playwright.sync_api import Browser, Locator, Page, expect

from data_platform.embedded.server import stop_server
from data_platform.settings import PACKAGE_DIR

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
MAX_BYTES = 400_000
PATIENCE = 120_000
"""How long a page may take to show something, in milliseconds."""
GROUP = "/locations/data_platform/asset-groups/retail"
TRANSACTIONS = "/assets/staging/retail/transactions"
GRAPH_HEIGHT = 970
_HEAD = 160
"""Where a graph begins, from the top of the window. A node's box has 20 pixels above its card."""


@dataclass(frozen=True)
class Picture:
    """A page of the UI.

    Attributes:
        name: of the file.
        path: the page.
        width, height: of the window, in CSS pixels.
        scale: pixels of the picture for one of these.
        ready: waits until the page shows what the picture is about, and may return the height at
            which it ends.
    """

    name: str
    path: str
    width: int
    height: int
    scale: float
    ready: Callable[[Page], float | None]


def _graph_is_there(page: Page) -> None:
    # Besides, there are links to what other groups make of these.
    nodes = page.locator("foreignObject").filter(has_text=re.compile("Latest event"))
    expect(nodes).to_have_count(13)
    expect(nodes.filter(has_text=re.compile("% filled"))).not_to_have_count(0)
    # All of it: the graph fits itself to the window's width, not to its height.
    for node in nodes.all():
        box = node.bounding_box()
        if box is None or box["y"] < _HEAD or box["y"] + box["height"] > GRAPH_HEIGHT:
            raise SystemExit(f"the graph is cut off at {box}; give its window another height")


def _columns_are_there(page: Page) -> float:
    last = page.get_by_role("row", name=re.compile("^discount ")).first
    expect(last).to_be_visible()
    return _bottom(last) + 24


def _examples_are_there(page: Page) -> float:
    expect(page.get_by_text("quantity is at least 1.")).to_be_visible()
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    expect(page.get_by_role("columnheader", name="discount")).to_be_in_viewport(ratio=1)
    return _bottom(page.get_by_role("row", name=re.compile("^rows ")))


PICTURES = (
    Picture("graph", GROUP, 1360, GRAPH_HEIGHT, 1.5, _graph_is_there),
    Picture("asset", TRANSACTIONS, 1360, 1400, 1.75, _columns_are_there),
    Picture("check", f"{TRANSACTIONS}?view=checks&checkDetail=range_quantity", 1860, 1400, 1.5,
            _examples_are_there),
)  # fmt: skip


def main() -> None:
    """Make all pictures, then write them."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(MISSING)
    # PostgreSQL doesn't run as root, and no other user may enter most temporary folders.
    folder = Path(tempfile.mkdtemp(prefix="dp-screenshots-"))
    folder.chmod(0o755)
    try:
        shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
        demo = [Path(sys.executable).with_name("data-platform"), "demo"]
        subprocess.run(demo, cwd=folder, env=clean_environment(), check=True)
        dev = DagsterDev(folder, "-w", str(ROOT / "workspace.yaml"))
        try:
            with launched(chromium) as browser:
                made = {picture.name: _taken(browser, dev.port, picture) for picture in PICTURES}
        finally:
            dev.stop()
        _write(made)
    finally:
        stop_server(folder / ".data")
        shutil.rmtree(folder, ignore_errors=True)


def _taken(browser: Browser, port: int, picture: Picture) -> bytes:
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{port}",
        viewport={"width": picture.width, "height": picture.height},
        device_scale_factor=picture.scale,
    )
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    page.goto("/assets")
    page.get_by_role("button", name="Hide navigation").click()
    page.goto(picture.path)
    picture.ready(page)
    expect(page.get_by_text("Loading")).to_have_count(0)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    # Signs and descriptions are fetched when they are shown first, and move what is below.
    page.wait_for_load_state("networkidle")
    height = min(picture.ready(page) or picture.height, picture.height)
    taken = page.screenshot(clip={"x": 0, "y": 0, "width": picture.width, "height": height})
    context.close()
    return taken


def _bottom(shown: Locator) -> float:
    """Where something ends, from the top of the window."""
    box = shown.bounding_box()
    if box is None:
        raise SystemExit(f"{shown} isn't on the page")
    return box["y"] + box["height"]


def _write(made: dict[str, bytes]) -> None:
    for name, image in made.items():
        if len(image) > MAX_BYTES:
            raise SystemExit(f"{name}.png has {len(image):,} bytes, more than {MAX_BYTES:,}")
    IMAGES.mkdir(exist_ok=True)
    for name, image in made.items():
        (IMAGES / f"{name}.png").write_bytes(image)
        print(f"docs/images/{name}.png: {len(image):,} bytes")


if __name__ == "__main__":
    main()
