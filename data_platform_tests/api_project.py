"""A project with one source `orders` of type api, for the tests of these.

Waiting between two tries is left out by stamina's testing mode; what is tried stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import stamina
import yaml
from factories import Project

from data_platform.engine.outside import Outside
from data_platform.engine.work import Work
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.kinds import Api
from data_platform.sources.arrivals import Arrival, Question
from data_platform.sources.http.arriving import arriving
from data_platform.spec.platform import ApiConnection
from data_platform.spec.variables import expand, expand_model


@dataclass(frozen=True)
class Came:
    """What came, with `_partition`."""

    rows: list[dict[str, Any]]
    arrival: Arrival

    @property
    def ids(self) -> list[Any]:
        return [row["id"] for row in self.rows]

    def of(self, key: str) -> list[dict[str, Any]]:
        """The rows of a partition, without it."""
        return [
            {name: value for name, value in row.items() if name != PARTITION}
            for row in self.rows
            if row[PARTITION] == key
        ]


class ApiProject:
    """Declares and asks a source.

    Args:
        project: to declare it in.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.environ: dict[str, str] = {}
        self.work = Work()

    def declare(self, url: str = "", *, daily: bool = False, **keys: Any) -> None:
        """Write the source; in `platform.yaml` there is the connection `api` if one is given."""
        source = {"type": "api", **({"url": url} if url else {}), **keys}
        if not daily:
            source["partitions"] = "none"
        self.project.declare(
            yaml.safe_dump({"sources": {"orders": source}}, sort_keys=False), daily=daily
        )

    def connect(self, **connection: Any) -> None:
        """Write platform.yaml with the connection `api`."""
        written = {"connections": {"api": {"type": "api", **connection}}}
        self.project.platform(yaml.safe_dump(written))

    def ask(
        self, *keys: str, waiting: bool = False, timeout: float | None = None, **given: Any
    ) -> Came:
        """Ask the source, for all partitions or for some.

        Args:
            keys: of partitions.
            waiting: whether it is waited between two tries.
            timeout: of a request, in seconds, where those of the language are too long for a test.
            given: further attributes of the question.
        """
        node = self.project.node("raw/orders")
        assert isinstance(node, RawNode)
        assert isinstance(node.source, Api)
        outside = Outside(self._connection, lambda text: expand(text, self.environ))
        with (
            stamina.set_testing(not waiting, attempts=100, cap=True),
            self.project.workbench.open() as (session, scratch),
        ):
            asked = keys or [WHOLE]
            question = Question(node, asked, session, scratch, outside, work=self.work, **given)
            source = replace(node.source, request_timeout=timeout or node.source.request_timeout)
            with arriving(question, source) as arrival:
                rows: list[dict[str, Any]] = []
                if arrival.query is not None:
                    rows = session.connection.sql(arrival.query).to_arrow_table().to_pylist()
                return Came(rows, arrival)

    def problems(self) -> list[str]:
        workspace = self.project.workspace()
        if workspace.broken:
            return [str(problem) for problem in workspace.problems]
        return self.project.problems()

    def _connection(self, name: str) -> ApiConnection:
        connections: Mapping[str, Any] = self.project.workspace().platform.connections
        return expand_model(connections[name], self.environ)
