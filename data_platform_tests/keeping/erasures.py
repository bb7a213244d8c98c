"""A person's rows erased as the command does it, and a search for what is left of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
from factories import Project

from data_platform.keeping.beyond import Beyond, beyond
from data_platform.keeping.conditions import read_condition
from data_platform.keeping.erasure import Erasure, Found
from data_platform.plan.nodes import LakeNode


@contextmanager
def erasure(project: Project, where: str) -> Iterator[Erasure]:
    """One condition over a project's lake."""
    with project.workbench.open() as (session, scratch):
        plan = project.build().plan
        yield Erasure(session, scratch, project.workbench.lake, plan, read_condition(where))


def erase(project: Project, where: str, *keys: str) -> list[Found]:
    """Do it."""
    with erasure(project, where) as one:
        return one.erase(_nodes(project, keys), "ada")


def find(project: Project, where: str, *keys: str) -> list[Found]:
    """What there is."""
    with erasure(project, where) as one:
        return one.find(_nodes(project, keys))


def not_reached(project: Project, where: str, *keys: str) -> list[Beyond]:
    """What the command can't reach."""
    nodes = _nodes(project, keys)
    with erasure(project, where) as one:
        lake = project.workbench.lake
        return beyond(one.plan, lake, nodes, one.find(nodes), one.condition.columns)


def _nodes(project: Project, keys: Sequence[str]) -> list[LakeNode]:
    nodes = [project.node(key) for key in keys]
    assert all(isinstance(node, LakeNode) for node in nodes)
    return [node for node in nodes if isinstance(node, LakeNode)]


def holding(project: Project, text: str) -> list[str]:
    """Files of the lake that hold a text: in a value of a column, in statistics, in their bytes."""
    place = project.workbench.lake.place
    found: list[str] = []
    for one in place.list(""):
        content = place.read(one.relative) or b""
        if text.encode() in content or text in _values(one.relative, content):
            found.append(one.relative)
    return sorted(found)


def _values(name: str, content: bytes) -> str:
    """All that a Parquet file says, of checkpoints of the log too."""
    if not name.endswith(".parquet"):
        return ""
    file = pq.ParquetFile(pa.BufferReader(content))
    return f"{file.read().to_pylist()}{file.metadata.to_dict()}"
