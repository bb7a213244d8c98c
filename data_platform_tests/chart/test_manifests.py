"""All that the chart makes is what Kubernetes takes, in its three newest versions.

Kubernetes has no schema of ServiceMonitor, PrometheusRule and ExternalSecret, which operators
bring: `test_objects_of_operators` holds them to what these operators document.
"""

import re

import pytest
from chart_cases import CASES, rendered
from helm_chart import COMPONENT, LOCATION, Rendered, problems_of_lint, render
from kubernetes_schemas import NEWEST, problem_of

OF_OPERATORS = {"ServiceMonitor", "PrometheusRule", "ExternalSecret"}
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def refused(objects: Rendered, version: str) -> list[str]:
    """Manifests that aren't as this version of Kubernetes wants them."""
    return [
        f"{one}: {problem}"
        for one in objects
        if one.kind not in OF_OPERATORS and (problem := problem_of(one.content, version))
    ]


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_takes_every_manifest(case: str) -> None:
    for version in NEWEST:
        assert refused(rendered(case), version) == [], version


@pytest.mark.parametrize("version", NEWEST)
def test_what_kubernetes_does_not_know_is_refused(version: str) -> None:
    daemon = render().get("Deployment", "demo-daemon")
    assert refused(Rendered((daemon,), ""), version) == []
    daemon.container["comand"] = ["x"]
    assert refused(Rendered((daemon,), ""), version)


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_say(case: str) -> None:
    assert problems_of_lint(CASES[case]) == []


@pytest.mark.parametrize("case", CASES)
def test_names_and_labels_are_short_enough_and_no_two_objects_share_one(case: str) -> None:
    objects = rendered(case)
    names = [(one.kind, one.name) for one in objects]
    assert len(names) == len(set(names))
    for one in objects:
        assert _DNS_LABEL.fullmatch(one.name), one
        pod_labels = one.pod_labels if one in objects.with_pods() else {}
        for text in (*one.labels.values(), *pod_labels.values()):
            assert _LABEL.fullmatch(text), (one.name, text)


@pytest.mark.parametrize("case", CASES)
def test_every_object_says_what_it_is_part_of(case: str) -> None:
    common = {"app.kubernetes.io/instance": "demo", "app.kubernetes.io/managed-by": "Helm"}
    for one in rendered(case):
        assert common.items() <= one.labels.items(), one
        assert {"app.kubernetes.io/name", "app.kubernetes.io/version", COMPONENT} <= set(one.labels)
        assert one.labels["app.kubernetes.io/part-of"] == "data-platform"


def test_names_are_those_of_the_release() -> None:
    objects = render({"readOnlyWebserver": {"enabled": True}}, name="acme")
    deployments = {one.name: one.labels[COMPONENT] for one in objects.of("Deployment")}
    assert deployments == {
        "acme-webserver": "webserver",
        "acme-webserver-readonly": "webserver-readonly",
        "acme-daemon": "daemon",
        "acme-metrics-pipelines": "metrics",
        "acme-location-pipelines": "code-location",
    }
    assert objects.get("Deployment", "acme-location-pipelines").labels[LOCATION] == "pipelines"
    assert objects.get("ConfigMap", "acme-instance").content["data"].keys() == {
        "dagster.yaml",
        "workspace.yaml",
    }


def test_texts_of_values_arrive_as_they_are() -> None:
    wanted = CASES["odd texts"]["env"]
    for one in rendered("odd texts").with_pods():
        variables = one.variables()
        assert {name: variables[name] for name in wanted} == wanted, one
    server = rendered("odd texts").get("Deployment", "demo-location-a")
    assert server.annotations["data-platform/owners"] == "Zoë: x, #1"
    assert server.variables()["DATA_PLATFORM_PIPELINES"] == "/opt/ä b:/x"


@pytest.mark.parametrize("case", CASES)
def test_notes_name_only_what_there_is(case: str) -> None:
    objects = rendered(case)
    named = re.findall(r"(deploy|job|svc)/([\w.-]+)", objects.notes)
    kinds = {"deploy": "Deployment", "job": "Job", "svc": "Service"}
    assert named
    for kind, name in named:
        objects.get(kinds[kind], name)


def test_notes_warn_of_what_is_not_safe() -> None:
    def warnings(**values: object) -> str:
        return render(values).notes.partition("Beware:")[2]

    assert "YOUR_BUCKET" not in rendered("production").notes
    assert "bucket" in warnings()
    assert "bucket" not in warnings(lake={"root": "s3://a/b", "computeLogs": "s3://a/c"})
    assert "networkPolicy is off" in warnings(networkPolicy={"enabled": False})
    assert "stepPods" in warnings(runs={"stepPods": True})
    assert "development" in warnings(mode="development")
    assert rendered("production").notes.partition("Beware:")[2] == ""
