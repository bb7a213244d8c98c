"""Every outside system on one page, as Dagster resources built from platform.yaml.

Their texts keep `${VAR}` as written, so that no secret is in definitions, runs or the UI; they are
resolved when a step connects.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from data_platform.embedded.server import resolve_url
from data_platform.engine.postgres import Refused, Unreachable, connected, host
from data_platform.errors import SourceError, SourceUnavailable
from data_platform.settings import environment, load_settings
from data_platform.spec.platform import Platform
from data_platform.spec.variables import expand
from data_platform.storage.lake import Lake
from data_platform.storage.workbench import Workbench

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection

LAKE = "lake"


class LakeResource(dg.ConfigurableResource):
    """The lake, and how much of the machine one step may take to work on it."""

    root: str = Field(description="The folder of all tables, from the project's home.")

    def workbench(self) -> Workbench:
        """The lake with the settings of this machine."""
        settings = load_settings()
        root = settings.home / expand(self.root, environment())
        return Workbench(Lake(root), settings.memory_limit, settings.threads)


class DatabaseResource(dg.ConfigurableResource):
    """A database."""

    url: str = Field(
        description="`postgresql://...`, or `embedded://<name>` for the one that starts by itself."
    )

    def resolved_url(self) -> str:
        """The URL to connect to; the embedded server is started if it is meant."""
        return resolve_url(expand(self.url, environment()), load_settings().data_dir)

    @contextmanager
    def get_connection(self) -> "Generator[Connection]":
        """A connection of SQLAlchemy, as pandas takes it; what isn't committed is undone.

        Raises:
            SourceUnavailable: the database can't be reached; a step may be tried again.
        """
        import psycopg2  # noqa: PLC0415
        from sqlalchemy import create_engine, exc, pool  # noqa: PLC0415

        url = self.resolved_url()
        engine = create_engine(
            "postgresql+psycopg2://", creator=lambda: psycopg2.connect(url), poolclass=pool.NullPool
        )
        try:
            connection = engine.connect()
        except exc.OperationalError as error:
            about = str(error.orig).strip().splitlines()[0]
            raise SourceUnavailable(f"{host(url)}: {about}") from None
        with connection:
            yield connection

    def query(self, sql: str, *parameters: object) -> "pa.Table":
        """The rows of a statement as Arrow, with `$1` for the first parameter.

        Raises:
            SourceUnavailable: the database can't be reached, or broke off.
            SourceError: it refused.
        """
        try:
            with connected(self.resolved_url(), autocommit=True) as (_, cursor):
                cursor.execute(sql, parameters or None)
                return cursor.fetch_arrow_table()
        except Unreachable as error:
            raise SourceUnavailable(str(error)) from error
        except Refused as error:
            raise SourceError(str(error)) from error


def platform_resources(platform: Platform) -> Mapping[str, dg.ConfigurableResource]:
    """The lake and all connections, by name."""
    connections = {
        name: DatabaseResource(url=spec.url) for name, spec in platform.connections.items()
    }
    return {LAKE: LakeResource(root=platform.lake.root), **connections}
