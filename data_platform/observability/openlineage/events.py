"""From a moment of an asset's step to the event of OpenLineage that tells it.

Called by `following`. A function of the moment and the plan alone: told again, it is the same event
of the same run, which is how whoever takes it knows that it has it already.
"""

import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import attr
import dagster
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    OutputDatasetFacet,
    RunFacet,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    error_message_run,
    extraction_error_run,
    input_statistics_input_dataset,
    lifecycle_state_change_dataset,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    set_producer,
)
from openlineage.client.serde import Serde

from data_platform.observability.openlineage.describing import Descriptions
from data_platform.observability.openlineage.moments import Moment
from data_platform.observability.openlineage.open_steps import MAX_KEYS, AssetMade, Check, OpenStep
from data_platform.plan.destinations.kinds import FileTarget
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode, DestinationNode, LakeNode, RawNode

VERSION = version("data-platform")
PRODUCER = f"urn:data-platform:{VERSION}"
MOST_TEXT = 10_000
"""Characters of what an error says."""
_RUNS = uuid.UUID("5f6f6b1c-6b0f-5d0e-9d0c-3c1f6a0a8f11")
"""In which the ids of runs are made; another one would make every run a new one."""
_IMPLICIT_JOB = "__ASSET_JOB"
_DOCUMENT = "urn:data-platform:openlineage:1-0-0:PartitionsRunFacet"

set_producer(PRODUCER)


@attr.define
class PartitionsRunFacet(RunFacet):
    """The partitions of a run; see `partitions_facet.json`."""

    count: int
    keys: list[str]
    published: int | None = attr.field(default=None)
    unchanged: int | None = attr.field(default=None)
    failed: list[str] | None = attr.field(default=None)

    @staticmethod
    def _get_schema() -> str:
        return f"{_DOCUMENT}#/$defs/PartitionsRunFacet"


def event_of(moment: Moment, descriptions: Descriptions) -> dict[str, Any]:
    """The event of a moment, as JSON has it."""
    node = descriptions.plan[moment.key]
    made = moment.step.made.get(str(moment.key), AssetMade())
    facets = _run_facets(moment, node, made, descriptions.namespace)
    ended = moment.what != "START"
    event = RunEvent(
        eventTime=_time(moment.at),
        eventType=RunState(moment.what),
        run=Run(run_id_of(moment.step, str(moment.key)), facets),
        job=descriptions.job(node),
        inputs=_inputs(node, made, descriptions, ended=ended),
        outputs=_outputs(moment, node, made, descriptions)
        if ended
        else [OutputDataset(*descriptions.output(node))],
        producer=PRODUCER,
    )
    return Serde.to_dict(event)


def bare_event(moment: Moment, descriptions: Descriptions, error: Exception) -> dict[str, Any]:
    """The event of a moment of which no more can be told than that it was, and why.

    Args:
        moment: of an asset.
        descriptions: of the plan.
        error: that came of describing it.
    """
    text = f"{type(error).__name__}: {error}"[:MOST_TEXT]
    failure = extraction_error_run.Error(errorMessage=text, task=str(moment.key))
    facet = extraction_error_run.ExtractionErrorRunFacet(1, 1, [failure])
    event = RunEvent(
        eventTime=_time(moment.at),
        eventType=RunState(moment.what),
        run=Run(run_id_of(moment.step, str(moment.key)), {"extractionError": facet}),
        job=Job(descriptions.namespace, descriptions.job_name(moment.key)),
        producer=PRODUCER,
    )
    return Serde.to_dict(event)


def run_id_of(step: OpenStep, asset: str) -> str:
    """The id of a try of a step for an asset: the same whenever it is asked for."""
    return str(uuid.uuid5(_RUNS, f"{step.run_id}/{asset}/{step.attempt}"))


# Runs -----------------------------------------------------------------------------------------


def _run_facets(
    moment: Moment, node: AnyNode, made: AssetMade, namespace: str
) -> dict[str, RunFacet]:
    step = moment.step
    job = "assets" if step.job == _IMPLICIT_JOB else step.job
    facets: dict[str, RunFacet] = {
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(_as_uuid(step.run_id)),
            job=parent_run.Job(namespace, job),
            root=parent_run.Root(
                run=parent_run.RootRun(_as_uuid(step.root)),
                job=parent_run.RootJob(namespace, job),
            ),
        ),
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=dagster.__version__, name="Dagster", openlineageAdapterVersion=VERSION
        ),
    }
    keys = step.wanted.get(str(moment.key), [])
    if keys:
        facets["data_platform_partitions"] = _partitions(moment, keys, made)
    if keys and node.partitions is not None and node.partitions.time is not None:
        # Keys sort as their times do.
        facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(
            node.partitions.window(min(keys))[0].isoformat(),
            node.partitions.window(max(keys))[1].isoformat(),
        )
    if moment.message:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            moment.message[:MOST_TEXT], "PYTHON"
        )
    return facets


def _partitions(moment: Moment, keys: list[str], made: AssetMade) -> PartitionsRunFacet:
    if moment.what == "START":
        return PartitionsRunFacet(len(keys), keys[:MAX_KEYS])
    failed = [key for key in moment.failed if key != WHOLE][:MAX_KEYS]
    return PartitionsRunFacet(
        len(keys), keys[:MAX_KEYS], made.count, made.unchanged, failed or None
    )


# Datasets -------------------------------------------------------------------------------------


def _inputs(
    node: AnyNode, made: AssetMade, descriptions: Descriptions, *, ended: bool
) -> list[InputDataset]:
    found = descriptions.inputs(node)
    if not ended:
        return [InputDataset(*one.named) for one in found]
    # Of several nobody counts whose rows they were.
    counted = made.rows_in is not None and len(found) == 1
    read = (
        {
            "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                rowCount=made.rows_in
            )
        }
        if counted
        else {}
    )
    return [
        InputDataset(*one.named, inputFacets=dict(read), facets=descriptions.facets_of_input(one))
        for one in found
    ]


def _outputs(
    moment: Moment, node: AnyNode, made: AssetMade, descriptions: Descriptions
) -> list[OutputDataset]:
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
    if isinstance(node, LakeNode) and node.has_quarantine:
        held = moment.step.made.get(str(node.quarantine_key))
        if held is not None:
            named, about = descriptions.quarantine(node)
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


# Forms ----------------------------------------------------------------------------------------


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _as_uuid(run_id: str) -> str:
    """The id of a run of Dagster's; one that somebody chose isn't always a UUID."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(_RUNS, run_id))
