"""What events add to counters, without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import dagster as dg
import pytest
from event_samples import RUN, checked, failed, followed, published, succeeded, tried_again
from factories import Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.observability.following.follower import Followed
from data_platform.observability.metrics.folding import Folded, fold
from data_platform.observability.metrics.known import Known
from data_platform.observability.metrics.runs import RunTimes

BODY = "staging:\n  orders:\n    from: raw.orders\n"
RAW, STAGING = ("raw", "shop", "orders"), ("staging", "shop", "orders")
LABELS = ("shop", "staging", "orders")
STEP = "staging__shop__orders"
RUNS = {RUN: RunTimes(("shop",), asked_at=900.0, started_at=940.0)}
NEVER = Known(())
DAY_ENDED = datetime(2024, 1, 2, tzinfo=UTC).timestamp()


@pytest.fixture
def known(project: Project) -> Known:
    """Raw and staging, by day from 1 January 2024 on."""
    project.declare(BODY, daily=True)
    return Known(project.build().plan.nodes)


def added(folded: Folded) -> dict[str, dict[tuple[str, ...], list[float]]]:
    """By the metric's name without what all begin with."""
    found: dict[str, dict[tuple[str, ...], list[float]]] = {}
    for (name, labels), counts in folded.added.items():
        found.setdefault(name.removeprefix("data_platform_"), {})[labels] = counts
    return found


def test_the_end_of_a_run_is_counted_once_and_timed_in_each_of_its_pipelines():
    end = followed(1, dg.DagsterEventType.RUN_FAILURE, at=1_000.0)
    runs = {RUN: RunTimes(("crm", "shop"), asked_at=900.0, started_at=970.0)}
    found = added(fold([end], runs, NEVER))
    assert found["runs_ended"] == {("failure",): [1]}
    assert {labels: counts[-1] for labels, counts in found["run_duration_seconds"].items()} == {
        ("crm", "failure"): 30,
        ("shop", "failure"): 30,
    }


def test_a_run_waits_from_its_request_to_its_start():
    start = followed(1, dg.DagsterEventType.RUN_START, at=907.5)
    waited = added(fold([start], RUNS, NEVER))["run_queue_wait_seconds"]["shop",]
    assert (sum(waited[:-1]), waited[-1]) == (1, 7.5)


def test_a_run_that_is_gone_or_never_started_is_counted_without_a_time():
    end = followed(1, dg.DagsterEventType.RUN_CANCELED)
    for runs in ({}, {RUN: RunTimes(("shop",), asked_at=900.0)}):
        assert added(fold([end], runs, NEVER)) == {"runs_ended": {("canceled",): [1]}}


def test_steps_are_told_by_asset_and_their_failure_until_they_succeed(known: Known):
    folded = fold([tried_again(1, STEP), failed(2, STEP)], RUNS, known)
    assert added(folded) == {
        "step_retries": {LABELS: [1]},
        "steps": {(*LABELS, "failure"): [1]},
    }
    assert folded.latest == {("data_platform_asset_failed", LABELS): (2, 1.0)}
    folded = fold([succeeded(4, STEP, 2.5), failed(3, STEP)], RUNS, known)
    assert folded.latest == {("data_platform_asset_failed", LABELS): (4, 0.0)}
    assert added(folded)["asset_step_seconds"] == {LABELS: [2.5]}
    assert added(folded)["step_duration_seconds"]["shop", "staging"][-1] == 2.5


def test_steps_of_nobody_are_left_out(known: Known):
    assert added(fold([succeeded(1, "somebody_elses", 1), failed(2, "")], RUNS, known)) == {}


def test_rows_and_bytes_are_those_of_partitions_that_changed(known: Known):
    figures = {"dagster/partition_row_count": 7, "bytes": 700, "rows_in": 9, "rows_quarantined": 2}
    found = added(
        fold(
            [
                published(1, STAGING, {**figures, "cpu_seconds": 0.5}, partition="2024-01-01"),
                published(2, STAGING, {**figures, "unchanged": True}, partition="2024-01-02"),
                published(3, ("quarantine", "shop", "orders"), {"dagster/row_count": 2}),
            ],
            RUNS,
            known,
        )
    )
    del found["arrival_to_publication_seconds"]
    assert found == {
        "asset_publications": {(*LABELS, "true"): [1], (*LABELS, "false"): [1]},
        "asset_rows_published": {LABELS: [7]},
        "asset_bytes_published": {LABELS: [700]},
        "asset_rows_read": {LABELS: [9]},
        "asset_rows_quarantined": {LABELS: [2]},
        "asset_cpu_seconds": {LABELS: [0.5]},
    }


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), -1, "7", None])
def test_what_is_no_count_is_left_out(known: Known, figure: object):
    metadata = {"dagster/row_count": dg.MetadataValue.null() if figure is None else figure}
    found = added(fold([published(1, STAGING, metadata)], RUNS, known))
    assert "asset_rows_published" not in found


