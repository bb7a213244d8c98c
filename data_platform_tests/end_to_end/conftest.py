"""Installations for tests of the whole: one that has run and is only looked at, and fresh ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from retail_platform import (
    Databases,
    RetailPlatform,
    built_platform,
    copied_platform,
    retail_platform,
)

from data_platform.run_reports import RunReport


@pytest.fixture(scope="session")
def databases(data_dir: Path, postgres_admin_url: str, dagster_template: str) -> Databases:
    return Databases(data_dir, postgres_admin_url, dagster_template)


@pytest.fixture
def retail(databases: Databases, tmp_path: Path) -> Iterator[RetailPlatform]:
    """An installation of a test's own, where nothing has run."""
    with retail_platform(databases, tmp_path) as platform:
        yield platform


@pytest.fixture
def ran(databases: Databases, tmp_path: Path) -> Iterator[RetailPlatform]:
    """An installation of a test's own, where all days have run once."""
    with copied_platform(databases, tmp_path) as platform:
        yield platform


@pytest.fixture(scope="module")
def built(databases: Databases) -> Iterator[tuple[RetailPlatform, RunReport]]:
    """An installation where all days have run once, and the report. Only look at it."""
    platform, report = built_platform(databases)
    yield platform, report
    platform.close()
