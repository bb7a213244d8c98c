"""Runs in pods: launched, watched over, made anew, ended and cleaned up, by a rendered release.

What is real and what isn't is told in `launched_platform` and `kubernetes_cluster`.
"""

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat
from dagster_dev import wait_until
from helm_chart import NAMESPACE, RELEASE
from kubernetes_schemas import NEWEST, problem_of
from launched_platform import LOCATION, Platform, two_databases

from data_platform.instance import pod_launcher
from data_platform.instance.liveness import RunLocks
from data_platform.instance.pod_jobs import RUN_ID_LABEL
from data_platform.instance.pod_launcher import PlatformPodLauncher
from data_platform.instance.pods import ISOLATED_TAG, KUBERNETES_TAG

ALL = ("raw/shop/orders", "analytics/shop/revenue", "destinations/shop/revenue")
SLOW = "analytics/shop/slow"
POOL = "slot"


@pytest.fixture(scope="module")
def platform(
    postgres_admin_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    mark = uuid.uuid4().hex[:12]
    for urls in two_databases(postgres_admin_url, f"dagster_{mark}", f"warehouse_{mark}"):
        folder = tmp_path_factory.mktemp("release")
        with pytest.MonkeyPatch.context() as patch:
            # This process is the daemon: it finds its storage where the daemon's pod does.
            patch.setenv("DATA_PLATFORM_STORAGE_URL", urls[0])
            patch.setenv("DATA_PLATFORM_DATA_DIR", str(folder / "daemon"))
            patch.setenv("DATA_PLATFORM_HOME", str(folder))
            platform = Platform(folder, *urls)
            try:
                yield platform
            finally:
                platform.close()


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> str:
    """A run of all that the pipeline loads, which has ended."""
    run_id = platform.launch(*ALL)
    assert platform.wait_for_end(run_id) == "SUCCESS", platform.node.printed()
    return run_id


def test_the_rendered_instance_is_the_platform_s(platform: Platform) -> None:
    assert isinstance(platform.launcher, PlatformPodLauncher)
    assert platform.instance.run_monitoring_enabled
    assert not platform.instance.telemetry_enabled


def test_what_a_run_made_is_in_the_warehouse_and_in_the_lake(
    platform: Platform, loaded: str
) -> None:
    assert platform.in_warehouse("SELECT amount FROM revenue") == [(7,)]
    records = platform.instance.fetch_materializations(
        dg.AssetKey(["analytics", "shop", "revenue"]), limit=1
    ).records
    assert [record.run_id for record in records] == [loaded]
    keys = platform.bucket.keys()
    assert [key for key in keys if key.startswith("lake/analytics/shop/revenue/")]
    assert [key for key in keys if key.startswith("logs/") and loaded in key]


@pytest.mark.parametrize("version", NEWEST)
def test_the_job_is_one_that_a_cluster_takes(platform: Platform, loaded: str, version: str) -> None:
    assert problem_of(platform.job(loaded), version) is None


def test_the_job_has_what_the_chart_and_the_location_say(platform: Platform, loaded: str) -> None:
    job = platform.job(loaded)
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == "registry.example.com/shop:7"
    assert pod["serviceAccountName"] == f"demo-run-{LOCATION}"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        "/opt/data-platform/home", "/tmp", "/var/lib/data-platform",
    }  # fmt: skip
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "run"
    assert labels["app.kubernetes.io/instance"] == "demo"
    assert labels["data-platform/location"] == LOCATION
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["ttlSecondsAfterFinished"] == 7 * 24 * 3600
    assert pod["terminationGracePeriodSeconds"] == 60