def test_publication_is_late_since_the_partition_was_over(known: Known):
    day = published(1, STAGING, partition="2024-01-01", at=DAY_ENDED + 5_400)
    found = added(fold([day], RUNS, known))["arrival_to_publication_seconds"]
    assert found["shop", "staging"][-1] == 5_400


def test_backfills_arrived_long_ago_and_are_left_out(known: Known):
    day = published(1, STAGING, partition="2024-01-01", at=DAY_ENDED + 5_400)
    runs = {RUN: RunTimes(("shop",), catches_up=True)}
    assert "arrival_to_publication_seconds" not in added(fold([day], runs, known))


def test_publication_of_a_raw_table_is_late_since_its_newest_file():
    files = [
        dg.TableRecord({"file": name, "modified": f"2024-01-01T0{hour}:00:00+00:00"})
        for name, hour in (("ä.csv", 5), ("b.csv", 3))
    ]
    at = datetime(2024, 1, 1, 6, tzinfo=UTC).timestamp()
    event = published(1, RAW, {"source_files": dg.MetadataValue.table(files)}, at=at)
    found = added(fold([event], RUNS, NEVER))["arrival_to_publication_seconds"]
    assert found["shop", "raw"][-1] == 3_600


def test_the_newest_result_of_a_check_stands_in_whatever_order_they_come():
    events = [
        checked(3, STAGING, "größe", passed=True),
        checked(1, STAGING, "größe", passed=False),
        checked(2, STAGING, "größe", passed=False, warn=True),
    ]
    folded = fold(events, RUNS, NEVER)
    assert folded.latest == {("check", (*LABELS, "größe")): (3, 0.0)}
    assert added(folded)["asset_check_results"] == {
        (*LABELS, "passed"): [1],
        (*LABELS, "failed"): [1],
        (*LABELS, "warned"): [1],
    }


def test_observations_are_in_the_first_bucket_that_holds_them(known: Known):
    folded = fold([succeeded(n, STEP, s) for n, s in enumerate((0, 0.1, 0.2, 9_999))], RUNS, known)
    counts = added(folded)["step_duration_seconds"]["shop", "staging"]
    assert counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, pytest.approx(9_999.3)]


_EVENTS = [
    succeeded(1, STEP, 2),
    failed(2, STEP),
    tried_again(3, STEP),
    published(4, STAGING, {"dagster/row_count": 3, "peak_memory_bytes": 10}),
    published(5, STAGING, {"dagster/row_count": 4, "peak_memory_bytes": 20}),
    checked(6, STAGING, "a", passed=False),
    checked(7, STAGING, "a", passed=True),
    followed(8, dg.DagsterEventType.RUN_SUCCESS),
    followed(9, dg.DagsterEventType.RUN_START),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(order=st.permutations(_EVENTS), cuts=st.lists(st.integers(0, len(_EVENTS)), max_size=4))
def test_batches_and_their_order_make_no_difference(
    known: Known, order: list[Followed], cuts: list[int]
):
    whole = fold(_EVENTS, RUNS, known)
    bounds = [0, *sorted(cuts), len(order)]
    parts = [fold(order[first:end], RUNS, known) for first, end in pairwise(bounds)]
    assert _together(parts) == (whole.added, whole.latest)


def _together(parts: Sequence[Folded]) -> tuple[object, object]:
    """As the table of counters puts batches together."""
    total = Folded()
    for part in parts:
        for series, counts in part.added.items():
            before = total.added.get(series, [0.0] * len(counts))
            total.added[series] = [a + b for a, b in zip(before, counts, strict=True)]
        for series, said in part.latest.items():
            total.latest[series] = max(total.latest.get(series, said), said)
    return total.added, total.latest
