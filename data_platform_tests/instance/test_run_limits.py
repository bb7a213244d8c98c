"""The queue of runs: limits of pipelines, of tags and in total, priority, and what runs are given.

Which runs leave the queue is asked of Dagster's own daemon, with the instance's own coordinator.
"""

import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    InProcessCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import should_retry
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from factories import Project

from data_platform.automation.pools import limits_of
from data_platform.instance.coordinator import PlatformRunCoordinator
from data_platform.instance.pool_limits import apply_limits
from data_platform.instance.run_limits import ACTIVE_RUNS_TAG, METADATA, RunLimits

ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(
        GrpcServerCodeLocationOrigin("localhost", port=4000, location_name="x"), "__repository__"
    ),
    "job",
)
QUEUED, STARTED = dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED
RETAIL = f"{ACTIVE_RUNS_TAG}retail"
SHOP = f"{ACTIVE_RUNS_TAG}shop"


def run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, tags: Mapping[str, str]) -> str:
    return create_run_for_test(
        instance, status=status, tags=dict(tags), remote_job_origin=ORIGIN
    ).run_id


def leaving(instance: dg.DagsterInstance) -> list[str]:
    """The runs that Dagster's daemon would launch now, in its order."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    daemon._logger = logging.getLogger("test")
    config = instance.get_concurrency_config()
    return [one.run_id for one in daemon._get_runs_to_dequeue(instance, config, None)]


def test_instance_has_the_platform_s_queue(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_coordinator, PlatformRunCoordinator)
    assert instance.run_coordinator.dequeue_interval_seconds == 1


def test_pipeline_has_no_more_runs_than_it_says(instance: dg.DagsterInstance) -> None:
    first, second, third = (run(instance, QUEUED, {RETAIL: "2"}) for _ in range(3))
    other = run(instance, QUEUED, {SHOP: "1"})
    assert leaving(instance) == [first, second, other]
    going_on = instance.get_run_by_id(first)
    assert going_on is not None
    instance.report_run_failed(going_on)
    assert leaving(instance) == [second, third, other]


def test_run_that_goes_on_counts(instance: dg.DagsterInstance) -> None:
    run(instance, STARTED, {RETAIL: "1"})
    run(instance, QUEUED, {RETAIL: "1"})
    assert leaving(instance) == []


def test_run_of_two_pipelines_waits_for_both(instance: dg.DagsterInstance) -> None:
    run(instance, STARTED, {SHOP: "1"})
    run(instance, QUEUED, {RETAIL: "1", SHOP: "1"})
    assert leaving(instance) == []


def test_raised_limit_holds_as_soon_as_a_run_with_it_waits(instance: dg.DagsterInstance) -> None:
    run(instance, STARTED, {RETAIL: "1"})
    waiting = run(instance, QUEUED, {RETAIL: "1"})
    newer = run(instance, QUEUED, {RETAIL: "3"})
    assert leaving(instance) == [waiting, newer]


def test_no_more_runs_than_the_instance_allows_in_total(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        run(instance, STARTED, {})
    waiting = [run(instance, QUEUED, {}) for _ in range(3)]
    assert leaving(instance) == waiting[:1]


def test_backfill_leaves_room_for_other_runs(instance: dg.DagsterInstance) -> None:
    of_backfill = [run(instance, QUEUED, {"dagster/backfill": "a"}) for _ in range(4)]
    daily = run(instance, QUEUED, {})
    assert leaving(instance) == [*of_backfill[:2], daily]


def test_run_of_higher_priority_leaves_first(instance: dg.DagsterInstance) -> None:
    low = run(instance, QUEUED, {"dagster/priority": "-1"})
    usual = run(instance, QUEUED, {})
    urgent = run(instance, QUEUED, {"dagster/priority": "7"})
    assert leaving(instance) == [urgent, usual, low]


def test_limits_are_read_from_the_plan(project: Project) -> None:
    project.platform("pools: {memory: 4}")
    project.declare(
        "max_active_runs: 2\ncriticality: high\n"
        'sources:\n  orders: {type: file, path: "*.csv", settle: 0s}\n'
        "analytics:\n  all: {query: select * from raw.orders, priority: 5,"
        " resources: {limits: {memory: 2Gi}}}\n"
        "  more: {query: select * from raw.orders,"
        " resources: {limits: {memory: 512Mi, cpu: 1}}}\n"
    )
    workspace = project.workspace()
    assert not project.problems()
    limits = limits_of(project.build().plan, workspace.platform)
    assert limits.pools == {"memory": 4}
    tags = limits.tags(["raw/shop/orders", "analytics/shop/all", "analytics/shop/more"])
    assert tags[SHOP] == "2"
    assert tags["dagster/priority"] == "5"
    assert json.loads(tags["dagster-k8s/config"])["container_config"]["resources"] == {
        "limits": {"memory": "2Gi", "cpu": "1"}
    }
    assert limits.tags(["raw/shop/orders"]) == {
        SHOP: "2",
        "dagster/priority": "1",
        "dagster/max_retries": "3",
    }
    assert "dagster/max_retries" not in limits.tags(["analytics/shop/all"])
    assert limits.tags(["platform"]) == {}


@pytest.mark.parametrize(
    ("retries", "reason", "again"),
    [
        ("3", None, True),
        ("3", RunFailureReason.STEP_FAILURE, False),  # its steps had their tries
        ("3", RunFailureReason.START_TIMEOUT, True),
        (None, None, False),
    ],
)
def test_run_whose_process_died_is_made_anew(
    instance: dg.DagsterInstance,
    retries: str | None,
    reason: RunFailureReason | None,
    again: bool,
) -> None:
    tags = {"dagster/max_retries": retries} if retries else {}
    made = instance.get_run_by_id(run(instance, STARTED, tags))
    assert made is not None
    data = JobFailureData(error=None, failure_reason=reason) if reason else None
    instance.report_run_failed(made, "gone", data)
    ended = instance.get_run_by_id(made.run_id)
    assert ended is not None
    assert should_retry(ended, instance) == again


def test_limits_are_the_same_out_of_metadata() -> None:
    limits = RunLimits("lake", {"cpu": 1}, {"shop": 2}, {"raw/shop/orders": 1}, {})
    stored = {METADATA: dg.MetadataValue.json(limits.metadata()[METADATA])}
    assert RunLimits.of(stored) == limits
    assert RunLimits.of({}) == RunLimits()


def limits_of_pools(instance: dg.DagsterInstance) -> dict[str, int]:
    return {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}


def test_pools_are_set_changed_and_removed(instance: dg.DagsterInstance) -> None:
    assert apply_limits(instance, {"cpu": 4, "api": 10}, "lake") == ["cpu: 4", "api: 10"]
    assert apply_limits(instance, {"cpu": 4, "api": 10}, "lake") == []
    assert apply_limits(instance, {"cpu": 2}, "lake") == ["cpu: 2", "api removed"]
    assert limits_of_pools(instance) == {"cpu": 2}


def test_pools_of_others_stay(instance: dg.DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots("by hand", 3)
    apply_limits(instance, {"file": 6}, "other lake")
    apply_limits(instance, {"cpu": 4}, "lake")
    assert apply_limits(instance, {}, "lake") == ["cpu removed"]
    assert limits_of_pools(instance) == {"by hand": 3, "file": 6}


def test_pool_that_has_its_default_limit_is_set(instance: dg.DagsterInstance) -> None:
    instance.event_log_storage.initialize_concurrency_limit_to_default("cpu")
    assert apply_limits(instance, {"cpu": 4}, "lake") == ["cpu: 4"]
    assert apply_limits(instance, {"cpu": 4}, "lake") == []


def test_submitted_run_is_tagged_and_its_pools_are_set(
    instance: dg.DagsterInstance, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.platform("pools: {memory: 3}")
    project.declare("max_active_runs: 1\ncriticality: critical\n")
    monkeypatch.setenv("DATA_PLATFORM_PIPELINES", str(project.pipelines))
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(project.folder))
    target = InProcess()
    with WorkspaceProcessContext(instance, target) as process:
        workspace = process.create_request_context()
        [location] = workspace.code_locations
        repository = next(iter(location.get_repositories().values()))
        job = repository.get_full_job("__ASSET_JOB")
        made = instance.create_run(
            job_name=job.name,
            run_id=None,
            run_config=None,
            status=None,
            tags={"dagster/priority": "9"},
            root_run_id=None,
            parent_run_id=None,
            step_keys_to_execute=None,
            execution_plan_snapshot=None,
            job_snapshot=None,
            parent_job_snapshot=None,
            asset_selection=frozenset([dg.AssetKey(["raw", "shop", "orders"])]),
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=job.get_remote_origin(),
            job_code_origin=job.get_python_origin(),
            asset_graph=repository.asset_graph,
        )
        instance.submit_run(made.run_id, workspace)
    queued = instance.get_run_by_id(made.run_id)
    assert queued is not None
    assert queued.status == QUEUED
    assert queued.tags[SHOP] == "1"
    assert queued.tags["dagster/priority"] == "9"  # its own
    assert limits_of_pools(instance) == {"memory": 3}


class InProcess(WorkspaceLoadTarget):
    """The platform's definitions, loaded by this process."""

    def create_origins(self):
        origin = LoadableTargetOrigin(module_name="data_platform.definitions")
        return [InProcessCodeLocationOrigin(origin, location_name="data_platform.definitions")]


def test_processes_that_begin_together_make_the_same_pools(instance: dg.DagsterInstance) -> None:
    pools = {f"pool_{number}": 2 for number in range(20)}
    together = threading.Barrier(4)

    def begin(_: int) -> None:
        together.wait(30)
        apply_limits(instance, pools, "lake")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(begin, range(4)))
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == pools
