"""`data-platform status`: how assets stand, over a real event log, lake and ledger."""

import json
from dataclasses import asdict

import dagster as dg
import pytest
from factories import DAY, NEXT_DAY, Project

from data_platform.instance.circuit_store import CircuitStore
from data_platform.sources.circuits import Circuit

BODY = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: integer, nullable: false}
    on_violation: quarantine
    freshness: {fail_after: 8h}
analytics:
  totals:
    query: |
      select count(*) as n from staging.orders
    quality:
      - row_count: {min_rows: 1}
destinations:
  totals:
    from: analytics.totals
    type: database
    connection: shop
    table: report.totals
"""


@pytest.fixture(autouse=True)
def shop(
    project: Project, environ: dict[str, str], instance: dg.DagsterInstance, dagster_url: str
) -> Project:
    """Two days in staging, one row in quarantine; a check failed; nothing was loaded."""
    environ["DATA_PLATFORM_STORAGE_URL"] = dagster_url
    project.platform(f"connections:\n  shop: {{type: database, url: '{dagster_url}'}}\n")
    project.declare(BODY, daily=True)
    project.land_all("raw/orders", dict.fromkeys([DAY, NEXT_DAY], "SELECT UNNEST([1, NULL]) AS id"))
    project.compute("staging/orders", DAY, NEXT_DAY)
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(["analytics", "shop", "totals"]),
            check_name="row_count",
            passed=False,
        )
    )
    return project


def test_json_tells_how_assets_stand(command):
    result = command("status", "--format", "json")
    assert result.exit_code == 0, result.output
    told = {asset["key"]: asset for asset in json.loads(result.stdout)}
    staging = told["staging/shop/orders"]
    assert (staging["last_good_partition"], staging["rows"]) == (NEXT_DAY, 2)
    assert (staging["partitions_published"], staging["partitions_due"]) == (2, 31)
    assert (staging["freshness"], staging["quarantined_rows"]) == ("fail", 2)
    assert told["analytics/shop/totals"]["failed_checks"] == ["row_count"]
    assert told["destinations/shop/totals"]["partitions_published"] == 0


def test_text_is_a_table_with_what_is_wrong_below(command):
    result = command("status")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "shop"
    orders = [line.split() for line in lines if line.split()[:1] == ["orders"]]
    assert orders[1][:4] == ["orders", NEXT_DAY, "2/31", "2"]
    assert orders[1][5:] == ["fail", "-", "2"]
    assert "analytics/shop/totals: failed row_count" in lines
    assert any(line.startswith("staging/shop/orders: 2024-01-03 was due") for line in lines)
    assert max(map(len, lines)) <= 80


def test_one_pipeline_can_be_asked_for(command, shop: Project):
    shop.declare("staging:\n  visits:\n    from: raw.orders\n", name="other")
    told = json.loads(command("status", "other", "--format", "json").stdout)
    assert {asset["key"].split("/")[1] for asset in told} == {"other"}


def test_a_warehouse_out_of_reach_is_told_and_hides_nothing(command, shop: Project):
    url = "postgresql://me:secret@127.0.0.1:1/shop"
    shop.platform(f"connections:\n  shop: {{type: database, url: '{url}'}}\n")
    result = command("status")
    assert result.exit_code == 0
    assert "destinations/shop/totals: postgresql://127.0.0.1:1/shop" in result.stdout
    assert "secret" not in result.stdout
    assert NEXT_DAY in result.stdout


def test_dagster_storage_out_of_reach_is_an_error_in_a_line(command, environ: dict[str, str]):
    environ["DATA_PLATFORM_STORAGE_URL"] = "postgresql://me:secret@127.0.0.1:1/dagster"
    result = command("status")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Dagster's storage can't be reached: ")
    assert "secret" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_pipelines_there_is_nothing_to_tell(command, environ: dict[str, str], tmp_path):
    (tmp_path / "empty").mkdir()
    environ["DATA_PLATFORM_PIPELINES"] = str(tmp_path / "empty")
    assert (command("status").exit_code, command("status", "--format", "json").stdout) == (
        0,
        "[]\n",
    )


def test_a_connection_that_nobody_asks_for_now_is_named(command, instance: dg.DagsterInstance):
    assert "is down" not in command("status").output
    circuit = Circuit(5, "2024-01-01T12:00:00+00:00", "2024-01-01T12:00:30+00:00", None, "refused")
    CircuitStore(instance).set("connection shop", json.dumps(asdict(circuit)))
    told = " ".join(command("status").output.split())
    assert (
        "connection shop is down: 5 failures in a row since 12:00:00 UTC, "
        "nobody asks it before 12:00:30 UTC; it said: refused"
    ) in told
    assert command("status", "--format", "json").exit_code == 0
