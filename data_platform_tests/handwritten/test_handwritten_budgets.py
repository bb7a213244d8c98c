"""What functions take, held to the budgets of their assets."""

import dagster as dg
from handwritten_sales import DAYS, Sales

from data_platform.plan.keys import Key
from data_platform.reporting.run_spans import spans_of


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    found = result.get_asset_check_evaluations()
    return {one.asset_key.path[-1]: one for one in found if one.check_name == "budget"}


def test_a_hand_written_asset_is_held_to_its_budget(sales: Sales):
    sales.write(
        """
        @dg.asset(
            ins={"orders": dg.AssetIn(key=["staging", "orders"])},
            partitions_def=daily,
            metadata={"budget": {"max_memory": "1Mi"}},
        )
        def totals(orders: pd.DataFrame) -> pd.DataFrame:
            return orders[["id"]]

        @dg.asset(metadata={"budget": {"max_duration": "1h"}})
        def told() -> None:
            pass
        """,
        "budget: {max_duration: 1h}\n",
    )
    assert sales.problems() == []
    result = sales.run(DAYS)
    assert result.success
    found = _checks(result)
    assert not found["totals"].passed
    assert found["totals"].severity == dg.AssetCheckSeverity.ERROR
    assert "1Mi are allowed" in str(found["totals"].metadata["detail"].value)
    [span] = spans_of(sales.instance, ["sales"])["sales"]
    assert span.partitions == len(DAYS)
    assert Key("analytics", "sales", "totals") in span.assets


def test_assets_of_one_function_are_held_to_what_all_of_them_took(sales: Sales):
    sales.write(
        """
        left, right = (["analytics", "sales", name] for name in ("left", "right"))
        hour = {"budget": {"max_duration": "1h"}}

        @dg.multi_asset(specs=[dg.AssetSpec(left, metadata=hour), dg.AssetSpec(right)])
        def both():
            yield dg.MaterializeResult(left, value=pd.DataFrame({"n": [1]}))
            yield dg.MaterializeResult(right, value=pd.DataFrame({"n": [2]}))
        """
    )
    assert sales.problems() == []
    result = sales.run([], ["analytics/left", "analytics/right"])
    assert result.success
    [(name, check)] = _checks(result).items()
    assert (name, check.passed) == ("left", True)
    assert check.metadata["steps"].value == 1
