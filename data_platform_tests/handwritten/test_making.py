"""Hand-written assets over real runs: what they get, what they give, what is published."""

import asyncio
import re
from datetime import date
from decimal import Decimal

import pytest

from data_platform.observability.failures import last_failures

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
ORDERS = 'ins={"orders": dg.AssetIn(key=["staging", "orders"])}'
REVENUE = f"""
    @dg.asset(partitions_def=daily, {ORDERS})
    def revenue(context: dg.AssetExecutionContext, orders: pd.DataFrame) -> pd.DataFrame:
        found = orders.groupby("day", as_index=False)["amount"].sum()
        return found.assign(key=context.partition_key)
"""
BY_KEY = "SELECT key, amount FROM sales.analytics.revenue ORDER BY key"


def test_a_function_over_one_partition_gets_its_rows_and_is_published(sales):
    sales.write(REVENUE)
    assert sales.run().success
    assert sales.rows(BY_KEY) == [("2024-01-01", Decimal("30.50"))]


def test_a_commit_keeps_the_version_of_its_contract(sales):
    sales.write("""
        @dg.asset(metadata={"columns": {"a": {"type": "bigint"}}, "contract_version": "1.2.0"})
        def numbers() -> pd.DataFrame:
            return pd.DataFrame({"a": [1]})
    """)
    assert sales.run([], ["analytics/numbers"]).success
    [commit] = sales.commits("analytics/numbers")
    assert commit["contract_version"] == "1.2.0"


def test_a_range_calls_it_once_for_each_partition_in_one_run_and_one_commit(sales):
    sales.write(REVENUE)
    result = sales.run(DAYS)
    assert result.success
    assert sales.rows(BY_KEY) == [
        ("2024-01-01", Decimal("30.50")),
        ("2024-01-02", Decimal("-1.25")),
        ("2024-01-03", Decimal("7.00")),
    ]
    assert sales.version("analytics/revenue") == 0


def test_a_range_gives_the_same_versions_as_its_partitions_one_by_one(sales):
    sales.write(REVENUE)
    sales.run(DAYS)
    together = sales.versions("analytics/revenue")
    for day in DAYS:
        assert sales.run([day]).success
    assert sales.versions("analytics/revenue") == together
    assert sales.version("analytics/revenue") == 0  # the same rows are no second commit


def test_a_function_that_makes_ranges_is_called_once(sales):
    sales.write(f"""
        @dg.asset(
            partitions_def=daily, {ORDERS}, metadata={{"partition_expr": "day"}},
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def revenue(context, orders: pa.Table) -> pa.Table:
            sums = orders.group_by("day").aggregate([("amount", "sum")])
            calls = pa.array([len(context.partition_keys)] * sums.num_rows)
            return sums.append_column("partitions_of_the_call", calls)
    """)
    assert sales.run(DAYS).success
    assert sales.rows("SELECT * FROM sales.analytics.revenue ORDER BY day") == [
        (date(2024, 1, 1), Decimal("30.50"), 3),
        (date(2024, 1, 2), Decimal("-1.25"), 3),
        (date(2024, 1, 3), Decimal("7.00"), 3),
    ]


def test_a_range_may_come_as_a_dict_by_partition(sales):
    sales.write("""
        @dg.asset(
            partitions_def=daily, metadata={"partition_expr": "key"},
            ins={"orders": dg.AssetIn(key=["staging", "orders"])},
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def revenue(orders: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
            return {
                key: pd.DataFrame({"key": [key], "rows": [len(rows)]})
                for key, rows in orders.items()
            }
    """)
    assert sales.run(DAYS).success
    found = sales.rows("SELECT * FROM sales.analytics.revenue ORDER BY key")
    assert found == [("2024-01-01", 2), ("2024-01-02", 1), ("2024-01-03", 2)]


@pytest.mark.parametrize(
    ("annotation", "rows"),
    [
        ("pd.DataFrame", "len(orders)"),
        ("pa.Table", "orders.num_rows"),
        ("pa.RecordBatchReader", "orders.read_all().num_rows"),
        ("duckdb.DuckDBPyRelation", "len(orders.fetchall())"),
        ("dict[str, pd.DataFrame]", 'len(orders["2024-01-01"])'),
        ("object", "len(orders)"),
    ],
)
def test_rows_come_as_the_annotation_says(sales, annotation, rows):
    annotated = "" if annotation == "object" else f": {annotation}"
    sales.write(f"""
        @dg.asset(partitions_def=daily, {ORDERS})
        def counted(orders{annotated}) -> pd.DataFrame:
            return pd.DataFrame({{"rows": [{rows}]}})
    """)
    assert sales.run().success
    assert sales.rows("SELECT rows FROM sales.analytics.counted") == [(2,)]


