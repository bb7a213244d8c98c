"""The machine's own Chromium, driven by Playwright, which downloads none.

Called by the tests of Dagster's UI and by `docs/screenshots.py`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    f"There is no browser: install Debian's package chromium, or have one of {', '.join(NAMES)} "
    "in PATH."
)
_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
"""Chromium has no sandbox for root, and `/dev/shm` of a container is small."""


def find_chromium() -> str | None:
    """Its path, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """A browser without a window.

    Args:
        path: as `find_chromium` gives it.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
