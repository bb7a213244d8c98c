"""What tests of sources share."""

import pytest
from api_project import ApiProject
from factories import Project


@pytest.fixture
def api(project: Project) -> ApiProject:
    """A project with one source of type api."""
    return ApiProject(project)
