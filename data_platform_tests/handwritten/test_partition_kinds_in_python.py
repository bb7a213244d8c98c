"""Hand-written assets with partitions of every kind, and how their functions see the keys."""

import dagster as dg
import pytest

from data_platform.plan.keys import Key

KINDS = {
    "hour": (
        'dg.HourlyPartitionsDefinition("2024-01-01-00:00", timezone="Europe/Berlin")',
        ["2024-01-01-05:00", "2024-01-01-06:00"],
    ),
    "week": (
        'dg.WeeklyPartitionsDefinition("2024-01-03", day_offset=0)',
        ["2024-01-07", "2024-01-14"],
    ),
    "month": ('dg.MonthlyPartitionsDefinition("2023-12-05")', ["2024-01-01", "2024-02-01"]),
    "static": ('dg.StaticPartitionsDefinition(["DE", "FR"])', ["DE", "FR"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_is_called_for_each_partition(sales, kind: str):
    definition, keys = KINDS[kind]
    sales.write(f"""
        @dg.asset(partitions_def={definition})
        def made(context: dg.AssetExecutionContext) -> pd.DataFrame:
            return pd.DataFrame({{"key": [context.partition_key]}})
    """)
    assert sales.run(keys, ["analytics/made"]).success
    assert sales.rows("SELECT key FROM sales.analytics.made ORDER BY 1") == [(k,) for k in keys]
    # What Dagster takes for the keys is what the file says, from the first whole one on.
    own = sales.load().plan[Key("analytics", "sales", "made")].partitions
    written = eval(definition, {"dg": dg})
    assert own.first_keys[0] == written.get_first_partition_key()


def test_dimensions_have_the_names_of_the_file(sales):
    sales.write("""
        both = dg.MultiPartitionsDefinition({
            "when": daily, "country": dg.StaticPartitionsDefinition(["DE", "FR"]),
        })

        @dg.asset(partitions_def=both, ins={"orders": dg.AssetIn(["staging", "orders"])})
        def by_country(context: dg.AssetExecutionContext, orders: pd.DataFrame) -> pd.DataFrame:
            named = context.partition_key.keys_by_dimension
            rows = orders[orders["country"] == named["country"]]
            begin = context.partition_time_window.start.date()
            return pd.DataFrame({"n": [len(rows)], "key": [context.partition_key],
                                 "day": [named["when"]], "begin": [begin]})

        @dg.asset(partitions_def=both, backfill_policy=dg.BackfillPolicy.single_run(),
                  metadata={"partition_expr": "key"})
        def at_once(context: dg.AssetExecutionContext, by_country: pd.DataFrame):
            return {key: pd.DataFrame({"key": [key]}) for key in context.partition_keys}
    """)
    assert sales.run(["2024-01-01", "2024-01-02"], ["raw/orders", "staging/orders"]).success
    made = ["analytics/by_country", "analytics/at_once"]
    assert sales.run(["2024-01-01|DE", "2024-01-02|DE", "2024-01-02|FR"], made).success
    sql = "SELECT key, n, day, CAST(begin AS VARCHAR) FROM sales.analytics.by_country ORDER BY 1"
    assert sales.rows(sql) == [
        ("DE|2024-01-01", 1, "2024-01-01", "2024-01-01"),
        ("DE|2024-01-02", 1, "2024-01-02", "2024-01-02"),
        ("FR|2024-01-01", 1, "2024-01-01", "2024-01-01"),
        ("FR|2024-01-02", 0, "2024-01-02", "2024-01-02"),
    ]
    assert sorted(sales.versions("analytics/at_once")) == [
        "2024-01-01|DE", "2024-01-01|FR", "2024-01-02|DE", "2024-01-02|FR",
    ]  # fmt: skip


def test_static_partitions_are_those_of_what_is_read(sales):
    sales.write(
        """
        regions = dg.StaticPartitionsDefinition(["eu", "us"])

        @dg.asset(partitions_def=regions, ins={"fed": dg.AssetIn(["raw", "fed"])})
        def made(fed: pd.DataFrame) -> pd.DataFrame:
            return fed
        """
    )
    path = sales.folder / "pipelines" / "sales" / "pipeline.yaml"
    kind = "{by: {region: {values: [eu, us]}}}"
    fed = f"  fed: {{type: python, function: feeds:fetch, partitions: {kind}}}\n"
    path.write_text(path.read_text().replace("sources:\n", f"sources:\n{fed}"))
    (path.parent / "feeds.py").write_text(
        'def fetch(partition):\n    yield {"region": partition.values["region"]}\n'
    )
    assert sales.run(["eu", "us"], ["raw/fed", "analytics/made"]).success
    assert sales.rows("SELECT region FROM sales.analytics.made ORDER BY 1") == [("eu",), ("us",)]


def test_a_range_of_months_is_told_by_a_date(sales):
    sales.write("""
        @dg.asset(partitions_def=dg.MonthlyPartitionsDefinition("2024-01-01"),
                  backfill_policy=dg.BackfillPolicy.single_run(),
                  metadata={"partition_expr": "day"})
        def monthly() -> pa.Table:
            days = pd.to_datetime(["2024-01-31", "2024-02-01", "2024-02-29"]).date
            return pa.table({"day": pa.array(days, pa.date32())})
    """)
    assert sales.run(["2024-01-01", "2024-02-01"], ["analytics/monthly"]).success
    assert sales.rows("SELECT count(*) FROM sales.analytics.monthly") == [(3,)]
    assert sorted(sales.versions("analytics/monthly")) == ["2024-01-01", "2024-02-01"]


def test_a_key_that_is_registered_later_needs_no_reload(sales):
    sales.write("""
        @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="customers"))
        def made(context: dg.AssetExecutionContext) -> pd.DataFrame:
            return pd.DataFrame({"key": [context.partition_key]})
    """)
    job = sales.definitions().resolve_implicit_global_asset_job_def()
    job = job.get_subset(asset_selection={dg.AssetKey(["analytics", "sales", "made"])})
    for key in ("anna", "Ödön & Söhne"):
        sales.instance.add_dynamic_partitions("customers", [key])
        assert job.execute_in_process(instance=sales.instance, partition_key=key).success
    made = sales.rows("SELECT key FROM sales.analytics.made ORDER BY 1")
    assert made == [("anna",), ("Ödön & Söhne",)]
