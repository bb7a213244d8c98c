"""Every outside system on one page, as Dagster resources built from platform.yaml.

Their texts keep `${VAR}` as written, so that no secret is in definitions, runs or the UI; they are
resolved when a step connects.
"""

from collections.abc import Mapping

import dagster as dg
from pydantic import Field

from data_platform.embedded_server import resolve_url
from data_platform.settings import environment, load_settings
from data_platform.spec.platform import Platform
from data_platform.spec.variables import expand
from data_platform.storage.lake import Lake
from data_platform.storage.workbench import Workbench

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


def platform_resources(platform: Platform) -> Mapping[str, dg.ConfigurableResource]:
    """The lake and all connections, by name."""
    connections = {
        name: DatabaseResource(url=spec.url) for name, spec in platform.connections.items()
    }
    return {LAKE: LakeResource(root=platform.lake.root), **connections}
