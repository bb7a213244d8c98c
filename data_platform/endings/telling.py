"""Calls `on_finish` of the pipelines of an ended run, once for each.

Called by `running` after each of its runs, and by `automation.endings` for all others. Who calls
holds a lock meanwhile, and marks the run when the function has ended, however it did. So a run is
told twice only if the machine goes away between the two, and never not at all.
"""

from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager

import dagster as dg
import psycopg2

from data_platform.asset_specs import asset_key
from data_platform.endings.calling import HOOK_SECONDS, call
from data_platform.endings.reading import facts_of
from data_platform.instance.liveness import lock_key
from data_platform.instance.run_storage import PlatformRunStorage
from data_platform.plan.pipelines import PipelinePlan

FINISHED_TAG = ".dagster/data_platform_finished."
"""Of a run, with a pipeline's name behind it: `on_finish` was called. Hidden in the UI."""


def tell_end(
    instance: dg.DagsterInstance,
    run_id: str,
    pipelines: Iterable[PipelinePlan],
    seconds: float = HOOK_SECONDS,
) -> list[str]:
    """Call the functions that haven't been called for a run.

    Args:
        instance: Dagster's.
        run_id: of the run; nothing happens while it isn't over.
        pipelines: those that it may be of.
        seconds: that each function has.

    Returns:
        What went wrong, in words; it is in the run's log, too.
    """
    complaints: list[str] = []
    for pipeline in pipelines:
        run = instance.get_run_by_id(run_id)
        if pipeline.on_finish is None or run is None or not _awaits(run, pipeline):
            continue
        with _alone(instance, f"{run_id} {pipeline.name}") as alone:
            again = instance.get_run_by_id(run_id)
            if not alone or again is None or not _awaits(again, pipeline):
                continue
            facts = facts_of(instance, run_id, pipeline)
            complaint = call(pipeline.on_finish, facts, seconds) if facts else None
            if complaint:
                complaints.append(complaint)
                instance.report_engine_event(f"on_finish of {pipeline.name}: {complaint}", again)
            # A run that was made from this one has its tags, and another identity.
            instance.add_run_tags(run_id, {f"{FINISHED_TAG}{pipeline.name}": run_id})
    return complaints


def _awaits(run: dg.DagsterRun, pipeline: PipelinePlan) -> bool:
    """Whether a run is over, is of the pipeline, and wasn't told of."""
    if not run.is_finished or run.tags.get(f"{FINISHED_TAG}{pipeline.name}") == run.run_id:
        return False
    selected = run.asset_selection or frozenset()
    return any(asset_key(node.key) in selected for node in pipeline.nodes)


@contextmanager
def _alone(instance: dg.DagsterInstance, about: str) -> Generator[bool]:
    """Whether nobody else is at it now. The lock ends with this process, however that ends."""
    storage = instance.run_storage
    if not isinstance(storage, PlatformRunStorage):
        yield True
        return
    with closing(psycopg2.connect(storage.postgres_url, connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(f"finish {about}")])
            yield cursor.fetchone() == (True,)
