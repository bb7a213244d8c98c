"""dagster.yaml and workspace.yaml, as the chart renders them from values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from helm_chart import render
from helm_python.errors import HelmRenderError

STORAGE = {"storage": {"existingSecret": "database"}, "mode": "development"}


def rendered(**values: Any) -> dict[str, Any]:
    return render(STORAGE | values).instance_files()["dagster.yaml"]


def launcher(**values: Any) -> Mapping[str, Any]:
    return rendered(**values)["run_launcher"]["config"]


def test_the_queue_is_as_the_values_say() -> None:
    queue = {
        "maxConcurrentRuns": 7,
        "maxRunsPerBackfill": 3,
        "tagLimits": [
            {"key": "tier", "value": "slow", "limit": 2},
            {"key": "customer", "eachValue": True, "limit": 1},
        ],
    }
    locations = [{"name": "sales", "queue": {"maxConcurrentRuns": 5}}, {"name": "web"}]
    made = rendered(instance={"queue": queue}, codeLocations=locations)
    assert made["concurrency"]["runs"] == {"max_concurrent_runs": 7}
    each = {"applyLimitPerUniqueValue": True}
    assert made["run_coordinator"]["config"]["tag_concurrency_limits"] == [
        {"key": "dagster/backfill", "value": each, "limit": 3},
        {"key": "dagster/code_location", "value": "sales", "limit": 5},
        {"key": "tier", "value": "slow", "limit": 2},
        {"key": "customer", "value": each, "limit": 1},
    ]


def test_jobs_are_kept_as_the_values_say() -> None:
    kept = {"keepSucceededSeconds": 10, "keepFailedSeconds": 100, "graceSeconds": 30}
    config = launcher(instance={"runJobs": kept})
    assert config["keep_succeeded_seconds"] == 10
    assert config["fail_pod_on_run_failure"] is True
    assert config["run_k8s_config"]["job_spec_config"] == {
        "backoff_limit": 0,
        "ttl_seconds_after_finished": 100,
    }
    assert config["run_k8s_config"]["pod_spec_config"]["termination_grace_period_seconds"] == 30


def test_a_grace_that_run_monitoring_cuts_off_is_refused() -> None:
    with pytest.raises(HelmRenderError, match=r"cancelTimeoutSeconds is 60, no more"):
        rendered(
            instance={
                "runJobs": {"graceSeconds": 60},
                "runMonitoring": {"cancelTimeoutSeconds": 60},
            }
        )


@pytest.mark.parametrize("allowed", [True, False])
def test_pods_of_runs_have_a_token_only_where_steps_have_pods(allowed: bool) -> None:
    spec = launcher(runs={"stepPods": allowed})["run_k8s_config"]["pod_spec_config"]
    assert spec["automount_service_account_token"] is allowed


def test_placement_and_pull_secrets_reach_the_pods() -> None:
    config = launcher(
        runs={
            "nodeSelector": {"pool": "runs"},
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "podAnnotations": {"a": "b"},
        },
        image={"pullSecrets": ["registry"]},
    )
    assert config["image_pull_secrets"] == [{"name": "registry"}]
    made = UserDefinedDagsterK8sConfig.from_dict(config["run_k8s_config"])
    assert made.pod_spec_config["node_selector"] == {"pool": "runs"}
    assert made.pod_spec_config["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert made.pod_template_spec_metadata["annotations"]["a"] == "b"


def test_each_location_has_a_server() -> None:
    files = render(STORAGE | {"codeLocations": [{"name": "sales"}, {"name": "web"}]})
    assert files.instance_files()["workspace.yaml"]["load_from"] == [
        {"grpc_server": {"host": host, "port": 4000, "location_name": name}}
        for host, name in [("demo-location-sales", "sales"), ("demo-location-web", "web")]
    ]


def test_dagster_takes_all_of_it(
    tmp_path: Path, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every value that may be left out."""
    monkeypatch.setenv("DATA_PLATFORM_STORAGE_URL", dagster_url)
    monkeypatch.setenv("DATA_PLATFORM_DATA_DIR", str(tmp_path / "data"))
    made = rendered(
        instance={"runMonitoring": {"maxRuntimeSeconds": 86400}, "maxRunRetries": 2},
        runs={"tolerations": [{"operator": "Exists"}], "priorityClassName": "runs"},
    )
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(made))
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as instance:
        assert instance.run_monitoring_max_runtime_seconds == 86400
        assert instance.run_retries_max_retries == 2
        assert instance.get_concurrency_config().run_queue_config is not None