@pytest.mark.parametrize(
    "given",
    [
        'orders.filter("amount > 15").select("id")',
        'orders.filter("amount > 15").select("id").to_arrow_table()',
        'orders.filter("amount > 15").select("id").to_arrow_reader()',
        'orders.filter("amount > 15").select("id").df()',
        '[{"id": 2}]',
    ],
)
def test_what_it_gives_may_be_any_of_them(sales, given):
    sales.write(f"""
        @dg.asset(partitions_def=daily, {ORDERS})
        def large(orders: duckdb.DuckDBPyRelation):
            return {given}
    """)
    assert sales.run().success
    assert sales.rows("SELECT id FROM sales.analytics.large") == [(2,)]


def test_pandas_gets_what_is_in_the_lake_without_loss(sales):
    sales.write(f"""
        @dg.asset(partitions_def=daily, {ORDERS})
        def same(orders: pd.DataFrame) -> pd.DataFrame:
            return orders
    """)
    assert sales.run(["2024-01-03"]).success
    assert sales.rows("SELECT * FROM sales.analytics.same ORDER BY id") == [
        (4, date(2024, 1, 3), None, Decimal("7.00")),
        (5, date(2024, 1, 3), "DE", None),
    ]
    assert sales.types("analytics/same") == {
        "id": "int64",
        "day": "date32[day]",
        "country": "string",
        "amount": "decimal128(12, 2)",
    }


def test_rows_come_in_the_order_in_which_they_were_written(sales):
    sales.write(f"""
        @dg.asset(partitions_def=daily, {ORDERS})
        def first(orders: pd.DataFrame) -> pd.DataFrame:
            return orders.head(1)
    """)
    assert sales.run().success
    assert sales.rows("SELECT id FROM sales.analytics.first") == [(1,)]


def test_only_the_columns_that_a_parameter_asks_for_are_read(sales):
    sales.write("""
        @dg.asset(
            partitions_def=daily,
            ins={"orders": dg.AssetIn(["staging", "orders"], metadata={"columns": ["country"]})},
        )
        def names(orders: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"columns": [",".join(orders.columns)]})
    """)
    assert sales.run().success
    assert sales.rows("SELECT * FROM sales.analytics.names") == [("country",)]


def test_an_asset_without_partitions_reads_all_of_its_upstreams(sales):
    sales.write(f"""
        @dg.asset({ORDERS})
        def total(orders: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({{"rows": [len(orders)]}})
    """)
    sales.run(DAYS, ["raw/orders", "staging/orders"])
    assert sales.run([], ["analytics/total"]).success
    assert sales.rows("SELECT * FROM sales.analytics.total") == [(5,)]


def test_a_window_reads_the_partitions_before(sales):
    sales.write("""
        @dg.asset(
            partitions_def=daily,
            ins={
                "orders": dg.AssetIn(
                    key=["staging", "orders"],
                    partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1),
                )
            },
        )
        def two_days(context, orders: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"key": [context.partition_key], "rows": [len(orders)]})
    """)
    assert sales.run(DAYS).success
    found = sales.rows("SELECT * FROM sales.analytics.two_days ORDER BY key")
    assert found == [("2024-01-01", 2), ("2024-01-02", 3), ("2024-01-03", 3)]


def test_one_function_may_make_several_assets(sales):
    sales.write(f"""
        @dg.multi_asset(
            {ORDERS},
            outs={{
                "sound": dg.AssetOut(key=["analytics", "sound"]),
                "odd": dg.AssetOut(key=["analytics", "odd"]),
            }},
            partitions_def=daily,
        )
        def told_apart(orders: pd.DataFrame):
            return orders[orders["amount"] > 15], orders[orders["amount"] <= 15]
    """)
    assert sales.run().success
    assert sales.rows("SELECT id FROM sales.analytics.sound") == [(2,)]
    assert sales.rows("SELECT id FROM sales.analytics.odd") == [(1,)]


def test_of_several_assets_the_sound_one_is_published(sales):
    sales.write("""
        @dg.multi_asset(
            outs={
                "good": dg.AssetOut(),
                "bad": dg.AssetOut(metadata={"quality": [{"row_count": {"min_rows": 5}}]}),
            }
        )
        def both():
            yield dg.Output(pd.DataFrame({"x": [1]}), output_name="bad")
            yield dg.Output(pd.DataFrame({"x": [2]}), output_name="good", metadata={"seen": 7})
    """)
    result = sales.run([], ["analytics/good", "analytics/bad"])
    assert not result.success
    assert sales.rows("SELECT x FROM sales.analytics.good") == [(2,)]
    assert sales.versions("analytics/bad") == {}
    event = sales.materialization("analytics/good")
    assert event.metadata["seen"].value == 7


