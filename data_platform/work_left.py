"""What is left of a step's work: partitions that would be built from something else than last time.

Called by `lake_steps` and `handwritten.assets` before a step works. The lake alone tells what
partitions were built from; Dagster is only asked whether somebody forces the run, and whether the
results of checks are true of what stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from data_platform.plan.nodes import LakeNode
from data_platform.plan.purity import same_from_same
from data_platform.quality.gate import Passage
from data_platform.reporting.unchanged import may_stand_as_judged
from data_platform.run_tags import is_forced
from data_platform.storage.built_from import Standing, standing_of
from data_platform.storage.workbench import Workbench

NOTHING = Passage(None, {}, [])
"""What came of a step that had nothing to do."""


@dataclass(frozen=True)
class WorkLeft:
    """The work of a step.

    Attributes:
        keys: the partitions that are left to be built; none where all stand.
        workbench: on which to build them: it keeps what they are built from with them.
        unchanged: the partitions that stand.
        found: what was found of each asset that the step makes; none where it wasn't looked for.
    """

    keys: Sequence[str]
    workbench: Workbench
    unchanged: Sequence[str] = ()
    found: Sequence[Standing] = field(default_factory=tuple)

    def whole(self, passage: Passage, number: int = 0) -> Passage:
        """What came of an asset, with what stands of it; `number` is of the asset in the step."""
        if not self.found:
            return passage
        one = self.found[number]
        return replace(
            passage,
            upstreams=passage.upstreams or one.upstreams,
            unchanged={key: one.unchanged[key] for key in self.unchanged},
            standing=None if self.keys else one.own,
        )


def work_left(
    context: dg.AssetExecutionContext,
    nodes: Sequence[LakeNode],
    keys: Sequence[str],
    workbench: Workbench,
) -> WorkLeft:
    """Tell which partitions a step has to build.

    Args:
        context: of the step.
        nodes: the assets that it makes.
        keys: their partitions, or `WHOLE` alone.
        workbench: of the step.
    """
    if not all(same_from_same(node) for node in nodes):
        return WorkLeft(keys, workbench)
    configuration = str(context.op_execution_context.op_config or "")
    found = [standing_of(node, keys, workbench, configuration) for node in nodes]
    lake = workbench.lake
    for node, one in zip(nodes, found, strict=True):
        lake = lake.for_step(node.key, one.inputs, one.prints)
    workbench = replace(workbench, lake=lake)
    unchanged = [key for key in keys if all(key in one.unchanged for one in found)]
    judged = len(unchanged) < len(keys) or all(
        may_stand_as_judged(context, node, one.run) for node, one in zip(nodes, found, strict=True)
    )
    if is_forced(context.run.tags) or not judged:
        unchanged = []
    left = [key for key in keys if key not in set(unchanged)]
    return WorkLeft(left, workbench, unchanged, found)
