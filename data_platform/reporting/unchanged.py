"""Partitions on which a step did no work: they stand, and are reported as what they are.

Called by `lake_steps`. A materialization counts for freshness and for whoever waits for the asset;
its data version is the old one, so nothing below it is taken for stale.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.execution.stats import StepEventStatus

from data_platform.plan.checks.notices import notices_of
from data_platform.plan.keys import Key
from data_platform.plan.nodes import LakeNode, RawNode, StagingNode
from data_platform.reporting.events import PartitionEvent, inputs_of, record_materializations
from data_platform.reporting.figures import rows_label
from data_platform.reporting.unjudged import last_result
from data_platform.storage.versions import PartitionVersion, Snapshot

UNCHANGED = "unchanged: same inputs, code and configuration"


def checks_of(node: LakeNode) -> list[str]:
    """The names of all checks whose results a step gives."""
    notices = notices_of(node) if isinstance(node, RawNode | StagingNode) else ()
    return [*(check.name for check in node.checks), *notices]


def may_stand_as_judged(context: dg.AssetExecutionContext, node: LakeNode, run: str) -> bool:
    """Whether the last results of all checks are true of what stands.

    What failed was another candidate than the version that stands; what was never judged, or whose
    results are gone, has to be. So has what a step published that broke off before it told them.

    Args:
        context: of the step.
        node: the asset.
        run: that published what stands.
    """
    names = checks_of(node)
    step = context.get_step_execution_context().step.key
    tries = context.instance.get_run_step_stats(run, [step]) if names and run else []
    if any(one.status != StepEventStatus.SUCCESS for one in tries):
        return False
    results = (last_result(context, node, name) for name in names)
    return all(
        last is not None and (last.passed or last.severity == dg.AssetCheckSeverity.WARN)
        for last in results
    )


def record_unchanged(
    context: dg.AssetExecutionContext,
    node: LakeNode,
    standing: Mapping[str, PartitionVersion],
    upstreams: Mapping[str, Snapshot],
    events: Mapping[Key, int | None],
    once: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write a materialization of each partition that stands.

    Args:
        context: of the step.
        node: the asset.
        standing: the versions.
        upstreams: the snapshots of its inputs, by relation.
        events: as `newest_events` gave them before the lake was read.
        once: what partitions tell besides.
    """
    rows = rows_label(node)
    found = {
        key: PartitionEvent(
            version.data_version,
            {
                **once.get(key, {}),
                rows: version.rows,
                "unchanged": True,
                "why": UNCHANGED,
            },
            inputs_of(node, key, upstreams, events),
        )
        for key, version in standing.items()
    }
    record_materializations(context, node.key, node.code_version, found)
