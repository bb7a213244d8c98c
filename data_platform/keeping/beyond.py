"""Where a person's rows may still be once they are erased: what the command can't reach.

Told with each erasure, so that somebody sees to it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from data_platform.keeping.erasure import Found
from data_platform.plan.destinations.kinds import FileTarget, RedshiftTarget, TableTarget
from data_platform.plan.keys import Key
from data_platform.plan.nodes import (
    AnyNode,
    DestinationNode,
    LakeNode,
    RawNode,
    StagingNode,
)
from data_platform.plan.pipelines import Plan
from data_platform.plan.sources.kinds import Files
from data_platform.storage.bad_files import kept_bad_files
from data_platform.storage.lake import Lake

RUNS = 5
"""Runs that are named."""


@dataclass(frozen=True)
class Beyond:
    """Something that wasn't touched.

    Attributes:
        what: `source`, `bad files`, `downstream`, `destination`, `previews`, `masked` or
            `not searched`.
        where: its name.
        advice: what to do about it.
    """

    what: str
    where: str
    advice: str


def beyond(
    plan: Plan,
    lake: Lake,
    nodes: Sequence[LakeNode],
    found: Sequence[Found],
    columns: Collection[str],
) -> list[Beyond]:
    """What to see to besides.

    Args:
        plan: of all pipelines.
        lake: with files that couldn't be read.
        nodes: the assets that were named.
        found: what there was in their tables.
        columns: that the condition names, in lower case.
    """
    return [
        *_unsearched(found),
        *_masked(found, columns),
        *_sources(nodes, lake),
        *_below(plan, nodes),
        *_previews(found),
    ]


def _unsearched(found: Iterable[Found]) -> Iterator[Beyond]:
    for one in found:
        if one.unknown:
            yield Beyond(
                "not searched",
                str(one.part.key),
                f"it has no column {', '.join(one.unknown)}: its rows are those of "
                f"{_source(one.part.node)}: erase from that, by its columns",
            )


def _source(node: LakeNode) -> str:
    return str(node.source) if isinstance(node, StagingNode) else str(node.key)


def _masked(found: Iterable[Found], columns: Collection[str]) -> Iterator[Beyond]:
    for one in found:
        node = one.part.node
        if not isinstance(node, StagingNode) or one.unknown:
            continue
        masked = node.masked if one.part.kind == "asset" else frozenset(node.held_masked)
        names = sorted(masked & set(columns))
        if names:
            yield Beyond(
                "masked",
                str(one.part.key),
                f"{', '.join(names)} holds masked values there, and was compared as it is: "
                "name the rows by another column, or by the masked value",
            )


def _sources(nodes: Iterable[LakeNode], lake: Lake) -> Iterator[Beyond]:
    for node in nodes:
        if not isinstance(node, RawNode):
            continue
        where = f"what {node.key} reads"
        if isinstance(node.source, Files):
            where = f"files of {node.key}: {node.source.path}"
        yield Beyond("source", where, "erase there too, or the next run brings the rows back")
        kept = len(kept_bad_files(lake, node.key))
        if kept:
            folder = lake.place.path_of(lake.bad_files(node.key))
            yield Beyond(
                "bad files", folder, f"{kept:,} files that couldn't be read: look through them"
            )


def _below(plan: Plan, nodes: Sequence[LakeNode]) -> Iterator[Beyond]:
    named = {node.key for node in nodes}
    for node in downstream(plan, named):
        if isinstance(node, DestinationNode):
            yield Beyond("destination", _target(node), _of_destination(node))
        elif node.key not in named:
            yield Beyond(
                "downstream",
                str(node.key),
                "built from these rows: name it too; to run it again leaves older versions",
            )


def downstream(plan: Plan, keys: Collection[Key]) -> list[AnyNode]:
    """All that is built from assets, by way of others too."""
    found = set(keys)
    below: list[AnyNode] = []
    more = True
    while more:
        more = False
        for node in plan.nodes:
            if node.key not in found and any(given.key in found for given in node.inputs):
                found.add(node.key)
                below.append(node)
                more = True
    return below


def _target(node: DestinationNode) -> str:
    match node.target:
        case TableTarget() as target:
            return f"{node.key}: table {target.table} in {target.connection}"
        case RedshiftTarget() as target:
            return f"{node.key}: table {target.schema}.{target.table} in {target.connection}"
        case FileTarget() as target:
            return f"{node.key}: files {target.path}"


def _of_destination(node: DestinationNode) -> str:
    write = getattr(node.target, "write", "replace_partition")
    if write in {"replace_partition", "replace"}:
        return "run it again, which loads what is left"
    return f"erase there: `write: {write}` takes no row away"


def _previews(found: Iterable[Found]) -> Iterator[Beyond]:
    """Dagster's events show ten rows of a run's newest partition, and examples of checks."""
    for one in found:
        runs = one.search.runs if one.search else ()
        if runs and one.part.kind == "asset":
            named = ", ".join(run[:8] for run in runs[-RUNS:])
            more = f" and {len(runs) - RUNS} more" if len(runs) > RUNS else ""
            yield Beyond(
                "previews",
                f"{one.part.key}: runs {named}{more}",
                "delete these runs in Dagster: their events may show rows as a preview",
            )
