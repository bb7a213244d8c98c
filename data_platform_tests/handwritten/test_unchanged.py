"""What nothing has changed of isn't computed again, and is reported as what it is."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from handwritten_sales import DAYS, Sales

from data_platform import lake_steps
from data_platform.keeping.history import history_of
from data_platform.plan.keys import Key
from data_platform.plan.nodes import LakeNode
from data_platform.reporting.unchanged import UNCHANGED
from data_platform.run_tags import FORCE_TAG

MORE = """
analytics:
  daily:
    query: select country, sum(amount) as amount from staging.orders group by country
    quality:
      - row_count: {min_rows: 1}
"""
CALLED = """
    @dg.asset(key=["analytics", "sales", "doubled"], partitions_def=daily%s)
    def doubled(%s):
        with open(%r, "a") as file:
            file.write("called\\n")
        return pd.DataFrame({"n": [1]})
"""


def told(sales: Sales, result: dg.ExecuteInProcessResult, name: str) -> dict[str | None, str]:
    """What a run's materializations say of why nothing was done, by partition."""
    layer, asset = name.split("/")
    found = sales.instance.fetch_materializations(dg.AssetKey([layer, "sales", asset]), 20)
    events = [r.asset_materialization for r in found.records if r.run_id == result.run_id]
    said = {event.partition: event.metadata for event in events if event is not None}
    return {key: str(one["why"].value) if "why" in one else "" for key, one in said.items()}


def test_a_second_run_commits_nothing_and_says_why(sales: Sales):
    sales.write("", MORE)
    sales.run(DAYS)
    before = {name: sales.version(name) for name in ("staging/orders", "analytics/daily")}

    again = sales.run(DAYS)

    assert again.success
    assert {name: sales.version(name) for name in before} == before
    assert told(sales, again, "staging/orders") == dict.fromkeys(DAYS, UNCHANGED)
    assert told(sales, again, "analytics/daily") == dict.fromkeys(DAYS, UNCHANGED)
    (check,) = [
        event.asset_check_evaluation_data
        for event in again.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
        and event.asset_check_evaluation_data.check_name == "row_count"
    ]
    assert check.passed
    assert check.metadata["as_before"].value == UNCHANGED


def test_of_a_range_only_what_changed_is_computed(sales: Sales):
    sales.write("", MORE)
    sales.run(DAYS)
    (sales.folder / "data" / f"orders-{DAYS[1]}.csv").write_text(
        "id,day,country,amount\n3,2024-01-02,DE,99.00\n"
    )
    again = sales.run(DAYS)
    expected = {DAYS[0]: UNCHANGED, DAYS[1]: "", DAYS[2]: UNCHANGED}
    assert told(sales, again, "staging/orders") == expected
    assert told(sales, again, "analytics/daily") == expected
    assert sales.rows("select sum(amount) from sales.analytics.daily") == [(Decimal("136.50"),)]


def test_a_new_rule_is_new_code_and_the_same_rows_are_noted(sales: Sales):
    sales.write("", MORE)
    sales.run(DAYS)
    before = sales.version("analytics/daily")
    sales.write("", MORE.replace("min_rows: 1", "min_rows: 0"))
    assert set(told(sales, sales.run(DAYS), "analytics/daily").values()) == {""}
    lines = history_of(sales.load().lake(), Key("analytics", "sales", "daily")).lines
    assert (lines[0].operation, lines[0].added) == ("note", 0)
    assert sales.version("analytics/daily") == before + 1
    assert set(told(sales, sales.run(DAYS), "analytics/daily").values()) == {UNCHANGED}
    assert sales.version("analytics/daily") == before + 1


def test_a_tag_forces_the_work(sales: Sales):
    sales.write("", MORE)
    sales.run(DAYS)
    forced = sales.run(DAYS, **{FORCE_TAG: "true"})
    assert set(told(sales, forced, "staging/orders").values()) == {""}


def test_a_check_that_failed_is_judged_anew(sales: Sales):
    """Its last result was of rows that weren't published."""
    sales.write("", MORE)
    sales.run(DAYS[:1])
    sales.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(["analytics", "sales", "daily"]),
            check_name="row_count",
            passed=False,
        )
    )
    assert set(told(sales, sales.run(DAYS[:1]), "analytics/daily").values()) == {""}


