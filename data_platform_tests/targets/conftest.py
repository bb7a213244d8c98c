"""A destination of files in a project without anything else."""

import pytest
from factories import Project
from files_project import Exports


@pytest.fixture
def exports(project: Project) -> Exports:
    """A project with a destination of files on this machine."""
    return Exports(project)
