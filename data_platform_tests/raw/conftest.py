"""What tests of raw assets share."""

import pytest
from factories import Project
from feeds import Feed


@pytest.fixture
def feed(project: Project) -> Feed:
    """An incremental source that a test fills."""
    return Feed(project)
