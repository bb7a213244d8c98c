"""A project with one destination of files: declare it, publish rows, deliver, look at the files."""

import json
from pathlib import Path
from typing import Any

from factories import Project
from object_storage import Bucket

from data_platform.destinations.loading import Loading, deliver
from data_platform.engine.outside import Outside
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.spec.platform import Connection, DatabaseConnection
from data_platform.storage.publish import Publication
from data_platform.targets.answering import held

AMOUNTS = "SELECT * FROM (VALUES (1, 10.10), (2, 20.25)) AS t(id, amount)"
PLATFORM = """
connections:
  shop: {type: database, url: postgresql://nowhere}
  exports: {type: s3}
"""


class Exports:
    """A project with one destination of files.

    Args:
        project: empty.
        bucket: that its connection `exports` has; None means that nothing may ask for it.
    """

    def __init__(self, project: Project, bucket: Bucket | None = None) -> None:
        self.project, self.bucket = project, bucket
        project.platform(PLATFORM)

    def declare(
        self, path: str = "out/{partition_key}.csv", *rules: str, more: str = "", daily: bool = True
    ) -> None:
        listed = "".join(f"      - {rule}\n" for rule in rules)
        quality = f"    quality:\n{listed}" if rules else ""
        self.project.declare(
            "staging:\n  orders: {from: raw.orders}\ndestinations:\n  orders:\n"
            f"    from: staging.orders\n    type: file\n    path: '{path}'\n{quality}{more}",
            daily=daily,
        )

    def publish(self, rows: str, *keys: str) -> Publication:
        typed = f"SELECT * REPLACE (CAST(amount AS DECIMAL(12, 2)) AS amount) FROM ({rows})"
        return self.project.land_all("staging/orders", dict.fromkeys(keys or [WHOLE], typed))

    def node(self) -> DestinationNode:
        node = self.project.node("destinations/orders")
        assert isinstance(node, DestinationNode)
        return node

    @property
    def outside(self) -> Outside:
        def connection(name: str) -> Connection:
            if name == "exports":
                assert self.bucket is not None
                return self.bucket.connection()
            return DatabaseConnection(type="database", url="postgresql://nowhere")

        return Outside(connection, lambda text: text)

    def deliver(self, *keys: str, run: str = "run") -> Loading:
        workbench = self.project.workbench
        return deliver(self.node(), keys or [WHOLE], workbench, self.outside, run)

    def held(self) -> dict[str, str]:
        """Data versions that the files hold."""
        found = held(self.node(), self.outside)
        return {key: version.data_version for key, version in found.items()}

    def path(self, name: str) -> Path:
        return self.project.folder / name

    def text(self, name: str) -> str:
        with self.path(name).open(newline="") as file:
            return file.read()

    def manifest(self, name: str) -> dict[str, Any]:
        return json.loads(self.path(f"{name}.manifest.json").read_text())

    def names(self, folder: str = "out") -> list[str]:
        """All files below a folder."""
        root = self.path(folder)
        return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def lines(text: str) -> list[str]:
    """The header, then the rows in order: no order of rows is promised."""
    header, *rows = text.splitlines()
    return [header, *sorted(rows)]
