"""Network policies, played through: each connection that components need, and no other.

`Network` decides as Kubernetes says: a pod that no policy selects is open; else a connection needs
a rule of egress where it begins and one of ingress where it ends. Pods of runs aren't rendered, so
they are made as Dagster does: of the labels in `dagster.yaml` and of a location's context.
"""

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from chart_cases import CASES, rendered
from helm_chart import COMPONENT, LOCATION, NAMESPACE, Rendered, render


@dataclass(frozen=True)
class End:
    """Who connects, or is connected to: a pod, or an address outside of the cluster."""

    name: str
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = ""


DNS = End("dns", "kube-system", {"k8s-app": "kube-dns"}, "10.96.0.10")
CONTROLLER = End("ingress controller", "ingress-nginx", {"app": "nginx"}, "10.8.0.3")
PROMETHEUS = End("prometheus", "monitoring", {"app": "prometheus"}, "10.8.0.4")
STRANGER = End("a pod of somebody else", "other", {}, "10.8.0.5")
NEIGHBOUR = End("a pod of the same namespace", NAMESPACE, {"app": "x"}, "10.8.0.6")
RIVAL = End(
    "another release",
    NAMESPACE,
    {
        "app.kubernetes.io/name": "data-platform",
        "app.kubernetes.io/instance": "rival",
        COMPONENT: "webserver",
    },
    "10.8.0.7",
)
DATABASE = End("database", address="10.20.0.10")
INTERNET = End("internet", address="52.1.2.3")
API = End("kubernetes", address="10.0.0.1")
METADATA = End("metadata of the cloud", address="169.254.169.254")
OUTSIDE = [
    DNS, CONTROLLER, PROMETHEUS, STRANGER, NEIGHBOUR, RIVAL, DATABASE, INTERNET, API, METADATA,
]  # fmt: skip
PORTS = {53, 80, 443, 3000, 3306, 4000, 4180, 5432, 6443, 8791, 9000}
"""All that anything of the platform, or around it, listens on."""


@dataclass(frozen=True)
class Network:
    """The cluster's network, as policies leave it."""

    policies: list[dict[str, Any]]

    def allows(self, start: End, end: End, port: int) -> bool:
        return self._one_way("Egress", start, end, port) and self._one_way(
            "Ingress", end, start, port
        )

    def _one_way(self, way: str, pod: End, other: End, port: int) -> bool:
        """Whether the policies of one end let the other through."""
        mine = [
            policy
            for policy in self.policies
            if pod.namespace == NAMESPACE
            and way in policy["policyTypes"]
            and _selects(policy["podSelector"], pod.labels)
        ]
        peers = "to" if way == "Egress" else "from"
        return not mine or any(
            _port_fits(rule, port) and _peer_fits(rule.get(peers), other)
            for policy in mine
            for rule in policy.get(way.lower(), [])
        )


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "the play knows no expressions"
    return selector.get("matchLabels", {}).items() <= labels.items()


def _port_fits(rule: dict[str, Any], port: int) -> bool:
    assert rule["ports"], "all ports would be open"
    return port in [one["port"] for one in rule["ports"]]


def _peer_fits(peers: list[dict[str, Any]] | None, other: End) -> bool:
    return not peers or any(_one_fits(peer, other) for peer in peers)


def _one_fits(peer: dict[str, Any], other: End) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        address = ipaddress.ip_address(other.address)
        taken_out = [ipaddress.ip_network(one) for one in block.get("except", [])]
        inside = address in ipaddress.ip_network(block["cidr"])
        return inside and not any(address in one for one in taken_out)
    here = {"kubernetes.io/metadata.name": other.namespace}
    if "namespaceSelector" in peer:
        fits = _selects(peer["namespaceSelector"], here)
    else:
        fits = other.namespace == NAMESPACE
    return bool(other.namespace) and fits and _selects(peer.get("podSelector", {}), other.labels)


def pods_of(objects: Rendered) -> Iterator[End]:
    """All pods of a release, those of runs too."""
    for number, one in enumerate(objects.with_pods()):
        name = one.labels[COMPONENT]
        if LOCATION in one.labels:
            name = f"{name} {one.labels[LOCATION]}"
        yield End(name, NAMESPACE, one.pod_labels, f"10.9.0.{number + 1}")
    (instance,) = [one for one in objects.of("ConfigMap") if one.labels[COMPONENT] == "instance"]
    launcher = yaml.safe_load(instance.content["data"]["dagster.yaml"])["run_launcher"]["config"]
    for number, one in enumerate(objects.component("Deployment", "code-location")):
        context = json.loads(one.variables()["DAGSTER_CONTAINER_CONTEXT"])["k8s"]
        labels = {**launcher["labels"], **context["labels"]}
        yield End(f"run {one.labels[LOCATION]}", NAMESPACE, labels, f"10.9.1.{number + 1}")


def connections(objects: Rendered) -> set[tuple[str, str, int]]:
    """All that may be connected: who, to whom, on which port."""
    network = Network([one.spec for one in objects.of("NetworkPolicy")])
    ours = list(pods_of(objects))
    everybody = [*ours, *OUTSIDE]
    assert len({one.name for one in everybody}) == len(everybody)
    return {
        (start.name, end.name, port)
        for start in everybody
        for end in everybody
        if (start in ours or end in ours) and start is not end
        for port in PORTS
        if network.allows(start, end, port)
    }


