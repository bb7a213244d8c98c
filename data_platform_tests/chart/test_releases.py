"""Releases: what is replaced when, so that nothing is dropped and one team breaks no other."""

from typing import Any

import pytest
import yaml
from chart_cases import CASES, EXTERNAL, rendered
from helm_chart import COMPONENT, LOCATION, Manifest, Rendered, render

SERVES_REQUESTS = {
    "webserver",
    "webserver-readonly",
    "code-location",
    "oauth2-proxy",
    "oauth2-proxy-viewers",
}
ALONE = {"daemon", "metrics"}
CHECKSUMS = ("checksum/dagster", "checksum/workspace")
PRE_STOP_SECONDS = 10


@pytest.mark.parametrize("case", CASES)
def test_requests_are_answered_while_pods_are_replaced(case: str) -> None:
    for one in rendered(case).of("Deployment"):
        if one.labels[COMPONENT] not in SERVES_REQUESTS:
            continue
        assert one.spec["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }
        assert one.container["lifecycle"] == {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}}
        grace = [a.partition("=")[2] for a in one.container["args"] if a.startswith("--grace=")]
        seconds = int(grace[0]) if grace else 0
        assert one.pod["terminationGracePeriodSeconds"] > PRE_STOP_SECONDS + seconds + 5, one


@pytest.mark.parametrize("case", CASES)
def test_what_must_not_be_there_twice_never_is(case: str) -> None:
    for one in rendered(case).of("Deployment"):
        if one.labels[COMPONENT] in ALONE:
            assert one.spec["strategy"] == {"type": "Recreate"}
            assert one.spec["replicas"] == 1


def test_grace_of_servers_is_what_values_say() -> None:
    objects = render({"webserver": {"graceSeconds": 100}, "daemon": {"graceSeconds": 90}})
    assert "--grace=100" in objects.get("Deployment", "demo-webserver").container["args"]
    assert objects.get("Deployment", "demo-daemon").pod["terminationGracePeriodSeconds"] == 90


def checksums(objects: Rendered, name: str) -> dict[str, str]:
    annotations = objects.get("Deployment", name).pod_annotations
    return {key: annotations[key] for key in CHECKSUMS if key in annotations}


READERS = ["demo-webserver", "demo-daemon", "demo-metrics-pipelines"]


def test_who_reads_dagster_yaml_is_replaced_when_it_changes() -> None:
    before, after = render(), render({"instance": {"queue": {"maxConcurrentRuns": 7}}})
    for name in READERS:
        changed = checksums(before, name)["checksum/dagster"]
        assert changed != checksums(after, name)["checksum/dagster"], name
    again = render()
    assert [checksums(before, name) for name in READERS] == [
        checksums(again, name) for name in READERS
    ]


def test_a_code_server_is_replaced_when_what_it_reads_changes() -> None:
    """What only the daemon and the webservers act on is none of it."""
    name = "demo-location-pipelines"
    before = checksums(render(), name)
    values = {"instance": {"queue": {"maxConcurrentRuns": 7}, "threads": {"sensors": 9}}}
    assert checksums(render(values), name) == before
    own = yaml.safe_load(render().get("ConfigMap", "demo-instance").content["data"]["dagster.yaml"])
    left = {
        "storage", "compute_logs", "local_artifact_storage", "freshness", "telemetry", "nux",
    }  # fmt: skip
    omitted = {
        "run_launcher", "run_coordinator", "concurrency", "run_monitoring", "run_retries",
        "sensors", "schedules", "backfills", "auto_materialize", "retention",
    }  # fmt: skip
    assert own.keys() == left | omitted, "decide for each part whether code servers read it"


def test_every_pod_that_mounts_the_configuration_has_its_checksum() -> None:
    for one in rendered("everything").with_pods():
        mounts = {volume["name"] for volume in one.pod.get("volumes", [])}
        assert ("instance" in mounts) == ("checksum/dagster" in one.pod_annotations), one


def template(objects: Rendered, name: str) -> Any:
    return objects.get("Deployment", name).spec["template"]


ONE = {"codeLocations": [{"name": "pipelines"}]}
LIMITED = {"name": "finance", "queue": {"maxConcurrentRuns": 2}}
TWO = {"codeLocations": [{"name": "pipelines"}, LIMITED]}


def test_a_new_team_restarts_no_other_teams_server() -> None:
    before, after = render(ONE), render(TWO)
    assert template(before, "demo-location-pipelines") == template(after, "demo-location-pipelines")
    for name in ("demo-webserver", "demo-daemon"):
        assert template(before, name) != template(after, name), "it must read workspace.yaml anew"


