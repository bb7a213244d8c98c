"""What is wrong in an `assets.py` is told at its line when definitions load, and hides nothing."""

import re

import dagster as dg
import psycopg2
import pytest
from handwritten_sales import NOW

from data_platform.definitions import definitions_of

BROKEN = {
    "no Python": ("def (:\n", r"assets.py:8: no valid Python"),
    "an import": ("import pandsa\n", r"assets.py:8: ModuleNotFoundError: No module named 'pandsa'"),
    "raises": ("1 / 0\n", r"assets.py:8: ZeroDivisionError"),
    "a key of another pipeline": (
        '@dg.asset(key=["raw", "other", "x"])\ndef x(): ...\n',
        r"assets.py:8: the key raw/other/x is none of the platform's",
    ),
    "an unknown layer": (
        '@dg.asset(key_prefix="gold")\ndef x(): ...\n',
        (
            r"the key gold/x is none of the platform's: layer/pipeline/name, where the layer is "
            "raw, staging or analytics"
        ),
    ),
    "an unknown upstream": (
        "@dg.asset\ndef x(oders): ...\n",
        r"there is no asset 'oders' in pipeline sales; did you mean orders\?",
    ),
    "two upstreams of a name": (
        "@dg.asset\ndef x(orders): ...\n",
        (
            r"'orders' may be several assets: name it by dg.AssetIn\(key=\[\"raw\", \"orders\"\] "
            r"or \[\"staging\", \"orders\"\]\)"
        ),
    ),
    "an unknown upstream of a layer": (
        '@dg.asset(deps=[["staging", "oders"]])\ndef x(): ...\n',
        r"there is no asset sales.staging.oders; did you mean staging.orders\?",
    ),
    "an unknown destination": (
        '@dg.asset(deps=[["destinations", "oders"]])\ndef x() -> None: ...\n',
        r"there is no asset sales.destinations.oders",
    ),
    "rows of a destination": (
        '@dg.asset(ins={"o": dg.AssetIn(["destinations", "orders"])})\ndef x(o): ...\n',
        r"parameter o names a destination, of which the lake has no rows: say deps=",
    ),
    "a type that no parameter has": (
        '@dg.asset(ins={"o": dg.AssetIn(["staging", "orders"])})\ndef x(o: list): ...\n',
        r"parameter o is annotated [Ll]ist; it may be pandas.DataFrame, pyarrow.Table",
    ),
    "partitions at other times": (
        (
            "@dg.asset(partitions_def=dg.TimeWindowPartitionsDefinition(cron_schedule='5 * * * *', "
            "start='2024-01-01-00:05', fmt='%Y-%m-%d-%H:%M'))\ndef x(): ...\n"
        ),
        r"partitions_def is a TimeWindowPartitionsDefinition; assets have hourly, daily, weekly or",
    ),
    "keys of another form": (
        (
            "@dg.asset(partitions_def=dg.DailyPartitionsDefinition('24/01/01', fmt='%y/%m/%d'))\n"
            "def x(): ...\n"
        ),
        r"partitions_def is a DailyPartitionsDefinition; assets have",
    ),
    "a dynamic dimension": (
        (
            "@dg.asset(partitions_def=dg.MultiPartitionsDefinition({'day': daily, "
            "'who': dg.DynamicPartitionsDefinition(name='customers')}))\ndef x(): ...\n"
        ),
        r"the dimension who of partitions_def is a DynamicPartitionsDefinition; assets have",
    ),
    "an offset in longer partitions": (
        (
            "@dg.asset(partitions_def=dg.MonthlyPartitionsDefinition('2024-01-01'), "
            "ins={'o': dg.AssetIn(['staging', 'orders'], "
            "partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1))})\ndef x(o): ...\n"
        ),
        r"staging/sales/orders has partitions of a day, this asset of a month: a TimeWindowPartit",
    ),
    "weeks that end within months": (
        (
            "weeks = dg.WeeklyPartitionsDefinition('2024-01-01')\n\n"
            "@dg.asset(partitions_def=weeks)\ndef x(): ...\n\n"
            "@dg.asset(partitions_def=dg.MonthlyPartitionsDefinition('2024-01-01'))\n"
            "def y(x): ...\n"
        ),
        r"analytics/sales/x can't be read by partition: its partitions are weeks",
    ),
    "an offset": (
        (
            '@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2024-01-01", hour_offset=3))\n'
            "def x(): ...\n"
        ),
        r"monthly partitions without offsets",
    ),
    "a mapping without a form": (
        (
            "@dg.asset(partitions_def=daily, ins={'o': dg.AssetIn(['staging', 'orders'], "
            "partition_mapping=dg.LastPartitionMapping())})\ndef x(o): ...\n"
        ),
        r"staging/orders is read by a LastPartitionMapping that has no form here",
    ),
    "a range without its column": (
        (
            "@dg.asset(partitions_def=daily, backfill_policy=dg.BackfillPolicy.single_run())\n"
            "def x(): ...\n"
        ),
        r"assets.x makes a range of partitions in one call: say in its metadata by which column",
    ),
    "an unknown resource": (
        '@dg.asset(required_resource_keys={"db"})\ndef x(): ...\n',
        r"there is no resource 'db': resources are the connections of platform.yaml",
    ),
    "an unknown type of a column": (
        '@dg.asset(metadata={"columns": {"a": {"type": "bigit"}}})\ndef x(): ...\n',
        r"'bigit' is no type",
    ),
    "an unknown key of a column": (
        '@dg.asset(metadata={"columns": {"a": {"typ": "bigint"}}})\ndef x(): ...\n',
        r"metadata columns.a.typ",
    ),
    "a version that is a number": (
        '@dg.asset(metadata={"columns": {"a": {}}, "contract_version": 1.2})\ndef x(): ...\n',
        r"metadata contract_version: 1.2 is a number: quote it; a version is three numbers",
    ),
    "a version of no contract": (
        '@dg.asset(metadata={"contract_version": "1.2.0"})\ndef x(): ...\n',
        r"metadata contract_version: a version is of a contract: say what leaves in `columns`",
    ),
    "a rule over a column that isn't there": (
        (
            '@dg.asset(metadata={"columns": {"a": {}}, "quality": [{"not_null": ["b"]}]})\n'
            "def x(): ...\n"
        ),
        r"'b'",
    ),
    "quarantine": (
        (
            '@dg.asset(metadata={"quality": [{"not_null": {"columns": ["b"], '
            '"on_violation": "quarantine"}}]})\ndef x(): ...\n'
        ),
        r"quarantine belongs to staging assets",
    ),
    "a partition_expr that isn't there": (
        (
            "@dg.asset(partitions_def=daily, "
            'metadata={"columns": {"a": {}}, "partition_expr": "b"})\ndef x(): ...\n'
        ),
        r"partition_expr names 'b', which isn't among the columns: a",
    ),
    "an asset of YAML again": (
        '@dg.asset(key=["staging", "orders"])\ndef x(): ...\n',
        r"staging/sales/orders is declared already: .*pipeline.yaml:\d+",
    ),
    "two of a name": (
        '@dg.asset\ndef x(): ...\n\n@dg.asset(key="x")\ndef y(): ...\n',
        r"assets.py:11: analytics/sales/x is declared already: .*assets.py:8",
    ),
    "a cycle": (
        "@dg.asset\ndef a(b): ...\n\n@dg.asset\ndef b(a): ...\n",
        r"a cycle: analytics/sales/a",
    ),
    "a graph": (
        "@dg.op\ndef o(): ...\n\n@dg.graph_asset\ndef g():\n    return o()\n",
        r"only functions under @asset or @multi_asset",
    ),
    "a check of nothing": (
        '@dg.asset_check(asset="nothing")\ndef c(): ...\n',
        r"there is no asset 'nothing' in pipeline sales",
    ),
}


