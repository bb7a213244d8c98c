"""What Dagster calls stale is what a run would change, and nothing else."""

from dagster_records import not_fresh
from retail_platform import RetailPlatform, days

from data_platform.run_reports import RunReport

CHANGED = "2017-12-27"


def test_nothing_is_stale_after_a_run(built: tuple[RetailPlatform, RunReport]) -> None:
    platform, _ = built
    assert not_fresh(platform, days()) == {}


def test_a_changed_day_makes_what_reads_it_stale(retail: RetailPlatform) -> None:
    retail.run()
    retail.ask_shop(
        "UPDATE transactions SET sales_value = sales_value + 1 WHERE ctid = (SELECT ctid FROM "
        f"transactions WHERE transaction_timestamp::date = '{CHANGED}' AND quantity > 0 LIMIT 1)"
    )
    assert retail.run(select=["raw/transactions"]).succeeded
    assert set(not_fresh(retail, days())) == {f"staging/transactions {CHANGED}"}

    assert retail.run(select=["staging/transactions"]).succeeded
    windows = {f"analytics/weekly_revenue {day}" for day in days(CHANGED)}
    # Dagster doesn't look at what reads all time partitions; the automation does.
    assert set(not_fresh(retail, days())) == windows | {f"analytics/daily_revenue {CHANGED}"}

    assert retail.run().succeeded
    assert not_fresh(retail, days()) == {}
