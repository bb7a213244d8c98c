"""Checks besides the rules: what a step notices on the way, and keeps nothing back.

Asked by `raw` and `staging` for the outcomes, by `asset_steps` for what Dagster shows, and by
`status`.
"""

from data_platform.errors import Location
from data_platform.plan.checks.kinds import RowCountCheck
from data_platform.plan.naming import (
    BAD_FILES,
    BUDGET,
    CORRECTIONS,
    LAST_GOOD,
    LOOKBACK,
    LOST,
    NEW_COLUMNS,
    OUTSIDE,
    WITHOUT_CURSOR,
)
from data_platform.plan.nodes import AnyNode, RawNode, StagingNode
from data_platform.plan.sources.kinds import Files, Topic
from data_platform.plan.sources.told import told_dimensions

_ABOUT = {
    NEW_COLUMNS: "The source has the columns that it had before.",
    OUTSIDE: "Every row belongs to a partition.",
    BAD_FILES: "Every file could be read.",
    WITHOUT_CURSOR: "Every row has a value of the cursor.",
    LAST_GOOD: "The source could be read; else its last good version stands.",
    LOST: "No message was deleted before it was read.",
    CORRECTIONS: "Every row that was corrected or discarded in quarantine came again.",
    BUDGET: "Its steps take no more time and memory than they may.",
    LOOKBACK: "Every partition that was read again could be published.",
}


def notices_of(node: RawNode | StagingNode) -> tuple[str, ...]:
    """The names of the checks that an asset has besides its rules."""
    if isinstance(node, StagingNode):
        return (CORRECTIONS,) if node.has_quarantine else ()
    names = [NEW_COLUMNS]
    source = node.source
    if told_dimensions(source, node.partitions):
        names.append(OUTSIDE)
    if isinstance(source, Topic):
        names.append(LOST)
    if isinstance(source, Files):
        names.append(BAD_FILES)
    if node.increments and node.increments.cursor:
        names.append(WITHOUT_CURSOR)
    if node.lookback:
        names.append(LOOKBACK)
    if node.on_error == "use_last_good":
        names.append(LAST_GOOD)
    return tuple(names)


def notice_check(name: str, location: Location) -> RowCountCheck:
    """The check behind a notice."""
    return RowCountCheck(name, "warn", None, None, location, _ABOUT[name], kind="notice")


def further_checks(node: AnyNode) -> list[RowCountCheck]:
    """The checks that an asset's step gives results of besides those of its rules."""
    names = notices_of(node) if isinstance(node, RawNode | StagingNode) else ()
    budget = (BUDGET,) if node.budget else ()
    return [notice_check(name, node.location) for name in (*names, *budget)]
