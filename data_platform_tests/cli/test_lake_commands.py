"""`data-platform lake history|rollback|optimize|vacuum|erase`, and what Dagster knows of them."""

import json
from pathlib import Path

import dagster as dg
import pytest
from factories import DAY, NEXT_DAY, Project
from screen import lines_on_screen, too_wide

from data_platform.instance.storage import open_instance
from data_platform.keeping.at_work import at_work, kept_for
from data_platform.keeping.history import history_of
from data_platform.plan.keys import Key
from data_platform.run_tags import PINNED_TAG
from data_platform.settings import Settings
from data_platform.terminal.version_tables import print_history

STAGING = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      price: {type: integer, min: 0}
    on_violation: quarantine
analytics:
  revenue: {query: "SELECT sum(price) AS total FROM staging.orders"}
"""


@pytest.fixture(autouse=True)
def shop(project: Project, environ: dict[str, str], dagster_url: str) -> Project:
    """Two days in two versions; -1 is held back in the first one."""
    environ["DATA_PLATFORM_STORAGE_URL"] = dagster_url
    project.declare(STAGING, daily=True)
    for price in (1, 20):
        rows = f"SELECT * FROM (VALUES (1::BIGINT, {price}), (2, -{price})) t(id, price)"
        project.land_all("raw/orders", {DAY: rows, NEXT_DAY: rows})
        project.compute("staging/orders", DAY, NEXT_DAY, run=f"run-of-{price}")
    return project


@pytest.fixture
def dagster(project: Project, dagster_url: str):
    settings = Settings(project.folder, project.folder / ".data", (), storage_url=dagster_url)
    with open_instance(settings) as instance:
        yield instance


def events(instance: dg.DagsterInstance, *key: str) -> list[dg.AssetMaterialization]:
    found = instance.fetch_materializations(dg.AssetKey(list(key)), limit=20).records
    return [one.asset_materialization for one in found if one.asset_materialization]


def test_history_tells_versions_and_what_became_of_them(command, shop: Project):
    result = command("lake", "history", "staging/shop/orders")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split()[0] == "1"
    assert lines[1].endswith("current ") or lines[1].rstrip().endswith("current")
    assert "run-of-1" in lines[2]
    assert "yes" in lines[2]
    found = json.loads(command("lake", "history", "staging.orders", "--format", "json").stdout)
    assert [one["version"] for one in found["versions"]] == [1, 0]
    assert found["versions"][0]["partitions"] == [DAY, NEXT_DAY]
    assert found["versions"][1]["files_standing"] == 0


def test_history_fits_a_narrow_terminal(shop: Project):
    history = history_of(shop.workbench.lake, Key("staging", "shop", "orders"))
    for width in (80, 60, 40):
        assert too_wide(lines_on_screen(width, lambda c: print_history(c, history)), width) == []


def test_a_dry_run_of_a_rollback_changes_nothing(command, shop: Project, dagster):
    result = command("lake", "rollback", "staging.orders", "--to", "0", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "version 1 back to 0" in result.stdout
    assert "nothing is changed" in result.stdout
    assert shop.column("staging/orders", "price") == [20, 20]
    assert events(dagster, "staging", "shop", "orders") == []


def test_a_rollback_is_recorded_with_the_version_that_it_restored(command, shop, dagster):
    snapshot = shop.table("staging/orders").snapshot()
    command("lake", "rollback", "staging.orders", "--to", "0", "--partition", DAY, "--yes")
    told = command(
        "lake", "rollback", "staging.orders", "--to", "0", "--yes", "--by", "ada",
        "--format", "json",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert list(json.loads(told.stdout)["restored"]) == [NEXT_DAY]
    assert shop.column("staging/orders", "price") == [1, 1]
    assert shop.column("quarantine/orders", "price") == [-1, -1]
    now = shop.table("staging/orders").snapshot().partitions
    recorded = {one.partition: one for one in events(dagster, "staging", "shop", "orders")}
    for key in (DAY, NEXT_DAY):
        assert recorded[key].tags["dagster/data_version"] == now[key].data_version
        assert now[key].data_version != snapshot.partitions[key].data_version
    assert recorded[NEXT_DAY].metadata["rolled_back_to"].value == "0"
    assert recorded[NEXT_DAY].metadata["data_platform/by"].value == "ada"
    assert recorded[NEXT_DAY].metadata["dagster/partition_row_count"].value == 1
    assert {one.partition for one in events(dagster, "quarantine", "shop", "orders")} == {
        DAY,
        NEXT_DAY,
    }


def test_nobody_who_says_no_is_rolled_back(command, environ, shop: Project):
    from click.testing import CliRunner

    from data_platform.cli import main

    arguments = ["lake", "rollback", "staging.orders", "--to", "0"]
    result = CliRunner().invoke(main, arguments, input="n\n", env=environ)
    assert result.exit_code == 0, result.output
    assert shop.column("staging/orders", "price") == [20, 20]


def test_what_is_wrong_is_said_in_a_line(command):
    cases = [
        (("history", "staging.oders"), "there is no asset 'staging.oders'; did you mean"),
        (("history", "analytics.revenue"), "analytics/shop/revenue has never been published"),
        (("rollback", "staging.orders", "--to", "9", "--yes"), "version 9 is not there; there are"),
        (
            ("rollback", "staging.orders", "--to", "0", "--partition", "x", "--yes"),
            "no partition x",
        ),
        (("rollback", "staging.orders", "--to", "0", "--format", "json"), "say --yes or --dry-run"),
        (("optimize", "analytics.revenue"), "analytics/shop/revenue has never been published"),
        (("vacuum", "--retention", "soon"), "--retention: 'soon' is no duration"),
        (("erase", "staging.orders", "--where", "who = 1"), "has no column who; it has id, price"),
        (("erase", "staging.orders", "--where", "(SELECT 1)"), "--where: "),
    ]
    for arguments, message in cases:
        result = command("lake", *arguments)
        assert result.exit_code in (1, 2)
        assert message in result.stderr, result.stderr


def test_optimize_tells_what_it_did(command, shop: Project):
    result = command("lake", "optimize")
    assert result.exit_code == 0, result.output
    assert "no table has small files" in result.stdout
    told = json.loads(command("lake", "optimize", "raw.orders", "--format", "json").stdout)
    assert told == [
        {"table": "raw/shop/orders", "files": 2, "files_after": 2, "bytes": told[0]["bytes"],
         "bytes_after": None}
    ]  # fmt: skip


def test_vacuum_looks_and_removes_nothing_that_is_young(command, shop: Project):
    result = command("lake", "vacuum", "--retention", "0s", "--apply")
    assert result.exit_code == 0, result.output
    assert "files are left, since they aren't a day old" in result.stdout
    assert json.loads(command("lake", "history", "raw.orders", "--format", "json").stdout)[
        "versions"
    ][1]["readable"]


def test_vacuum_removes_what_is_old(command, shop: Project):
    import os

    for path in (shop.folder / "lake").rglob("*.parquet"):
        os.utime(path, (0, 0))
    looked = command("lake", "vacuum", "raw.orders", "--retention", "0s")
    assert "2 files" in looked.stdout
    assert "--apply removes it" in looked.stdout
    done = json.loads(
        command("lake", "vacuum", "raw.orders", "--retention", "0s", "--apply", "--format", "json")
        .stdout
    )  # fmt: skip
    assert [len(one["files"]) for one in done] == [2]
    refused = command("lake", "rollback", "raw.orders", "--to", "0", "--yes")
    assert "version 0" in refused.stderr
    assert sorted(shop.column("raw/orders", "price")) == [-20, -20, 20, 20]


def test_what_runs_in_progress_may_read_stays(command, shop: Project, dagster):
    import os

    for path in (shop.folder / "lake").rglob("*.parquet"):
        os.utime(path, (0, 0))
    tags = {PINNED_TAG: json.dumps({"raw/shop/orders": 0})}
    run = dg.DagsterRun(job_name="a_job", tags=tags, status=dg.DagsterRunStatus.STARTING)
    dagster.add_run(run)
    keep = kept_for(at_work(dagster))
    assert keep.pinned == {Key("raw", "shop", "orders"): frozenset({0})}
    assert keep.since is not None
    result = command("lake", "vacuum", "raw.orders", "--retention", "0s", "--apply")
    assert "nothing to remove" in result.stdout
    refused = command("lake", "erase", "raw.orders", "--where", "id = 1", "--apply")
    assert f"in progress: run {run.run_id[:8]}" in refused.stderr
    dagster.report_run_canceled(dagster.get_run_by_id(run.run_id))
    assert at_work(dagster) == []


def test_a_pin_that_cannot_be_read_is_said(command, dagster):
    dagster.add_run(
        dg.DagsterRun(
            job_name="a_job", tags={PINNED_TAG: "seven"}, status=dg.DagsterRunStatus.STARTED
        )
    )
    assert "has a tag data_platform/pinned_versions that can't be read: 'seven'" in (
        command("lake", "vacuum").stderr
    )


def test_erase_reports_first_and_erases_when_told(command, shop: Project, dagster):
    looked = command("lake", "erase", "raw.orders", "--where", "id = 2")
    assert looked.exit_code == 0, looked.output
    assert "raw/shop/orders" in looked.stdout
    assert "--apply erases them; it can't be undone" in looked.stdout
    assert "staging/shop/orders" in looked.stdout
    assert shop.column("raw/orders", "id") == [1, 1, 2, 2]
    done = command(
        "lake", "erase", "raw.orders", "staging.orders", "--where", "id = 2", "--apply",
        "--format", "json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = {one["table"]: one for one in json.loads(done.stdout)["tables"]}
    assert told["raw/shop/orders"]["rows"] == 2
    assert told["raw/shop/orders"]["rows_by_version"] == {"0": 2, "1": 2}
    assert told["quarantine/shop/orders"]["rows"] == 2
    assert shop.column("raw/orders", "id") == [1, 1]
    assert {one.partition for one in events(dagster, "raw", "shop", "orders")} == {DAY, NEXT_DAY}
    again = command("lake", "erase", "raw.orders", "--where", "id = 2", "--apply")
    assert "no row matches, in any version" in again.stdout


def test_nobody_keeps_the_condition(command, shop: Project, dagster):
    command("lake", "erase", "raw.orders", "--where", "id = 2 OR id = 987654321", "--apply")
    log = Path(shop.folder / "lake/raw/shop/orders/_delta_log")
    assert not any("987654321" in path.read_text() for path in log.glob("*.json"))
    (first, *_) = events(dagster, "raw", "shop", "orders")
    assert "987654321" not in f"{first}"


def test_each_command_has_an_example(command):
    for name in ("history", "rollback", "optimize", "vacuum", "erase"):
        result = command("lake", name, "--help")
        assert "Example: data-platform lake" in result.stdout
