"""What the columns of an asset are made of, in OpenLineage's words.

Called by `describing`. From the plan, which knows how a column becomes another's; where it can't be
followed there, from what a run recorded. What can't be told to the column is left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from openlineage.client.facet_v2 import column_lineage_dataset as facet

from data_platform.observability.openlineage.naming import Named
from data_platform.plan.keys import Key
from data_platform.plan.lineage.assets import Lineage
from data_platform.plan.lineage.relations import EVERY, NOTHING, Asset, Made, Origin, Use
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
    columns: Iterable[str],
    recorded: Recorded,
) -> facet.ColumnLineageDatasetFacet | None:
    """The facet of an asset's columns; None where nothing can be told.

    Args:
        node: the asset.
        lineage: of its plan.
        named: what an upstream is called.
        columns: that a run said the asset has, where the plan doesn't know them all.
        recorded: what a run recorded, for columns that can't be followed in the plan.
    """
    followed = lineage.of(node.key)
    masked = _masked(node)
    makes = dict(followed.relation.columns)
    makes |= {name: made for name in columns if (made := followed.relation[name]) is not None}
    fields: dict[str, facet.Fields] = {}
    for name in list(dict.fromkeys([*makes, *recorded]))[:MAX_COLUMNS]:
        made = makes.get(name, NOTHING)
        inputs = list(_made_of(name, made, lineage, named, masked=name.lower() in masked))
        inputs = inputs or list(_recorded(recorded.get(name, ()), named))
        if inputs:
            fields[name] = facet.Fields(inputFields=inputs)
    deciding = list(_deciding(followed.uses, lineage, named))
    if not fields and not deciding:
        return None
    return facet.ColumnLineageDatasetFacet(fields=fields, dataset=deciding)


def _made_of(
    name: str,
    made: Made,
    lineage: Lineage,
    named: Callable[[Asset], Named | None],
    *,
    masked: bool,
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
        yield from _field(origin, lineage, named, ways, name)


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
    name: str = "",
) -> Iterator[facet.InputField]:
    """A column of an upstream; `name` is that of the column that is made of it."""
    dataset = named(origin.asset)
    if dataset is None or origin.column == EVERY:
        return
    # Nobody spells the columns of what is outside but who takes them under their own names.
    same = name.lower() == origin.column
    own = lineage.spelled(origin) if isinstance(origin.asset, Key) else origin.column
    column = name if same and own == origin.column else own
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
