"""What rehearsals of the page of operations share: a folder for a project, and who works in it."""

from pathlib import Path

import pytest
from dagster_dev import clean_environment
from factories import Project
from handbook import Operator


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty pipelines folder; the lake is where it is if nobody says otherwise."""
    return Project(tmp_path, str(tmp_path / ".data" / "lake"))


@pytest.fixture
def operator(tmp_path: Path, dagster_url: str) -> Operator:
    """At a terminal in the project's folder, with an empty Dagster storage."""
    dull = {"DATA_PLATFORM_STORAGE_URL": dagster_url, "DATA_PLATFORM_THREADS": "1"}
    environ = {name: value for name, value in clean_environment().items() if name != "COLUMNS"}
    return Operator(tmp_path, environ | dull)
