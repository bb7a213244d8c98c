"""`data-platform plan` and `why`: what a change means and why something ran, without a trace."""

import hashlib
import json
import subprocess
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from factories import DAY, NEXT_DAY, Project

BODY = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      price: {type: "decimal(12,2)"}
analytics:
  totals:
    query: |
      select count(*) as n, sum(price) as price from staging.orders
    automation: manual
"""
OTHER = """version: 1
pipeline: report
owner: team:report
partitions: {every: day, start: 2024-01-01, end: 2024-02-01}
analytics:
  prices:
    query: |
      select price from shop.staging.orders
"""


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture(autouse=True)
def shop(
    project: Project, environ: dict[str, str], instance: dg.DagsterInstance, dagster_url: str
) -> Project:
    """Two pipelines in git, two days of which were published."""
    environ["DATA_PLATFORM_STORAGE_URL"] = dagster_url
    project.declare(BODY, daily=True)
    (project.pipelines / "report").mkdir()
    (project.pipelines / "report" / "pipeline.yaml").write_text(OTHER)
    rows = "SELECT 1::BIGINT AS id, 2.5::DECIMAL(12,2) AS price"
    project.land_all("raw/orders", dict.fromkeys([DAY, NEXT_DAY], rows))
    for key in ("raw/orders", "staging/orders", "analytics/totals", "analytics/report/prices"):
        if not key.startswith("raw"):
            project.compute(key, DAY, NEXT_DAY)
        node = project.node(key)
        for day in (DAY, NEXT_DAY):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    list(node.key),
                    partition=day,
                    tags={"dagster/code_version": node.code_version},
                    metadata={"seconds": 0.5},
                )
            )
    git(project.folder, "init", "-q")
    git(project.folder, "add", "pipelines")
    git(project.folder, "commit", "-qm", "as published")
    return project


def everything(project: Project, url: str) -> dict[str, str]:
    """All files of the lake, and all rows of Dagster's tables."""
    lake = project.folder / "lake"
    found = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(lake.rglob("*"))
        if path.is_file()
    }
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
            found[table] = str(cursor.fetchone())
    return found


def test_nothing_changes_against_what_is_published(command):
    result = command("plan")
    assert result.exit_code == 0, result.output
    assert "nothing changes against what is published" in result.output


def test_a_column_that_goes_breaks_who_reads_it_elsewhere(command, shop: Project, dagster_url: str):
    path = shop.pipelines / "shop" / "pipeline.yaml"
    path.write_text(
        path.read_text()
        .replace('      price: {type: "decimal(12,2)"}\n', "      price: {type: double}\n")
        .replace("count(*) as n, sum(price) as price", "count(*) as n")
    )
    before = everything(shop, dagster_url)
    result = command("plan", "--against", "HEAD", "--format", "json")
    assert everything(shop, dagster_url) == before
    assert result.exit_code == 2, result.output
    told = json.loads(result.stdout)
    changed = {asset["key"]: asset for asset in told["assets"]}
    staging = changed["staging/shop/orders"]
    assert {"name": "price", "change": "changed", "old": "DECIMAL(12,2)", "new": "DOUBLE"} in (
        staging["columns"]
    )
    assert staging["breaks"]
    assert (staging["stale"]["partitions"], staging["stale"]["first"]) == (2, DAY)
    assert staging["stale"]["seconds"] == 1.0
    totals = changed["analytics/shop/totals"]
    assert [c["change"] for c in totals["columns"] if c["name"] == "price"] == ["removed"]
    assert any(line.startswith("-") for part in totals["parts"] for line in part["lines"])
    (below,) = told["below"]
    assert (below["key"], below["partitions"]) == ("analytics/report/prices", 2)
    assert below["reads"] == ["staging/shop/orders.price"]


def test_what_is_gone_and_what_is_new_are_told(command, shop: Project):
    path = shop.pipelines / "shop" / "pipeline.yaml"
    path.write_text(path.read_text().replace("  totals:", "  sums:"))
    result = command("plan", "shop")
    assert result.exit_code == 0, result.output
    assert "+ analytics/shop/sums" in result.output
    assert "- analytics/shop/totals" in result.output
    assert "its rows stay in" in result.output


def test_a_reference_that_git_does_not_know_is_a_message(command):
    result = command("plan", "--against", "nowhere")
    assert result.exit_code == 1
    assert "git knows no reference 'nowhere'" in result.output


def test_why_names_what_is_built(command):
    result = command("why", "staging/orders", DAY)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].startswith(f"{DAY} was built ")


def test_why_tells_that_nothing_starts_an_asset(command):
    result = command("why", "analytics/totals", "2024-01-05")
    assert "its automation is `manual`" in result.output.splitlines()[0]
    assert (
        "data-platform run shop --select analytics/totals --partition 2024-01-05" in result.output
    )


def test_why_names_what_is_missing_above(command):
    told = json.loads(command("why", "analytics/prices", "2024-01-09", "--format", "json").stdout)
    assert told["state"] == "waits"
    assert told["answer"].startswith("2024-01-09 waits: raw/shop/orders 2024-01-09 is started by ")
    assert told["facts"][0] == "staging/shop/orders has no published partition 2024-01-09"
    assert told["advice"] == ["data-platform why raw/shop/orders 2024-01-09"]
    assert told["waits_for"] == "raw/shop/orders"