def test_what_was_published_and_not_reported_is_judged_anew(
    sales: Sales, monkeypatch: pytest.MonkeyPatch
):
    """A step broke off between its commit and its record: the last results are of older rows."""
    sales.write("", MORE)
    sales.run(DAYS[:1])
    (sales.folder / "data" / f"orders-{DAYS[0]}.csv").write_text(
        "id,day,country,amount\n1,2024-01-01,DE,1.00\n"
    )
    with monkeypatch.context() as broken:
        broken.setattr(lake_steps, "_record", breaking(lake_steps._record, "daily"))
        assert not sales.run(DAYS[:1]).success
    assert sales.rows("select amount from sales.analytics.daily") == [(1,)]
    published = sales.version("analytics/daily")

    again = sales.run(DAYS[:1])

    assert told(sales, again, "analytics/daily") == {DAYS[0]: ""}
    assert (
        sales.materialization("analytics/daily").tags["dagster/data_version"]
        == (sales.versions("analytics/daily")[DAYS[0]])
    )
    assert sales.version("analytics/daily") == published + 1, "that it is judged is noted"
    assert told(sales, sales.run(DAYS[:1]), "analytics/daily") == {DAYS[0]: UNCHANGED}
    assert sales.version("analytics/daily") == published + 1


def breaking(record: Callable[..., None], name: str) -> Callable[..., None]:
    """Records all assets but one, whose step breaks off."""

    def recorded(context: Any, node: LakeNode, *rest: Any) -> None:
        if node.key.name == name:
            raise RuntimeError("broken off")
        record(context, node, *rest)

    return recorded


def test_a_functions_inputs_have_one_order_in_all_processes(sales: Sales):
    """Dagster keeps them in a set; another order would be another code version."""
    names = [f"part_{number}" for number in range(8)]
    parts = "".join(f"  {name}: {{query: select 1 as n}}\n" for name in names)
    ins = ", ".join(f'"{n}": dg.AssetIn(["analytics", "sales", "{n}"])' for n in names)
    sales.write(
        CALLED % (f", ins={{{ins}}}", ", ".join(names), str(sales.folder / "calls")),
        f"analytics:\n{parts}",
    )
    node = sales.load().plan.get(Key("analytics", "sales", "doubled"))
    assert node is not None
    assert [given.key.name for given in node.inputs] == names


@pytest.mark.parametrize(
    ("says", "reads", "calls"),
    [
        ("", "orders: pd.DataFrame", 1),
        (', metadata={"skip_unchanged": False}', "orders: pd.DataFrame", 2),
        ("", "", 2),
        (', metadata={"skip_unchanged": True}', "", 1),
    ],
    ids=["reads an asset", "opted out", "reads nothing", "opted in"],
)
def test_a_function_is_called_again_where_it_may_read_outside(
    sales: Sales, says: str, reads: str, calls: int
):
    log = sales.folder / "calls"
    ins = ', ins={"orders": dg.AssetIn(["staging", "sales", "orders"])}' if reads else ""
    sales.write(CALLED % (says + ins, reads, str(log)))
    for _ in range(2):
        assert sales.run(DAYS[:1]).success
    assert len(log.read_text().splitlines()) == calls


def test_rows_of_before_prints_are_computed_once_more(sales: Sales):
    """A rollback leaves rows of which no commit says that these inputs made them."""
    sales.write("", MORE)
    sales.run(DAYS[:1])
    (sales.folder / "data" / f"orders-{DAYS[0]}.csv").write_text(
        "id,day,country,amount\n1,2024-01-01,DE,1.00\n"
    )
    sales.run(DAYS[:1])
    table = sales.load().lake().table(Key("analytics", "sales", "daily")).delta.opened()
    assert table is not None
    table.restore(0)
    assert set(told(sales, sales.run(DAYS[:1]), "analytics/daily").values()) == {""}
    assert sales.rows("select amount from sales.analytics.daily") == [(1,)]
