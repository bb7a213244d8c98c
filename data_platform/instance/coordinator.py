"""Puts runs into the queue with what their pipelines say of them, and holds pipelines to it.

Named by `dagster.yaml`. A run is given its priority, the resources of its pod and the tags by which
the runs of a pipeline are counted, unless it has them; and who started it, where the UI knows that.
Dagster's daemon asks for the limits of tags at each look at its queue; those of pipelines are the
ones that runs in the queue tell.
"""

from collections.abc import Mapping
from typing import Any

from dagster import DagsterRun
from dagster._core.remote_representation.external import RemoteRepository
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import (
    QueuedRunCoordinator,
    RunQueueConfig,
)
from dagster._core.storage.tags import PARENT_RUN_ID_TAG
from dagster._core.storage.tags import USER_TAG as SHOWN_USER_TAG
from dagster._core.workspace.context import WorkspaceRequestContext

from data_platform.instance.pool_limits import apply_limits
from data_platform.instance.run_limits import ACTIVE_RUNS_TAG, RunLimits
from data_platform.instance.run_storage import PlatformRunStorage
from data_platform.instance.users import NOBODY_KNOWN, USER_TAG, user_of_request, user_tags


class PlatformRunCoordinator(QueuedRunCoordinator[Any]):
    """Dagster's queue, with limits of pipelines.

    In `dagster.yaml`: `run_coordinator: {module: data_platform.instance.coordinator, class:
    PlatformRunCoordinator, config: {...}}`; the configuration is QueuedRunCoordinator's.
    `tag_concurrency_limits` belong there too: in `concurrency.runs` they would replace these.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag a run, bring the pools in step with platform.yaml, and put it into the queue."""
        run, repository = context.dagster_run, _repository(context)
        started = _started_by(context)
        if started:
            self._instance.add_run_tags(run.run_id, started)
        if repository is not None:
            limits = RunLimits.of(repository.repository_snap.metadata or {})
            apply_limits(self._instance, limits.pools, limits.owner)
            tags = limits.tags(_assets(run, repository))
            missing = {name: text for name, text in tags.items() if name not in run.tags}
            if missing:
                self._instance.add_run_tags(run.run_id, missing)
        return super().submit_run(context)

    def get_run_queue_config(self) -> RunQueueConfig:
        """Limits of the file, and of the pipelines that wait. Asked at each look at the queue."""
        config = super().get_run_queue_config()
        limits = [*config.tag_concurrency_limits, *self._limits_of_pipelines()]
        return config._replace(tag_concurrency_limits=limits)

    def _limits_of_pipelines(self) -> list[Mapping[str, Any]]:
        storage = self._instance.run_storage
        if not isinstance(storage, PlatformRunStorage):
            return []
        told = storage.tags_in_queue(ACTIVE_RUNS_TAG)
        return [
            {"key": name, "limit": int(text)} for name, text in told.items() if text.isdecimal()
        ]


def _started_by(context: SubmitRunContext) -> dict[str, str]:
    """The tags of who starts a run in Dagster's UI, whatever its own tags say.

    A run that is made again has the tags of the first one, and with them who started that.
    """
    user = user_of_request()
    if user is not None:
        return user_tags(user)
    workspace = context.workspace
    asked = isinstance(workspace, WorkspaceRequestContext) and workspace.source is not None
    again = PARENT_RUN_ID_TAG in context.dagster_run.tags
    names = {USER_TAG, SHOWN_USER_TAG} & context.dagster_run.tags.keys()
    return dict.fromkeys(sorted(names), NOBODY_KNOWN) if asked and again else {}


def _repository(context: SubmitRunContext) -> RemoteRepository | None:
    """The definitions that a run is of; None where its code location isn't there."""
    origin = context.dagster_run.remote_job_origin
    if origin is None:
        return None
    location = origin.repository_origin.code_location_origin.location_name
    if not context.workspace.has_code_location(location):
        return None
    name = origin.repository_origin.repository_name
    return context.workspace.get_code_location(location).get_repository(name)


def _assets(run: DagsterRun, repository: RemoteRepository) -> list[str]:
    """The assets that a run is to make: those that are selected, or all of its job."""
    keys = run.asset_selection or {
        node.asset_key for node in repository.get_asset_node_snaps(run.job_name)
    }
    return sorted("/".join(key.path) for key in keys)
