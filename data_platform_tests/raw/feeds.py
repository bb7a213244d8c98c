"""A source that a test fills: what it holds is what the next run reads."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from factories import PIPELINE, Project, arrow

from data_platform.quality.gate import Passage
from data_platform.storage.versions import Snapshot

CODE = """
import pyarrow.parquet as pq

def fetch():
    return pq.read_table({path!r})
"""
SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.int64()), ("value", pa.string())])


class Feed:
    """An incremental source `events` whose function gives all rows that there are.

    Args:
        project: with the pipeline.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._path = project.folder / "feed.parquet"
        self.holds([])
        self.declare("cursor: at, key: id")

    def declare(self, incremental: str | None, more: str = "") -> None:
        """Write the pipeline, with `incremental` in flow style."""
        folder = self.project.pipelines / PIPELINE
        folder.mkdir(exist_ok=True)
        (folder / "feed.py").write_text(CODE.format(path=str(self._path)))
        grows = f"    incremental: {{{incremental}}}\n" if incremental else ""
        body = f"sources:\n  events:\n    type: python\n    function: feed:fetch\n{grows}{more}"
        self.project.declare(body)

    def holds(
        self, rows: Sequence[Mapping[str, object]] | str, schema: pa.Schema | None = SCHEMA
    ) -> None:
        """Say what the source has."""
        if isinstance(rows, str):
            table = arrow(rows)
        else:
            table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
        pq.write_table(table, self._path)

    def run(self) -> Passage:
        """Land what the source has."""
        return self.project.land_source("events")

    @property
    def rows(self) -> list[dict[str, object]]:
        """What readers see."""
        return self.project.rows("raw/events")

    @property
    def snapshot(self) -> Snapshot:
        """What is current."""
        found = self.project.table("raw/events").snapshot()
        assert found is not None
        return found

    @property
    def batches(self) -> int:
        """How many there are."""
        assert self.snapshot.batches is not None
        return self.snapshot.batches.number

    @property
    def watermark(self) -> object:
        """As it was committed with the newest batch."""
        assert self.snapshot.batches is not None
        return (self.snapshot.batches.position or {})["watermark"]


def row(id_: int | None, at: int | None, value: str = "a") -> dict[str, object]:
    """A row of the feed."""
    return {"id": id_, "at": at, "value": value}
