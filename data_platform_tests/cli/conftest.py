"""The command as a person calls it, over the pipelines and the lake of a `Project`."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from factories import Project

from data_platform.cli import main

Command = Callable[..., Result]


@pytest.fixture
def environ(project: Project, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the command's environment says; a test may add to it."""
    monkeypatch.chdir(project.folder)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    return {
        "DATA_PLATFORM_HOME": str(project.folder),
        "DATA_PLATFORM_PIPELINES": str(project.pipelines),
        "LAKE_ROOT": str(project.workbench.lake.root),
        "DATA_PLATFORM_THREADS": "1",
    }


@pytest.fixture
def command(environ: dict[str, str]) -> Command:
    """Call it like `command("check", "--connect")`; what isn't caught by the command is raised."""

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env=environ, catch_exceptions=False)

    return call
