"""Ctrl-C in the middle of a run, and two runs of the same days at the same time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterRunStatus, RunsFilter
from retail_platform import RetailPlatform, outcome_of
from run_retail import start
from test_kills import END, FIRST, assert_clean, content, impatience  # noqa: F401 -- a fixture

from data_platform.errors import SourceUnavailable
from data_platform.instance.launcher import reap_dead_runs
from data_platform.reporting.events import failure_of

COMMAND = [str(Path(sys.executable).with_name("data-platform")), "run", "retail"]

STEP = """
import sys
import dagster as dg
from data_platform.reporting.events import failure_of

def work():
    from data_platform.engine.postgres import connected
    with connected(sys.argv[1]) as (_, cursor):
        print("running", flush=True)
        cursor.execute("SELECT pg_sleep(60)")
        cursor.fetchall()

@dg.asset
def one():
    try:
        work()
    except Exception as error:
        raise failure_of(error) from error

result = dg.materialize([one], raise_on_error=False)
ended = result.all_events[-1]
print("reason", ended.job_failure_data.failure_reason.value)
"""


@pytest.mark.parametrize(
    "text",
    [
        "Query interrupted",
        "INTERRUPT Error: Interrupted!",
        "canceling statement due to user request",
    ],
)
def test_an_interrupted_query_is_no_failure_of_the_source(text: str) -> None:
    assert isinstance(failure_of(RuntimeError(text)), KeyboardInterrupt)
    assert isinstance(failure_of(SourceUnavailable(f"host: {text}")), KeyboardInterrupt)


def test_ctrl_c_during_a_query_ends_the_run(postgres_url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STEP, postgres_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert "reason UNEXPECTED_TERMINATION" in output, output


def test_ctrl_c_while_a_source_answers_slowly_isnt_tried_again(retail: RetailPlatform) -> None:
    retail.ask_shop("ALTER TABLE transactions RENAME TO elsewhere")
    retail.ask_shop(
        "CREATE VIEW transactions AS SELECT e.* FROM elsewhere e, (SELECT pg_sleep(60)) s"
    )
    process, connection = start(retail.environ, FIRST, END)
    assert connection.recv() == "running"
    time.sleep(3)
    os.kill(process.pid or 0, signal.SIGINT)
    assert (connection.recv() if connection.poll(20) else "hangs") == "interrupted"
    process.join(20)
    [run] = retail.instance.get_runs()
    assert run.status == DagsterRunStatus.FAILURE


def failures(retail: RetailPlatform) -> list[str]:
    """What the steps of all runs failed of, causes included."""
    instance = retail.instance
    return [
        str(record.event_log_entry.get_dagster_event().step_failure_data.error)
        for run in instance.get_runs()
        for record in instance.get_records_for_run(
            run.run_id, of_type=DagsterEventType.STEP_FAILURE
        ).records
    ]


@pytest.mark.parametrize("delay", [0.1, 0.9])
def test_ctrl_c_leaves_nothing_half_written_and_starts_no_follow_ups(
    retail: RetailPlatform, undisturbed: RetailPlatform, delay: float
) -> None:
    process, connection = start(retail.environ, FIRST, END)
    assert connection.recv() == "running"
    time.sleep(delay)
    os.kill(process.pid or 0, signal.SIGINT)
    ending = connection.recv() if connection.poll(20) else "hangs"
    process.join(20)
    runs = retail.instance.get_runs()
    assert len(runs) <= 1
    if ending == "interrupted":
        assert process.exitcode == 130
        assert {run.status for run in runs} <= {
            DagsterRunStatus.FAILURE,
            DagsterRunStatus.CANCELED,
        }
    else:
        assert ending == "succeeded", failures(retail)
    assert retail.run(FIRST, END).succeeded
    assert content(retail) == content(undisturbed)
    assert_clean(retail)


def test_ctrl_c_at_the_terminal_ends_the_command_without_a_traceback(
    retail: RetailPlatform,
) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--from", FIRST, "--to", END],
        env=os.environ | retail.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=retail.folder,
    )
    deadline = time.monotonic() + 60
    started = [DagsterRunStatus.STARTED]
    while not retail.instance.get_runs(RunsFilter(statuses=started)):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert "Traceback" not in output
    assert process.returncode == 130, output
    assert "Interrupted" in output
    [run] = retail.instance.get_runs()
    assert run.status in {DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}


def test_two_runs_at_once_leave_what_one_does(
    retail: RetailPlatform, undisturbed: RetailPlatform
) -> None:
    both = [start(retail.environ, FIRST, END) for _ in range(2)]
    for _, connection in both:
        assert connection.recv() == "running"
    endings = [connection.recv() if connection.poll(60) else "hangs" for _, connection in both]
    for process, _ in both:
        process.join(20)
    assert set(endings) <= {"succeeded", "failed"}
    assert "succeeded" in endings
    found, wanted = content(retail), content(undisturbed)
    assert found == wanted
    assert_clean(retail)


def test_a_killed_run_is_ended_by_the_next_one(retail: RetailPlatform) -> None:
    process, connection = start(retail.environ, FIRST, END)
    assert connection.recv() == "running"
    started = RunsFilter(statuses=[DagsterRunStatus.STARTED])
    while not retail.instance.get_runs(started):
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    [run] = retail.instance.get_runs(started)
    assert reap_dead_runs(retail.instance) == [run.run_id]
    ended = retail.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status == DagsterRunStatus.FAILURE
    report = retail.run(FIRST, END)
    assert outcome_of(report, "staging/transactions").state == "success"
