"""The numbers of a partition that Dagster's UI plots over partitions and time.

Called by `lake_steps` for each materialization; those of a load are in `destinations.assets`. A
label names one plot, so labels never change; docs/operations.md lists them.
"""

from collections.abc import Mapping

from data_platform.plan.nodes import LakeNode, Node
from data_platform.quality.gate import Passage
from data_platform.reporting.range_reports import quarantine_percentage

MAX_COLUMNS = 20
"""Columns whose NULLs are plotted: each is some 160 bytes of every materialization."""

Figure = int | float | bool


def rows_label(node: Node) -> str:
    """Dagster's own label of the number of rows."""
    return "dagster/partition_row_count" if node.partitions else "dagster/row_count"


def figures_of(node: LakeNode, passage: Passage, key: str, seconds: float) -> dict[str, Figure]:
    """The numbers of one partition that was published.

    Args:
        node: the asset.
        passage: what was done to all partitions of the step.
        key: of the partition.
        seconds: that the step took for all of them; each has an equal share.
    """
    publication = passage.publication
    if publication is None:
        return {}
    version = publication.versions[key]
    rows_in = passage.rows_in.get(key, 0)
    found: dict[str, Figure] = {rows_label(node): version.rows, "bytes": version.bytes}
    if key not in publication.changed:
        found["unchanged"] = True
    found["rows_in"] = rows_in
    if node.has_quarantine:
        held = passage.quarantined.get(key, 0)
        found["rows_quarantined"] = held
        found["quarantine_percentage"] = quarantine_percentage(rows_in, held)
    found |= _null_percentages(node, version.rows, publication.nulls.get(key, {}))
    found["seconds"] = round(seconds / len(publication.versions), 4)
    return found


def _null_percentages(node: LakeNode, rows: int, nulls: Mapping[str, int]) -> dict[str, Figure]:
    """Of the contract's columns that may be NULL, and of others that were let through NULL."""
    found: dict[str, Figure] = {}
    counted = {name.lower(): count for name, count in nulls.items()}
    for column in node.contract.columns if node.contract and rows else ():
        count = counted.get(column.name.lower())
        if count is not None and (column.nullable or count) and len(found) < MAX_COLUMNS:
            found[f"null_percentage/{column.name}"] = round(100 * count / rows, 4)
    return found
