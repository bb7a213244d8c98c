"""`data-platform status`: how assets stand, over a real event log, lake and ledger."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import dagster as dg
import pytest
from click.testing import Result
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo
from factories import DAY, NEXT_DAY, Project

from data_platform.commands.opened import load_all
from data_platform.instance.circuit_store import CircuitStore
from data_platform.loading import Loaded
from data_platform.sources.circuits import Circuit

Command = Callable[..., Result]
REPOSITORY = RemoteRepositoryOrigin(
    ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="x"), "x"),
    "__repository__",
)
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


def told_of(result: Result) -> dict[str, Any]:
    """What JSON says."""
    return json.loads(result.stdout)


def test_json_tells_how_assets_stand(command: Command):
    result = command("status", "--format", "json")
    assert result.exit_code == 1, result.output
    page = told_of(result)
    told = {asset["key"]: asset for asset in page["assets"]}
    staging = told["staging/shop/orders"]
    assert (staging["last_good_partition"], staging["rows"]) == (NEXT_DAY, 2)
    assert (staging["partitions_published"], staging["partitions_due"]) == (2, 31)
    assert (staging["freshness"], staging["quarantined_rows"]) == ("fail", 2)
    assert told["analytics/shop/totals"]["failed_checks"] == ["row_count"]
    assert told["destinations/shop/totals"]["partitions_published"] == 0
    assert page["summary"] == {
        "assets": 4, "red": 2, "yellow": 2, "green": 0, "off": 0, "waiting": 3,
    }  # fmt: skip
    (cause,) = page["causes"]
    assert (cause["key"], cause["owner"], cause["run"]) == ("raw/shop/orders", "team:shop", None)
    assert cause["text"] == "29 of 31 partitions aren't published"
    assert cause["waiting"][0] == "staging/shop/orders"  # it promises freshness
    assert cause["next"] == ["data-platform why raw/shop/orders"]
    (daemon,) = page["platform"]
    assert (daemon["area"], daemon["level"]) == ("daemon", "yellow")


def test_text_begins_with_what_is_red(command: Command):
    result = command("status", "shop")
    assert result.exit_code == 1, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("2 red · 2 yellow of 4 assets · 3 wait · 20")
    assert "RED raw/shop/orders" in lines
    assert any(
        line.startswith("  3 wait for it: staging/shop/orders (within 8h), ") for line in lines
    )
    assert lines.index("shop") > lines.index("RED raw/shop/orders")
    orders = [line.split() for line in lines if line.split()[:1] == ["orders"]]
    assert orders[1][:4] == ["orders", NEXT_DAY, "2/31", "2"]
    assert orders[1][5:] == ["fail", "-", "2"]
    assert "analytics/shop/totals: failed row_count" in lines


def test_what_is_sound_is_a_line_and_no_failure(command: Command, shop: Project):
    shop.declare("sources:\n  one: {type: file, path: one.parquet, partitions: none}\n")
    shop.land("raw/one", [{"n": 1}, {"n": 2}])
    result = command("status")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith("0 red · 1 green of 1 assets")
    assert [line.split() for line in result.stdout.splitlines() if line.startswith("shop ")] == [
        ["shop", "1", "-", "2", "0s", "green"]
    ]
    whole = command("status", "--all").stdout.splitlines()
    assert any(line.split()[:3] == ["one", "-", "1/1"] for line in whole)


def test_one_pipeline_can_be_asked_for(command: Command, shop: Project):
    shop.declare("staging:\n  visits:\n    from: raw.orders\n", name="other")
    page = told_of(command("status", "other", "--format", "json"))
    assert {asset["key"].split("/")[1] for asset in page["assets"]} == {"other"}


def test_a_pipeline_with_mistakes_is_red(command: Command, shop: Project):
    shop.declare("staging:\n  visits: {from: nowhere}\n", name="other")
    result = command("status")
    assert result.exit_code == 1
    assert "pipelines: other has mistakes and is left out  -> data-platform check" in result.stdout


def test_a_warehouse_out_of_reach_is_told_and_hides_nothing(command: Command, shop: Project):
    url = "postgresql://me:secret@127.0.0.1:1/shop"
    shop.platform(f"connections:\n  shop: {{type: database, url: '{url}'}}\n")
    result = command("status")
    assert result.exit_code == 1
    assert "RED destinations/shop/totals\n  postgresql://127.0.0.1:1/shop" in result.stdout
    assert "  -> data-platform doctor --connection shop" in result.stdout.splitlines()
    assert "secret" not in result.stdout
    assert NEXT_DAY in result.stdout


def test_channels_that_are_off_and_those_that_are_wrong_are_told(command: Command, shop: Project):
    shop.platform(
        f"{(shop.pipelines / 'platform.yaml').read_text()}alerts:\n  channels:\n"
        '    chat: {url: "${NO_SUCH_URL:-}"}\n    pager: {url: "nowhere:nothing"}\n'
    )
    page = told_of(command("status", "--format", "json"))
    told = {one["found"].partition(":")[0]: one["level"] for one in page["platform"]}
    assert told["channel chat is off"] == "off"
    assert told["channel pager is wrong"] == "red"


def test_a_daemon_that_stopped_is_red(command: Command, instance: dg.DagsterInstance):
    stamp = time.time() - 720
    for name in ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"):
        instance.add_daemon_heartbeat(DaemonHeartbeat(stamp, name, "a-daemon", []))
    (daemon,) = told_of(command("status", "--format", "json"))["platform"]
    assert daemon["level"] == "red"
    assert daemon["found"].startswith("dagster-daemon isn't heard of for 12 min: SENSOR, ")


def test_a_sensor_that_somebody_stopped_is_told(command: Command, instance: dg.DagsterInstance):
    for name in ("shop_sources", "gone_sources"):
        origin = RemoteInstigatorOrigin(REPOSITORY, name)
        kind = InstigatorType.SCHEDULE
        data = ScheduleInstigatorData("0 6 * * *")
        state = InstigatorState(origin, kind, InstigatorStatus.STOPPED, data)
        instance.add_instigator_state(state)
    page = told_of(command("status", "--format", "json"))
    (told,) = (one["found"] for one in page["platform"] if one["area"] == "automation")
    assert told == "somebody stopped shop_sources: what they start doesn't start"


def _tick(instance: dg.DagsterInstance, status: TickStatus, ago: float, error: str = "") -> None:
    """A tick of `pools`, whose sensor is there."""
    origin = RemoteInstigatorOrigin(REPOSITORY, "pools")
    kind = InstigatorType.SENSOR
    state = InstigatorState(origin, kind, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData())
    if instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
        instance.add_instigator_state(state)
    inner = SerializableErrorInfo(f"ValueError: {error}\n", [], "ValueError")
    outer = SerializableErrorInfo("Error occurred:\n", [], "SensorExecutionError", inner)
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            "pools",
            kind,
            status,
            time.time() - ago,
            run_ids=[],
            selector_id=state.selector_id,
            error=outer if error else None,
        )
    )


def test_a_sensor_that_fails_is_told_until_it_ticks_well(
    command: Command, instance: dg.DagsterInstance
):
    def told() -> list[tuple[str, str]]:
        page = told_of(command("status", "--format", "json"))
        found = [one for one in page["platform"] if one["area"] == "automation"]
        return [(one["level"], one["found"]) for one in found]

    _tick(instance, TickStatus.SUCCESS, 500)
    assert told() == []
    url = "postgresql://dagster:hunter2hunter2@db/x"
    _tick(instance, TickStatus.FAILURE, 400, f"can't ask {url}")
    [(level, text)] = told()
    assert level == "yellow"
    assert text.startswith("pools: its last tick failed, 6 min ago: ValueError: can't ask postgres")
    assert "hunter2" not in text
    for ago in (300, 200):
        _tick(instance, TickStatus.FAILURE, ago, "no")
    _tick(instance, TickStatus.STARTED, 1)
    assert told() == [("red", "pools: its last 3 ticks failed, 3 min ago: ValueError: no")]
    _tick(instance, TickStatus.SKIPPED, 0.5)
    assert told() == []


@pytest.mark.parametrize("name", ["status", "alerts"])
def test_a_platform_file_with_mistakes_is_told_by_every_command(
    command: Command, shop: Project, name: str
):
    shop.platform("alerts: {channels: [chat]}\n")
    result = command(name)
    assert "platform.yaml has mistakes: data-platform check shows them" in result.stderr
    assert "channels and limits are unknown until then" in result.stderr


def test_status_names_the_mistakes_of_the_platform_file(command: Command, shop: Project):
    shop.platform("alerts: {channels: [chat]}\n")
    result = command("status")
    assert result.exit_code != 0
    assert "platform.yaml:1:" in result.stderr


def test_watched_into_a_pipe_it_is_page_after_page(
    command: Command, monkeypatch: pytest.MonkeyPatch, shop: Project
):
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            shop.declare("staging:\n  visits:\n    from: raw.orders\n", name="other")
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("data_platform.commands.status.time.sleep", wait)
    loads = spied_on(monkeypatch)
    result = command("status", "--watch", "30")
    assert (result.exit_code, waits) == (0, [30.0] * 3)
    heads = [line for line in result.stdout.splitlines() if " assets · " in line]
    assert ["4 assets" in head for head in heads] == [True, True, False]
    assert len(loads) == 2


def spied_on(monkeypatch: pytest.MonkeyPatch) -> list[Loaded]:
    """Each time that pipelines are read."""
    loads: list[Loaded] = []

    def load() -> Loaded:
        loads.append(load_all())
        return loads[-1]

    monkeypatch.setattr("data_platform.commands.status.load_all", load)
    return loads


def test_dagster_storage_out_of_reach_is_an_error_in_a_line(
    command: Command, environ: dict[str, str]
):
    environ["DATA_PLATFORM_STORAGE_URL"] = "postgresql://me:secret@127.0.0.1:1/dagster"
    result = command("status")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Dagster's storage can't be reached: ")
    assert "secret" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_pipelines_there_is_nothing_to_tell(command, environ: dict[str, str], tmp_path):
    (tmp_path / "empty").mkdir()
    environ["DATA_PLATFORM_PIPELINES"] = str(tmp_path / "empty")
    result = command("status", "--format", "json")
    assert (result.exit_code, told_of(result)["assets"]) == (0, [])
    assert command("status").stdout.startswith("0 red of 0 assets")


def test_a_connection_that_nobody_asks_for_now_is_named(command, instance: dg.DagsterInstance):
    assert "is down" not in command("status").output
    circuit = Circuit(5, "2024-01-01T12:00:00+00:00", "2024-01-01T12:00:30+00:00", None, "refused")
    CircuitStore(instance).set("connection shop", json.dumps(asdict(circuit)))
    told = " ".join(command("status").output.split())
    assert (
        "connection shop is down: 5 failures in a row since 12:00:00 UTC, "
        "nobody asks it before 12:00:30 UTC; it said: refused"
    ) in told
    (outage,) = (
        one
        for one in told_of(command("status", "--format", "json"))["platform"]
        if one["area"] == "connections"
    )
    assert outage["level"] == "red"