def test_a_part_of_several_assets_may_be_made_alone(sales):
    sales.write("""
        @dg.multi_asset(
            specs=[dg.AssetSpec(["analytics", "a"]), dg.AssetSpec(["analytics", "b"])],
            can_subset=True,
        )
        def parts(context: dg.AssetExecutionContext):
            for key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, value=pd.DataFrame({"x": [1]}))
    """)
    assert sales.run([], ["analytics/b"]).success
    assert sales.versions("analytics/a") == {}
    assert len(sales.versions("analytics/b")) == 1


def test_a_rule_that_fails_leaves_the_last_good_version(sales):
    code = """
        @dg.asset(metadata={{"columns": {{"x": {{"type": "bigint", "min": 0}}}}}})
        def guarded() -> pd.DataFrame:
            return pd.DataFrame({{"x": [{}]}})
    """
    sales.write(code.format(1))
    assert sales.run([], ["analytics/guarded"]).success
    sales.write(code.format(-1))
    result = sales.run([], ["analytics/guarded"])
    assert not result.success
    [check] = [c for c in result.get_asset_check_evaluations() if c.check_name == "range_x"]
    assert not check.passed
    assert sales.rows("SELECT x FROM sales.analytics.guarded") == [(1,)]


def test_in_a_range_a_partition_that_raises_leaves_the_others(sales):
    sales.write(f"""
        @dg.asset(partitions_def=daily, {ORDERS})
        def picky(context, orders: pd.DataFrame) -> pd.DataFrame:
            if context.partition_key == "2024-01-02":
                raise ValueError("no Tuesdays")
            return orders[["id"]]
    """)
    result = sales.run(DAYS)
    assert not result.success
    assert sorted(sales.versions("analytics/picky")) == ["2024-01-01", "2024-01-03"]
    [failure] = [e for e in result.all_events if e.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert "2024-01-02: ValueError: no Tuesdays" in told.description
    assert "assets.py:" in told.description


def test_where_nothing_is_sound_the_error_itself_is_shown(sales):
    sales.write("""
        @dg.asset
        def broken() -> pd.DataFrame:
            raise KeyError("amuont")
    """)
    result = sales.run([], ["analytics/broken"])
    [failure] = [e for e in result.all_events if e.is_step_failure]
    assert "amuont" in str(failure.step_failure_data.error)


def test_retries_of_the_decorator_hold_for_errors_of_the_function(sales):
    sales.write("""
        @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
        def flaky(context) -> pd.DataFrame:
            if context.retry_number == 0:
                raise ConnectionError("for a moment")
            return pd.DataFrame({"x": [1]})
    """)
    assert sales.run([], ["analytics/flaky"]).success


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("None", r"returned nothing \(None\)"),
        ("3", "returned int"),
        ('pd.DataFrame({"x": [1], "X": [2]})', "two columns X"),
        ("pd.DataFrame({1: [1]})", "a column named 1"),
        ('pd.DataFrame({"_partition": [1]})', "a name that the platform needs"),
        ('pd.DataFrame({"a": [1]})', "gave no column 'x', which is in its contract"),
        ('pd.DataFrame({"x": [1], "y": [1]})', "gave 'y', which isn't in its contract: x"),
        ('pd.DataFrame({"x": [1.5, 2.0]})', "gave 1 values of x that are no BIGINT"),
        ('pd.DataFrame({"x": ["1", "two"]})', "gave 1 values of x that are no BIGINT"),
    ],
)
def test_what_cant_be_published_is_told(sales, given, message):
    sales.write(f"""
        @dg.asset(metadata={{"columns": {{"x": {{"type": "bigint"}}}}}})
        def given():
            return {given}
    """)
    result = sales.run([], ["analytics/given"])
    [failure] = [e for e in result.all_events if e.is_step_failure]
    data = failure.step_failure_data
    text = data.user_failure_data.description if data.user_failure_data else str(data.error)
    assert re.search(message, text), text
    assert sales.versions("analytics/given") == {}


def test_types_are_those_of_the_contract_where_that_loses_nothing(sales):
    sales.write("""
        @dg.asset(metadata={"columns": {
            "price": {"type": "decimal(12,2)"}, "n": {"type": "integer"}, "day": {"type": "date"},
        }})
        def typed() -> pd.DataFrame:
            return pd.DataFrame({"price": [0.1 + 0.2], "n": [7], "day": ["2024-01-05"]})
    """)
    assert sales.run([], ["analytics/typed"]).success
    found = sales.rows("SELECT price, n, day FROM sales.analytics.typed")
    assert found == [(Decimal("0.30"), 7, date(2024, 1, 5))]


