"""How far a step is, told in Dagster's log and on the terminal, and not too often."""

import threading

import dagster as dg
import pytest
from cli.screen import lines_in_pipe, lines_on_screen
from dagster_steps import run_assets
from factories import Project
from rich.color import ColorSystem
from rich.console import Console

from data_platform.engine.work import Moved
from data_platform.plan.keys import Key
from data_platform.reporting.progress import Telling, in_words, watching
from data_platform.run_reports import AssetReport
from data_platform.terminal.run_tables import Ticker

KEY = Key("raw", "shop", "orders")


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (Moved(1_459_912, 120_400_000, 6.0), "1,459,912 rows · 120 MB · 243,000 rows/s"),
        (Moved(12, 0, 2.0), "12 rows · 6 rows/s"),
        (Moved(0, 999, 2.0), "999 B"),
        (Moved(0, 2_500_000_000, 2.0), "2.5 GB"),
        (Moved(5, 1_500, 0.0), "5 rows · 2 kB"),
        (Moved(0, 0, 9.0), ""),
    ],
)
def test_words_say_rows_bytes_and_rate(moved: Moved, words: str) -> None:
    assert in_words(moved) == words


def test_a_log_hears_of_it_after_a_second_and_then_every_five() -> None:
    lines: list[str] = []
    telling = Telling(KEY, lines.append)
    for tenth in range(200):
        telling(Moved(tenth, 0, tenth / 10))
    assert len(lines) == 4
    assert lines[0] == "raw/shop/orders: 10 rows · 10 rows/s"


def test_whoever_watches_sees_it_five_times_a_second() -> None:
    shown: list[Moved] = []
    token = watching.set(lambda _key, moved: shown.append(moved))
    try:
        telling = Telling(KEY, lambda _: None)
    finally:
        watching.reset(token)
    for hundredth in range(301):
        telling(Moved(1, 0, hundredth / 100))
    assert 9 <= len(shown) <= 11


def test_several_threads_tell_one_line_at_a_time() -> None:
    lines: list[str] = []
    telling = Telling(KEY, lines.append)
    threads = [
        threading.Thread(target=lambda: [telling(Moved(1, 0, 2.0)) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines) == 1


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_spinner_says_how_far_it_is(width: int) -> None:
    def show(console: Console) -> None:
        console._color_system = ColorSystem.STANDARD
        ticker = Ticker(console)
        ticker.started(KEY, 1)
        ticker.moved(KEY, Moved(1_459_912, 120_400_000, 6.0))
        ticker.moved(Key("raw", "shop", "other"), Moved(7, 7, 7.0))
        ticker.finished(AssetReport(KEY, "success", partitions=1, rows_out=5, seconds=6.0))
        ticker.moved(KEY, Moved(9, 9, 9.0))

    text = "\n".join(lines_on_screen(width, show))
    assert "raw/orders" in text
    assert ("1,459,912 rows · 120 MB · 243,000 rows/s" in text) == (width > 40)


def test_a_pipe_hears_nothing_of_it() -> None:
    def show(console: Console) -> None:
        ticker = Ticker(console)
        ticker.started(KEY, 1)
        ticker.moved(KEY, Moved(10, 10, 5.0))
        ticker.finished(AssetReport(KEY, "success", partitions=1, rows_out=5, seconds=6.0))

    assert len(lines_in_pipe(show)) == 1


def test_a_try_that_failed_is_told_with_its_reason_and_when_the_next_one_is() -> None:
    why = f"{KEY}: 127.0.0.1:9: connection refused\nTry 1 of 4; the next one is in 30 s."
    [line] = lines_in_pipe(lambda console: Ticker(console).will_retry(KEY, why))
    assert line == (
        "↻ raw/orders: 127.0.0.1:9: connection refused. Try 1 of 4; the next one is in 30 s."
    )


def test_a_partition_that_was_let_be_is_told() -> None:
    kept = AssetReport(KEY, "success", kept=2, seconds=1.0)
    skipped = AssetReport(KEY, "success", skipped=1, seconds=0.1)
    first, second = lines_in_pipe(
        lambda console: [Ticker(console).finished(one) for one in (kept, skipped)]
    )
    assert first.endswith("2 not read, last good stands")
    assert second.endswith("not read, no need yet")


def test_dagsters_log_has_it(
    project: Project, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    path = project.declare("sources:\n  orders: {type: python, function: 'slow:fetch'}\n")
    path.with_name("slow.py").write_text(
        "import time\nimport pyarrow as pa\n\ndef fetch():\n"
        "    for number in range(3):\n        time.sleep(0.6)\n"
        '        yield pa.table({"id": list(range(100))})\n'
    )
    result = run_assets(project, instance, "raw/orders")
    assert result.success
    records = instance.all_logs(result.run_id)
    lines = [entry.user_message for entry in records if entry.dagster_event is None]
    told = [line for line in lines if line.startswith("raw/shop/orders: ") and "rows/s" in line]
    assert len(told) == 1
    assert "200 rows" in told[0]
