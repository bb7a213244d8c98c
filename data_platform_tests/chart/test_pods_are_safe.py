"""Pods run with as little as they need: of the node, of the cluster, and of secrets."""

import json
import re

import pytest
from chart_cases import CASES, rendered
from helm_chart import COMPONENT, Manifest, render

SERVES = {
    "webserver": 3000,
    "webserver-readonly": 3000,
    "code-location": 4000,
    "metrics": 8791,
    "oauth2-proxy": 4180,
    "oauth2-proxy-viewers": 4180,
}
"""Components that listen, and where."""
SPEAKS_TO_THE_CLUSTER = {"webserver", "daemon"}
WRITABLE = {"/tmp", "/var/lib/data-platform"}
_SECRETIVE = re.compile(r"passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def pods(case: str) -> list[Manifest]:
    found = rendered(case).with_pods()
    assert found
    return found


@pytest.mark.parametrize("case", CASES)
def test_pods_are_plain_users_that_can_write_nowhere(case: str) -> None:
    for one in pods(case):
        context = one.pod["securityContext"]
        assert context["runAsNonRoot"] is True, one
        assert context["runAsUser"] == context["runAsGroup"] == 10001
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(one.pod)
        for container in one.containers:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] is True, one
            assert own["allowPrivilegeEscalation"] is False
            assert own["runAsNonRoot"] is True
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert not {"privileged", "runAsUser", "procMount"} & set(own)


@pytest.mark.parametrize("case", CASES)
def test_pods_write_to_scratch_of_limited_size_alone(case: str) -> None:
    for one in pods(case):
        volumes = {volume["name"]: volume for volume in one.pod.get("volumes", [])}
        mounted = one.container.get("volumeMounts", [])
        assert {mount["name"] for mount in mounted} == set(volumes), one
        for mount in mounted:
            volume = volumes[mount["name"]]
            if mount.get("readOnly"):
                assert {"configMap", "secret"} & set(volume), one
            else:
                assert mount["mountPath"] in WRITABLE
                assert volume["emptyDir"]["sizeLimit"]
        assert not any("hostPath" in volume for volume in volumes.values())


@pytest.mark.parametrize("case", CASES)
def test_pods_say_what_they_take(case: str) -> None:
    for one in pods(case):
        for container in one.containers:
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, one
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("case", CASES)
def test_kubernetes_knows_who_is_well(case: str) -> None:
    for one in rendered(case).of("Deployment"):
        component, container = one.labels[COMPONENT], one.container
        assert {"startupProbe", "livenessProbe"} <= set(container), one
        assert ("readinessProbe" in container) == (component in SERVES)
        if component in SERVES:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert list(ports.values()) == [SERVES[component]]
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container[name]
                asked = probe["httpGet"]["port"] if "httpGet" in probe else probe["grpc"]["port"]
                assert ports.get(asked, asked) == SERVES[component]


@pytest.mark.parametrize("case", CASES)
def test_images_are_of_a_version(case: str) -> None:
    for one in pods(case):
        for container in one.containers:
            _, at, digest = container["image"].partition("@")
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            assert (at and digest) or (tag and tag != "latest"), one


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_written_down(case: str) -> None:
    """Neither in variables nor in ConfigMaps; what Dagster makes runs of is a variable, too."""
    for one in rendered(case):
        if one.kind == "ConfigMap":
            for text in one.content["data"].values():
                assert not _PASSWORD_IN_URL.search(text), one
        for name, value in _literals(one):
            assert not _PASSWORD_IN_URL.search(value), (one, name)
            assert not _SECRETIVE.search(name) or not value, (one, name)
        assert one.kind != "Secret"


