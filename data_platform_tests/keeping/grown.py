"""Tables that grow by batches, and what readers see of any version of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from factories import Project, arrow

from data_platform.engine.session import open_session
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.storage.batches import Batches
from data_platform.storage.commits import snapshot_at
from data_platform.storage.publish import Unwritten, stored_select, write
from data_platform.storage.versions import Snapshot

EVENTS = "raw/events"
STATE = Batches(0, 0, ("id",), "at", "latest", None)


def add_batch(
    project: Project,
    rows: str | Sequence[Mapping[str, object]],
    position: Any = None,
    state: Batches = STATE,
) -> int:
    """Add a batch as a run does."""
    table = project.table(EVENTS)
    before = table.snapshot()
    last = before.batches.number if before and before.batches else 0
    new = arrow(rows)
    seen = _seen([*project.rows(EVENTS), *new.to_pylist()], state)
    with project.workbench.open() as (session, scratch):
        session.register("_rows", new)
        session.run(f"CREATE TEMP VIEW _land AS SELECT *, '' AS {PARTITION} FROM _rows")
        select = stored_select(session, "_land", [PARTITION])
        written = write(session, Unwritten(select, "FROM _land"), scratch / "b", [WHOLE])
        now = replace(state, number=last + 1, rows=seen, position=position)
        return table.append(
            written.versions[WHOLE], written.schema, now, {"run_id": f"run-{last + 1}"}
        )


def _seen(rows: Sequence[Mapping[str, object]], state: Batches) -> int:
    if state.newest is None:
        return len(rows)
    ids = [row["id"] for row in rows]
    return len({one for one in ids if one is not None}) + ids.count(None)


def snapshot(project: Project, text: str) -> Snapshot:
    """What is current."""
    found = project.table(text).snapshot()
    assert found is not None
    return found


def data_version(project: Project, text: str, key: str = WHOLE) -> str:
    """Of a partition."""
    return snapshot(project, text).partitions[key].data_version


def read(project: Project, text: str, version: int) -> list[dict[str, object]]:
    """What a reader sees of a version."""
    held = snapshot_at(project.table(text), version)
    return rows_of(project, held)


def rows_of(project: Project, held: Snapshot) -> list[dict[str, object]]:
    """What a reader sees who holds a snapshot."""
    lake = project.workbench.lake
    with open_session(
        project.folder, [lake.root], "1GB", threads=1, bucket=lake.place.objects
    ) as session:
        session.show("_rows", held.files(held.partitions), hidden=False)
        found = session.connection.sql("SELECT * FROM _rows").to_arrow_table()
    return sorted(found.to_pylist(), key=str)


def files(project: Project, text: str) -> int:
    """How many are current."""
    return sum(len(one.files) for one in snapshot(project, text).partitions.values())
