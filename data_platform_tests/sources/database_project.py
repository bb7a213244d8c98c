"""A project with one source of a database, and what tests of databases ask of it."""

from dataclasses import replace
from pathlib import Path

from factories import PLATFORM, Project

from data_platform.engine.work import Work
from data_platform.plan.nodes import RawNode
from data_platform.quality.gate import Passage


class DatabaseProject:
    """A project whose source `orders` is a table or a query of a database.

    Args:
        project: empty.
        url: of the database.
    """

    def __init__(self, project: Project, url: str) -> None:
        self.project = project
        self.url = url
        project.platform(PLATFORM.replace("postgresql://nowhere", url))

    def query(self, sql: str, *, daily: bool = False, more: str = "") -> Path:
        """Declare a query; `more` are further lines of the source."""
        body = "".join(f"      {line}\n" for line in sql.splitlines())
        none = "" if daily else "    partitions: none\n"
        return self._declare(f"    query: |\n{body}{none}{more}", daily=daily)

    def table(self, *, daily: bool = False, more: str = "") -> Path:
        """Declare the table `orders`."""
        said = "    cursor: at\n" if daily else "    partitions: none\n"
        return self._declare(f"    table: orders\n{said}{more}", daily=daily)

    def land(self, *keys: str, work: Work | None = None) -> Passage:
        """Land the source."""
        if work is not None:
            self.project.workbench = replace(self.project.workbench, work=work)
        return self.project.land_source("orders", *keys, url=self.url)

    def rows(self, *keys: str) -> list[dict[str, object]]:
        """What landed."""
        return self.project.rows("raw/orders", *keys)

    @property
    def node(self) -> RawNode:
        """The node of the source."""
        found = self.project.node("raw/orders")
        assert isinstance(found, RawNode)
        return found

    def _declare(self, source: str, *, daily: bool) -> Path:
        head = "sources:\n  orders:\n    type: database\n    connection: shop\n"
        return self.project.declare(f"{head}{source}", daily=daily)
