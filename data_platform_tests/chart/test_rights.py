"""Accounts may do what Dagster's code for Kubernetes asks of the cluster, and nothing else.

What it asks is read from its source: each method of `DagsterKubernetesClient` that the launcher or
the executor calls, and what those call in turn, down to the methods of Kubernetes' client.
"""

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import dagster_k8s.client
import dagster_k8s.executor
import dagster_k8s.launcher
import pytest
from chart_cases import CASES, rendered
from helm_chart import COMPONENT, Manifest, Rendered, render

from data_platform.instance import pod_jobs, pod_launcher

Right = tuple[str, str, str]
"""Group of the API, resource, verb."""

_CALL = re.compile(
    r"(?P<does>create|read|list|delete|patch|replace)_namespaced_"
    r"(?P<what>job_status|job|pod_log|pod_status|pod|event|secret|config_map|service)"
)
_VERBS = {"create": "create", "read": "get", "list": "list", "delete": "delete"}
_RESOURCES = {
    "job": ("batch", "jobs"),
    "job_status": ("batch", "jobs/status"),
    "pod": ("", "pods"),
    "pod_log": ("", "pods/log"),
    "event": ("", "events"),
}


def functions(source: Path) -> dict[str, ast.AST]:
    """All functions of a module, by name."""
    tree = ast.parse(source.read_text())
    return {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def called(code: ast.AST) -> set[str]:
    """Names of methods and functions that occur in it."""
    return {one.attr for one in ast.walk(code) if isinstance(one, ast.Attribute)} | {
        one.id for one in ast.walk(code) if isinstance(one, ast.Name)
    }


@cache
def asked(*starts: tuple[object, str]) -> set[Right]:
    """What is asked of the cluster by functions of modules, and by what they call.

    Args:
        starts: modules with names of functions in them; all of a module by the name `*`.
    """
    client = functions(Path(dagster_k8s.client.__file__))
    rights, seen = set(), set()
    todo: list[ast.AST] = []
    for module, name in starts:
        found = functions(Path(module.__file__))  # pyright: ignore
        todo += found.values() if name == "*" else [found[name]]
    while todo:
        for name in called(todo.pop()):
            match = _CALL.fullmatch(name)
            if match:
                rights.add((*_RESOURCES[match["what"]], _VERBS[match["does"]]))
            elif name in client and name not in seen:
                seen.add(name)
                todo.append(client[name])
    return rights


LAUNCHES = asked((dagster_k8s.launcher, "*"), (pod_launcher, "*"), (pod_jobs, "*"))
ENDS_RUNS = asked((dagster_k8s.launcher, "terminate"))
STEPS = asked((dagster_k8s.executor, "*"))


def granted(objects: Rendered, account: str) -> set[Right]:
    """What an account may do."""
    roles = [
        objects.get("Role", one.content["roleRef"]["name"])
        for one in objects.of("RoleBinding")
        if account in [subject["name"] for subject in one.content["subjects"]]
    ]
    return {right for role in roles for right in rights(role)}


def rights(role: Manifest) -> Iterable[Right]:
    for rule in role.content["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield group, resource, verb


def test_what_dagster_asks_is_found_in_its_source() -> None:
    assert {("", "pods", "list"), ("", "pods", "delete"), ("batch", "jobs", "delete")} == ENDS_RUNS
    assert {("batch", "jobs", "create"), ("batch", "jobs/status", "get")} <= LAUNCHES & STEPS
    assert ("", "pods/log", "get") in LAUNCHES


def test_the_daemon_may_do_what_the_launcher_asks() -> None:
    assert granted(rendered("defaults"), "demo-daemon") == LAUNCHES


def test_the_webserver_may_end_runs_and_nothing_else() -> None:
    assert granted(rendered("defaults"), "demo-webserver") == ENDS_RUNS


def test_runs_may_do_nothing_unless_they_start_pods_for_steps() -> None:
    accounts = ("demo-run", "demo-run-pipelines")
    assert [granted(rendered("defaults"), one) for one in accounts] == [set(), set()]
    steps = rendered("steps in pods")
    assert [granted(steps, one) for one in accounts] == [STEPS] * 2


@pytest.mark.parametrize("case", CASES)
def test_nobody_else_may_do_anything(case: str) -> None:
    objects = rendered(case)
    may = {"webserver", "daemon"} | ({"run"} if "pods" in case or case == "everything" else set())
    for account in objects.of("ServiceAccount"):
        if account.labels[COMPONENT] not in may and case != "long names":
            assert granted(objects, account.name) == set(), account
    assert not objects.of("ClusterRole", "ClusterRoleBinding")
    for role in objects.of("Role"):
        for group, resource, verb in rights(role):
            assert "*" not in (group, resource, verb)
            assert resource not in ("secrets", "serviceaccounts/token", "pods/exec", "configmaps")


def test_bindings_are_of_accounts_in_the_releases_namespace() -> None:
    for one in render(CASES["everything"], namespace="data").of("RoleBinding"):
        assert [subject["namespace"] for subject in one.content["subjects"]] == ["data"]
