"""What a node reads, made readable under the names that its statements use.

Called by the stages with the files of one snapshot an upstream, so that all of a step's statements
see the same rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.nodes import Input, Node
from data_platform.plan.relations import relation_of
from data_platform.plan.sql.expressions import literal, quoted

_NO_PAIR = "(CAST(NULL AS VARCHAR), NULL)"


class Upstream(Protocol):
    """A snapshot, as far as the engine needs it."""

    @property
    def partitions(self) -> Mapping[str, object]:
        """What is published, by key."""
        ...

    def files(self, keys: Iterable[str]) -> LakeFiles:
        """The files of some partitions."""
        ...


def partitions_read(
    given: Input, node: Node, keys: Sequence[str], published: Iterable[str]
) -> list[str]:
    """The upstream's partitions that a step over `keys` reads.

    Args:
        given: the input.
        node: who reads it.
        keys: the partitions of the step.
        published: the upstream's partitions.
    """
    match given.reads:
        case "whole":
            return [WHOLE]
        case "all":
            return list(published)
        case "same":
            return list(keys)
        case "matching" | "last":
            last = given.last if given.reads == "last" else None
            return sorted({own for key in keys for own in _of(given, node, key, published, last)})


def _of(
    given: Input, node: Node, key: str, published: Iterable[str], last: int | None = None
) -> list[str]:
    """What belongs to one partition of the reader."""
    upstream = given.partitions or node.partitions
    if upstream is None or node.partitions is None:
        return list(published)
    return upstream.reads(node.partitions, key, published, last)


def show_inputs(
    session: Session,
    node: Node,
    keys: Sequence[str],
    upstreams: Mapping[str, Upstream],
    *,
    hidden: bool = True,
) -> None:
    """Make all inputs of a node readable.

    Args:
        session: in which statements run.
        node: who reads.
        keys: the partitions of the step.
        upstreams: a snapshot of each upstream by its relation.
        hidden: whether the platform's own columns are shown too; `_partition` is the reader's.
    """
    for given in node.inputs:
        relation = relation_of(given)
        upstream = upstreams[relation]
        if hidden and given.reads in {"matching", "last"}:
            # A rule compares what belongs to the partition, whatever window the asset reads.
            pairs = {key: _of(given, node, key, upstream.partitions) for key in keys}
            show_by_reader(session, relation, upstream, pairs)
            continue
        wanted = partitions_read(given, node, keys, upstream.partitions)
        session.show(relation, upstream.files(wanted), hidden=hidden)


def show_by_reader(
    session: Session, relation: str, upstream: Upstream, pairs: Mapping[str, Sequence[str]]
) -> str:
    """Make rows readable with the partition of the reader that reads them in `_partition`.

    Args:
        session: in which statements run.
        relation: the name.
        upstream: a snapshot.
        pairs: the upstream's partitions, by the reader's; one may be read by several.

    Returns:
        The relation of the same rows, each once, with the upstream's own partitions.
    """
    wanted = sorted({own for owns in pairs.values() for own in owns})
    rows = f"{relation} (own partitions)"
    session.show(rows, upstream.files(wanted))
    listed = ", ".join(
        f"({literal(key)}, {literal(own)})" for key, owns in pairs.items() for own in owns
    )
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {quoted(relation)} AS "
        f"SELECT r.* REPLACE (p.reader AS {PARTITION}) FROM {quoted(rows)} r "
        f"JOIN (VALUES {listed or _NO_PAIR}) p(reader, own) ON p.own = r.{PARTITION}"
    )
    return rows
