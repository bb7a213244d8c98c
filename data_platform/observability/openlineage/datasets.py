"""What the step of an asset read and wrote, with what became of it.

Called by `events`. What is known before a run comes from `describing`, what a run did from what is
known of its step.
"""

from typing import Any

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    InputDatasetFacet,
    OutputDatasetFacet,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    input_statistics_input_dataset,
    lifecycle_state_change_dataset,
    output_statistics_output_dataset,
)

from data_platform.observability.openlineage.describing import Descriptions
from data_platform.observability.openlineage.open_steps import AssetMade, Check, OpenStep
from data_platform.plan.destinations.kinds import FileTarget
from data_platform.plan.nodes import AnyNode, DestinationNode, LakeNode, RawNode


def inputs_of(node: AnyNode, made: AssetMade, descriptions: Descriptions) -> list[InputDataset]:
    """What a step read.

    Args:
        node: the asset.
        made: what the step made of it.
        descriptions: of the plan.
    """
    found = descriptions.inputs(node)
    read: dict[str, InputDatasetFacet] = {}
    if made.rows_in is not None and len(found) == 1:
        # Of several nobody counts whose rows they were.
        read["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=made.rows_in
        )
    return [
        InputDataset(*one.named, inputFacets=dict(read), facets=descriptions.facets_of_input(one))
        for one in found
    ]


def outputs_of(step: OpenStep, node: AnyNode, descriptions: Descriptions) -> list[OutputDataset]:
    """What a step wrote: the asset, and the quarantine beside it.

    Args:
        step: that has ended.
        node: the asset.
        descriptions: of the plan.
    """
    made = step.made.get(str(node.key), AssetMade())
    facets: dict[str, Any] = descriptions.facets_of_output(node, made.columns, made.origins)
    if made.delta_version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(made.delta_version)
    if made.checks:
        facets["dataQualityAssertions"] = _assertions(node, made.checks)
    if _overwrites(node) and made.count > made.unchanged:
        facets["lifecycleStateChange"] = (
            lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(
                lifecycle_state_change_dataset.LifecycleStateChange.OVERWRITE
            )
        )
    found = [
        OutputDataset(*descriptions.output(node), facets=facets, outputFacets=_statistics(made))
    ]
    if isinstance(node, LakeNode) and str(node.quarantine_key) in step.made:
        named, about = descriptions.quarantine(node)
        held = step.made[str(node.quarantine_key)]
        found.append(OutputDataset(*named, facets=about, outputFacets=_statistics(held)))
    return found


def _statistics(made: AssetMade) -> dict[str, OutputDatasetFacet]:
    """What was written; nothing where nothing was published."""
    if not made.count:
        return {}
    return {
        "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=made.rows, size=made.bytes
        )
    }


def _overwrites(node: AnyNode) -> bool:
    """Whether what is written takes the place of what was there."""
    match node:
        case RawNode():
            return node.increments is None
        case DestinationNode():
            return isinstance(node.target, FileTarget) or node.target.write.startswith("replace")
        case _:
            return True


def _assertions(
    node: AnyNode, found: list[Check]
) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    known = {check.name: check for check in node.checks}
    assertions: list[data_quality_assertions_dataset.Assertion] = []
    for one in found:
        check = known.get(one.name)
        columns: tuple[str, ...] = getattr(check, "columns", ()) if check else ()
        assertions.append(
            data_quality_assertions_dataset.Assertion(
                assertion=check.kind if check else "notice",
                success=one.passed,
                column=columns[0] if len(columns) == 1 else None,
                severity="error" if check and check.effect == "fail" else one.severity,
                name=one.name,
                description=check.description if check else None,
                expected=one.expected,
                actual=one.actual,
                params=None,
            )
        )
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions)
