"""A second run changes nothing; a bad day keeps its last good version and holds up nobody else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from dagster import DagsterRunStatus
from dagster_records import evaluations, materializations, not_fresh
from retail_platform import Databases, RetailPlatform, copied_platform, days, outcome_of

from data_platform.run_reports import RunReport

BAD = "2017-12-23"
OTHERS = [day for day in days() if day != BAD]
BREAK_DUPLICATES = f"""
    INSERT INTO transactions SELECT * FROM transactions
    WHERE transaction_timestamp::date = '{BAD}' AND quantity > 0 LIMIT 7"""
BREAK_SHARE = f"UPDATE transactions SET quantity = -1 WHERE transaction_timestamp::date = '{BAD}'"
MEND = """
    DELETE FROM transactions a USING transactions b
    WHERE a.ctid > b.ctid AND a.basket_id = b.basket_id AND a.product_id = b.product_id"""


def test_a_second_run_commits_and_loads_nothing(ran: RetailPlatform) -> None:
    before = ran.delta_versions(), ran.versions(), ran.ledger()
    report = ran.run()
    assert report.succeeded
    assert (ran.delta_versions(), ran.versions(), ran.ledger()) == before
    assert all(asset.changed == 0 for asset in report.assets)
    for asset in ("staging/transactions", "analytics/weekly_revenue", "destinations/daily_revenue"):
        recorded = materializations(ran, asset)
        assert set(recorded) == set(days())
        for first, second in recorded.values():
            assert "unchanged" not in first.metadata
            assert second.metadata["unchanged"].value is True
            assert first.tags["dagster/data_version"] == second.tags["dagster/data_version"]


def test_a_bad_day_of_a_first_run_stays_unpublished_and_the_others_are_built(
    retail: RetailPlatform,
) -> None:
    retail.ask_shop(BREAK_DUPLICATES)
    report = retail.run()
    assert not report.succeeded
    assert len(report.run_ids) > 1
    staging = outcome_of(report, "staging/transactions")
    assert (staging.state, staging.failed) == ("failed", (BAD,))
    assert "unique" in (staging.message or "")
    run = retail.instance.get_run_by_id(report.run_ids[0])
    assert run is not None
    assert run.status == DagsterRunStatus.FAILURE

    versions = retail.versions()
    assert set(versions["staging/transactions"]) == set(OTHERS)
    assert set(versions["analytics/daily_revenue"]) == set(OTHERS)
    # The windows that reach over the bad day can't be whole.
    assert set(versions["analytics/weekly_revenue"]) == set(days("2017-12-20", BAD)) | set(
        days("2017-12-30")
    )
    assert {key for table, key in retail.ledger() if table == "analytics.daily_revenue"} == set(
        OTHERS
    )
    assert BAD not in materializations(retail, "staging/transactions")
    assert not retail.ask_warehouse(f"SELECT 1 FROM analytics.daily_revenue WHERE day = '{BAD}'")

    alone = retail.run(BAD, "2017-12-24", select=["analytics/daily_revenue"])
    assert not alone.succeeded
    assert "has no published partition" in (alone.assets[0].message or "")
    assert set(retail.versions()["analytics/daily_revenue"]) == set(OTHERS)

    retail.ask_shop(MEND)
    assert retail.run().succeeded
    assert all(
        set(found) == set(days())
        for asset, found in retail.versions().items()
        if asset in {"staging/transactions", "analytics/daily_revenue", "analytics/weekly_revenue"}
    )
    assert not_fresh(retail, days()) == {}


@dataclass(frozen=True)
class Turned:
    """An installation where a day turned bad after a first run, and what was there before."""

    platform: RetailPlatform
    versions: dict[str, dict[str, str]]
    ledger: dict[tuple[str, str], tuple[Any, ...]]
    report: RunReport


def turn_bad(platform: RetailPlatform, broken: str) -> Turned:
    versions, ledger = platform.versions(), platform.ledger()
    platform.ask_shop(broken)
    return Turned(platform, versions, ledger, platform.run())


@pytest.fixture(scope="module")
def with_duplicates(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Turned]:
    with copied_platform(databases, tmp_path_factory.mktemp("turned")) as platform:
        yield turn_bad(platform, BREAK_DUPLICATES)


def test_a_day_that_gets_duplicates_keeps_its_last_good_version(with_duplicates: Turned) -> None:
    assert_kept(with_duplicates)


def test_a_day_with_too_many_rows_in_quarantine_keeps_its_last_good_version(
    ran: RetailPlatform,
) -> None:
    assert_kept(turn_bad(ran, BREAK_SHARE))


def assert_kept(turned: Turned) -> None:
    retail, before, report = turned.platform, turned.versions, turned.report
    assert not report.succeeded
    assert outcome_of(report, "staging/transactions").failed == (BAD,)

    after = retail.versions()
    # Raw is what arrived; nothing below it has seen it.
    changed = {(a, key) for a in after for key in after[a] if after[a][key] != before[a].get(key)}
    assert changed == {("raw/transactions", BAD)}
    assert retail.ledger() == turned.ledger
    assert len(materializations(retail, "staging/transactions")[BAD]) == 1

    alone = retail.run(BAD, "2017-12-24", select=["analytics/daily_revenue"])
    assert alone.succeeded
    assert retail.versions() == after


def test_the_check_says_what_broke_and_what_stands(with_duplicates: Turned) -> None:
    retail, report = with_duplicates.platform, with_duplicates.report
    standing = with_duplicates.versions["staging/transactions"][BAD]
    checks = evaluations(retail, report.run_ids[0], "staging/transactions")
    [broken] = [
        check for check in checks.values() if check.severity.value == "ERROR" and not check.passed
    ]
    assert broken.check_name.startswith("unique")
    assert broken.metadata["offending"].value == 7
    assert broken.metadata["standing_version"].value == standing
    assert BAD in str(broken.metadata["candidate"].value)
    examples = broken.metadata["examples"].records
    assert 1 <= len(examples) <= 5
    assert {"basket_id", "product_id"} <= set(examples[0].data)


def test_versions_differ_only_where_rows_do(ran: RetailPlatform) -> None:
    before = ran.versions()
    ran.ask_shop(
        "UPDATE transactions SET sales_value = sales_value + 1 WHERE ctid = (SELECT ctid FROM "
        f"transactions WHERE transaction_timestamp::date = '{BAD}' AND quantity > 0 LIMIT 1)"
    )
    report = ran.run()
    assert report.succeeded
    after = ran.versions()
    changed = {(a, key) for a in after for key in after[a] if after[a][key] != before[a].get(key)}
    daily = {
        ("raw/transactions", BAD),
        ("staging/transactions", BAD),
        ("analytics/daily_revenue", BAD),
    }
    weekly = {("analytics/weekly_revenue", day) for day in days(BAD, "2017-12-30")}
    held = {c for c in changed if c[0] == "quarantine/transactions"}
    assert changed - held == daily | weekly | {("analytics/customer_metrics", "")}
    assert held <= {("quarantine/transactions", BAD)}
    assert outcome_of(report, "destinations/daily_revenue").changed == 1


def test_a_source_that_is_gone_builds_nothing_below_it(retail: RetailPlatform) -> None:
    retail.ask_shop("ALTER TABLE transactions RENAME TO elsewhere")
    report = retail.run()
    assert not report.succeeded
    states = {f"{a.key.layer}/{a.key.name}": a.state for a in report.assets}
    assert states["raw/transactions"] == "failed"
    assert states["staging/transactions"] == "skipped"
    assert states["analytics/daily_revenue"] == "skipped"
    assert states["staging/products"] == "success"
    assert set(outcome_of(report, "raw/transactions").failed) == set(days())