def test_nan_of_arrow_is_kept_and_missing_values_are_null(sales):
    sales.write("""
        @dg.asset
        def numbers() -> pa.Table:
            return pa.table({"x": pa.array([1.0, float("nan"), None])})
    """)
    assert sales.run([], ["analytics/numbers"]).success
    found = sales.rows(
        "SELECT count(*), count(x), count(*) FILTER (isnan(x)) FROM sales.analytics.numbers"
    )
    assert found == [(3, 2, 1)]


def test_no_rows_are_a_published_partition(sales):
    sales.write(f"""
        @dg.asset(partitions_def=daily, {ORDERS})
        def none(orders: pd.DataFrame) -> pd.DataFrame:
            return orders[orders["amount"] > 1000]
    """)
    assert sales.run().success
    assert sales.rows("SELECT count(*) FROM sales.analytics.none") == [(0,)]


def test_a_named_index_is_a_column(sales):
    sales.write(f"""
        @dg.asset(partitions_def=daily, {ORDERS})
        def by_country(orders: pd.DataFrame) -> pd.DataFrame:
            return orders.groupby("country")[["amount"]].sum()
    """)
    assert sales.run().success
    found = sales.rows("SELECT country, amount FROM sales.analytics.by_country ORDER BY 1")
    assert found == [("DE", Decimal("10.50")), ("FR", Decimal("20.00"))]


def test_rows_of_another_partition_are_refused(sales):
    sales.write("""
        @dg.asset(
            partitions_def=daily, metadata={"partition_expr": "day"},
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def early() -> pd.DataFrame:
            return pd.DataFrame({"day": ["2024-01-01", "2023-12-31"]})
    """)
    result = sales.run(["2024-01-01"], ["analytics/early"])
    [failure] = [e for e in result.all_events if e.is_step_failure]
    assert (
        "gave rows of 2023-12-31 by day" in failure.step_failure_data.user_failure_data.description
    )
    assert sales.versions("analytics/early") == {}


def test_a_function_that_writes_by_itself_is_an_asset_too(sales):
    sales.write("""
        @dg.asset
        def elsewhere(context) -> None:
            context.add_output_metadata({"sent": 3})
    """)
    result = sales.run([], ["analytics/elsewhere"])
    assert result.success
    event = sales.materialization("analytics/elsewhere")
    assert event.metadata["sent"].value == 3
    assert sales.versions("analytics/elsewhere") == {}


def test_an_async_function_is_awaited(sales):
    sales.write("""
        @dg.asset
        async def awaited() -> pd.DataFrame:
            return pd.DataFrame({"x": [1]})
    """)
    assert sales.run([], ["analytics/awaited"]).success
    assert sales.rows("SELECT x FROM sales.analytics.awaited") == [(1,)]


def test_an_async_function_is_awaited_where_a_loop_runs_already(sales):
    sales.write("""
        @dg.asset
        async def awaited() -> pd.DataFrame:
            return pd.DataFrame({"x": [1]})
    """)

    async def as_in_a_notebook() -> bool:
        return sales.run([], ["analytics/awaited"]).success

    assert asyncio.run(as_in_a_notebook())


def test_config_and_metadata_are_dagsters_own(sales):
    sales.write("""
        class Asked(dg.Config):
            many: int = 2

        @dg.asset
        def configured(context: dg.AssetExecutionContext, config: Asked) -> pd.DataFrame:
            context.add_asset_metadata({"asked": config.many})
            return pd.DataFrame({"x": range(config.many)})
    """)
    assert sales.run([], ["analytics/configured"]).success
    event = sales.materialization("analytics/configured")
    assert event.metadata["asked"].value == 2
    assert event.metadata["dagster/row_count"].value == 2


def test_yaml_and_sql_read_it_and_a_file_follows_it(sales):
    sales.write(
        """
        @dg.asset(
            key_prefix="raw",
            metadata={"columns": {"country": {"type": "varchar"}, "vat": {"type": "double"}}},
        )
        def vat() -> pd.DataFrame:
            return pd.DataFrame({"country": ["DE", "FR"], "vat": [0.19, 0.20]})

        @dg.asset(ins={"net": dg.AssetIn(["analytics", "net"])})
        def checked(net: pd.DataFrame) -> pd.DataFrame:
            return net.assign(ok=True)
        """,
        """
          vat:
            from: raw.vat
            columns:
              country: {type: varchar, nullable: false, unique: true}
              vat: {type: double, min: 0, max: 1}
        analytics:
          net:
            partitions: none
            query: |
              SELECT o.country, sum(o.amount) AS amount
              FROM staging.orders AS o JOIN staging.vat AS v ON v.country = o.country
              GROUP BY o.country
        """,
    )
    assert sales.run(DAYS).success
    found = sales.rows("SELECT country, amount, ok FROM sales.analytics.checked ORDER BY 1")
    assert found == [("DE", Decimal("9.25"), True), ("FR", Decimal("20.00"), True)]


