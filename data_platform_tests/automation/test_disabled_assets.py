"""An asset with `enabled: false` stays in sight, and nothing starts it."""

from datetime import UTC, datetime

import pytest
from factories import Project

from data_platform.automation.conditions import condition_of
from data_platform.errors import PermanentError
from data_platform.observability.freshness_policies import policy_of
from data_platform.observability.status import Facts, status_of
from data_platform.plan.pipelines import PipelinePlan
from data_platform.running.requests import left_out, selected

NOW = datetime(2024, 1, 5, tzinfo=UTC)
BODY = """
staging:
  orders: {from: raw.orders, enabled: false, freshness: {fail_after: 1h}}
analytics:
  total: {query: select count(*) as n from staging.orders}
"""


@pytest.fixture
def pipeline(project: Project) -> PipelinePlan:
    project.declare(BODY)
    return project.build().plan.pipelines[0]


def names(nodes: list) -> list[str]:
    return [f"{node.key.layer}/{node.key.name}" for node in nodes]


def test_a_run_leaves_it_out_and_says_so(pipeline: PipelinePlan) -> None:
    assert names(selected(pipeline, ())) == ["raw/orders", "analytics/total"]
    assert [str(key) for key in left_out(pipeline, ())] == ["staging/shop/orders"]
    assert left_out(pipeline, ["raw/orders"]) == ()


def test_a_run_of_nothing_else_is_refused(pipeline: PipelinePlan) -> None:
    with pytest.raises(PermanentError, match=r"staging/orders is disabled by `enabled: false`, at"):
        selected(pipeline, ["staging/orders"])


def test_it_has_no_condition_and_is_promised_to_nobody(pipeline: PipelinePlan) -> None:
    node = next(node for node in pipeline.nodes if not node.enabled)
    assert condition_of(node) is None
    assert policy_of(node, NOW) is None
    status = status_of(node, Facts(), NOW)
    assert (status.enabled, status.freshness.state) == (False, "none")
