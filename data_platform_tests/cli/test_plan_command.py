"""`data-platform plan` and `why`: what a change means and why something ran, without a trace."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
from click.testing import Result
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


def planned(command: Callable[..., Result]) -> dict[str, Any]:
    """What the command says of the working tree against the last commit."""
    return json.loads(command("plan", "--against", "HEAD", "--format", "json").stdout)


def everything(project: Project, url: str) -> dict[str, str]:
    """All files with their times, git's and kept plans left out, and all of Dagster's rows."""
    found = {
        str(path): f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(project.folder.rglob("*"))
        if path.is_file() and not {".git", "plans"} & {*path.parts}
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


def test_a_comment_and_a_description_make_nothing_stale(command, shop: Project):
    path = shop.pipelines / "shop" / "pipeline.yaml"
    written = path.read_text()
    query = "select count(*) as n, sum(price) as price from staging.orders"
    other = "-- of all orders\n      SELECT count(*) AS n,\n        sum(price) AS price\n      FROM"
    path.write_text(written.replace(query, f"{other} staging.orders"))
    assert "nothing changes against HEAD" in command("plan", "--against", "HEAD").output
    path.write_text(written.replace("  totals:\n", "  totals:\n    description: of all\n"))
    told = planned(command)
    assert [asset["key"] for asset in told["assets"]] == ["analytics/shop/totals"]
    assert (told["partitions"], told["breaking"], told["outdated"]) == (0, False, [])


def test_partitions_that_are_others_tell_what_becomes_of_stored_rows(command, shop: Project):
    def against_head(old: str, new: str) -> dict[str, dict[str, Any]]:
        files = [shop.pipelines / name / "pipeline.yaml" for name in ("shop", "report")]
        written = [file.read_text() for file in files]
        for file, text in zip(files, written, strict=True):
            file.write_text(text.replace(old, new))
        found = {asset["key"]: asset for asset in planned(command)["assets"]}
        for file, text in zip(files, written, strict=True):
            file.write_text(text)
        return found

    later = against_head("start: 2024-01-01", "start: 2024-01-02")
    for asset in later.values():
        assert asset["notes"][0].startswith(
            "1 published partition (2024-01-01) is no partition of it any more: the rows stay in "
        )
        assert asset["stale"]["partitions"] == 0
    assert later["staging/shop/orders"]["breaks"]

    earlier = against_head("start: 2024-01-01", "start: 2023-12-25")
    assert {asset["stale"]["partitions"] for asset in earlier.values()} == {0}
    assert earlier["raw/shop/orders"]["notes"] == [
        (
            "7 more partitions (2023-12-25 to 2023-12-31) are due now: "
            "data-platform backfill shop --missing-only --select raw/orders"
        )
    ]

    months = against_head("every: day", "every: month")
    for asset in months.values():
        assert asset["notes"][0].startswith("1 published partition (2024-01-02) is no partition")
        # The key of the month was that of its first day.
        assert (asset["stale"]["partitions"], asset["stale"]["first"]) == (1, DAY)


def test_a_pipeline_that_breaks_elsewhere_is_named_with_its_place(command, shop: Project):
    path = shop.pipelines / "shop" / "pipeline.yaml"
    path.write_text(
        path.read_text()
        .replace('      price: {type: "decimal(12,2)"}\n', "")
        .replace(", sum(price) as price", "")
    )
    told = planned(command)
    assert (told["exit_code"], told["breaking"], told["not_compared"]) == (2, True, [])
    (broken,) = told["broken"]
    assert broken.endswith("report/pipeline.yaml:8:14: no column 'price' here; there is id")


def test_a_renamed_pipeline_begins_empty_and_says_so(command, shop: Project):
    (shop.pipelines / "shop").rename(shop.pipelines / "store")
    path = shop.pipelines / "store" / "pipeline.yaml"
    path.write_text(path.read_text().replace("pipeline: shop", "pipeline: store"))
    other = shop.pipelines / "report" / "pipeline.yaml"
    other.write_text(OTHER.replace("shop.staging", "store.staging"))
    told = planned(command)
    assets = {asset["key"]: asset for asset in told["assets"]}
    assert assets["raw/store/orders"]["notes"] == [
        (
            "as raw/shop/orders was, whose rows aren't taken along: "
            "data-platform backfill store builds them"
        )
    ]
    assert assets["raw/shop/orders"]["change"] == "removed"
    assert assets["raw/shop/orders"]["table"]
    # Who read it reads the other one.
    assert not told["breaking"]


def test_code_that_several_assets_share_changes_all_of_them(command, shop: Project):
    folder = shop.pipelines / "shop"
    (folder / "prices.py").write_text("RATE = 2\n")
    (folder / "clean.py").write_text(
        "from .prices import RATE\n\n\ndef clean(rows):\n    return rows.assign(rate=RATE)\n"
    )
    call = "    transformations: [{python: {function: 'clean:clean'}}]\n"
    other = "  more:\n    from: raw.orders\n"
    target = (
        "destinations:\n  out: {from: staging.orders, type: database, connection: shop, "
        "table: out, write: replace_partition}\n"
    )
    path = folder / "pipeline.yaml"
    path.write_text(
        path.read_text()
        .replace("    from: raw.orders\n", f"    from: raw.orders\n{call}")
        .replace("analytics:\n", f"{other}{call}analytics:\n")
        .replace("    automation: manual\n", f"    quality: [{{not_null: n}}]\n{target}")
    )
    git(shop.folder, "add", "pipelines")
    git(shop.folder, "commit", "-qm", "with functions")
    told = planned(command)
    assert (told["assets"], told["not_compared"]) == ([], [])
    (folder / "prices.py").write_text("RATE = 3\n")
    path.write_text(
        path.read_text()
        .replace("{not_null: n}", "{not_null: {columns: [n], on_violation: warn}}")
        .replace("write: replace_partition", "write: merge, keys: [id]")
    )
    told = planned(command)
    assert (told["not_compared"], told["broken"]) == ([], [])
    parts = {
        asset["key"]: {part["part"]: part["lines"] for part in asset["parts"]}
        for asset in told["assets"]
    }
    assert {key for key, some in parts.items() if "code" in some} == {
        "staging/shop/orders",
        "staging/shop/more",
    }
    assert "+not_null_n (warn)" in " ".join(parts["analytics/shop/totals"]["rules"])
    assert "+target.keys" in " ".join(parts["destinations/shop/out"]["destination"])


def test_what_newer_inputs_make_stale_is_told_apart(
    command, shop: Project, instance: dg.DagsterInstance
):
    node = shop.node("staging/orders")
    for day in (DAY, NEXT_DAY):
        tags = {
            "dagster/code_version": node.code_version,
            "dagster/input_data_version/raw/shop/orders": "of before",
        }
        made = dg.AssetMaterialization(list(node.key), partition=day, tags=tags)
        instance.report_runless_asset_event(made)
    path = shop.pipelines / "shop" / "pipeline.yaml"
    path.write_text(path.read_text().replace("count(*) as n", "count(id) as n"))
    told = planned(command)
    assert told["partitions"] == 2
    assert [asset["key"] for asset in told["assets"]] == ["analytics/shop/totals"]
    assert [(one["key"], one["partitions"]) for one in told["outdated"]] == [
        ("staging/shop/orders", 2),
        ("analytics/report/prices", 2),
    ]
    closing = command("plan").output.splitlines()
    assert "to build anew: 2 partitions of 1 asset, 2 rows, 1.0 s by the last runs" in closing
    assert any(line.startswith("stale by newer inputs: 4 partitions of 2 ass") for line in closing)


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