def test_what_a_version_was_made_from_is_recorded(sales):
    sales.write(REVENUE)
    assert sales.run().success
    event = sales.materialization("analytics/revenue")
    tags = event.tags
    assert tags["dagster/data_version"] == sales.versions("analytics/revenue")["2024-01-01"]
    assert "dagster/input_data_version/staging/sales/orders" in tags
    assert event.metadata["rows_in"].value == 2
    assert event.metadata["preview"].value.count("|") > 4


def test_a_partition_that_an_upstream_misses_is_told(sales):
    sales.write(REVENUE)
    sales.run(["2024-01-01"], ["raw/orders", "staging/orders"])
    result = sales.run(["2024-01-02"], ["analytics/revenue"])
    [failure] = [e for e in result.all_events if e.is_step_failure]
    told = failure.step_failure_data.user_failure_data.description
    assert "staging/sales/orders has no published partition 2024-01-02" in told


@pytest.mark.parametrize(
    ("bad_day", "words"),
    [
        ('orders[["id"]]', "gave no column 'amount', which is in its contract"),
        ("orders[['id', 'amount']].assign(more=1)", "gave 'more', which isn't in its contract"),
        (
            "orders[['id', 'amount']].assign(amount='much')",
            r"gave 1 values of amount that are no DECIMAL\(12,2\)",
        ),
        ("3", "returned int"),
    ],
)
def test_a_day_that_breaks_the_contract_leaves_the_others_of_its_range(sales, bad_day, words):
    sales.write(f"""
        @dg.asset(
            partitions_def=daily, {ORDERS},
            metadata={{"columns": {{"id": {{"type": "bigint"}},
                                  "amount": {{"type": "decimal(12,2)"}}}}}},
        )
        def held(context, orders: pd.DataFrame):
            if context.partition_key == "2024-01-02":
                return {bad_day}
            return orders[["id", "amount"]]
    """)
    result = sales.run(DAYS)
    assert sorted(sales.versions("analytics/held")) == ["2024-01-01", "2024-01-03"]
    [failure] = [e for e in result.all_events if e.is_step_failure]
    told = failure.step_failure_data.user_failure_data.description
    assert re.search(f"2024-01-02: .*{words}", told), told


def test_of_several_assets_a_day_that_one_cant_keep_leaves_the_other_days_of_both(sales):
    sales.write("""
        @dg.multi_asset(outs={"a": dg.AssetOut(), "b": dg.AssetOut()}, partitions_def=daily)
        def both(context):
            rows = pd.DataFrame({"key": [context.partition_key]})
            return rows, 3 if context.partition_key == "2024-01-02" else rows
    """)
    result = sales.run(DAYS, ["analytics/a", "analytics/b"])
    assert not result.success
    for name in ("a", "b"):
        assert sorted(sales.versions(f"analytics/{name}")) == ["2024-01-01", "2024-01-03"]


def test_a_day_that_gives_nothing_leaves_the_others_of_its_range(sales):
    sales.write("""
        @dg.asset(partitions_def=daily)
        def some(context):
            if context.partition_key == "2024-01-02":
                return dg.MaterializeResult()
            return dg.MaterializeResult(value=pd.DataFrame({"x": [1]}))
    """)
    result = sales.run(DAYS, ["analytics/some"])
    assert sorted(sales.versions("analytics/some")) == ["2024-01-01", "2024-01-03"]
    [failure] = [e for e in result.all_events if e.is_step_failure]
    told = failure.step_failure_data.user_failure_data.description
    assert "2024-01-02: assets.some gave no rows and no columns" in told


def test_what_a_function_raised_is_told_in_its_own_words(sales):
    sales.write(
        """
        @dg.asset(key=["analytics", "sales", "broken"])
        def broken():
            raise KeyError("no such country")
        """
    )
    sales.run([], ["analytics/broken"])
    loaded = sales.load()
    [failure] = last_failures(sales.instance, loaded.plan.nodes).values()
    assert failure.reason == "KeyError: 'no such country'"
