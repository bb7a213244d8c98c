"""A step that fails in passing is tried again, after the delays that were written, and tells it."""

import os
import signal
import subprocess
import sys

import dagster as dg
from dagster_steps import assets_of, failure_of, materialized, retries_of, run_assets
from factories import Project

MODULE = """
import pathlib
calls = pathlib.Path(__file__).with_name("calls")

def fetch():
    with calls.open("a") as file:
        file.write("x")
    if len(calls.read_text()) <= {failures}:
        raise {error}("for a moment")
    return [{{"id": 1}}]
"""


def declare(project: Project, retries: str, failures: int, error: str = "ConnectionError") -> None:
    path = project.declare(
        "sources:\n  orders:\n    type: python\n    function: fetching:fetch\n"
        f"    retries: {{{retries}}}\n"
    )
    path.with_name("fetching.py").write_text(MODULE.format(failures=failures, error=error))


def calls(project: Project) -> int:
    return len((project.pipelines / "shop" / "calls").read_text())


def test_each_delay_of_a_list_is_waited_for(project: Project, instance: dg.DagsterInstance) -> None:
    declare(project, "delays: [0s, 1s], jitter: false", failures=2)
    result = run_assets(project, instance, "raw/orders")
    assert result.success
    waits = retries_of(result)
    assert [seconds for seconds, _ in waits] == [0, 1]
    assert "Try 1 of 3; the next one is in 0 s." in waits[0][1]
    assert "Try 2 of 3; the next one is in 1 s." in waits[1][1]
    assert "for a moment" in waits[0][1]
    assert calls(project) == 3
    assert materialized(instance, project, "raw/orders") == [None]


def test_the_last_failure_says_how_often_and_how_long(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project, "attempts: 2, delay: 1s, max_delay: 1s, jitter: false", failures=9)
    result = run_assets(project, instance, "raw/orders")
    assert not result.success
    assert [seconds for seconds, _ in retries_of(result)] == [1, 1]
    text = failure_of(result)
    assert "for a moment" in text
    assert "It was tried 3 times within " in text
    assert "within 0 s" not in text
    assert calls(project) == 3


def test_what_does_not_pass_by_itself_is_not_tried_again(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project, "delays: [0s]", failures=9, error="KeyError")
    result = run_assets(project, instance, "raw/orders")
    assert not result.success
    assert not retries_of(result)
    assert "It was tried" not in failure_of(result)
    assert calls(project) == 1


def test_no_tries_more_where_none_are_wanted(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project, "attempts: 0", failures=9)
    result = run_assets(project, instance, "raw/orders")
    assert not retries_of(result)
    assert "It was tried" not in failure_of(result)


def test_dagster_shows_how_often_an_asset_is_tried(project: Project) -> None:
    declare(project, "delays: [60s, 5m, 30m], jitter: false", failures=0)
    [asset] = assets_of(project, "raw/orders")
    [spec] = asset.specs
    assert spec.metadata["retries"] == "3 tries more, after 1 min, 5 min, 30 min"


def test_destinations_are_tried_again(project: Project, instance: dg.DagsterInstance) -> None:
    # Nothing listens on port 1.
    project.platform(
        "connections:\n  shop: {type: database, url: 'postgresql://u:secret@127.0.0.1:1/x'}\n"
    )
    project.declare(
        "staging:\n  orders: {from: raw.orders}\n"
        "destinations:\n  orders: {from: staging.orders, type: database, connection: shop,"
        " table: orders, retries: {delays: [0s]}}\n"
    )
    project.land("staging/orders", [{"id": 1}])
    result = run_assets(project, instance, "destinations/orders")
    assert len(retries_of(result)) == 1
    assert "It was tried 2 times" in failure_of(result)
    assert "secret" not in failure_of(result)


WAITING = """
import sys
import dagster as dg
from data_platform.reporting.tries import make_waiting_endable

make_waiting_endable()
make_waiting_endable()

@dg.asset
def one():
    print("tried", flush=True)
    raise dg.RetryRequested(5, 600)

result = dg.materialize([one], raise_on_error=False)
print("ended", result.all_events[-1].event_type_value)
"""


def test_ctrl_c_ends_the_wait_for_another_try() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "tried\n"
    for line in process.stderr:
        if "STEP_UP_FOR_RETRY" in line:
            break
    process.send_signal(signal.SIGINT)
    # Without what is tested here it would wait for ten minutes.
    output, log = process.communicate(timeout=60)
    assert "tried" not in output
    assert "DagsterExecutionInterruptedError" in log
