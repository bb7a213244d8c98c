"""A source dies: its last good data are served and marked; all follows when it is back."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from handwritten_sales import NOW, Sales

from data_platform.observability.causes import causes_of
from data_platform.observability.event_log import read_event_log
from data_platform.observability.facts import gather_facts
from data_platform.observability.failures import Cause, last_failures
from data_platform.observability.status import status_of
from data_platform.plan.keys import Key

MORE = """
analytics:
  prices:
    query: select country, rate from staging.rates
    partitions: none
    freshness: {fail_after: 1m}
  doubled:
    query: select country, 2 * rate as rate from analytics.prices
    partitions: none
    freshness: {fail_after: 1m}
"""
RATES = "rates: {type: file, settle: 0s, path: data/rates.csv, partitions: none}"
KEPT = RATES.replace("partitions: none", "partitions: none, on_error: use_last_good")
STAGING = "staging:\n  rates: {from: raw.rates, partitions: none, freshness: {fail_after: 1m}}\n"
BELOW = ["staging/sales/rates", "analytics/sales/prices", "analytics/sales/doubled"]


def causes(sales: Sales) -> list[Cause]:
    """What `status` says of the source; an hour later all that is below is late by itself."""
    loaded, now = sales.load(), datetime.now(UTC) + timedelta(hours=1)
    nodes = loaded.plan.nodes
    logged = read_event_log(sales.instance, nodes)
    facts = gather_facts(nodes, loaded.workbench(), loaded.outside(), logged)
    statuses = [status_of(node, facts[node.key], now) for node in nodes]
    found = causes_of(loaded.plan, statuses, last_failures(sales.instance, nodes), now)
    return [cause for cause in found if cause.key == Key("raw", "sales", "rates")]


def test_a_dead_source_is_one_cause_and_recovers_by_itself(sales: Sales):
    sales.write("", MORE)
    path = sales.folder / "pipelines" / "sales" / "pipeline.yaml"
    path.write_text(path.read_text().replace(RATES, KEPT).replace("staging:\n", STAGING))
    rates = sales.folder / "data" / "rates.csv"
    all_below = ["raw/rates", "staging/rates", "analytics/prices", "analytics/doubled"]
    assert sales.problems() == []
    assert sales.run([], all_below).success
    tick = dg.evaluate_automation_conditions(
        sales.definitions(), sales.instance, evaluation_time=NOW
    )
    assert causes(sales) == []

    rates.unlink()
    sales.run([], ["raw/rates"])
    assert sales.rows("select count(*) from sales.analytics.doubled") == [(2,)]
    (cause,) = causes(sales)
    assert {str(key) for key in cause.waiting} == set(BELOW)

    rates.write_text("country,rate\nDE,2.00\n")
    assert sales.run([], ["raw/rates"]).success
    built: list[str] = []
    for _ in range(6):
        tick = dg.evaluate_automation_conditions(
            sales.definitions(), sales.instance, evaluation_time=NOW, cursor=tick.cursor
        )
        asked = [
            one.key.to_user_string()
            for one in tick.results
            if not one.true_subset.is_empty and one.key.to_user_string() in BELOW
        ]
        if asked:
            built += asked
            sales.run([], [key.replace("/sales", "") for key in asked])
    assert sorted(built) == sorted(BELOW)
    assert sales.rows("select rate from sales.analytics.doubled where country = 'DE'") == [(4.0,)]
    assert causes(sales) == []
