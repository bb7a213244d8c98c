"""`data-platform alerts`: what is wrong, and whether channels are right."""

import json
import re
from pathlib import Path

import pytest
from alerting_shop import DAYS, PIPELINE, AlertingShop, hook_at
from click.testing import CliRunner, Result
from dagster import DagsterInstance
from misbehaving_server import MisbehavingServer, Reply, misbehaving

from data_platform.cli import main
from data_platform.doctor.channels import channel as examined
from data_platform.settings import Settings
from data_platform.spec.alerts import Channel

SECRET = "T0kenOfTheShop"


@pytest.fixture
def shop(
    tmp_path: Path, instance: DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AlertingShop:
    assert settings.storage_url is not None
    monkeypatch.setenv("SHOP", str(tmp_path))
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("DATA_PLATFORM_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setenv("DATA_PLATFORM_STORAGE_URL", settings.storage_url)
    monkeypatch.chdir(tmp_path)
    return AlertingShop(tmp_path, instance, {})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["alerts", *arguments])


def test_what_is_wrong_is_shown_with_owner_runbook_and_what_is_behind(
    shop: AlertingShop, monkeypatch: pytest.MonkeyPatch
):
    assert "nothing is wrong" in run().output
    shop.orders(DAYS[1], (1000, "ann@shop.example", 5))
    shop.run()
    with misbehaving(Reply({}, 503)) as hook:
        monkeypatch.setenv("HOOK", hook_at(hook))
        shop.environ["HOOK"] = hook_at(hook)
        shop.looks(2)
        text = re.sub(" +", " ", run().output)
    assert "severity for what owner behind told\nerror less than a minute" in text
    assert "staging/shop/orders: check range_id failed team:shop 2 hook" in text
    assert "staging/shop/orders: https://wiki.shop.example/orders" in text
    assert "channel hook hasn't taken 1 message for" in text
    assert "channel mail is off: ${MAIL:-} is empty" in text
    told = json.loads(run("--format", "json").output)
    [incident] = told["incidents"]
    assert incident["name"] == "staging/shop/orders"
    assert incident["events"] == ["check_failed", "failure"]
    assert list(incident["behind"]) == ["staging/shop/sound_orders", "analytics/shop/revenue"]
    assert told["undelivered"][0]["waiting"] == 1


def test_channels_are_tested_one_or_all(shop: AlertingShop, monkeypatch: pytest.MonkeyPatch):
    with misbehaving(Reply({})) as hook:
        monkeypatch.setenv("HOOK", hook_at(hook))
        monkeypatch.setenv("CHAT", f"slack://{SECRET}")
        one = run("test", "hook")
        assert (one.exit_code, one.output) == (0, "hook: sent\n")
        every = run("test")
        assert len(hook.asked) == 2
    assert every.exit_code == 1
    lines = every.output.splitlines()
    assert lines[0] == "mail: off (${MAIL:-} is empty)"
    assert lines[1] == "hook: sent"
    assert lines[2].startswith("chat: failed (its address is no address of slack://")
    assert SECRET not in every.output


def test_a_channel_that_is_none(shop: AlertingShop):
    result = run("test", "chta")
    assert result.exit_code == 1
    assert "there is no channel 'chta' in platform.yaml; there are: mail, hook" in result.output


def test_without_channels_nobody_looks(shop: AlertingShop):
    shop.declare(platform='lake: {root: "${SHOP}/lake"}\n', pipeline=PIPELINE)
    assert "platform.yaml has no `alerts: channels:`" in run("test").output
    assert "so nobody looks for what goes wrong" in run().output


def test_doctor_looks_at_addresses_without_sending():
    with misbehaving(Reply({})) as hook:
        found = [
            next(examined("chat", Channel(url=url), str))
            for url in (hook_at(hook), "", f"nothing://{SECRET}")
        ]
        assert _asked(hook) == 0
    assert [one.level for one in found] == ["ok", "ok", "fail"]
    assert found[2].advice == "correct it, then: data-platform alerts test chat"
    assert SECRET not in found[2].found


def _asked(hook: MisbehavingServer) -> int:
    return len(hook.asked)
