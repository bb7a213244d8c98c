"""What commands that change something leave for whoever asks later who it was."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

from data_platform.cli import main
from data_platform_tests.observability.retention.remembering_shop import (
    DAYS,
    NEVER,
    RememberingShop,
)

EMAIL = 4711
"""A value by which a person is known."""


@pytest.fixture
def shop(
    tmp_path: Path, instance: DagsterInstance, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> RememberingShop:
    """One with rows in quarantine, and two versions of a day."""
    monkeypatch.chdir(tmp_path)
    shop = RememberingShop(tmp_path, instance, dagster_url)
    shop.orders(DAYS[0], (1, 5), (2, 5000))
    shop.run(DAYS[0])
    shop.orders(DAYS[0], (1, 6), (2, 5000), (3, EMAIL))
    shop.run(DAYS[0])
    return shop


def call(shop: RememberingShop, *arguments: str, user: str = "", code: int = 0) -> str:
    environ = {
        "DATA_PLATFORM_HOME": str(shop.folder),
        "DATA_PLATFORM_PIPELINES": str(shop.folder / "pipelines"),
        "DATA_PLATFORM_STORAGE_URL": shop.url,
        "DATA_PLATFORM_USER": user,
    }
    result = CliRunner().invoke(main, arguments, env=environ, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def audited(shop: RememberingShop, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(call(shop, "audit", "--format", "json", *arguments))["deeds"]


def test_whoever_changes_something_is_told(shop: RememberingShop):
    staging = "staging/shop/orders"
    call(shop, "quarantine", "discard", "shop.orders", "--all", "--because", "tests", "--yes",
         "--by", "ann")  # fmt: skip
    call(shop, "quarantine", "restore", "shop.orders", "--all", "--yes", user="bob")
    call(shop, "lake", "rollback", staging, "--to", "0", "--yes", "--by", "carl")
    call(shop, "lake", "vacuum", "--apply", user="dora")
    call(shop, "lake", "erase", "raw/shop/orders", "--where", f"amount = {EMAIL}", "--apply")
    noted = [
        (deed["who"], deed["action"], deed["about"], deed["detail"])
        for deed in audited(shop)
        if deed["account"]
    ]
    account = audited(shop, "--limit", "1")[0]["account"]
    assert noted == [
        (account, "lake erase", ["raw/shop/orders"], "rows by amount"),
        ("dora", "lake vacuum", ["all tables"], ""),
        ("carl", "lake rollback", [staging], "to version 0"),
        ("bob", "quarantine restore", [staging], "2 rows"),
        ("ann", "quarantine discard", [staging], "2 rows: tests"),
    ]
    started = audited(shop, "--who", account, "--key", staging)
    changed = ["lake rollback", "quarantine restore", "quarantine discard"]
    assert [deed["action"] for deed in started] == [*changed, "run started", "run started"]
    assert str(EMAIL) not in json.dumps(audited(shop))


def test_a_look_changes_nothing_and_is_not_told(shop: RememberingShop):
    before = audited(shop)
    call(shop, "lake", "vacuum")
    call(shop, "lake", "erase", "raw/shop/orders", "--where", "amount = 5000")
    call(shop, "lake", "rollback", "staging/shop/orders", "--to", "0", "--dry-run")
    assert audited(shop) == before


def test_whoever_begins_ends_and_resumes_a_backfill_is_told(shop: RememberingShop):
    shop.orders(NEVER, (1000, 5))
    call(shop, "backfill", "shop", "--partition", NEVER, "--max-failures", "1", "--yes",
         user="ann", code=1)  # fmt: skip
    [begun] = shop.instance.get_backfills()
    call(shop, "backfill", "--cancel", begun.backfill_id[:6], user="bob")
    call(shop, "backfill", "--resume", begun.backfill_id, user="carl", code=1)
    found = audited(shop, "--pipeline", "shop", "--since", "1h")
    assert [(deed["who"], deed["action"]) for deed in found][:5] == [
        ("carl", "run started"),
        ("carl", "backfill resumed"),
        ("bob", "backfill cancelled"),
        ("ann", "run started"),
        ("ann", "backfill begun"),
    ]
    assert {deed["detail"] for deed in found if "cancelled" in deed["action"]} == {
        begun.backfill_id
    }
    assert found[3]["result"] == "failure"
    assert f"backfill {begun.backfill_id}" in found[3]["detail"]
