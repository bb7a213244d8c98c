"""The IO manager in definitions of one's own, and for `load_asset_value`."""

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from data_platform.io_manager import LakeIOManager
from data_platform.plan.keys import Key

DAILY = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")
KEY = ["analytics", "mine", "numbers"]


@pytest.fixture
def lake(sales, lake_root):
    return LakeIOManager(root=lake_root if "://" in lake_root else ".data/lake")


def materialize(lake, asset, *others, days=(), **options):
    tags = {}
    if len(days) > 1:
        tags = {
            "dagster/asset_partition_range_start": days[0],
            "dagster/asset_partition_range_end": days[-1],
        }
    return dg.materialize(
        [asset, *others],
        resources={"io_manager": lake},
        partition_key=days[0] if len(days) == 1 else None,
        tags=tags,
        raise_on_error=False,
        **options,
    )


def published(sales, *key):
    snapshot = sales.load().lake().table(Key(*(key or KEY))).snapshot()
    return {part: version.rows for part, version in snapshot.partitions.items()} if snapshot else {}


def message(result):
    [failure] = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    while error.cause is not None:
        error = error.cause
    return error.message


def test_what_a_function_gives_is_published_and_read_by_the_next(sales, lake):
    seen = []

    @dg.asset(key=KEY)
    def numbers() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, 2, 3]})

    @dg.asset(key=["analytics", "mine", "sums"], ins={"numbers": dg.AssetIn(key=KEY)})
    def sums(numbers: pa.Table) -> pa.Table:
        seen.append(numbers.column("n").to_pylist())
        return numbers

    result = materialize(lake, numbers, sums)
    assert result.success
    assert seen == [[1, 2, 3]]
    assert published(sales) == {"": 3}
    [event] = result.asset_materializations_for_node("analytics__mine__numbers")
    assert event.metadata["dagster/row_count"].value == 3
    assert event.tags["dagster/data_version"]


def test_partitions_are_published_one_by_one(sales, lake):
    @dg.asset(key=KEY, partitions_def=DAILY)
    def numbers(context) -> pd.DataFrame:
        return pd.DataFrame({"day": [context.partition_key]})

    assert materialize(lake, numbers, days=["2024-01-01"]).success
    assert materialize(lake, numbers, days=["2024-01-02"]).success
    assert published(sales) == {"2024-01-01": 1, "2024-01-02": 1}


@pytest.mark.parametrize("given", ["frame", "dict"])
def test_a_range_is_one_commit(sales, lake, given):
    @dg.asset(
        key=KEY,
        partitions_def=DAILY,
        backfill_policy=dg.BackfillPolicy.single_run(),
        metadata={"partition_expr": "day"},
    )
    def numbers(context):
        days = list(context.partition_keys)
        if given == "dict":
            return {day: pd.DataFrame({"day": [day]}) for day in days}
        return pd.DataFrame({"day": days})

    assert materialize(lake, numbers, days=["2024-01-01", "2024-01-03"]).success
    assert published(sales) == dict.fromkeys(("2024-01-01", "2024-01-02", "2024-01-03"), 1)
    assert sales.load().lake().table(Key(*KEY)).snapshot().version == 0


def test_a_range_in_one_frame_needs_its_column(sales, lake):
    @dg.asset(key=KEY, partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
    def numbers() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    result = materialize(lake, numbers, days=["2024-01-01", "2024-01-02"])
    assert "one frame for 2 partitions needs partition_expr" in message(result)
    assert published(sales) == {}


@pytest.mark.parametrize(
    ("options", "given", "words"),
    [
        ({"key": "numbers"}, pd.DataFrame({"n": [1]}), "numbers isn't layer/pipeline/name"),
        (
            {"key": KEY, "metadata": {"quality": [{"not_null": ["n"]}]}},
            pd.DataFrame({"n": [1]}),
            "has quality in its metadata: contracts and rules are held for assets of an assets.py",
        ),
        ({"key": KEY}, 3, "returned int"),
    ],
)
def test_what_it_cant_keep_is_told(sales, lake, options, given, words):
    @dg.asset(**options)
    def numbers():
        return given

    assert words in message(materialize(lake, numbers))


def test_reading_what_was_never_published_is_told(sales, lake):
    @dg.asset(ins={"numbers": dg.AssetIn(key=KEY)}, key=["analytics", "mine", "sums"])
    def sums(numbers):
        return numbers

    result = materialize(lake, sums, dg.AssetSpec(KEY))
    assert "analytics/mine/numbers has never been published" in message(result)


def test_an_asset_of_a_pipeline_is_loaded_in_a_notebook(sales):
    sales.write("""
        @dg.asset(partitions_def=daily, ins={"orders": dg.AssetIn(["staging", "orders"])})
        def revenue(orders: pd.DataFrame) -> pd.DataFrame:
            return orders[["country", "amount"]]
    """)
    assert sales.run(["2024-01-01", "2024-01-02"]).success
    key = dg.AssetKey(["analytics", "sales", "revenue"])
    definitions = sales.definitions()
    one = definitions.load_asset_value(
        key, python_type=pd.DataFrame, instance=sales.instance, partition_key="2024-01-02"
    )
    assert one["country"].tolist() == ["DE"]
