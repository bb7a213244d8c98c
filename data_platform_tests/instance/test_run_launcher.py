import sys

import dagster as dg
import psycopg2
import pytest
from dagster import DagsterRunStatus
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_dev import wait_until

from data_platform.instance import launcher as run_launcher
from data_platform.instance.forker_process import ForkerProcess
from data_platform.instance.launcher import DEFINITIONS, reap_dead_runs
from data_platform.instance.liveness import WORKER_TAG


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_launcher, "COMMAND_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(run_launcher, "MONITOR_PATIENCE_SECONDS", 0.0)


def started_run(
    instance: dg.DagsterInstance, status: DagsterRunStatus = DagsterRunStatus.STARTED
) -> str:
    """A run that looks as if it went on, but that no process executes."""
    return create_run_for_test(instance, status=status).run_id


def test_started_run_holds_its_lock_until_it_has_ended(instance: dg.DagsterInstance) -> None:
    seen = {}

    @dg.asset
    def looking(context: dg.AssetExecutionContext) -> None:
        run = context.instance.get_run_by_id(context.run.run_id)
        seen["status"] = run.status
        seen["health"] = instance.run_launcher.check_run_worker_health(run).status

    result = dg.materialize([looking], instance=instance)
    assert seen == {"status": DagsterRunStatus.STARTED, "health": WorkerStatus.RUNNING}
    ended = instance.get_run_by_id(result.run_id)
    # The server frees what a session held a moment after the session's end.
    launcher = instance.run_launcher
    wait_until(lambda: launcher.check_run_worker_health(ended).status == WorkerStatus.FAILED, 30)


def test_failed_run_gives_its_lock_back(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def failing() -> None:
        raise ValueError

    dg.materialize([failing], instance=instance, raise_on_error=False)
    assert instance.run_storage._locks._runs == set()


def test_dead_run_is_failed_and_gives_its_slots_back(instance: dg.DagsterInstance) -> None:
    run_id = started_run(instance)
    storage = instance.event_log_storage
    storage.set_concurrency_slots("pool", 1)
    assert storage.claim_concurrency_slot("pool", run_id, "step").is_claimed
    assert reap_dead_runs(instance) == [run_id]
    assert instance.get_run_by_id(run_id).status == DagsterRunStatus.FAILURE
    assert storage.get_concurrency_info("pool").active_slot_count == 0


def test_dead_run_that_was_being_cancelled_is_cancelled(instance: dg.DagsterInstance) -> None:
    run_id = started_run(instance, DagsterRunStatus.CANCELING)
    assert reap_dead_runs(instance) == [run_id]
    assert instance.get_run_by_id(run_id).status == DagsterRunStatus.CANCELED


def test_reason_is_in_the_log_of_the_run(instance: dg.DagsterInstance) -> None:
    run_id = started_run(instance)
    reap_dead_runs(instance)
    assert "process that executed this run is gone" in instance.all_logs(run_id)[-1].message


def test_live_run_is_not_reaped(instance: dg.DagsterInstance) -> None:
    reaped = []

    @dg.asset
    def reaping() -> None:
        reaped.extend(reap_dead_runs(instance))

    dead = started_run(instance)
    assert dg.materialize([reaping], instance=instance).success
    assert reaped == [dead]


@pytest.mark.parametrize(
    "status",
    [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.SUCCESS],
)
def test_run_that_isnt_started_is_not_reaped(
    instance: dg.DagsterInstance, status: DagsterRunStatus
) -> None:
    create_run_for_test(instance, status=status)
    assert reap_dead_runs(instance) == []


def test_nothing_is_waited_for_when_nothing_is_dead(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher.time, "sleep", pytest.fail)
    assert reap_dead_runs(instance) == []


def test_other_storages_have_nothing_to_reap() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        started_run(instance)
        assert reap_dead_runs(instance) == []


def test_health_is_unknown_while_the_server_is_away(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Dagster's monitoring logs the error and asks again at its next turn.
    run = instance.get_run_by_id(started_run(instance))
    monkeypatch.setattr(instance.run_storage, "postgres_url", "postgresql://x@/x?host=/nowhere")
    with pytest.raises(psycopg2.OperationalError):
        instance.run_launcher.check_run_worker_health(run)


@pytest.mark.parametrize(
    ("status", "tags", "over"),
    [
        (DagsterRunStatus.STARTED, {}, False),
        (DagsterRunStatus.FAILURE, {WORKER_TAG: "{}"}, True),
        (DagsterRunStatus.CANCELED, {}, True),
        (DagsterRunStatus.CANCELING, {}, True),  # a command's: nobody else tells its process
        (DagsterRunStatus.CANCELING, {WORKER_TAG: "{}"}, False),
    ],
)
def test_process_sees_that_others_ended_its_run(
    instance: dg.DagsterInstance, status: DagsterRunStatus, tags: dict[str, str], over: bool
) -> None:
    run_id = create_run_for_test(instance, status=status, tags=tags).run_id
    assert instance.run_storage._overruled([run_id]) == ({run_id} if over else set())
    assert instance.run_storage._overruled([]) == set()


def test_run_of_a_command_is_told_that_it_is_to_end(instance: dg.DagsterInstance) -> None:
    run_id = started_run(instance)
    assert instance.run_launcher.terminate(run_id)
    assert instance.get_run_by_id(run_id).status == DagsterRunStatus.CANCELING


SOCKET = GrpcServerCodeLocationOrigin("localhost", socket="/tmp/socket", location_name="x")
MANAGED = ManagedGrpcPythonEnvCodeLocationOrigin(
    LoadableTargetOrigin(module_name=DEFINITIONS), location_name="x"
)


def launched(
    location: object, module: str = DEFINITIONS, executable: str = sys.executable, image: str = ""
) -> dg.DagsterRun:
    """A run as the webserver makes it."""
    code = RepositoryPythonOrigin(executable, ModuleCodePointer(module, "defs"), image or None)
    remote = RemoteRepositoryOrigin(location, "__repository__")
    return dg.DagsterRun(
        job_name="job",
        job_code_origin=JobPythonOrigin("job", code),
        remote_job_origin=RemoteJobOrigin(remote, "job"),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux")
@pytest.mark.parametrize("location", [SOCKET, MANAGED])
def test_run_of_this_machine_s_own_location_is_forked(
    instance: dg.DagsterInstance, location: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    assert instance.run_launcher._may_fork(launched(location))


@pytest.mark.parametrize(
    "run",
    [
        launched(MANAGED, module="shop.definitions"),
        launched(MANAGED, executable="/elsewhere/python"),
        launched(MANAGED, image="shop:1"),
        launched(SOCKET),  # not in `dagster dev`
        launched(GrpcServerCodeLocationOrigin("localhost", port=4000, location_name="x")),
        dg.DagsterRun(job_name="job"),
    ],
)
def test_run_of_another_location_is_not_forked(
    instance: dg.DagsterInstance, run: dg.DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_IS_DEV_CLI", raising=False)
    assert not instance.run_launcher._may_fork(run)


def test_run_is_launched_the_usual_way_when_nothing_can_be_forked(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = []
    monkeypatch.setattr(
        dg.DefaultRunLauncher, "launch_run", lambda _, context: usual.append(context)
    )
    run = instance.add_run(launched(MANAGED))
    launcher = instance.run_launcher
    launcher._forker = ForkerProcess({}, ("-c", "raise SystemExit(1)"))
    launcher.launch_run(LaunchRunContext(run, None))
    assert [context.dagster_run for context in usual] == [run]
    assert (
        "started the slow way: the forker didn't start" in instance.all_logs(run.run_id)[-1].message
    )
