"""Pods of runs: what they ask for, and which Jobs have had their time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster import DagsterRunStatus as Status

from data_platform.instance.pod_jobs import RunJob, RunSeen, due
from data_platform.instance.pods import ISOLATED_TAG, KUBERNETES_TAG, fitting
from data_platform.instance.run_limits import RunLimits
from data_platform.instance.step_pods import launches_pods

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEEP = 300
USUAL = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}


@pytest.mark.parametrize(
    ("own", "made"),
    [
        ({}, USUAL),
        (
            {"requests": {"cpu": "2"}},
            {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        ),
        (
            {"requests": {"memory": "4Gi"}},
            {"requests": {"cpu": "500m", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
        ),
        (
            {"limits": {"memory": "512Mi"}},
            {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
        ),
        (
            {"limits": {"cpu": "250m"}},
            {
                "requests": {"cpu": "250m", "memory": "1Gi"},
                "limits": {"cpu": "250m", "memory": "2Gi"},
            },
        ),
    ],
    ids=["nothing", "more cpu", "above the limit", "below the request", "a new limit"],
)
def test_no_pod_asks_for_more_than_its_limit(
    own: Mapping[str, Mapping[str, str]], made: Mapping[str, Mapping[str, str]]
) -> None:
    assert fitting(USUAL, own) == made


def job(state: str, seconds: float, *, of_step: bool = False) -> RunJob:
    since = NOW - timedelta(seconds=seconds)
    return RunJob("a", "run", of_step=of_step, since=since, state=state)  # type: ignore[arg-type]


def ended(status: Status, seconds: float) -> RunSeen:
    return RunSeen(status, NOW - timedelta(seconds=seconds))


GOES_ON = RunSeen(Status.STARTED, None)
STARTING = RunSeen(Status.STARTING, None)
CANCELING = RunSeen(Status.CANCELING, None)
SUCCESS, FAILURE = ended(Status.SUCCESS, 1000), ended(Status.FAILURE, 1000)


@pytest.mark.parametrize(
    ("one", "run", "what"),
    [
        (job("succeeded", KEEP), SUCCESS, "delete"),
        (job("succeeded", KEEP - 1), SUCCESS, None),
        (job("failed", 10 * KEEP), FAILURE, None),
        (job("succeeded", KEEP), None, "delete"),
        (job("failed", 10 * KEEP), None, None),
        (job("succeeded", KEEP, of_step=True), GOES_ON, None),
        (job("succeeded", KEEP, of_step=True), SUCCESS, "delete"),
        (job("active", 5000), FAILURE, "delete"),
        (job("active", 5000), ended(Status.FAILURE, 59), None),
        (job("active", 5000), GOES_ON, None),
        (job("active", 5000), None, "delete"),
        (job("active", 5), None, None),
        (job("failed", 60), STARTING, "end run"),
        (job("succeeded", 60), CANCELING, "end run"),
        (job("failed", 59), STARTING, None),
        (job("failed", 60), GOES_ON, None),
        (job("failed", 60, of_step=True), CANCELING, None),
    ],
)
def test_what_is_due_of_a_job(one: RunJob, run: RunSeen | None, what: str | None) -> None:
    assert due(one, run, KEEP, NOW) == what


def test_a_run_with_an_isolated_asset_leaves_amounts_to_its_steps() -> None:
    limits = RunLimits(
        resources={
            "a/shop/small": {"requests": {"cpu": "1"}},
            "a/shop/heavy": {"requests": {"memory": "8Gi"}, "isolated": True},
        }
    )
    assert limits.tags(["a/shop/small", "a/shop/heavy"]) == {ISOLATED_TAG: "true"}
    assert set(limits.tags(["a/shop/small"])) == {KUBERNETES_TAG}


def test_where_runs_are_processes_steps_are_no_pods(instance: dg.DagsterInstance) -> None:
    assert not launches_pods(instance)
    assert not launches_pods(dg.DagsterInstance.ephemeral())
