"""What an asset and a pipeline say of slots, priority, resources, runs and their last step."""

import json
import re

import pytest
from factories import PIPELINE, Project

from data_platform.asset_steps import step_tags
from data_platform.plan.explaining import explain_json, explain_text

POOLS = "pools: {memory: 4, cpu: 2}"
SOURCE = """
sources:
  orders: {{type: file, path: "{folder}/orders.csv", {said}}}
"""


def declare(project: Project, said: str, head: str = "") -> None:
    (project.folder / "orders.csv").write_text("id\n1\n")
    project.platform(POOLS)
    project.declare(f"{head}\n{SOURCE.format(folder=project.folder, said=said)}")


def tags(project: Project) -> dict[str, str]:
    return step_tags(project.node("raw/orders"))


def test_step_says_how_many_slots_it_takes(project: Project) -> None:
    declare(project, "pool: memory, pool_slots: 3")
    assert tags(project)["data_platform/pool_slots"] == "3"
    assert project.node("raw/orders").pool == "memory"


def test_step_of_one_slot_says_nothing(project: Project) -> None:
    declare(project, "pool: memory")
    assert "data_platform/pool_slots" not in tags(project)


def test_more_slots_than_the_pool_has_are_refused(project: Project) -> None:
    declare(project, "pool: memory, pool_slots: 5")
    [problem] = project.problems()
    assert "pool memory has 4 in platform.yaml, and a step can't take 5" in problem


def test_slots_of_no_pool_are_refused(project: Project) -> None:
    declare(project, "pool_slots: 2")
    [problem] = project.problems()
    assert "2 slots of no pool: say `pool` as well; in platform.yaml there are memory" in problem


@pytest.mark.parametrize("slots", ["0", "-1", "1.5", '"many"'])
def test_slots_are_a_number_from_one_up(project: Project, slots: str) -> None:
    declare(project, f"pool: memory, pool_slots: {slots}")
    [problem] = project.workspace().problems
    assert "pipeline.yaml" in str(problem)


@pytest.mark.parametrize(
    ("said", "head", "priority"),
    [
        ("", "", "0"),
        ("", "criticality: critical", "2"),
        ("priority: 7", "criticality: critical", "7"),
        ("priority: 0", "criticality: low", "0"),
        ("priority: -5", "", "-5"),
    ],
)
def test_priority_is_the_asset_s_or_by_criticality(
    project: Project, said: str, head: str, priority: str
) -> None:
    declare(project, said or "settle: 0s", head)
    assert tags(project)["dagster/priority"] == priority


def test_resources_reach_the_pod(project: Project) -> None:
    said = "resources: {requests: {cpu: 0.5, memory: 512Mi}, limits: {cpu: 2, memory: 2Gi}}"
    declare(project, said)
    config = json.loads(tags(project)["dagster-k8s/config"])
    assert config["container_config"]["resources"] == {
        "requests": {"cpu": "0.5", "memory": "512Mi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    }


def test_an_isolated_asset_tells_so(project: Project) -> None:
    declare(project, "resources: {requests: {memory: 6Gi}, isolated: true}")
    text = explain_text(project.build().plan)
    assert "requests: memory 6Gi; each step in a pod of its own" in " ".join(text.split())


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("{requests: {cpu: lots}}", "no amount of CPUs"),
        ("{requests: {cpu: 0}}", "no amount of CPUs"),
        ("{limits: {memory: 2GB}}", "no amount of memory"),
        ("{limits: {memory: 0Mi}}", "no amount of memory"),
        ("{requests: {cpu: 2}, limits: {cpu: 500m}}", "requests 2 of cpu is above its limit"),
        ("{requests: {memory: 1G}, limits: {memory: 900Mi}}", "is above its limit of 900Mi"),
        ("{gpu: 1}", "gpu"),
    ],
)
def test_resources_with_a_mistake_are_refused(
    project: Project, resources: str, message: str
) -> None:
    declare(project, f"resources: {resources}")
    [problem] = [str(found) for found in project.workspace().problems]
    assert message in problem


def test_explain_tells_them(project: Project) -> None:
    declare(project, "pool: memory, pool_slots: 3, priority: 4, resources: {limits: {memory: 2Gi}}")
    text = explain_text(project.build().plan)
    assert "memory, 3 slots" in text
    assert "limits: memory 2Gi" in text


def test_explain_tells_of_budgets(project: Project) -> None:
    head = "max_active_runs: 2\nbudget: {max_duration: 1h}"
    declare(project, "budget: {max_memory: 1Gi}", head)
    plan = project.build().plan
    text = explain_text(plan)
    assert "runs at a time: 2\n" in text
    assert "budget of a run: max_duration 1h" in text
    assert re.search(r"\n  budget +max_slowdown 2.0, max_memory 1Gi", text)
    [told] = explain_json(plan)["pipelines"]
    assert told["budget"] == {"max_duration": "1h", "max_slowdown": 2.0}
    assert told["max_active_runs"] == 2


def test_pipeline_has_a_limit_of_runs_and_a_last_step(project: Project) -> None:
    declare(project, "settle: 0s", "max_active_runs: 2\non_finish: telling:tell")
    folder = project.pipelines / PIPELINE
    (folder / "telling.py").write_text("def tell(facts): ...\n")
    [pipeline] = project.build().plan.pipelines
    assert pipeline.max_active_runs == 2
    assert pipeline.on_finish is not None
    assert pipeline.on_finish.written == "telling:tell"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def say(facts): ...", "no function 'tell'"),
        ("def tell(): ...", "can't be called: too many positional arguments"),
        ("def tell(facts, other): ...", "a function of on_finish takes (facts)"),
        ("import nothing_there", "module telling can't be imported"),
    ],
)
def test_last_step_that_cant_be_called_is_refused(
    project: Project, code: str, message: str
) -> None:
    declare(project, "settle: 0s", "on_finish: telling:tell")
    (project.pipelines / PIPELINE / "telling.py").write_text(code)
    [problem] = project.problems()
    assert "pipeline.yaml" in problem
    assert message in problem
