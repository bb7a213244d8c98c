"""What the columns of an asset are made of, in OpenLineage's words.

Called by `describing`. From the plan, which knows how a column becomes another's; columns that only
a run knows come from what it recorded. What can't be told to the column is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from openlineage.client.facet_v2 import column_lineage_dataset as facet

from data_platform.observability.openlineage.naming import Named
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.relations import EVERY, Asset, Made, Origin, Outside, Use
from data_platform.plan.nodes import AnyNode, StagingNode

MAX_COLUMNS = 1_000
"""That are told of."""
_SUBTYPES: Mapping[Use, str] = {
    Use.FILTER: "FILTER",
    Use.CURSOR: "FILTER",
    Use.JOIN: "JOIN",
    Use.GROUP: "GROUP_BY",
    Use.DISTINCT: "GROUP_BY",
    Use.ORDER: "SORT",
    Use.DEDUPLICATE: "WINDOW",
}
"""Of columns that decide about rows; one that is only named decides about none."""

Recorded = Mapping[str, Sequence[tuple[str, str]]]
"""By column, `(asset, column)`: what a run recorded."""


def column_lineage(
    node: AnyNode,
    lineage: Lineage,
    named: Callable[[Asset], Named | None],
    recorded: Recorded,
) -> facet.ColumnLineageDatasetFacet | None:
    """The facet of an asset's columns; None where nothing can be told.

    Args:
        node: the asset.
        lineage: of its plan.
        named: what an upstream is called.
        recorded: what a run recorded, for columns that the plan doesn't know.
    """
    followed = lineage.of(node.key)
    masked = _masked(node)
    fields: dict[str, facet.Fields] = {}
    for name, made in followed.relation.columns[:MAX_COLUMNS]:
        inputs = list(_made_of(made, lineage, named, masked=name.lower() in masked))
        if inputs:
            fields[name] = facet.Fields(inputFields=inputs)
    known = {name.lower() for name, _ in followed.relation.columns}
    for name, origins in list(recorded.items())[:MAX_COLUMNS]:
        if name.lower() not in known and (inputs := list(_recorded(origins, named))):
            fields[name] = facet.Fields(inputFields=inputs)
    deciding = list(_deciding(followed.uses, lineage, named))
    if not fields and not deciding:
        return None
    return facet.ColumnLineageDatasetFacet(fields=fields, dataset=deciding)


def _made_of(
    made: Made, lineage: Lineage, named: Callable[[Asset], Named | None], *, masked: bool
) -> Iterator[facet.InputField]:
    """The columns of upstreams, each with how it gets in."""
    passed = made.passed and len(made.all) == 1
    subtype = "IDENTITY" if passed and not masked and not made.cleared else "TRANSFORMATION"
    for origin in sorted(made.all, key=str):
        ways: list[facet.Transformation] = []
        if origin in made.values:
            ways.append(_way("DIRECT", subtype, masking=masked or origin in made.cleared))
        if origin in made.windows:
            ways.append(_way("INDIRECT", "WINDOW"))
        yield from _field(origin, lineage, named, ways)


def _deciding(
    uses: Mapping[Origin, Iterable[Use]],
    lineage: Lineage,
    named: Callable[[Asset], Named | None],
) -> Iterator[facet.InputField]:
    """The columns that decide which rows there are."""
    for origin, ways in sorted(uses.items(), key=str):
        subtypes = sorted({_SUBTYPES[use] for use in ways if use in _SUBTYPES})
        if subtypes:
            told = [_way("INDIRECT", subtype) for subtype in subtypes]
            yield from _field(origin, lineage, named, told)


def _field(
    origin: Origin,
    lineage: Lineage,
    named: Callable[[Asset], Named | None],
    ways: list[facet.Transformation],
) -> Iterator[facet.InputField]:
    dataset = named(origin.asset)
    if dataset is None or origin.column == EVERY:
        return
    # What is outside has no columns of its own in the plan: the raw asset spells them.
    column = origin.column if isinstance(origin.asset, Outside) else lineage.spelled(origin)
    yield facet.InputField(*dataset, column, ways)


def _recorded(
    origins: Sequence[tuple[str, str]], named: Callable[[Asset], Named | None]
) -> Iterator[facet.InputField]:
    for asset, column in origins:
        dataset = named(Key.parse(asset))
        if dataset is not None:
            yield facet.InputField(*dataset, column, [_way("DIRECT", "TRANSFORMATION")])


def _way(kind: str, subtype: str, *, masking: bool = False) -> facet.Transformation:
    return facet.Transformation(kind, subtype, masking=masking)


def _masked(node: AnyNode) -> set[str]:
    """The columns, in lower case, that leave an asset with nothing but masked values."""
    return {name.lower() for name in node.masked} if isinstance(node, StagingNode) else set()
