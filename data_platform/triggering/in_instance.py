"""Runs launched through Dagster's storage: no webserver is asked, the daemon takes them up.

Called by the command. Where the code is served is what the daemon noted of its own sensors, so that
the run is as one that a sensor asked for.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.errors import DagsterRunAlreadyExists, DagsterUserCodeUnreachableError
from dagster._core.origin import JobPythonOrigin
from dagster._core.remote_origin import (
    CodeLocationOrigin,
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from data_platform.asset_specs import asset_key
from data_platform.errors import PermanentError, StorageUnavailable
from data_platform.loading import Loaded
from data_platform.range_runs.parts import Part, parts_of
from data_platform.range_runs.tags import partition_tags
from data_platform.running.asked import asked_for
from data_platform.running.pipelines import registered_in
from data_platform.running.requests import Request, pipeline_of, selected
from data_platform.triggering.asked import TRIGGER_TAG, Asked, Launched

_OWN_SENSOR = "pipelines_valid"
"""Every code location of the platform has it, on from the first start."""


class InInstance:
    """Launches through the instance.

    Args:
        definitions: of everything.
        loaded: the pipelines.
        instance: Dagster's.
        now: aware; decides which partition is the newest.
    """

    def __init__(
        self,
        definitions: dg.Definitions,
        loaded: Loaded,
        instance: dg.DagsterInstance,
        now: datetime,
    ) -> None:
        self._definitions = definitions
        self._loaded = loaded
        self._instance = instance
        self._now = now

    def launch(self, asked: Asked) -> Launched:
        """Launch the run, or find the one of its key.

        Raises:
            PermanentError: there is no such asset or partition, or one run can't make all.
            StorageUnavailable: no daemon has served these pipelines yet, or nobody serves them now.
        """
        if asked.key:
            filters = dg.RunsFilter(tags={TRIGGER_TAG: asked.tags[TRIGGER_TAG]})
            if known := self._instance.get_runs(filters):
                return _launched(known[-1].run_id, is_new=False)
        part = self._part(asked)
        with self._served() as (origin, location):
            try:
                run = self._created(asked, part, origin, location)
            except DagsterRunAlreadyExists:
                return _launched(asked.run_id, is_new=False)
            workspace = cast("Any", _OneLocation(location))
            self._instance.run_coordinator.submit_run(SubmitRunContext(run, workspace))
        return _launched(run.run_id, is_new=True)

    def status(self, run_id: str) -> str:
        """Of a run, as Dagster calls it."""
        run = self._instance.get_run_by_id(run_id)
        if run is None:
            raise PermanentError(f"the run {run_id} isn't there any more: somebody removed it")
        return run.status.value

    def daemon_is_alive(self) -> bool:
        """Whether somebody takes runs up."""
        known = self._instance.get_daemon_statuses()
        return any(status.healthy for status in known.values())

    def _part(self, asked: Asked) -> Part:
        request = Request(asked.pipeline, asked.partition, select=asked.select)
        nodes = selected(pipeline_of(self._loaded, asked.pipeline), asked.select)
        wanted = asked_for(nodes, request, self._now, registered_in(self._instance))
        nodes = [node for node in nodes if node.key in wanted]
        first, *more = parts_of(nodes, wanted)
        if more:
            kinds = "; ".join(
                ", ".join(f"{node.key.layer}/{node.key.name}" for node in part.nodes)
                for part in (first, *more)
            )
            raise PermanentError(
                f"one run can't make partitions of several kinds: {kinds}. Name those of one kind "
                "with --select; what is below them runs by its own automation"
            )
        return first

    def _created(
        self,
        asked: Asked,
        part: Part,
        origin: RemoteRepositoryOrigin,
        location: GrpcServerCodeLocation,
    ) -> dg.DagsterRun:
        code = location.get_repository(origin.repository_name).get_python_origin()
        wanted = frozenset(asset_key(node.key) for node in part.nodes)
        job = self._definitions.resolve_implicit_global_asset_job_def()
        return self._instance.create_run_for_job(
            job.get_subset(asset_selection=set(wanted)),
            run_id=asked.run_id,
            tags={**asked.tags, **partition_tags(part.partitions, part.keys)},
            asset_selection=wanted,
            remote_job_origin=RemoteJobOrigin(origin, job.name),
            job_code_origin=JobPythonOrigin(job.name, code),
        )

    @contextmanager
    def _served(self) -> Generator[tuple[RemoteRepositoryOrigin, GrpcServerCodeLocation]]:
        """Where the daemon has the code served."""
        states = self._instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        own = [state for state in states if state.instigator_name == _OWN_SENSOR]
        if not own:
            raise StorageUnavailable(
                "no daemon has served these pipelines yet: start `dagster dev`, or let this "
                "process run them with `data-platform run`"
            )
        newest = max(own, key=lambda state: _last_tick(state.instigator_data))
        origin = newest.origin.repository_origin
        with _opened(origin.code_location_origin, self._instance) as location:
            yield origin, location


def _opened(
    served: CodeLocationOrigin, instance: dg.DagsterInstance
) -> AbstractContextManager[GrpcServerCodeLocation]:
    """The code location, as it is served.

    Dagster notes where a sensor's code was when it was seen first: a `dagster dev` that was started
    anew serves it at another socket. A server of our own loads the same then. Who takes the run up
    knows the location by its name.
    """
    if isinstance(served, GrpcServerCodeLocationOrigin):
        try:
            return served.create_location(instance)
        except DagsterUserCodeUnreachableError as error:
            if served.socket is None or not served.additional_metadata:
                place = f"{served.location_name} at {served.host}:{served.port}"
                raise StorageUnavailable(
                    f"the code server {place} doesn't answer: start it, or name the "
                    "webserver with --url"
                ) from error
            target = LoadableTargetOrigin(**served.additional_metadata)
            served = ManagedGrpcPythonEnvCodeLocationOrigin(target, served.location_name)
    managed = cast("ManagedGrpcPythonEnvCodeLocationOrigin", served)
    return managed.create_single_location(instance)


class _OneLocation:
    """The code location that a run is of, as a queue asks a workspace for it."""

    def __init__(self, location: GrpcServerCodeLocation) -> None:
        self._location = location

    def has_code_location(self, name: str) -> bool:
        """Whether it is the one."""
        return name == self._location.name

    def get_code_location(self, _: str) -> GrpcServerCodeLocation:
        """The one."""
        return self._location


def _launched(run_id: str, *, is_new: bool) -> Launched:
    return Launched(run_id, f"/runs/{run_id}", is_new=is_new)


def _last_tick(data: object) -> float:
    found = data.last_tick_timestamp if isinstance(data, SensorInstigatorData) else None
    return found or 0.0
