"""Tables and lines of progress hold at any width, whatever is in them; a pipe gets all of it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from rich.cells import cell_len
from rich.console import Console
from screen import lines_in_pipe, lines_on_screen, too_wide

from data_platform.engine.answers import Answer
from data_platform.observability.quarantine import Held
from data_platform.observability.status import AssetStatus, Facts
from data_platform.plan.freshness import Judgement
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.terminal.console import make_console
from data_platform.terminal.quarantine_tables import print_held
from data_platform.terminal.run_tables import Ticker, print_report
from data_platform.terminal.status_tables import print_pipelines
from data_platform.terminal.tables import MAX_VALUE, cut, print_answer, shortened

WIDTHS = [40, 60, 80, 200]
LONG = "a_name_of_" * 10
NAMES = ["o", "transactions", "customer_lifetime_value_by_segment", LONG]


def keys(layer: str) -> list[Key]:
    return [Key(layer, "retail", name) for name in NAMES]


# The run --------------------------------------------------------------------------------------


def report(key: Key, **other: object) -> AssetReport:
    given = {"partitions": 365, "rows_in": 1_468_773, "rows_out": 1_459_912, "quarantined": 8_861}
    return AssetReport(key, "success", checks=12, passed=11, seconds=123.4, **{**given, **other})  # type: ignore[arg-type]


def run_report() -> RunReport:
    assets = [report(key) for layer in ("raw", "staging") for key in keys(layer)]
    failed = AssetReport(
        Key("analytics", "retail", LONG), "failed", failed=("2017-01-01",),
        message=f"analytics/retail/{LONG} was not published: row_count: 3 rows, wanted at least 10",
    )  # fmt: skip
    skipped = AssetReport(Key("destinations", "retail", "transactions"))
    return RunReport(("12345678-abcd",), (*assets, failed, skipped), 222.2)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_of_a_run(width: int) -> None:
    lines = lines_on_screen(width, lambda console: print_report(console, run_report()))
    assert too_wide(lines, width) == []
    # A line for each asset, none for the rest of a name.
    table = lines[2 : lines.index("", 1)]
    assert [line.split()[0][:1] for line in table if line.startswith("  ")][:4] == list("otca")
    assert sum(line.startswith("  ") and "…" not in line.split()[0] for line in table) >= 3


def test_what_a_run_leaves_out_is_named() -> None:
    narrow = "\n".join(lines_on_screen(40, lambda console: print_report(console, run_report())))
    assert "too narrow for partitions" in narrow
    assert "rows out" in narrow
    wide = lines_on_screen(200, lambda console: print_report(console, run_report()))
    assert not [line for line in wide if "too narrow" in line]
    assert "partitions" in wide[1]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_a_line_of_progress(width: int, name: str) -> None:
    reports = [
        report(Key("analytics", "retail", name), changed=2),
        report(Key("analytics", "retail", name)),
        report(Key("analytics", "retail", name), failed=tuple("abc")),
        AssetReport(Key("analytics", "retail", name), "failed", failed=("",)),
    ]

    def show(console: Console) -> None:
        ticker = Ticker(console)
        for one in reports:
            ticker.finished(one)

    lines = lines_on_screen(width, show)
    assert len(lines) == len(reports)
    assert too_wide(lines, width) == []
    assert all(line[0] in "✓✗" and " s" in line for line in lines)


def test_a_pipe_gets_progress_whole() -> None:
    key = Key("destinations", "retail", LONG)
    (line,) = lines_in_pipe(lambda console: Ticker(console).finished(report(key)))
    assert line == f"✓ destinations/{LONG}  123.4 s   1,459,912 rows    11,831/s unchanged"


def test_progress_in_a_pipe_is_nothing_but_lines() -> None:
    def show(console: Console) -> None:
        ticker = Ticker(console)
        ticker.started(Key("raw", "retail", "orders"), 1)
        ticker.finished(report(Key("raw", "retail", "orders")))
        ticker.stop()

    assert len(lines_in_pipe(show)) == 1


# Status and quarantine ------------------------------------------------------------------------


def statuses() -> list[AssetStatus]:
    facts = Facts(
        quarantined=1_234_567,
        failed_checks=("row_count", "unique_order_id_and_line"),
        warned_checks=("outside_partitions",),
    )
    return [
        AssetStatus(
            key, partitioned=True, newest="2017-12-31", published=365, due=366, rows=1_468_773,
            age=timedelta(days=400), freshness=Judgement("fail", "2017-12-31 was due 400d ago"),
            facts=facts,
        )
        for layer in ("raw", "staging", "analytics", "destinations")
        for key in keys(layer)
    ]  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_of_how_assets_stand(width: int) -> None:
    lines = lines_on_screen(width, lambda console: print_pipelines(console, statuses()))
    table = [line for line in lines[: lines.index("", 1)] if line.startswith("  ")]
    assert too_wide(table, width) == []
    assert sum("365/366" in line for line in table) == 4 * len(NAMES)
    assert sum(" transactions " in line for line in table) == 4


def test_status_in_a_pipe_keeps_every_name_and_column() -> None:
    lines = lines_in_pipe(lambda console: print_pipelines(console, statuses()))
    assert sum(f"  {LONG} 2017-12-31" in line for line in lines) == 4
    assert not [line for line in lines if "too narrow" in line or "…" in line]
    assert f"raw/retail/{LONG}: failed row_count, unique_order_id_and_line" in lines


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_of_quarantine(width: int) -> None:
    reasons = {"not_null: customer": 12, "range_amount": 3, LONG: 1}
    held = [Held(key, "2017-12-31", 1_234, reasons) for key in keys("staging")]
    lines = lines_on_screen(width, lambda console: print_held(console, held))
    assert too_wide(lines, width) == []
    assert sum("2017-12-31" in line for line in lines) == len(held)


def test_each_reason_has_a_line() -> None:
    held = [Held(Key("staging", "s", "orders"), "", 4, {"not_null: customer": 3, "types": 1})]
    lines = lines_on_screen(80, lambda console: print_held(console, held))
    assert [line.split() for line in lines[1:3]] == [
        ["staging/s/orders", "-", "4", "not_null:", "customer", "3"],
        ["types", "1"],
    ]


# Rows of the lake -----------------------------------------------------------------------------


def answer(*rows: tuple[object, ...]) -> Answer:
    return Answer(("名前", "note", "n"), rows, len(rows))


def test_wide_characters_take_two_columns() -> None:
    rows = answer(("東京タワー", "日本", 1), ("Zoë", "naïve", 22), ("🙂🙂", None, 333))
    lines = lines_on_screen(80, lambda console: print_answer(console, rows))
    assert len({cell_len(line.rstrip()) for line in lines}) == 1, lines
    assert [cell_len(line[: line.index(mark)]) for line, mark in zip(
        lines, ["note", "日本", "naïve", "NULL"], strict=True
    )] == [11] * 4  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "value", ["東京" * 60, "🙂" * 90, "word " * 80, "x" * 300, "", "e\u0301" * 100, "\u202egnp.exe"]
)
def test_rows_hold_whatever_is_in_them(width: int, value: str) -> None:
    rows = answer((value, value, 1), ("short", None, Decimal("1.50")))
    lines = lines_on_screen(width, lambda console: print_answer(console, rows))
    assert too_wide(lines, width) == []
    assert not [line for line in lines if "\u202e" in line]


def test_wide_characters_decide_whether_rows_fit() -> None:
    rows = answer(("東" * 20, "京" * 20, 1))
    assert lines_on_screen(80, lambda console: print_answer(console, rows))[0] == "row 1"
    assert lines_on_screen(90, lambda console: print_answer(console, rows))[0].startswith("名前")


def test_a_very_long_value_tells_how_long_it_is() -> None:
    text = shortened("x" * 1_048_576)
    assert text == f"{'x' * MAX_VALUE}… (1,048,576 characters)"
    assert shortened("x" * MAX_VALUE) == "x" * MAX_VALUE


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("transactions", 12, "transactions"),
        ("transactions", 9, "tran…ions"),
        ("東京タワー展望台", 9, "東京…望台"),
        ("abc", 1, "…"),
        ("", 5, ""),
    ],
)
def test_a_key_is_cut_in_its_middle(text: str, width: int, short: str) -> None:
    assert cut(text, width) == short
    assert cell_len(short) <= width


def test_no_color_of_an_empty_value_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert make_console({"NO_COLOR": "1"}).color_system is None
    assert make_console({"NO_COLOR": ""}).color_system is not None
