"""Installations for tests of faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivering import Nodes
from factories import Project
from retail_platform import Databases, RetailPlatform, retail_platform

FIRST, END = "2017-12-23", "2017-12-29"
"""Six days, Christmas among them."""


@pytest.fixture(scope="session")
def databases(data_dir: Path, postgres_admin_url: str, dagster_template: str) -> Databases:
    return Databases(data_dir, postgres_admin_url, dagster_template)


@pytest.fixture
def retail(databases: Databases, tmp_path: Path) -> Iterator[RetailPlatform]:
    """An installation of a test's own, where nothing has run."""
    with retail_platform(databases, tmp_path, FIRST, END) as platform:
        yield platform


@pytest.fixture(scope="module")
def undisturbed(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RetailPlatform]:
    """An installation over the same days where one run went through. Only look at it."""
    with retail_platform(databases, tmp_path_factory.mktemp("oracle"), FIRST, END) as platform:
        assert platform.run(FIRST, END).succeeded
        yield platform


@pytest.fixture
def nodes(project: Project) -> Nodes:
    """Destinations with and without partitions."""
    return Nodes.of(project)
