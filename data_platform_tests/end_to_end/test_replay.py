"""Rows of retail's quarantine, exported, mended and taken back in by the real command."""

import csv
import os
from decimal import Decimal

from click.testing import CliRunner
from dagster_records import materializations
from forked_command import run_command
from retail_platform import FIRST, RetailPlatform, days

from data_platform.cli import main

DAY, END = "2017-12-21", "2017-12-24"
ASSET = "retail.transactions"


def test_mended_rows_reach_the_warehouse_to_the_cent(retail: RetailPlatform) -> None:
    """A day of which some rows are corrected and the others discarded, by export and replay."""
    assert retail.run(FIRST, END).succeeded

    def command(*arguments: str) -> str:
        with retail.environment():
            ended = CliRunner().invoke(main, ["quarantine", *arguments], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    file = retail.folder / "held.csv"
    command("export", ASSET, "--partition", DAY, "-o", str(file))
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) >= 2, "the day has rows in quarantine"
    mended, given_up = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    worth = Decimal(0)
    for row in mended:
        row["quantity"] = "1"
        worth += Decimal(row["sales_value"].lstrip("'"))
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(mended)
    untouched = retail.versions()
    before = _revenue(retail)
    done = run_command(
        ["data-platform", "quarantine", "replay", ASSET, str(file), "--yes", "--by", "ada"],
        retail.folder,
        {**os.environ, **retail.environ},
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(mended):,} row{'s'[: len(mended) != 1]} taken back in\n" in done.stdout
    assert _revenue(retail) == before + worth

    changed = {
        (asset, key)
        for asset, versions in retail.versions().items()
        for key, version in versions.items()
        if untouched[asset].get(key) != version
    }
    assert {key for asset, key in changed if asset == "staging/transactions"} == {DAY}
    assert {key for asset, key in changed if asset == "analytics/weekly_revenue"} == set(
        days(DAY, END)
    )
    assert not any(asset.startswith("raw/") for asset, _ in changed)

    ids = [part for row in given_up for part in ("--id", row["_row_id"])]
    command("discard", ASSET, *ids, "--because", "till test", "--yes", "--by", "ada")
    assert f"staging/retail/transactions  {DAY}" not in command("list", "retail")
    assert retail.run(DAY, "2017-12-22").succeeded
    newest = materializations(retail, "quarantine/transactions")[DAY][-1].metadata
    assert newest["rows_open"].value == 0
    assert newest["rows_discarded"].value == len(given_up)


def _revenue(retail: RetailPlatform) -> Decimal:
    return retail.ask_warehouse("SELECT sum(revenue) FROM analytics.daily_revenue")[0][0]
