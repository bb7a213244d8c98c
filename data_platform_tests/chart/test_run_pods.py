"""Pods of runs, as Dagster makes them of what the chart tells it: dagster.yaml, and each location.

The Job is made by Dagster's own functions of the real launcher, and held to what all pods are.
"""

import json
from pathlib import Path
from typing import Any

import kubernetes.client
import pytest
import yaml
from chart_cases import CASES, rendered
from dagster import DagsterRun
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job
from helm_chart import COMPONENT, LOCATION, Manifest, Rendered, render
from kubernetes_schemas import NEWEST, problem_of

from data_platform.instance.coordinator import PlatformRunCoordinator
from data_platform.instance.pod_launcher import PlatformPodLauncher

NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "users": [{"name": "u", "user": {}}],
    "current-context": "c",
}
"""A cluster that is never asked."""


def job_of(objects: Rendered, location: str, kubeconfig: Path) -> Manifest:
    """The Job of a run of a location."""
    (instance,) = [one for one in objects.of("ConfigMap") if one.labels[COMPONENT] == "instance"]
    config = yaml.safe_load(instance.content["data"]["dagster.yaml"])["run_launcher"]["config"]
    kubeconfig.write_text(yaml.safe_dump(NOWHERE))
    launcher = PlatformPodLauncher(
        None, **{**config, "load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}
    )
    (server,) = [
        one
        for one in objects.component("Deployment", "code-location")
        if one.labels[LOCATION] == location
    ]
    variables = server.variables()
    context = _of_launcher(launcher).merge(
        K8sContainerContext.create_from_config(json.loads(variables["DAGSTER_CONTAINER_CONTEXT"]))
    )
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(variables["DAGSTER_CURRENT_IMAGE"], launcher),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-1",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
        labels={"dagster/run-id": "1"},
    )
    content: Any = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    return Manifest("run", content)


def _of_launcher(launcher: PlatformPodLauncher) -> K8sContainerContext:
    return launcher.get_container_context_for_run(DagsterRun(job_name="x", run_id="1"))


def names(objects: Rendered) -> list[str]:
    return [one.labels[LOCATION] for one in objects.component("Deployment", "code-location")]


@pytest.mark.parametrize("case", CASES)
def test_dagster_takes_its_configuration(case: str, tmp_path: Path) -> None:
    (instance,) = [
        one for one in rendered(case).of("ConfigMap") if one.labels[COMPONENT] == "instance"
    ]
    text = instance.content["data"]["dagster.yaml"]
    (tmp_path / "dagster.yaml").write_text(text)
    reference = InstanceRef.from_dir(str(tmp_path))
    for data, wanted in (
        (reference.run_launcher_data, PlatformPodLauncher),
        (reference.run_coordinator_data, PlatformRunCoordinator),
    ):
        assert data is not None
        assert data.class_name == wanted.__name__
        said = process_config(resolve_to_config_type(wanted.config_type()), data.config_dict)
        assert said.success, said.errors
    assert reference.compute_logs_data.class_name == "PlatformComputeLogs"


@pytest.mark.parametrize("case", ["defaults", "production", "everything", "odd texts", "digests"])
def test_runs_are_as_safe_as_all_pods_and_kubernetes_takes_them(case: str, tmp_path: Path) -> None:
    objects = rendered(case)
    for location in names(objects):
        run = job_of(objects, location, tmp_path / "config")
        assert [problem_of(run.content, version) for version in NEWEST] == [None] * 3
        assert run.pod["securityContext"]["runAsNonRoot"] is True
        assert run.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        own = run.container["securityContext"]
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert run.container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert run.spec["backoffLimit"] == 0
        assert run.pod["restartPolicy"] == "Never"
        step_pods = CASES[case].get("runs", {}).get("stepPods", False)
        assert run.pod["automountServiceAccountToken"] is step_pods


def test_a_run_is_its_teams(tmp_path: Path) -> None:
    objects = rendered("everything")
    shop = job_of(objects, "shop", tmp_path / "config")
    finance = job_of(objects, "finance", tmp_path / "config")
    assert shop.container["image"] == "r.example.com/dp:1.2.3"
    assert finance.container["image"] == "r.example.com/finance:4.5"
    assert shop.pod["serviceAccountName"] == "demo-run-shop"
    assert finance.pod["serviceAccountName"] == "demo-run-finance"
    for account in ("demo-run-shop", "demo-run-finance"):
        objects.get("ServiceAccount", account)
    assert shop.pod_labels[LOCATION] == "shop"
    assert shop.pod_labels[COMPONENT] == "run"
    assert shop.pod["priorityClassName"] == "data"
    secret = {"secretKeyRef": {"name": "shop", "key": "url"}}
    assert shop.variables()["SHOP_URL"] == secret
    assert not {"SHOP_URL", "SHOP"} & finance.variables().keys()
    assert [one["name"] for one in shop.pod["imagePullSecrets"]] == ["registry", "shop-registry"]
    assert shop.variables()["DATA_PLATFORM_PIPELINES"] == "/opt/shop/pipelines"


def test_a_run_knows_what_its_server_knows(tmp_path: Path) -> None:
    for location in names(rendered("everything")):
        run = job_of(rendered("everything"), location, tmp_path / "config").variables()
        name = f"demo-location-{location}"
        server = rendered("everything").get("Deployment", name).variables()
        of_servers = {
            "DAGSTER_CURRENT_IMAGE",
            "DAGSTER_CONTAINER_CONTEXT",
            "DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD",
        }
        assert run == {key: value for key, value in server.items() if key not in of_servers}


def test_a_teams_runs_take_what_it_says_and_else_what_all_do(tmp_path: Path) -> None:
    objects = render(
        {
            "runs": {"resources": {"requests": {"cpu": "300m"}, "limits": {"memory": "3Gi"}}},
            "codeLocations": [
                {"name": "small"},
                {"name": "large", "runResources": {"limits": {"memory": "9Gi", "cpu": "4"}}},
            ],
        }
    )
    kubeconfig = tmp_path / "config"
    small, large = (
        job_of(objects, one, kubeconfig).container["resources"] for one in ("small", "large")
    )
    assert small == {"requests": {"cpu": "300m", "memory": "1Gi"}, "limits": {"memory": "3Gi"}}
    assert large["limits"] == {"cpu": "4", "memory": "9Gi"}
    assert large["requests"] == small["requests"]


def test_a_team_may_have_a_lake_of_its_own(tmp_path: Path) -> None:
    objects = rendered("production")
    lakes = {
        location: job_of(objects, location, tmp_path / "config").variables()["LAKE_ROOT"]
        for location in names(objects)
    }
    assert lakes == {
        "shop": "s3://example-data-platform/lake",
        "finance": "s3://example-finance/lake",
    }
    server = objects.get("Deployment", "demo-location-finance")
    assert server.variables()["LAKE_ROOT"] == lakes["finance"]