def _literals(one: Manifest) -> list[tuple[str, str]]:
    if one.kind not in ("Deployment", "Job"):
        return []
    variables = list(one.container["env"])
    context = one.variables().get("DAGSTER_CONTAINER_CONTEXT")
    if context:
        variables += json.loads(context)["k8s"]["env"]
    given = [argument.partition("=") for argument in one.container.get("args", [])]
    return [(v["name"], v["value"]) for v in variables if "value" in v] + [
        (name, value) for name, _, value in given if not name.startswith("--cookie-")
        and name not in ("--pass-access-token", "--google-service-account-json")
    ]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_variables_are_set_once(case: str) -> None:
    for one in pods(case):
        names = [variable["name"] for variable in one.container["env"]]
        assert len(names) == len(set(names)), one
        context = one.variables().get("DAGSTER_CONTAINER_CONTEXT")
        if context:
            own = [variable["name"] for variable in json.loads(context)["k8s"]["env"]]
            shared = rendered(case).component("Deployment", "daemon")[0].variables()
            assert len(own) == len(set(own))
            assert not set(own) & set(shared)


@pytest.mark.parametrize("case", CASES)
def test_only_who_speaks_to_the_cluster_has_a_token(case: str) -> None:
    accounts = {one.name: one for one in rendered(case).of("ServiceAccount")}
    for account in accounts.values():
        assert account.content["automountServiceAccountToken"] is False, account
    for one in pods(case):
        allowed = one.labels[COMPONENT] in SPEAKS_TO_THE_CLUSTER
        assert one.pod["automountServiceAccountToken"] is allowed, one
        account = accounts[one.pod["serviceAccountName"]]
        assert account.labels[COMPONENT] == one.labels[COMPONENT], "an account of its own"


@pytest.mark.parametrize("case", CASES)
def test_pods_fit_what_selects_them(case: str) -> None:
    objects = rendered(case)
    made = objects.with_pods()

    def selected(labels: dict[str, str]) -> list[Manifest]:
        return [one for one in made if labels.items() <= one.pod_labels.items()]

    for one in objects.of("Deployment"):
        assert selected(one.spec["selector"]["matchLabels"]) == [one]
        for spread in one.pod.get("topologySpreadConstraints", []):
            assert selected(spread["labelSelector"]["matchLabels"]) == [one]
    for one in objects.of("PodDisruptionBudget"):
        (behind,) = selected(one.spec["selector"]["matchLabels"])
        assert behind.spec["replicas"] > 1, "a budget of one pod would hold a node back"
    for one in objects.of("Service"):
        (behind,) = selected(one.spec["selector"])
        named = {port["name"]: port["containerPort"] for port in behind.container["ports"]}
        for port in one.spec["ports"]:
            assert named[port["targetPort"]] == port["port"], one


@pytest.mark.parametrize("case", CASES)
def test_what_is_referred_to_exists_or_is_told_in_the_notes(case: str) -> None:
    objects = rendered(case)
    maps = {one.name for one in objects.of("ConfigMap")}
    services = {one.name: one for one in objects.of("Service")}
    for one in objects.with_pods():
        for volume in one.pod.get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps, one
        secret = one.variables().get("DATA_PLATFORM_STORAGE_URL")
        if secret:
            reference = secret["secretKeyRef"]
            assert f"{reference['name']}: {reference['key']}" in objects.notes
    for one in objects.of("Ingress"):
        for rule in one.spec["rules"]:
            (path,) = rule["http"]["paths"]
            service = services[path["backend"]["service"]["name"]]
            ports = [port["name"] for port in service.spec["ports"]]
            assert path["backend"]["service"]["port"]["name"] in ports
    for one in objects.of("RoleBinding"):
        assert objects.get("Role", one.content["roleRef"]["name"])
        for subject in one.content["subjects"]:
            objects.get("ServiceAccount", subject["name"])


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_who_is_there_twice_has_a_budget_and_is_spread(replicas: int) -> None:
    objects = render(
        {
            "webserver": {"replicas": replicas},
            "readOnlyWebserver": {"enabled": True, "replicas": replicas},
            "locationDefaults": {"replicas": replicas},
        }
    )
    several = {"demo-webserver", "demo-webserver-readonly", "demo-location-pipelines"}
    budgets = {one.name: one.spec["maxUnavailable"] for one in objects.of("PodDisruptionBudget")}
    assert budgets == (dict.fromkeys(several, 1) if replicas > 1 else {})
    for name in several:
        server = objects.get("Deployment", name)
        assert server.spec["replicas"] == replicas
        assert [one["topologyKey"] for one in server.pod["topologySpreadConstraints"]] == [
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        ]
