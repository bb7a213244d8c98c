"""Dev, staging and production: their values, Argo CD's application, the way from one to another."""

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from chart_cases import CASES, rendered
from click.testing import CliRunner
from helm_chart import CHART, COMPONENT, ENVIRONMENTS, ROOT, environment

from data_platform.cli import main
from helm.values.chart import ChartValues

NAMES = ["dev", "staging", "production"]
WORKFLOWS = {name: ROOT / "helm" / "ci" / f"{name}.yaml" for name in ("promotion", "deploy")}
ARGO = ROOT / "helm" / "argo-cd"


@pytest.mark.parametrize("name", NAMES)
def test_values_are_those_of_the_models(name: str) -> None:
    ChartValues.model_validate(environment(name))


@pytest.mark.parametrize("case", CASES)
def test_models_take_what_helm_takes(case: str) -> None:
    def without_nulls(part: Any) -> Any:  # null takes a default away, in Helm alone
        if isinstance(part, dict):
            return {key: without_nulls(one) for key, one in part.items() if one is not None}
        return [without_nulls(one) for one in part] if isinstance(part, list) else part

    ChartValues.model_validate(without_nulls(CASES[case]))


def test_every_environment_has_its_own_lake_and_names_one_image() -> None:
    values = {name: environment(name) for name in NAMES}
    assert len({one["lake"]["root"] for one in values.values()}) == len(NAMES)
    assert len({one["lake"]["computeLogs"] for one in values.values()}) == len(NAMES)
    assert len({one["image"]["repository"] for one in values.values()}) == 1
    assert values["staging"]["image"] == values["production"]["image"]


def test_production_is_watched_signed_in_to_and_there_twice() -> None:
    objects = rendered("production")
    assert {one.kind for one in objects} >= {
        "Ingress", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "ResourceQuota",
        "ServiceMonitor",
    }  # fmt: skip
    for one in objects.of("Deployment"):
        alone = one.labels[COMPONENT] in ("daemon", "metrics")
        assert one.spec["replicas"] == (1 if alone else 2), one
    assert not rendered("dev").of("Ingress")


# Argo CD --------------------------------------------------------------------------------------


def argo(name: str) -> dict[str, Any]:
    return yaml.safe_load((ARGO / f"{name}.yaml").read_text())


def test_the_application_is_of_files_that_exist() -> None:
    application = argo("production")
    assert application["apiVersion"] == "argoproj.io/v1alpha1"
    source = application["spec"]["source"]
    assert (ROOT / source["path"]).resolve() == CHART
    for file in source["helm"]["valueFiles"]:
        assert (CHART / file).resolve().parent == ENVIRONMENTS
        assert (CHART / file).is_file()
    assert "HEAD" not in source["targetRevision"]
    assert "automated" not in application["spec"]["syncPolicy"], "somebody presses Sync"


def test_the_project_allows_what_the_chart_makes_and_no_more() -> None:
    project = argo("project")
    application = argo("production")
    assert application["spec"]["project"] == project["metadata"]["name"]
    assert application["spec"]["destination"] in project["spec"]["destinations"]
    assert application["spec"]["source"]["repoURL"] in project["spec"]["sourceRepos"]
    made = {
        (one.content["apiVersion"].rpartition("/")[0], one.kind)
        for case in CASES
        for one in rendered(case)
    }
    allowed = {(one["group"], one["kind"]) for one in project["spec"]["namespaceResourceWhitelist"]}
    assert allowed == made
    assert project["spec"]["clusterResourceWhitelist"] == []


# Promotion ------------------------------------------------------------------------------------


def workflow(name: str) -> dict[str, Any]:
    return yaml.safe_load(WORKFLOWS[name].read_text())


def commands(name: str) -> list[str]:
    """All lines of shell of a workflow."""
    return [
        line.strip()
        for job in workflow(name)["jobs"].values()
        for step in job.get("steps", [])
        for line in step.get("run", "").replace("\\\n", " ").splitlines()
    ]


