"""A destination of files in a project without anything else, and one of tables in PostgreSQL."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from factories import Project
from files_project import Exports
from table_loads import Loads

from data_platform.embedded.server import server_url


@pytest.fixture
def exports(project: Project) -> Exports:
    """A project with a destination of files on this machine."""
    return Exports(project)


@pytest.fixture(scope="module")
def shared_url(data_dir: Path, postgres_admin_url: str) -> Iterator[str]:
    """A database for all tests of a module."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    with closing(psycopg2.connect(postgres_admin_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            yield server_url(data_dir, name)
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def loads(shared_url: str) -> Loads:
    """A table that isn't there yet, and nothing that the platform knows of it."""
    loads = Loads(shared_url)
    loads.execute("DROP SCHEMA IF EXISTS shop, data_platform CASCADE")
    return loads
