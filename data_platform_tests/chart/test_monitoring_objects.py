"""What operators are given: objects of kinds that Kubernetes has no schema of, held to types here.

The types are what prometheus-operator (monitoring.coreos.com/v1) and External Secrets
(external-secrets.io/v1) document of the fields that the chart sets.
"""

import json
import re
from typing import Any, Literal

import pytest
import yaml
from chart_cases import CASES, EXTERNAL, rendered, signed_in
from helm_chart import LOCATION, ROOT, Manifest, chart, render
from pydantic import BaseModel, ConfigDict, Field

# ruff: noqa: N815 -- fields are named as Kubernetes has them

Duration = Field(pattern=r"^([0-9]+(ms|s|m|h|d|w|y))+$")
MONITORING = ROOT / "data_platform" / "monitoring"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Selector(Strict):
    matchLabels: dict[str, str] = Field(min_length=1)


class Endpoint(Strict):
    port: str
    path: str = Field(pattern="^/")
    interval: str = Duration


class ServiceMonitorSpec(Strict):
    selector: Selector
    targetLabels: list[str]
    endpoints: list[Endpoint] = Field(min_length=1)


class Rule(Strict):
    alert: str | None = None
    record: str | None = Field(default=None, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    expr: str = Field(min_length=1)
    for_: str | None = Field(default=None, alias="for", pattern=r"^([0-9]+(s|m|h|d))+$")
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Group(Strict):
    name: str = Field(min_length=1)
    rules: list[Rule] = Field(min_length=1)


class PrometheusRuleSpec(Strict):
    groups: list[Group] = Field(min_length=1)


class Store(Strict):
    kind: Literal["SecretStore", "ClusterSecretStore"]
    name: str = Field(min_length=1)


class Target(Strict):
    name: str = Field(min_length=1)
    creationPolicy: Literal["Owner"]


class Remote(Strict):
    key: str = Field(min_length=1)
    property: str = Field(min_length=1)


class Datum(Strict):
    secretKey: str = Field(min_length=1)
    remoteRef: Remote


class ExternalSecretSpec(Strict):
    refreshInterval: str = Duration
    secretStoreRef: Store
    target: Target
    data: list[Datum] = Field(min_length=1)


TYPES: dict[str, tuple[str, type[Strict]]] = {
    "ServiceMonitor": ("monitoring.coreos.com/v1", ServiceMonitorSpec),
    "PrometheusRule": ("monitoring.coreos.com/v1", PrometheusRuleSpec),
    "ExternalSecret": ("external-secrets.io/v1", ExternalSecretSpec),
}


@pytest.mark.parametrize("case", CASES)
def test_objects_of_operators_are_as_these_document_them(case: str) -> None:
    for one in rendered(case).of(*TYPES):
        version, model = TYPES[one.kind]
        assert one.content["apiVersion"] == version
        assert one.content.keys() == {"apiVersion", "kind", "metadata", "spec"}
        model.model_validate(one.spec)


def test_the_types_refuse_what_is_misspelled() -> None:
    spec = rendered("monitoring").get("ServiceMonitor", "demo-metrics").spec
    with pytest.raises(ValueError, match="Extra inputs"):
        ServiceMonitorSpec.model_validate({**spec, "endpoint": []})


def test_prometheus_finds_the_exporter() -> None:
    objects = rendered("monitoring")
    monitor = objects.get("ServiceMonitor", "demo-metrics")
    labels = monitor.spec["selector"]["matchLabels"]
    found = [one for one in objects.of("Service") if labels.items() <= one.labels.items()]
    assert found == objects.component("Service", "metrics") != []
    for service in found:
        ports = [one["name"] for one in service.spec["ports"]]
        assert monitor.spec["endpoints"][0]["port"] in ports
        assert set(monitor.spec["targetLabels"]) <= service.labels.keys()
    assert monitor.labels["release"] == "prometheus"
    assert not rendered("monitoring without metrics").of("ServiceMonitor")


def test_every_location_has_an_exporter_of_its_own() -> None:
    objects = rendered("everything")
    servers = objects.component("Deployment", "code-location")
    exporters = objects.component("Deployment", "metrics")
    for server, exporter in zip(servers, exporters, strict=True):
        assert server.labels[LOCATION] == exporter.labels[LOCATION]
        assert server.container["image"] == exporter.container["image"]
        assert exporter.variables().items() <= server.variables().items()


def rules_of(one: Manifest) -> list[dict[str, Any]]:
    return [rule for group in one.spec["groups"] for rule in group["rules"]]


def test_rules_are_those_that_the_platform_ships() -> None:
    shipped = [
        group
        for name in ("alerts", "recording")
        for group in yaml.safe_load((MONITORING / f"{name}.yaml").read_text())["groups"]
    ]
    objects = render({"monitoring": {"prometheusRule": {"enabled": True}}})
    assert objects.get("PrometheusRule", "demo-rules").spec["groups"] == shipped


def test_alerts_lead_to_pages_on_what_to_do() -> None:
    rules = rules_of(rendered("monitoring").get("PrometheusRule", "demo-rules"))
    links = [rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule]
    assert links
    for link in links:
        match = re.fullmatch(r"https://git\.example\.com/main/(docs/[\w-]+\.md)#[\w-]+", link)
        assert match, link
        assert (ROOT / match[1]).exists()


def test_dashboards_are_those_that_the_platform_ships() -> None:
    boards = rendered("monitoring").component("ConfigMap", "metrics")
    shipped = sorted((MONITORING / "dashboards").glob("*.json"))
    assert len(boards) == len(shipped) > 0
    for one, file in zip(boards, shipped, strict=True):
        assert one.labels["grafana_dashboard"] == "1"
        assert one.annotations == {"grafana_folder": "Data"}
        ((name, text),) = one.content["data"].items()
        assert name == f"data-platform-{file.name}"
        assert json.loads(text) == json.loads(file.read_text())


def test_the_chart_has_the_platforms_files_by_a_link_and_no_copy() -> None:
    assert (ROOT / "helm" / "data-platform" / "monitoring").resolve() == MONITORING
    names = {one["name"] for one in chart().files}
    assert {"monitoring/alerts.yaml", "monitoring/recording.yaml"} <= names
    assert "monitoring/rules_test.yaml" not in names


def test_secrets_of_a_store_are_those_that_pods_read() -> None:
    objects = render(
        {"storage": {"externalSecret": EXTERNAL}, **signed_in("google", externalSecret=EXTERNAL)}
    )
    made = {
        (one.spec["target"]["name"], datum["secretKey"])
        for one in objects.of("ExternalSecret")
        for datum in one.spec["data"]
    }
    read = {
        (value["secretKeyRef"]["name"], value["secretKeyRef"]["key"])
        for one in objects.with_pods()
        for value in one.variables().values()
        if isinstance(value, dict)
    }
    assert made == read