def test_the_job_names_secrets_and_holds_none(platform: Platform, loaded: str) -> None:
    text = json.dumps(platform.job(loaded))
    hidden = {name: value for each in platform.secrets.values() for name, value in each.items()}
    del hidden["AWS_ACCESS_KEY_ID"]  # a word that is in other names too
    assert not [name for name, value in hidden.items() if value in text]
    [container] = platform.job(loaded)["spec"]["template"]["spec"]["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert len(names) == len(set(names))
    named = [variable for variable in container["env"] if "valueFrom" in variable]
    references = {one["name"]: one["valueFrom"]["secretKeyRef"]["name"] for one in named}
    assert references == {
        "DATA_PLATFORM_STORAGE_URL": "database",
        "WAREHOUSE_URL": "shop",
        "AWS_ACCESS_KEY_ID": "shop",
        "AWS_SECRET_ACCESS_KEY": "shop",
    }


def test_the_pod_is_given_the_most_that_its_assets_ask_for(platform: Platform, loaded: str) -> None:
    [container] = platform.job(loaded)["spec"]["template"]["spec"]["containers"]
    # 3Gi is above the chart's limit of 2Gi, which gives way.
    assert container["resources"] == {
        "requests": {"cpu": "750m", "memory": "3Gi"},
        "limits": {"memory": "3Gi"},
    }


def test_a_run_s_tag_cant_choose_what_its_pod_may(platform: Platform) -> None:
    wanted = {"pod_spec_config": {"service_account_name": "admin"}}
    run_id = platform.launch("raw/shop/orders", **{KUBERNETES_TAG: json.dumps(wanted)})
    assert platform.run(run_id).status == dg.DagsterRunStatus.FAILURE
    assert f"dagster-run-{run_id}" not in platform.node.jobs()
    assert "sets pod_spec_config.service_account_name" in platform.events(run_id)


def test_an_asset_that_fails_fails_its_job(platform: Platform, loaded: str) -> None:
    (platform.folder / "orders.csv").rename(platform.folder / "away.csv")
    try:
        run_id = platform.launch("raw/shop/orders", **{"dagster/max_retries": "0"})
        assert platform.wait_for_end(run_id) == "FAILURE"
    finally:
        (platform.folder / "away.csv").rename(platform.folder / "orders.csv")
    assert platform.job(run_id)["status"]["failed"] == 1


# A process that dies ---------------------------------------------------------------------------


def slow_run(platform: Platform, **tags: str) -> tuple[str, int]:
    """A run whose step waits, and its process."""
    run_id = platform.launch(SLOW, **tags)
    file = platform.folder / f"{run_id}.pid"
    platform.node.look_until(lambda: file.exists() and file.read_text())
    return run_id, int(file.read_text())


def slots(platform: Platform) -> set[str]:
    info = platform.instance.event_log_storage.get_concurrency_info(POOL)
    return {slot.run_id for slot in info.claimed_slots}


def test_a_pod_that_died_is_noticed_its_slot_freed_and_its_run_made_anew(
    platform: Platform,
) -> None:
    platform.make_anew()  # what was before
    run_id, pid = slow_run(platform)
    assert run_id in slots(platform)
    os.kill(pid, signal.SIGKILL)
    name = f"dagster-run-{run_id}"
    platform.node.look_until(lambda: platform.job(run_id)["status"].get("failed"))

    def failed() -> bool:
        platform.monitor()
        return platform.run(run_id).is_finished

    platform.node.look_until(failed)
    assert platform.run(run_id).status == dg.DagsterRunStatus.FAILURE
    assert "The process that executed this run is gone" in platform.events(run_id)

    def freed() -> bool:
        platform.free_slots()
        return run_id not in slots(platform)

    platform.node.look_until(freed)
    assert name in platform.node.jobs()
    platform.make_anew()
    [again] = [
        run
        for run in platform.instance.get_runs()
        if run.parent_run_id == run_id and run.tags["dagster/retry_number"] == "1"
    ]
    (platform.folder / f"{again.run_id}.finish").touch()
    platform.launch_what_waits()
    assert platform.wait_for_end(again.run_id) == "SUCCESS"


def test_a_process_that_lives_isnt_dead_whatever_the_cluster_says(platform: Platform) -> None:
    run_id, _ = slow_run(platform)
    platform.node._tell(f"dagster-run-{run_id}", failed=1)
    platform.monitor()
    assert platform.run(run_id).status == dg.DagsterRunStatus.STARTED
    platform.node.batch.delete_namespaced_job(f"dagster-run-{run_id}", NAMESPACE)
    found = platform.launcher.check_run_worker_health(platform.run(run_id))
    assert found.status == WorkerStatus.RUNNING
    (platform.folder / f"{run_id}.finish").touch()
    assert platform.node.processes[f"dagster-run-{run_id}"].wait(60) == 0
    assert platform.run(run_id).is_success


def test_ending_a_run_deletes_its_job_and_cancels_it(platform: Platform) -> None:
    run_id, _ = slow_run(platform)
    name = f"dagster-run-{run_id}"
    assert platform.launcher.terminate(run_id)
    assert name not in platform.node.jobs()
    platform.node.look_until(lambda: platform.node.processes[name].poll() is not None)
    assert platform.run(run_id).status == dg.DagsterRunStatus.CANCELED
    assert run_id not in slots(platform)


def test_ending_a_command_s_run_is_left_to_its_process(platform: Platform) -> None:
    run_id = create_run_for_test(platform.instance, status=dg.DagsterRunStatus.STARTED).run_id
    # Of this test's own: the storage's would end this process.
    locks = RunLocks(platform.instance.run_storage.postgres_url)  # type: ignore[attr-defined]
    locks.hold(run_id)
    assert platform.launcher.check_run_worker_health(platform.run(run_id)).status == (
        WorkerStatus.RUNNING
    )
    assert platform.launcher.terminate(run_id)
    assert platform.run(run_id).status == dg.DagsterRunStatus.CANCELING
    locks.release(run_id)
    platform.instance.report_run_canceled(platform.run(run_id))


def test_ending_a_run_without_process_and_job_cancels_it(platform: Platform) -> None:
    run_id = create_run_for_test(platform.instance, status=dg.DagsterRunStatus.STARTED).run_id
    assert platform.launcher.terminate(run_id)
    assert platform.run(run_id).status == dg.DagsterRunStatus.CANCELED


def test_the_pod_of_a_run_that_ended_while_it_began_ends_the_run(platform: Platform) -> None:
    run_id = platform.launch("raw/shop/orders", **{"dagster/max_retries": "0"})
    platform.node.look()
    os.killpg(platform.node.processes[f"dagster-run-{run_id}"].pid, signal.SIGKILL)
    platform.node.look_until(lambda: platform.job(run_id)["status"].get("failed"))
    assert platform.run(run_id).status == dg.DagsterRunStatus.STARTING
    sweep(platform, after=30)
    assert platform.run(run_id).status == dg.DagsterRunStatus.STARTING
    sweep(platform, after=90)
    assert platform.run(run_id).status == dg.DagsterRunStatus.FAILURE
    assert "The pod of this run ended before the run did" in platform.events(run_id)


# Steps in pods of their own -------------------------------------------------------------------


def test_an_isolated_asset_has_pods_of_its_steps(platform: Platform, loaded: str) -> None:
    run_id = platform.launch("analytics/shop/heavy")
    assert platform.run(run_id).tags[ISOLATED_TAG] == "true"
    assert platform.wait_for_end(run_id) == "SUCCESS", platform.node.printed()
    [step] = [
        job
        for job in platform.node.jobs().values()
        if job["metadata"]["labels"].get("dagster/run-id") == run_id
        and "dagster/op" in job["metadata"]["labels"]
    ]
    assert memory_of(step) == {"requests": "6Gi", "limits": "6Gi"}
    assert memory_of(platform.job(run_id)) == {"requests": "1Gi", "limits": "2Gi"}
    assert problem_of(step, NEWEST[-1]) is None


def memory_of(job: Mapping[str, Any]) -> dict[str, str]:
    [container] = job["spec"]["template"]["spec"]["containers"]
    return {part: amounts["memory"] for part, amounts in container["resources"].items()}


# Jobs that are over ---------------------------------------------------------------------------


def sweep(platform: Platform, after: float) -> list[str]:
    """What the daemon does each minute, so many seconds later."""
    assert isinstance(platform.launcher, PlatformPodLauncher)
    return platform.launcher.sweep(datetime.now(UTC) + timedelta(seconds=after))


def test_jobs_that_succeeded_go_and_failed_ones_stay(platform: Platform, loaded: str) -> None:
    succeeded = {n for n, j in platform.node.jobs().items() if j["status"].get("succeeded")}
    failed = {n for n, j in platform.node.jobs().items() if j["status"].get("failed")}
    assert f"dagster-run-{loaded}" in succeeded
    assert failed
    assert sweep(platform, after=0) == []
    assert set(sweep(platform, after=3600)) == succeeded
    left = platform.node.jobs()
    assert not succeeded & set(left)
    assert failed <= set(left)


def test_the_daemon_s_heartbeat_begins_to_look_after_jobs(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_launcher, "SWEEP_SECONDS", 0.1)
    monkeypatch.setattr(platform.launcher, "_keep_seconds", 0)
    labels = {**platform.launcher.labels, RUN_ID_LABEL: "of-nobody"}
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}
    platform.node.batch.create_namespaced_job(
        NAMESPACE,
        {"metadata": {"name": "over", "labels": labels}, "spec": {"template": {"spec": pod}}},
    )
    platform.node._tell("over", succeeded=1)
    beat = DaemonHeartbeat(time.time(), "QUEUED_RUN_COORDINATOR", "daemon")
    platform.instance.add_daemon_heartbeat(beat)
    wait_until(lambda: "over" not in platform.node.jobs(), 60)


def test_a_job_that_works_on_after_its_run_was_ended_goes(platform: Platform) -> None:
    run_id, _ = slow_run(platform)
    name = f"dagster-run-{run_id}"
    platform.instance.report_run_failed(platform.run(run_id), "somebody marked it")
    assert sweep(platform, after=30) == []
    assert sweep(platform, after=90) == [name]
    platform.node.look_until(lambda: platform.node.processes[name].poll() is not None)


def test_the_daemon_needs_no_more_rights_than_the_chart_gives(platform: Platform) -> None:
    """After all of the above; what the node of the test itself asks for is left out."""
    of_node = {("jobs/status", "patch")}
    rules = platform.chart.get("Role", f"{RELEASE}-daemon").content["rules"]
    given = {
        (resource, verb)
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert platform.emulator.asked() - of_node <= given
