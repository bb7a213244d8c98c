"""Hand-written assets over personal data: what they may give, and what their errors tell."""

import handwritten_sales
import pytest
from handwritten_sales import DAYS, PIPELINE, Sales

CALLED = """
    @dg.asset(
        partitions_def=daily,
        ins={"orders": dg.AssetIn(key=["staging", "orders"])},
        metadata={"columns": {"n": {"type": "bigint", PII}}},
    )
    def counted(context, orders: pd.DataFrame) -> pd.DataFrame:
        if context.partition_key in RAISING:
            raise ValueError(f"strange: {orders.country.iloc[0]}-canary")
        return pd.DataFrame({"n": [len(orders)]})
"""


@pytest.fixture
def personal(sales: Sales, monkeypatch: pytest.MonkeyPatch) -> Sales:
    """The pipeline with a column that tells of a person."""
    marked = PIPELINE.replace("country: {type: varchar}", "country: {type: varchar, pii: true}")
    monkeypatch.setattr(handwritten_sales, "PIPELINE", marked)
    return sales


def write(sales: Sales, pii: str, *raising: str) -> None:
    """Write the asset; it raises with a value in some partitions."""
    sales.write(CALLED.replace("PII", pii).replace("RAISING", repr(raising)))


def test_a_function_that_reads_personal_data_is_refused_in_analytics(personal: Sales) -> None:
    write(personal, "")
    [problem] = personal.problems()
    assert problem.startswith("assets.py:")
    assert "the function reads what tells of a person, so each of its columns (n)" in problem
    assert "staging.orders.country -> analytics.counted.n" in problem
    assert "say `pii: false`" in problem


@pytest.mark.parametrize("raising", [DAYS, DAYS[1:2]])
def test_its_author_may_say_otherwise_and_its_errors_tell_no_value(
    personal: Sales, raising: tuple[str, ...]
) -> None:
    write(personal, '"pii": False', *raising)
    result = personal.run(DAYS)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "-canary" not in repr(result.all_events)
    told = str(failure.step_failure_data)
    assert "ValueError at " in told
    assert "assets.py:" in told
    assert "may name a person" in told
    assert len(personal.versions("analytics/counted")) == len(DAYS) - len(raising)