@pytest.mark.parametrize(
    "change",
    [
        {"image": {"repository": "r.example.com/finance", "tag": "broken"}},
        {"env": {"A": "1"}},
        {"resources": {"requests": {"cpu": "2"}}},
        {"replicas": 3},
        {"egress": [{"cidrs": ["10.1.1.1/32"], "ports": [1]}]},
        {"secretEnv": [{"name": "X", "secret": "missing", "key": "k"}]},
    ],
    ids=["image", "env", "resources", "replicas", "network", "secret"],
)
def test_a_teams_release_touches_nothing_of_others(change: dict[str, Any]) -> None:
    before = render(TWO)
    after = render({"codeLocations": [{"name": "pipelines"}, {**LIMITED, **change}]})

    def of_others(objects: Rendered) -> dict[str, Any]:
        return {str(one): one.content for one in objects if one.labels.get(LOCATION) != "finance"}

    assert of_others(before) == of_others(after)
    assert before.get("Deployment", "demo-location-finance") != after.get(
        "Deployment", "demo-location-finance"
    )


@pytest.mark.parametrize("case", CASES)
def test_every_team_has_its_own_of_everything(case: str) -> None:
    objects = rendered(case)
    servers = objects.component("Deployment", "code-location")
    assert len({one.pod["serviceAccountName"] for one in servers}) == len(servers)
    (instance,) = [one for one in objects.of("ConfigMap") if one.labels[COMPONENT] == "instance"]
    listed = yaml.safe_load(instance.content["data"]["workspace.yaml"])["load_from"]
    assert [one["grpc_server"]["location_name"] for one in listed] == [
        one["name"] for one in CASES[case].get("codeLocations", [{"name": "pipelines"}])
    ]
    for one in listed:
        service = objects.get("Service", one["grpc_server"]["host"])
        assert one["grpc_server"]["port"] == service.spec["ports"][0]["port"]
        assert service.labels[LOCATION] == one["grpc_server"]["location_name"]


def server_id(one: Manifest) -> str:
    (found,) = [a for a in one.container["args"] if a.startswith("--fixed-server-id=")]
    return found


def test_pods_of_a_release_are_one_server_and_those_of_the_next_another() -> None:
    def of(values: dict[str, Any]) -> str:
        return server_id(render(values).get("Deployment", "demo-location-a"))

    first = of({"codeLocations": [{"name": "a"}]})
    assert first == of({"codeLocations": [{"name": "a"}]})
    assert first != of({"codeLocations": [{"name": "a", "image": {"tag": "2"}}]})
    assert first != of({"codeLocations": [{"name": "a", "env": {"A": "1"}}]})


def test_the_database_is_migrated_before_anything_of_a_release_starts() -> None:
    job = rendered("defaults").get("Job", "demo-migration")
    account = rendered("defaults").get("ServiceAccount", "demo-migration")
    assert job.annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert account.annotations["helm.sh/hook"] == job.annotations["helm.sh/hook"]
    weights = [int(one.annotations["helm.sh/hook-weight"]) for one in (account, job)]
    assert weights[0] < weights[1]
    assert job.container["command"] + job.container["args"] == [
        "data-platform",
        "migrate",
        "--wait=300",
    ]
    assert job.spec["template"]["spec"]["restartPolicy"] == "Never"
    mounted = {volume["name"] for volume in job.pod["volumes"]}
    assert mounted == {"tmp", "scratch"}, "there is no ConfigMap before the first installation"


def test_the_first_migration_waits_for_a_secret_that_comes_with_the_release() -> None:
    objects = render({"storage": {"externalSecret": EXTERNAL}})
    job = objects.get("Job", "demo-migration")
    assert job.annotations["helm.sh/hook"] == "post-install,pre-upgrade"


def test_limits_of_teams_are_in_the_queue() -> None:
    (instance,) = [
        one for one in rendered("production").of("ConfigMap") if one.labels[COMPONENT] == "instance"
    ]
    coordinator = yaml.safe_load(instance.content["data"]["dagster.yaml"])["run_coordinator"]
    limits = coordinator["config"]["tag_concurrency_limits"]
    assert {"key": "dagster/code_location", "value": "shop", "limit": 10} in limits
    assert {"key": "dagster/code_location", "value": "finance", "limit": 4} in limits


def test_a_quota_counts_the_pods_of_one_team() -> None:
    quota = rendered("production").get("ResourceQuota", "demo-location-shop")
    assert quota.spec["hard"] == {"pods": "40", "requests.cpu": "40", "requests.memory": "120Gi"}
    (scope,) = quota.spec["scopeSelector"]["matchExpressions"]
    assert scope["values"] == ["data-shop"]
    server = rendered("production").get("Deployment", "demo-location-shop")
    assert server.pod["priorityClassName"] == "data-shop"
