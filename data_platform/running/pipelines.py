"""`data-platform run`: one Dagster run for a range, then follow-ups for what is sound.

Called by the command, by replays and by tests. When partitions fail, what lies below them is run
for the others, over contiguous ranges.
"""

import time
from datetime import datetime

import dagster as dg

from data_platform.automation.pools import set_pools
from data_platform.errors import PermanentError
from data_platform.instance.launcher import reap_dead_runs
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.partitions import Partitions
from data_platform.plan.run_settings import run_values
from data_platform.range_runs.open_work import Standing, open_work
from data_platform.range_runs.parts import Part, parts_of
from data_platform.run_reports import AssetReport, RunReport
from data_platform.run_tags import CAUSE_TAG, FORCE_TAG
from data_platform.running.asked import Registered, asked_for
from data_platform.running.requests import Request, left_out, pipeline_of, selected
from data_platform.running.runner import Progress, Runner


def run_pipeline(
    definitions: dg.Definitions,
    loaded: Loaded,
    instance: dg.DagsterInstance,
    request: Request,
    progress: Progress,
    now: datetime,
) -> RunReport:
    """Run assets of a pipeline and record it.

    Args:
        definitions: of everything.
        loaded: the pipelines.
        instance: Dagster's.
        request: what to run.
        progress: told of each step.
        now: aware; decides which partitions are due.

    Raises:
        PermanentError: there is no such pipeline, asset, partition or parameter.
    """
    started = time.monotonic()
    pipeline = pipeline_of(loaded, request.pipeline)
    nodes = selected(pipeline, request.select)
    if request.register:
        _register(instance, {node.partitions for node in nodes if node.partitions}, request)
    wanted = asked_for(nodes, request, now, registered_in(instance))
    nodes = [node for node in nodes if node.key in wanted]
    values = run_values(request.settings, nodes)
    reap_dead_runs(instance)
    set_pools(instance, loaded.workspace.platform)
    tags = {CAUSE_TAG: request.cause, **({FORCE_TAG: "true"} if request.force else {})}
    runner = Runner(definitions, instance, progress, values, tags, [pipeline])
    reports: dict[Key, AssetReport] = {}
    standing = Standing()
    while parts := parts_of(nodes, open_work(nodes, wanted, standing)):
        for part in parts:
            made = runner.run(part)
            reports = merged(reports, made)
            if take_down(standing, part, made):
                break
    return RunReport(
        tuple(runner.run_ids),
        tuple(reports.get(node.key, AssetReport(node.key)) for node in nodes),
        time.monotonic() - started,
        left_out(pipeline, request.select),
    )


def take_down(standing: Standing, part: Part, made: dict[Key, AssetReport]) -> bool:
    """Add what a run did to what is known; tells whether anything failed.

    Where no step failed and some didn't run at all, the run itself did: tried again it would fail
    again.
    """
    nothing_failed = not any(report.failed for report in made.values())
    for node in part.nodes:
        report, own = made[node.key], part.keys_of(node)
        if report.state != "skipped":
            standing.add(node.key, set(own) - set(report.failed), report.failed)
        elif nothing_failed:
            standing.add(node.key, failed=own)
    return any(report.state != "success" for report in made.values())


def merged(reports: dict[Key, AssetReport], more: dict[Key, AssetReport]) -> dict[Key, AssetReport]:
    """Reports of several runs together."""
    return reports | {
        key: reports[key].with_more(report) if key in reports else report
        for key, report in more.items()
    }


def registered_in(instance: dg.DagsterInstance) -> Registered:
    """Knows keys that are registered as they come."""
    return lambda name: list(instance.get_dynamic_partitions(name))


def _register(instance: dg.DagsterInstance, kinds: set[Partitions], request: Request) -> None:
    dynamic = {kind.dynamic: kind for kind in kinds if kind.dynamic}
    if not dynamic or not request.partition:
        raise PermanentError(
            "--register goes with --partition, and with assets whose partitions are `dynamic`"
        )
    for name, kind in sorted(dynamic.items()):
        # What is no key is refused by whoever looks for its partition.
        if kind.is_key(request.partition):
            instance.add_dynamic_partitions(name, [request.partition])
