"""A destination in an empty database."""

import pytest
from factories import Project
from shop_tables import Shop


@pytest.fixture
def shop(project: Project, postgres_url: str) -> Shop:
    """A project whose destination is in an empty database."""
    return Shop(project, postgres_url)
