"""What a node reads, made readable under the names that its statements use.

Called by the stages with the files of one snapshot an upstream, so that all of a step's statements
see the same rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from data_platform.engine.lake_files import LakeFiles
from data_platform.engine.session import Session
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import Input, Node
from data_platform.plan.relations import relation_of


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
        case "last":
            partitions = given.partitions or node.partitions
            if partitions is None:
                return list(published)
            wanted = {past for key in keys for past in partitions.trailing(key, given.last)}
            return sorted(wanted)


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
        hidden: whether the platform's own columns are shown too.
    """
    for given in node.inputs:
        relation = relation_of(given)
        upstream = upstreams[relation]
        wanted = partitions_read(given, node, keys, upstream.partitions)
        session.show(relation, upstream.files(wanted), hidden=hidden)
