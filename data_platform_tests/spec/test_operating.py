"""What platform.yaml and pipelines say of alerts, budgets, lineage and retention."""

from datetime import timedelta

import pytest

from data_platform_tests.factories import SOURCE, Project

CHANNELS = 'alerts:\n  channels: {chat: {url: "${CHAT:-}"}, mail: {url: "${MAIL:-}"}}\n'


def test_one_value_stands_for_a_list_of_it(project: Project):
    project.platform(
        CHANNELS
        + "  routes:\n    - when: {owner: team:a, event: [stale, failure]}\n      to: chat\n"
    )
    alerts = project.workspace().platform.alerts
    assert alerts.routes[0].to == ["chat"]
    assert alerts.routes[0].when.owner == ["team:a"]
    assert alerts.routes[0].when.event == ["stale", "failure"]
    assert alerts.repeat_after == timedelta(hours=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "  routes: [{to: caht}]\n",
            "3:13: 'caht' is no channel of `alerts` in platform.yaml; there are",
        ),
        ("  routes: [{to: []}]\n", "3:13: needs at least one entry"),
        ("  routes: [{to: chat, when: {event: late}}]\n", "'late' is not allowed"),
        ("  routes: [{to: chat, when: {severity: bad}}]\n", "allowed: info, warning, error"),
        ("  routes: [{to: chat, when: {asset: orders}}]\n", "'orders' names no asset: <layer>."),
        ("  repeat_after: soon\n", "'soon' is no duration"),
    ],
)
def test_alerts_that_make_no_sense_are_refused(project: Project, text: str, message: str):
    project.platform(CHANNELS + text)
    [problem] = project.workspace().platform_problems
    assert message in str(problem)


def test_a_pipeline_notifies_channels_that_are_there(project: Project):
    project.platform(CHANNELS)
    project.declare("notify: {to: [chat, mial]}\n" + SOURCE)
    [problem] = project.problems()
    assert "'mial' is no channel of `alerts` in platform.yaml; there are: chat, mail" in problem
    assert "pipeline.yaml" in problem
    project.declare("notify: {to: mail, on: failure}\n" + SOURCE)
    assert project.problems() == []
    [pipeline] = project.build().plan.pipelines
    assert pipeline.notify is not None
    assert pipeline.notify.on == ["failure"]


def test_a_budget_limits_something(project: Project):
    project.declare(SOURCE.replace("}", ", budget: {max_duration: 30m, max_memory: 2Gi}}"))
    budget = project.node("raw/shop/orders").budget
    assert budget is not None
    assert budget.max_duration == timedelta(minutes=30)
    project.declare(SOURCE.replace("}", ", budget: {}}"))
    [problem] = map(str, project.workspace().problems)
    assert "a budget says at least one of `max_duration`, `max_memory` or `max_slowdown`" in problem


def test_a_budget_for_all_holds_what_says_nothing(project: Project):
    project.platform(
        "budgets:\n  runs: {max_duration: 1h}\n  steps: {max_duration: 30m, max_slowdown: 3}\n"
    )
    project.declare(SOURCE)
    node = project.node("raw/shop/orders")
    assert node.budget is not None
    assert node.run_budget is not None
    assert node.budget.max_duration == timedelta(minutes=30)
    assert node.run_budget.max_duration == timedelta(hours=1)
    own = SOURCE.replace("}", ", budget: {max_memory: 2Gi, max_slowdown: 2}}")
    project.declare("budget: {max_duration: 2h}\n" + own)
    node = project.node("raw/shop/orders")
    assert node.budget is not None
    assert node.run_budget is not None
    assert node.budget.model_dump(exclude_unset=True) == {
        "max_duration": timedelta(minutes=30),
        "max_memory": "2Gi",
        "max_slowdown": 2.0,
    }
    assert node.run_budget.max_duration == timedelta(hours=2)


def test_a_budget_of_runs_has_no_memory(project: Project):
    project.declare("budget: {max_memory: 2Gi}\n" + SOURCE)
    [problem] = map(str, project.workspace().problems)
    assert "max_memory" in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lineage: {}", "one of `url`, `file`, or `connection` and `topic`"),
        ("lineage: {url: a, file: b}", "one of `url`, `file`, or `connection` and `topic`"),
        ("lineage: {topic: t}", "a topic needs both `connection` and `topic`"),
        ("lineage: {file: f, api_key: k}", "`api_key` goes with `url`"),
        (
            "lineage: {connection: bus, topic: t}",
            "1:11: 'bus' is no connection of type kafka; there are: none",
        ),
        ("retention: {runs: 90}", "90 is no duration"),
        ("retention: {run: 90d}", "unknown key 'run'; did you mean 'runs'?"),
    ],
)
def test_lineage_and_retention_that_make_no_sense_are_refused(
    project: Project, text: str, message: str
):
    project.platform(f"{text}\n")
    [problem] = project.workspace().platform_problems
    assert message in str(problem)
