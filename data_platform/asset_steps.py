"""The step of a node in Dagster: one op that makes one asset and judges it by its checks.

Called by the stages' `assets.py` and by `lake_steps`, which say what a step does. Dagster's
decorator reads the signature of each step a dozen times and the type of each output three times;
the steps of the platform are all alike, so the two definitions that it makes are made here. A test
compares them with those of the decorator.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, cast

import dagster as dg

from data_platform.asset_specs import check_specs
from data_platform.instance.pods import KUBERNETES_TAG, container_config
from data_platform.instance.pool_slots import POOL_SLOTS_TAG
from data_platform.logs.surroundings import about, name_step, partition_of
from data_platform.plan.checks.notices import further_checks
from data_platform.plan.nodes import AnyNode, Node
from data_platform.run_config import config_schema

Step = Callable[[dg.AssetExecutionContext], Iterator[Any]]
_Resources = Mapping[str, dg.ResourceDefinition]

_PRIORITY = {"low": -1, "medium": 0, "high": 1, "critical": 2}
_UPSTREAM = dg.In(dg.Nothing)
_OUTCOME = dg.Out(cast("Any", dg.Any))
"""Of a check; one for all, since an output has its name elsewhere."""


class _StepAsset(dg.AssetsDefinition):
    """An asset that is bound to resources with all others that need the same ones.

    Dagster's own way makes each asset anew and looks through the resources for each of its outputs.
    """

    _bound: ClassVar[tuple[_Resources, dict[frozenset[str], _Resources]]] = ({}, {})
    """What assets were bound to last, and what of it each set of keys comes to."""

    def with_resources(self, resource_defs: _Resources) -> dg.AssetsDefinition:
        """The asset with the resources that it needs."""
        if _StepAsset._bound[0] is not resource_defs:
            _StepAsset._bound = (resource_defs, {})
        _, known = _StepAsset._bound
        needs = frozenset(self.op.required_resource_keys)
        if self.resource_defs or needs not in known:
            bound = super().with_resources(resource_defs)
            known[needs] = bound.resource_defs
        else:
            bound = copy.copy(self)
            bound._resource_defs = known[needs]  # noqa: SLF001 -- of the same class
        return bound


def step_asset(
    node: AnyNode,
    spec: dg.AssetSpec,
    step: Step,
    resources: set[str],
) -> dg.AssetsDefinition:
    """The Dagster asset of a node.

    Retries aren't Dagster's: the step asks for each by itself, see `reporting.tries`.

    Args:
        node: what it is.
        spec: what Dagster shows of it.
        step: makes it.
        resources: that `step` needs.
    """
    inputs = {_input_name(dep.asset_key): dep.asset_key for dep in spec.deps}
    output = spec.key.to_python_identifier()
    checks = {
        check.get_python_identifier(): check for check in check_specs(node, further_checks(node))
    }
    op = dg.OpDefinition(
        compute_fn=_compute(step, lines_of([node])),
        name=node.step_name,
        ins=dict.fromkeys(inputs, _UPSTREAM),
        outs={output: _made(spec), **dict.fromkeys(checks, _OUTCOME)},
        config_schema=config_schema(node.run_parameters) or {},
        required_resource_keys=resources,
        tags=step_tags(node),
        pool=node.pool,
    )
    return _StepAsset(
        keys_by_input_name=inputs,
        keys_by_output_name={output: spec.key},
        node_def=op,
        backfill_policy=backfill_policy(node),
        check_specs_by_output_name=checks,
        specs=[spec],
    )


def backfill_policy(node: AnyNode) -> dg.BackfillPolicy | None:
    """How Dagster's own backfills put partitions into runs."""
    if node.partitions is None:
        return None
    if node.partitions_per_run is None:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(node.partitions_per_run)


def priority_of(node: Node) -> int:
    """Of its step, and of a run that begins with it: what it says, or its criticality."""
    return _PRIORITY[node.criticality] if node.priority is None else node.priority


def step_tags(node: Node) -> dict[str, str]:
    """What Dagster and its executors read of a step: priority, slots, CPU and memory."""
    tags = {"dagster/priority": str(priority_of(node))}
    if node.pool_slots > 1:
        tags[POOL_SLOTS_TAG] = str(node.pool_slots)
    if node.resources:
        tags[KUBERNETES_TAG] = json.dumps(container_config([node.resources]))
    return tags


def _input_name(key: dg.AssetKey) -> str:
    return "_".join(key.path).replace("-", "_").replace(".", "_")


def _made(spec: dg.AssetSpec) -> dg.Out:
    return dg.Out(
        dg.Nothing,
        description=spec.description,
        metadata=spec.metadata,
        code_version=spec.code_version,
    )


def lines_of(
    nodes: Sequence[AnyNode],
) -> Callable[[dg.AssetExecutionContext], AbstractContextManager[None]]:
    """Tells lines of logs what they are about: of a step that makes these assets.

    Returns:
        What is entered where the step begins.
    """
    first = nodes[0]
    name_step(
        first.step_name,
        {
            "pipeline": first.key.pipeline,
            "layer": first.key.layer,
            "asset": ", ".join(str(node.key) for node in nodes),
        },
    )

    def lines(context: dg.AssetExecutionContext) -> AbstractContextManager[None]:
        origin = context.run.remote_job_origin
        location = origin and origin.repository_origin.code_location_origin.location_name
        return about(
            {
                "run": context.run.run_id,
                "job": context.run.job_name,
                "code_location": location,
                "step": first.step_name,
                "partition": partition_of(context.run.tags),
                "try": context.retry_number + 1,
            }
        )

    return lines


def _compute(
    step: Step, lines: Callable[[dg.AssetExecutionContext], AbstractContextManager[None]]
) -> Callable[..., Iterator[Any]]:
    """A step as Dagster calls it, which reads from the signature what the context must be."""

    def compute(context: dg.AssetExecutionContext, inputs: Mapping[str, object]) -> Iterator[Any]:  # noqa: ARG001
        with lines(context):
            yield from step(context)

    return compute