def named(*lines: str) -> set[tuple[str, str, int]]:
    """Connections, of lines as `daemon -> database 5432`."""
    found = set()
    for line in lines:
        start, _, rest = line.partition(" -> ")
        end, _, port = rest.rpartition(" ")
        found.add((start, end, int(port)))
    return found


def with_dns(wanted: set[tuple[str, str, int]], objects: Rendered) -> set[tuple[str, str, int]]:
    return wanted | {(pod.name, "dns", 53) for pod in pods_of(objects)}


def test_in_production_everybody_reaches_what_they_need_and_nothing_else() -> None:
    objects = rendered("production")
    servers = {
        (start, f"code-location {location}", 4000)
        for start in ("webserver", "webserver-readonly", "daemon")
        for location in ("shop", "finance")
    }
    of_code = {
        (f"{kind} {location}", end, port)
        for kind in ("code-location", "run", "metrics")
        for location in ("shop", "finance")
        for end, port in (("database", 5432), ("internet", 443))
    }
    wanted = servers | of_code | named(
        "ingress controller -> oauth2-proxy 4180",
        "ingress controller -> oauth2-proxy-viewers 4180",
        "oauth2-proxy -> webserver 3000",
        "oauth2-proxy-viewers -> webserver-readonly 3000",
        "oauth2-proxy -> internet 443",
        "oauth2-proxy-viewers -> internet 443",
        "webserver -> database 5432",
        "webserver -> internet 443",
        "webserver -> kubernetes 443",
        "webserver -> kubernetes 6443",
        "webserver-readonly -> database 5432",
        "webserver-readonly -> internet 443",
        "daemon -> database 5432",
        "daemon -> kubernetes 443",
        "daemon -> kubernetes 6443",
        "prometheus -> metrics shop 8791",
        "prometheus -> metrics finance 8791",
        "migration -> database 5432",
    )  # fmt: skip
    assert connections(objects) == with_dns(wanted, objects)


def test_without_a_way_in_nobody_reaches_the_webserver() -> None:
    found = connections(rendered("defaults"))
    assert {start for start, end, _ in found if end == "webserver"} == set()
    assert {start for start, end, _ in found if end.startswith("run")} == set()


def test_without_proxies_the_ingress_controller_reaches_the_webserver() -> None:
    found = connections(rendered("open in development"))
    assert {one for one in found if one[1] == "webserver"} == named(
        "ingress controller -> webserver 3000"
    )


def test_viewers_never_reach_the_webserver_of_editors() -> None:
    found = connections(rendered("everything"))
    assert ("oauth2-proxy-viewers", "webserver", 3000) not in found
    assert ("oauth2-proxy", "webserver-readonly", 3000) not in found


def test_runs_reach_the_cluster_only_to_start_pods_for_steps() -> None:
    def to_the_cluster(case: str) -> set[str]:
        found = connections(rendered(case))
        return {start for start, end, port in found if end == "kubernetes" and port == 6443}

    assert to_the_cluster("defaults") == {"webserver", "daemon"}
    assert to_the_cluster("steps in pods") == {"webserver", "daemon", "run pipelines"}


def test_a_teams_sources_are_reached_by_that_team_alone() -> None:
    objects = render(
        {
            "codeLocations": [
                {"name": "shop", "egress": [{"cidrs": ["10.20.0.10/32"], "ports": [3306]}]},
                {"name": "finance", "egress": [{"namespace": "other", "ports": [9000]}]},
            ]
        }
    )
    found = {one for one in connections(objects) if one[2] in (3306, 9000)}
    assert found == named(
        "code-location shop -> database 3306",
        "run shop -> database 3306",
        "metrics shop -> database 3306",
        "code-location finance -> a pod of somebody else 9000",
        "run finance -> a pod of somebody else 9000",
        "metrics finance -> a pod of somebody else 9000",
    )


def test_a_teams_pods_reach_no_pod_of_another_team() -> None:
    found = connections(rendered("production"))
    of_teams = {"code-location shop", "code-location finance", "run shop", "run finance"}
    assert not [one for one in found if one[0] in of_teams and one[1] in of_teams]


def test_state_may_be_in_the_cluster() -> None:
    objects = rendered("state in the cluster")
    network = Network([one.spec for one in objects.of("NetworkPolicy")])
    pods = {one.name: one for one in pods_of(objects)}
    database = End("d", "postgres", {"app": "postgres"}, "10.8.0.9")
    assert network.allows(pods["run pipelines"], database, 5432)
    assert not network.allows(pods["run pipelines"], DATABASE, 5432)
    assert network.allows(pods["webserver"], End("m", "minio", {}, "10.8.0.8"), 9000)
    assert network.allows(pods["webserver"], End("i", address="169.254.170.23"), 80)


@pytest.mark.parametrize("case", [one for one in CASES if one != "without network policies"])
def test_every_pod_is_closed_but_for_what_is_allowed(case: str) -> None:
    objects = rendered(case)
    found = connections(objects)
    for pod in pods_of(objects):
        assert not [one for one in found if one[0] == STRANGER.name], pod
        assert (pod.name, METADATA.name, 80) not in found
    assert (RIVAL.name, "code-location pipelines", 4000) not in found


def test_the_play_is_open_without_policies() -> None:
    found = connections(rendered("without network policies"))
    assert (STRANGER.name, "webserver", 3000) in found
