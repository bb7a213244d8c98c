"""`data-platform explain` and `schema`: what is shown is what will run."""

import json

import pytest
from factories import DAILY_SOURCE, Project

BODY = """staging:
  orders:
    description: One order, cleaned.
    from: raw.orders
    transformations:
      - add_columns:
          total: price * 2
    columns:
      id: {type: bigint, nullable: false, description: The order's own number.}
      price: {type: 'decimal(12,2)', min: 0}
      total: {type: 'decimal(18,2)'}
      at: {type: timestamp}
    quality:
      - unique: [id]
    on_violation: quarantine
analytics:
  totals:
    sql: totals.sql
    freshness: {warn_after: 6h, fail_after: 1d}
    automation: {cron: "0 6 * * *"}
destinations:
  totals:
    from: analytics.totals
    type: database
    connection: shop
    table: report.totals
"""
TOTALS = """
select sum(total) as total, 'it''s "the shop''s' as day from staging.orders
where at >= :partition_start
"""


@pytest.fixture(autouse=True)
def shop(project: Project) -> Project:
    project.declare(DAILY_SOURCE + BODY, daily=True, totals=TOTALS)
    project.declare("staging:\n  visits:\n    from: raw.orders\n", name="other")
    return project


def explained(command, *arguments: str) -> dict[str, dict]:
    result = command("explain", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["format"] == 1
    return {asset["key"]: asset for pipeline in told["pipelines"] for asset in pipeline["assets"]}


def test_all_pipelines_are_explained(command):
    assert {key.split("/")[1] for key in explained(command)} == {"shop", "other"}


def test_a_pipeline_is_explained_alone(command):
    assert set(explained(command, "shop")) == {
        "raw/shop/orders",
        "staging/shop/orders",
        "analytics/shop/totals",
        "destinations/shop/totals",
    }


@pytest.mark.parametrize(
    "name",
    ["staging/shop/orders", "shop.staging.orders", "staging.orders", "quarantine/shop/orders"],
)
def test_an_asset_is_found_by_any_of_its_names(command, name: str):
    assert list(explained(command, "--asset", name)) == ["staging/shop/orders"]


def test_sql_and_checks_are_those_of_the_plan(command, project: Project):
    told = explained(command)["staging/shop/orders"]
    node = project.staging("orders")
    assert told["sql"] == node.sql
    assert told["code_version"] == node.code_version
    assert [check["name"] for check in told["checks"]] == [check.name for check in node.checks]
    assert told["quarantine"] == "quarantine/shop/orders"


def test_json_names_what_is_read_and_written(command):
    told = explained(command, "shop")
    source = told["raw/shop/orders"]["source"]
    assert (source["connection"], source["table"], source["cursor"]) == ("shop", "orders", "at")
    assert told["staging/shop/orders"]["inputs"][0]["reads"] == "same"
    assert told["analytics/shop/totals"]["parameters"] == ["partition_start"]
    assert told["analytics/shop/totals"]["freshness"]["fail_after"] == "1d"
    assert told["analytics/shop/totals"]["automation"]["cron"] == "0 6 * * *"
    assert told["destinations/shop/totals"]["target"]["table"] == "report.totals"
    assert told["staging/shop/orders"]["declared"] == "pipelines/shop/pipeline.yaml:8"


def test_the_statements_that_make_a_table_are_shown(command):
    target = explained(command, "shop")["destinations/shop/totals"]["target"]
    assert (target["database"], target["keys"]) == ("postgres", [])
    text = command("explain", "--asset", "destinations.totals").stdout
    shown = " ".join(text.partition("table, where it isn't there yet")[2].split())
    for statement in target["statements"]:
        assert f"{' '.join(statement.split())};" in shown
    assert any(one.startswith('CREATE TABLE "report"."totals" (') for one in target["statements"])
    assert "are deleted and copied in one transaction" in " ".join(text.split())


def test_text_holds_at_eighty_columns(command, project: Project):
    text = command("explain").stdout.replace(str(project.folder), "")
    assert max(map(len, text.splitlines())) <= 80


def test_wrapped_sql_is_still_the_same_sql(command, project: Project):
    text = command("explain", "--asset", "staging.orders").stdout
    shown = text.split("  SQL\n")[1].split("  checks\n")[0]
    assert shown.split() == project.staging("orders").sql.split()


def test_quotes_in_literals_are_kept(command):
    assert "'it''s \"the shop''s' AS day" in " ".join(command("explain", "shop").stdout.split())


def test_text_tells_effect_and_condition_of_checks(command):
    text = command("explain", "--asset", "staging.orders").stdout
    assert "range_price (quarantines)" in text
    assert 'COALESCE("price" < 0, FALSE)' in text
    assert "unique_id (fails)" in text


def test_a_broken_pipeline_tells_its_mistakes(command, project: Project):
    path = project.declare("staging:\n  orders:\n    from: raw.nothing\n", name="wrong")
    result = command("explain", "wrong")
    assert result.exit_code == 1
    assert f"{path.relative_to(project.folder)}:8:5: there is no asset raw.nothing" in result.stderr


def test_a_broken_pipeline_hides_no_other(command, project: Project):
    project.declare("staging: 1\n", name="wrong")
    result = command("explain", "shop")
    assert result.exit_code == 0
    assert "pipeline wrong has mistakes and is left out" in result.stderr


def test_an_unknown_pipeline_gets_the_nearest_name(command):
    result = command("explain", "shp")
    assert (result.exit_code, result.stderr.strip()) == (
        1, "Error: there is no pipeline 'shp'; did you mean shop?",
    )  # fmt: skip


def test_an_unknown_asset_gets_the_nearest_name(command):
    result = command("explain", "--asset", "staging/shop/oders")
    assert result.exit_code == 1
    assert "did you mean staging/shop/orders?" in result.stderr


def test_an_ambiguous_name_lists_the_choices(command):
    result = command("explain", "--asset", "raw.orders")
    assert result.exit_code == 1
    assert "raw/shop/orders" in result.stderr
    assert "raw/other/orders" in result.stderr


def test_an_asset_of_another_pipeline_is_wrong_usage(command):
    assert command("explain", "other", "--asset", "staging/shop/orders").exit_code == 2


@pytest.mark.parametrize(
    ("of", "key"), [((), "sources"), (("pipeline",), "staging"), (("platform",), "lake")]
)
def test_schema_is_json_schema(command, of: tuple[str, ...], key: str):
    told = json.loads(command("schema", *of).stdout)
    assert told["$schema"].startswith("https://json-schema.org/")
    assert key in told["properties"]


def test_a_comment_in_the_yaml_is_no_new_code(command, project: Project):
    before = {key: told["code_version"] for key, told in explained(command).items()}
    path = project.pipelines / "shop" / "pipeline.yaml"
    path.write_text(f"# a comment moves every line\n{path.read_text()}")
    after = {key: told["code_version"] for key, told in explained(command).items()}
    assert after == before