@pytest.mark.parametrize(("code", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_mistake_is_a_problem_at_its_line(sales, code, message):
    sales.write(code)
    found = sales.problems()
    assert any(re.search(message, text) for text in found), found


def test_a_broken_file_leaves_other_pipelines_and_keeps_its_assets_in_sight(sales):
    other = sales.folder / "pipelines" / "other"
    other.mkdir()
    (other / "pipeline.yaml").write_text(
        "version: 1\npipeline: other\nowner: team:x\n"
        "sources:\n  rates: {type: file, path: data/rates.csv}\n"
    )
    sales.write("import pandsa\n")
    loaded = sales.load()
    assert [pipeline.name for pipeline in loaded.plan.pipelines] == ["other"]
    assert loaded.broken == ("sales",)
    keys = definitions_of(loaded, NOW).resolve_all_asset_keys()
    assert dg.AssetKey(["staging", "sales", "orders"]) in keys


def test_all_mistakes_of_a_file_are_told_at_once(sales):
    sales.write('@dg.asset(key_prefix="gold")\ndef x(): ...\n\n@dg.asset\ndef y(nothing): ...\n')
    assert [text.split(":")[1] for text in sales.problems()] == ["8", "11"]


def test_an_edit_is_seen_by_the_next_load(sales):
    sales.write("@dg.asset\ndef a() -> pd.DataFrame: ...\n")
    first = sales.load().plan.pipeline("sales")
    sales.write("@dg.asset\ndef b() -> pd.DataFrame: ...\n")
    second = sales.load().plan.pipeline("sales")
    assert [node.key.name for node in first.nodes][-1] == "a"
    assert [node.key.name for node in second.nodes][-1] == "b"


def test_the_code_version_follows_the_source_or_the_decorator(sales):
    def version() -> str:
        return sales.load().plan.pipeline("sales").nodes[-1].code_version

    sales.write("@dg.asset\ndef a() -> pd.DataFrame:\n    return 1\n")
    first = version()
    sales.write("@dg.asset\ndef a() -> pd.DataFrame:\n    return 2\n")
    assert version() != first
    sales.write('@dg.asset(code_version="7")\ndef a() -> pd.DataFrame:\n    return 2\n')
    named = version()
    sales.write('@dg.asset(code_version="7")\ndef a() -> pd.DataFrame:\n    return 3\n')
    assert version() == named


def test_what_the_decorator_says_is_what_dagster_shows(sales):
    sales.write("""
        @dg.asset(
            description="Rates of tax.", owners=["team:tax", "a@example.com"], kinds={"excel"},
            tags={"source": "ministry"}, metadata={"link": "x", "columns": {"a": {"type": "int"}}},
            automation_condition=dg.AutomationCondition.on_cron("0 5 * * *"),
        )
        def tax() -> pd.DataFrame: ...
    """)
    [spec] = [
        spec
        for spec in sales.definitions().resolve_all_asset_specs()
        if spec.key == dg.AssetKey(["analytics", "sales", "tax"])
    ]
    assert spec.description == "Rates of tax."
    assert spec.owners[:2] == ["team:tax", "a@example.com"]
    assert {"excel", "python"} <= spec.kinds
    assert spec.tags["source"] == "ministry"
    assert spec.metadata["link"] == "x"
    assert spec.group_name == "sales"
    assert spec.automation_condition == dg.AutomationCondition.on_cron("0 5 * * *")
    columns = spec.metadata["dagster/column_schema"].columns
    assert [(column.name, column.type) for column in columns] == [("a", "integer")]


def test_schedules_sensors_and_jobs_are_taken_as_they_are(sales):
    sales.write("""
        @dg.op
        def clean_up(): ...

        @dg.job
        def housekeeping():
            clean_up()

        nightly = dg.ScheduleDefinition(job=housekeeping, cron_schedule="0 3 * * *", name="nightly")
    """)
    definitions = sales.definitions()
    assert definitions.resolve_job_def("housekeeping")
    assert definitions.resolve_schedule_def("nightly")


def test_definitions_of_ones_own_are_a_warning(sales):
    sales.write("defs = dg.Definitions()\n")
    [text] = sales.problems()
    assert "has a Definitions, which isn't read" in text
    assert sales.load().plan.pipeline("sales") is not None


def test_checks_judge_what_is_published_of_python_and_yaml_assets(sales):
    sales.write("""
        @dg.asset
        def made() -> pd.DataFrame:
            return pd.DataFrame({"x": [1, 2]})

        @dg.asset_check(asset=made)
        def two_rows(made: pd.DataFrame) -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=len(made) == 2)

        @dg.asset_check(asset=["staging", "orders"])
        def has_countries(orders: pa.Table) -> dg.AssetCheckResult:
            missing = orders["country"].null_count
            return dg.AssetCheckResult(passed=missing == 0, metadata={"missing": missing})
    """)
    result = sales.run(["2024-01-03"])
    found = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert found["two_rows"] is True
    assert found["has_countries"] is False


def test_what_a_dagster_user_would_write_first_runs(sales, postgres_url, monkeypatch):
    with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE orders AS SELECT * FROM (VALUES (1, timestamp '2024-01-01 10:00', 5.5), "
            "(2, '2024-01-02 11:00', -1), (3, '2024-01-02 12:00', 2.25)) o(id, at, amount)"
        )
    connection.close()
    monkeypatch.setenv("SHOP_URL", postgres_url)
    (sales.folder / "pipelines" / "platform.yaml").write_text(
        "lake: {root: .data/lake}\nconnections:\n  shop: {type: database, url: '${SHOP_URL}'}\n"
    )
    sales.write("""
        from data_platform.resources import DatabaseResource

        @dg.asset(partitions_def=daily, group_name="first")
        def raw_orders(context: dg.AssetExecutionContext, shop: DatabaseResource) -> pd.DataFrame:
            start, end = context.partition_time_window
            with shop.get_connection() as connection:
                return pd.read_sql(
                    "SELECT * FROM orders WHERE at >= %(start)s AND at < %(end)s", connection,
                    params={"start": start.replace(tzinfo=None), "end": end.replace(tzinfo=None)},
                )

        @dg.asset(partitions_def=daily, group_name="first")
        def clean_orders(raw_orders: pd.DataFrame) -> pd.DataFrame:
            return raw_orders[raw_orders["amount"] > 0]

        @dg.asset(group_name="first")
        def revenue(clean_orders: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"revenue": [float(clean_orders["amount"].sum())]})
    """)
    names = ["analytics/raw_orders", "analytics/clean_orders", "analytics/revenue"]
    assert sales.run(["2024-01-01", "2024-01-02"], names).success
    assert sales.rows("SELECT revenue FROM sales.analytics.revenue") == [(7.75,)]