def test_a_change_is_checked_planned_compared_and_tested() -> None:
    own = [line for line in commands("promotion") if line.startswith("data-platform")]
    assert [line.partition(" ||")[0] for line in own] == [
        "data-platform check",
        "data-platform plan --against origin/main",
        "data-platform contract diff origin/main",
        "data-platform test",
    ]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_name_commands_that_exist(name: str) -> None:
    found = [
        match[0]
        for line in commands(name)
        for match in re.finditer(r"(?<![\w/-])data-platform [a-z][^|>\"]*", line)
    ]
    assert found
    for line in found:
        _, *words = shlex.split(line)
        command: click.Command = main
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words, resilient_parsing=False)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_may_only_read_and_name_files_that_exist(name: str) -> None:
    text = WORKFLOWS[name].read_text()
    assert workflow(name)["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in text
    for action in re.findall(r"uses: (\S+)", text):
        assert action.startswith("./") or re.search(r"@v\d", action), "of a version"
    for path in re.findall(r"(helm/[\w./-]+?)/? ", text):
        assert (ROOT / path).exists(), path
    for line in commands(name):
        assert "${{" not in line, "a value in shell would be run"


def test_each_environment_follows_the_one_before() -> None:
    jobs = workflow("promotion")["jobs"]
    order = ["build", *NAMES]
    for before, after in pairwise(order):
        assert before in jobs[after]["needs"]
    assert jobs["build"]["needs"] == "check"
    for name in NAMES:
        assert jobs[name]["with"]["environment"] == name
        assert "needs.build.outputs.digest" in jobs[name]["with"]["digest"], "built once"


def test_what_is_looked_at_after_a_deployment_exists() -> None:
    names = re.findall(r"deploy/\$RELEASE-([\w-]+)", WORKFLOWS["deploy"].read_text())
    assert names
    for case in NAMES:
        for name in names:
            rendered(case).get("Deployment", f"demo-{name}")


# The steps of the workflow, in a repository of one's own --------------------------------------


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `init` makes it, merged to main."""
    folder = tmp_path_factory.mktemp("promotion") / "shop"
    assert CliRunner().invoke(main, ["init", str(folder)]).exit_code == 0
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "first")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def follow(folder: Path, database: str) -> list[tuple[str, int]]:
    """Run the workflow's own commands as its shell does, until one fails."""
    done = []
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in commands("promotion"):
        if not line.startswith("data-platform"):
            continue
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line],
            cwd=folder,
            env={**os.environ, "PATH": path, "DATA_PLATFORM_STORAGE_URL": database},
            capture_output=True,
            text=True,
            check=False,
        )
        print(line, ran.returncode, ran.stdout, ran.stderr)  # noqa: T201 -- shown where it fails
        done.append((line.split()[1], ran.returncode))
        if ran.returncode:
            break
    return done


def test_a_sound_change_passes(repository: Path, dagster_url: str) -> None:
    path = repository / "pipelines/sales/pipeline.yaml"
    before = path.read_text()
    path.write_text(before.replace("Orders of a web shop,", "All orders of a web shop,"))
    done = follow(repository, dagster_url)
    assert done == [("check", 0), ("plan", 0), ("contract", 0), ("test", 0)]
    path.write_text(before)


def test_a_change_that_breaks_readers_is_refused(repository: Path, dagster_url: str) -> None:
    path = repository / "pipelines/sales/pipeline.yaml"
    before = path.read_text()
    lines = before.splitlines(keepends=True)
    start = lines.index("      customer:\n")
    path.write_text("".join(lines[:start] + lines[start + 3 :]))
    assert follow(repository, dagster_url) == [("check", 0), ("plan", 0), ("contract", 1)]
    path.write_text(before)


def test_a_mistake_is_found_first(repository: Path, dagster_url: str) -> None:
    path = repository / "pipelines/sales/pipeline.yaml"
    before = path.read_text()
    path.write_text(before.replace("from: raw.orders", "from: raw.ordrs"))
    assert follow(repository, dagster_url) == [("check", 1)]
    path.write_text(before)
