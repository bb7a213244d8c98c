"""The report of a step over a range: complete, in order of what matters, and never long."""

from pathlib import Path

import pytest

from data_platform.errors import Location
from data_platform.plan.checks.kinds import RowCountCheck
from data_platform.quality.outcomes import Finding, Outcome, Verdict
from data_platform.reporting.range_reports import (
    MAX_LENGTH,
    RangeFacts,
    quarantine_percentage,
    range_report,
)

DAYS = [f"2024-01-{day:02}" for day in range(1, 32)]
ROWS = dict.fromkeys(DAYS, 100)


def outcome(name: str, *findings: Finding) -> Outcome:
    """What a check found in the first days."""
    check = RowCountCheck(name, "fail", 1, None, Location(Path("pipeline.yaml"), 1, 1))
    return Outcome(check, dict(zip(DAYS, findings, strict=False)))


def found(verdict: Verdict, offending: int = 0, detail: str | None = None) -> Finding:
    return Finding(100, offending, verdict, detail)


def test_a_sound_range_says_so_in_few_words() -> None:
    report = range_report(
        RangeFacts(ROWS, 3, {}, ROWS, outcomes=[outcome("a", found("pass")), outcome("b")])
    )
    assert report == (
        "**31 of 31 partitions published**: 3 changed, 28 unchanged, none failed.\n\n"
        "| rows in | rows out |\n| ---: | ---: |\n| 3,100 | 3,100 |\n\n"
        "All 2 checks passed."
    )


def test_what_failed_is_named_with_its_reason_ten_at_most() -> None:
    failed = {day: f"unique: {number} of 100 rows" for number, day in enumerate(DAYS[:12])}
    published = {day: 100 for day in DAYS if day not in failed}
    report = range_report(RangeFacts(published, 0, failed, ROWS))
    assert "**19 of 31 partitions published**" in report
    assert "**12 failed**" in report
    assert "- 2024-01-10: unique: 9 of 100 rows\n- and 2 more" in report
    assert "2024-01-11" not in report


def test_the_worst_quarantines_come_first_by_their_share() -> None:
    rows_in = {**ROWS, DAYS[0]: 10_000, DAYS[1]: 0}
    held = {DAYS[0]: 50, DAYS[1]: 0, DAYS[2]: 5, DAYS[3]: 7, **dict.fromkeys(DAYS[4:12], 1)}
    report = range_report(RangeFacts(ROWS, 0, {}, rows_in, held))
    table = report[report.index("| most quarantined") :].splitlines()[2:]
    assert [row.split(" | ")[0] for row in table] == [
        f"| {day}" for day in (DAYS[3], DAYS[2], DAYS[4], DAYS[5], DAYS[6])
    ]
    assert table[0] == f"| {DAYS[3]} | 100 | 7 | 7.00% |"
    assert "| 12,900 | 3,100 | 70 (0.54%) |" in report


def test_an_asset_without_quarantine_has_no_column_for_it() -> None:
    assert "quarantined" not in range_report(RangeFacts(ROWS, 0, {}, ROWS))


def test_checks_that_did_not_pass_are_told_with_their_worst_partition() -> None:
    outcomes = [
        outcome("sound", found("pass")),
        outcome("price", found("quarantine", 2), found("quarantine", 9), found("pass")),
        outcome("total", found("fail", 0, "1.5 here, 2.5 in raw/shop/orders"), found("pass")),
        outcome("strangers", Finding(0, 534, "warn", "534 rows of no partition")),
    ]
    report = range_report(RangeFacts(ROWS, 0, {}, ROWS, outcomes=outcomes))
    assert report[report.index("**Checks") :].splitlines() == [
        "**Checks that didn't pass** (1 passed):",
        "",
        "- price, quarantine: 11 of 300 rows, in 2 of 3 partitions, worst 2024-01-02",
        "- total, fail: in 1 of 2 partitions, worst 2024-01-01: 1.5 here, 2.5 in raw/shop/orders",
        "- strangers, warn: 2024-01-01: 534 rows of no partition",
    ]


def test_the_slowest_part_and_the_slowest_steps_come_first() -> None:
    report = range_report(
        RangeFacts(
            ROWS,
            0,
            {},
            ROWS,
            phases={"audit": 0.25, "read and compute": 12.34, "publish": 0.001},
            ended={"raw/shop/orders": 40.0, "raw/shop/items": 2.0},
            step="staging/shop/orders",
        )
    )
    assert report.endswith(
        "**Took 12.6 s**, the slowest part first: "
        "read and compute 12.3 s, audit 0.25 s, publish 0.00 s.\n\n"
        "Slowest steps of the run so far: raw/shop/orders 40.0 s, "
        "staging/shop/orders 12.6 s (this one), raw/shop/items 2.0 s."
    )


def test_a_single_part_is_not_taken_apart() -> None:
    report = range_report(RangeFacts(ROWS, 0, {}, ROWS, phases={"load": 2.0}))
    assert report.endswith("**Took 2.0 s**.")


def test_names_and_reasons_are_no_markup() -> None:
    failed = {DAYS[0]: "a|b `c` <script>\n# title"}
    report = range_report(RangeFacts({}, 0, failed, {}, outcomes=[outcome("*x*", found("fail"))]))
    assert r"- 2024-01-01: a\|b \`c\` &lt;script&gt;\\n# title" in report
    assert r"\*x\*, fail" in report


def test_a_report_is_never_long() -> None:
    failed = dict.fromkeys(DAYS, "<" * 1_000)
    outcomes = [outcome("&" * 300, found("fail", 1, "|" * 999)) for _ in range(99)]
    report = range_report(RangeFacts(ROWS, 0, failed, ROWS, ROWS, outcomes, {"load": 1.0}))
    assert len(report) <= MAX_LENGTH + 20
    assert report.endswith("**Took 1.0 s**.")


@pytest.mark.parametrize(
    ("rows", "held", "share"), [(0, 0, 0.0), (3, 1, 33.3333), (4, 4, 100.0), (10**9, 1, 0.0)]
)
def test_the_share_that_is_held_back(rows: int, held: int, share: float) -> None:
    assert quarantine_percentage(rows, held) == share
