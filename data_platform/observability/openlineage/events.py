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
    RunFacet,
    error_message_run,
    extraction_error_run,
    nominal_time_run,
    parent_run,
    processing_engine_run,
    set_producer,
)
from openlineage.client.serde import Serde

from data_platform.observability.openlineage.datasets import inputs_of, outputs_of
from data_platform.observability.openlineage.describing import Descriptions
from data_platform.observability.openlineage.moments import Moment
from data_platform.observability.openlineage.open_steps import MAX_KEYS, AssetMade, OpenStep
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode

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
    if moment.what == "START":
        read = [InputDataset(*one.named) for one in descriptions.inputs(node)]
        written = [OutputDataset(*descriptions.output(node))]
    else:
        read = inputs_of(node, made, descriptions)
        written = outputs_of(moment.step, node, descriptions)
    event = RunEvent(
        eventTime=_time(moment.at),
        eventType=RunState(moment.what),
        run=Run(run_id_of(moment.step, str(moment.key)), facets),
        job=descriptions.job(node),
        inputs=read,
        outputs=written,
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


# Forms ----------------------------------------------------------------------------------------


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _as_uuid(run_id: str) -> str:
    """The id of a run of Dagster's; one that somebody chose isn't always a UUID."""
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        return str(uuid.uuid5(_RUNS, run_id))
