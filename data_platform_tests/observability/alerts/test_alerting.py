"""From a run that fails to the message that is read, through Dagster and real servers."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from alerting_shop import (
    DAYS,
    LOOK,
    NOW,
    PIPELINE,
    PLATFORM,
    AlertingShop,
    Mailbox,
    bodies,
    hook_at,
    mailbox,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.execution.api import execute_run
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat
from misbehaving_server import MisbehavingServer, Reply, misbehaving

from data_platform.asset_specs import asset_key
from data_platform.definitions import definitions_of
from data_platform.instance import own_tables
from data_platform.instance.circuit_store import CircuitStore
from data_platform.instance.own_tables import transaction
from data_platform.observability.alerts import watching
from data_platform.observability.alerts.outbox import undelivered
from data_platform.observability.alerts.watching import Watched, watch, watch_daemons
from data_platform.observability.incidents import folding
from data_platform.observability.incidents.keeping import looked_at, open_incidents
from data_platform.plan.keys import Key
from data_platform.plan.pipelines import Plan
from data_platform.reporting.run_spans import SPANS
from data_platform.sources.circuits import Circuit
from data_platform.spec.alerts import Alerts

BAD = (1000, "bob@shop.example", "5")
SOUND = (1, "ann@shop.example", "2.50")


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def hook() -> Iterator[MisbehavingServer]:
    with misbehaving(Reply({})) as server:
        yield server


@pytest.fixture
def shop(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    hook: MisbehavingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AlertingShop:
    monkeypatch.setenv("SHOP", str(tmp_path))
    return AlertingShop(tmp_path, instance, {"HOOK": hook_at(hook)})


def titles(hook: MisbehavingServer) -> list[str]:
    return [body["title"] for body in bodies(hook)]


def age(shop: AlertingShop, key: Key, state: FreshnessState = FreshnessState.FAIL) -> None:
    shop.instance._report_runless_asset_event(
        FreshnessStateChange(
            key=asset_key(key),
            new_state=state,
            previous_state=FreshnessState.PASS,
            state_change_timestamp=datetime.now(UTC).timestamp(),
        )
    )


def kill(shop: AlertingShop, *keys: Key, **tags: str) -> None:
    """A run of assets whose process was killed."""
    run = create_run_for_test(
        shop.instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset(map(asset_key, keys)),
        tags={"dagster/partition": DAYS[0], **tags},
    )
    shop.instance.report_run_failed(
        run,
        "the process of the run is gone",
        JobFailureData(error=None, failure_reason=RunFailureReason.RUN_EXCEPTION),
    )


def test_on_call_reads_in_one_mail_what_is_wrong_and_in_another_that_it_is_over(
    tmp_path: Path, instance: dg.DagsterInstance, box: Mailbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SHOP", str(tmp_path))
    shop = AlertingShop(tmp_path, instance, {"MAIL": box.url})
    repository = definitions_of(shop.loaded, NOW).get_repository_def()
    sensor = repository.get_sensor_def("alerts")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    monkeypatch.setattr(folding, "WAIT", timedelta(0))

    def tick() -> str:
        told = sensor(dg.build_sensor_context(instance))
        assert isinstance(told, dg.SkipReason)
        return told.skip_message or ""

    shop.orders(DAYS[1], SOUND, BAD)
    report = shop.run()
    assert not report.succeeded
    assert "1 messages made, 1 sent" in tick()
    [mail] = box.mails
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    run_id = report.run_ids[0]
    for said in (
        "<strong>Check</strong> range_id: 1 of 4 rows break it (25 %); allowed: no row",
        "id: 1000",
        "email: •••",
        "2024-01-02: range_id: 1 of 2 rows",
        "data-platform run shop --partition 2024-01-02",
        "<strong>Owner</strong> team:shop",
        "staging/shop/sound_orders (skipped), analytics/shop/revenue (skipped)",
        f'<a href="https://dagster.shop.example/runs/{run_id}">',
        "duration",
        "rows in 4",
        "https://wiki.shop.example/orders",
        "data-platform why staging/shop/orders",
    ):
        assert said in html
    assert "bob@" not in mail.as_string()
    assert box.subjects == ["[error] staging/shop/orders: check range_id failed (2 assets behind)"]
    shop.orders(DAYS[1], SOUND)
    assert shop.run().succeeded
    tick()
    assert len(box.subjects) == 2
    assert box.subjects[1].startswith("[recovered] staging/shop/orders: check range_id failed")
    assert open_incidents(instance) == []


def test_slow_runs_are_told_once_and_when_they_are_over(
    shop: AlertingShop, hook: MisbehavingServer
):
    routes = "  routes: [{when: {event: over_budget, owner: team:shop}, to: hook}]\n"
    shop.declare(PLATFORM + routes, f"{PIPELINE}budget: {{max_duration: 1h}}\n")
    assert shop.run(DAYS[0]).succeeded
    with transaction(shop.instance, SPANS) as connection:
        slower = "UPDATE data_platform_run_spans SET began_at = began_at - interval '90 minutes'"
        connection.execute(sa.text(slower))
    assert shop.looks() == 1
    [body] = bodies(hook)
    assert body["title"] == "[error] pipeline shop is over its budget"
    assert "the last run takes 5,40" in body["message"]
    assert (body["owner"], body["event"]) == ("team:shop", "over_budget")
    assert body["link"].startswith("https://dagster.shop.example/runs/")

    shop.declare(PLATFORM + routes, "version: 2\n")
    assert shop.loaded.broken
    shop.looks()
    assert titles(hook)[1:] == ["[error] pipeline shop has mistakes"]

    shop.declare(PLATFORM + routes, f"{PIPELINE}budget: {{max_duration: 2h}}\n")
    shop.looks()
    over = [title for title in titles(hook)[2:] if "is over its budget" in title]
    assert len(over) == 1
    assert over[0].startswith("[recovered] pipeline shop is over its budget")
    assert open_incidents(shop.instance) == []


def test_a_root_with_200_stale_assets_below_it_is_one_message_though_the_channel_was_down(
    shop: AlertingShop, hook: MisbehavingServer
):
    chain = "".join(
        f"  a{n}: {{query: SELECT * FROM analytics.{f'a{n - 1}' if n else 'revenue'}}}\n"
        for n in range(197)
    )
    shop.declare(pipeline=PIPELINE + chain)
    keys = [node.key for node in shop.loaded.plan.nodes]
    hook.script = Reply({}, 503)
    kill(shop, keys[0])
    for key in keys[1:]:
        age(shop, key)
    assert shop.looks(4) == 0
    [waiting] = undelivered(shop.instance, shop.now)
    assert waiting.waiting == 1
    hook.script = Reply({})
    tried = len(hook.asked)
    shop.look(timedelta(minutes=10))
    shop.looks(2)
    assert titles(hook)[tried:] == [
        "[error] raw/shop/orders failed: the process of the run is gone (200 assets behind)"
    ]
    assert undelivered(shop.instance, shop.now) == []
    for key in keys:
        age(shop, key, FreshnessState.PASS)
    partition = dg.AssetMaterialization(asset_key(keys[0]), partition=DAYS[0])
    shop.instance.report_runless_asset_event(partition)
    assert shop.looks(2) == 1
    assert titles(hook)[-1].startswith("[recovered] raw/shop/orders failed")
    assert open_incidents(shop.instance) == []


def test_who_is_killed_between_folding_and_sending_loses_nothing(
    shop: AlertingShop, hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    shop.orders(DAYS[1], BAD)
    shop.run()
    shop.look()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for place in ("keep", "deliver"):
        with monkeypatch.context() as patch:
            patch.setattr(watching, place, killed)
            with pytest.raises(KeyboardInterrupt):
                shop.look()
    assert shop.looks() == 1
    assert len(titles(hook)) == 1


def test_a_killed_run_is_a_failure_unless_it_is_made_anew(
    shop: AlertingShop, hook: MisbehavingServer
):
    keys = [node.key for node in shop.loaded.plan.nodes]
    kill(shop, *keys, **{"dagster/max_retries": "2"})
    assert shop.looks() == 0
    kill(shop, *keys)
    assert shop.looks() == 1
    [body] = bodies(hook)
    assert body["title"] == (
        "[error] raw/shop/orders failed: the process of the run is gone (3 assets behind)"
    )
    assert body["behind"] == [
        "staging/shop/orders",
        "staging/shop/sound_orders",
        "analytics/shop/revenue",
    ]


def test_a_run_that_somebody_ended_is_a_warning(shop: AlertingShop, hook: MisbehavingServer):
    run = create_run_for_test(
        shop.instance,
        job_name="__ASSET_JOB",
        asset_selection=frozenset({asset_key(shop.loaded.plan.nodes[0].key)}),
        tags={"dagster/partition": DAYS[0]},
    )
    shop.instance.report_run_canceled(run)
    shop.looks()
    assert titles(hook) == ["[warning] raw/shop/orders failed: its run was ended by somebody"]


def test_rows_held_back_are_one_warning(shop: AlertingShop, hook: MisbehavingServer):
    shop.orders(DAYS[0], SOUND, (4, "dora@shop.example", 5000), (5, "emil@shop.example", 7000))
    assert shop.run().succeeded
    shop.looks()
    [body] = bodies(hook)
    assert body["title"] == "[warning] staging/shop/orders holds back 2 rows"
    assert body["event"] == "quarantined"
    assert "**Rows held back** 2 of 2024-01-01" in body["message"]
    assert "quarantine show shop.orders" in body["message"]


def test_assets_that_ask_a_system_that_is_down_are_one_message(
    shop: AlertingShop, hook: MisbehavingServer
):
    tables = "".join(
        f"  t{n}: {{type: database, connection: db, table: t{n}, partitions: none}}\n"
        for n in range(3)
    )
    shop.declare(
        platform=f"{PLATFORM}connections:\n  db: {{type: database, url: postgresql://db}}\n",
        pipeline=PIPELINE.replace("sources:\n", f"sources:\n{tables}"),
    )
    assert shop.loaded.problems == ()
    down = Circuit(9, shop.now.isoformat(), shop.now.isoformat(), None, "refused")
    CircuitStore(shop.instance).set("connection db", json.dumps(asdict(down)))
    for number in range(3):
        kill(shop, Key("raw", "shop", f"t{number}"))
    assert shop.looks() == 1
    [body] = bodies(hook)
    assert body["title"] == (
        "[error] raw/shop/t0 failed: the process of the run is gone (2 assets behind)"
    )
    assert "**Down** connection db" in body["message"]
    assert "raw/shop/t1 (failed), raw/shop/t2 (failed)" in body["message"]


def test_a_run_that_is_made_anew_when_it_fails_is_told_when_no_try_is_left(
    shop: AlertingShop, hook: MisbehavingServer
):
    shop.orders(DAYS[0], BAD)
    keys = frozenset(asset_key(Key(layer, "shop", "orders")) for layer in ("raw", "staging"))
    whole = definitions_of(shop.loaded, NOW).resolve_implicit_global_asset_job_def()
    job = whole.get_subset(asset_selection=keys)
    tags = {
        "dagster/max_retries": "1",
        "dagster/retry_on_asset_or_op_failure": "true",
        "dagster/partition": DAYS[0],
    }

    def fail(root: str | None = None) -> str:
        group = {"dagster/root_run_id": root, "dagster/parent_run_id": root} if root else {}
        run = shop.instance.create_run_for_job(
            job,
            tags={**tags, **group},
            asset_selection=keys,
            root_run_id=root,
            parent_run_id=root,
        )
        assert not execute_run(InMemoryJob(job), run, shop.instance).success
        return run.run_id

    first = fail()
    assert shop.looks() == 0
    fail(root=first)
    assert shop.looks() == 1
    assert titles(hook) == ["[error] staging/shop/orders failed: 2024-01-01: range_id: 1 of 1 rows"]


def test_what_is_stale_says_what_was_promised(shop: AlertingShop, hook: MisbehavingServer):
    shop.declare(pipeline=PIPELINE.replace("{query:", "{freshness: {fail_after: 1d}, query:"))
    assert shop.loaded.problems == ()
    age(shop, Key("analytics", "shop", "revenue"))
    shop.looks()
    age(shop, Key("analytics", "shop", "revenue"), FreshnessState.PASS)
    shop.looks()
    stale, recovered = bodies(hook)
    assert stale["title"] == "[error] analytics/shop/revenue is stale"
    assert "they may be 1d old at most" in stale["message"]
    assert stale["link"] == "https://dagster.shop.example/assets/analytics/shop/revenue"
    assert recovered["title"].startswith("[recovered] analytics/shop/revenue is stale (after")


def test_a_broken_pipeline_is_told_with_its_mistakes(shop: AlertingShop, hook: MisbehavingServer):
    shop.orders(DAYS[1], BAD)
    shop.run()
    shop.looks()
    shop.declare(pipeline=PIPELINE.replace("columns:", "colums:"))
    shop.looks()
    assert titles(hook)[1:] == ["[error] pipeline shop has mistakes"]
    assert "unknown key 'colums'" in bodies(hook)[1]["message"]
    shop.declare()
    shop.looks()
    assert [title[:29] for title in titles(hook)[2:]] == ["[recovered] pipeline shop has"]
    assert [one.name for one in open_incidents(shop.instance)] == ["staging/shop/orders"]


def test_the_end_of_the_daemon_is_told_by_another_process(
    shop: AlertingShop, hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    def load() -> Watched:
        return replace(shop.watched, broken=None)

    monkeypatch.setattr(watching, "BETWEEN", timedelta(0))
    assert watch_daemons(shop.instance, load) is None
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    _beat(shop.instance, long_ago)
    shop.now = datetime.now(UTC)
    assert watch_daemons(shop.instance, load) is not None
    shop.now += LOOK
    assert watch_daemons(shop.instance, load) is not None
    assert titles(hook) == ["[critical] Dagster's daemon is down"]
    _beat(shop.instance, shop.now)
    assert watch_daemons(shop.instance, load) is None
    shop.looks(1)
    assert [title[:35] for title in titles(hook)[1:]] == [
        "[recovered] Dagster's daemon is down"[:35]
    ]


def _beat(instance: dg.DagsterInstance, at: datetime) -> None:
    for name in ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"):
        instance.add_daemon_heartbeat(DaemonHeartbeat(at.timestamp(), name, "d", []))


def test_completions_are_told_as_they_were(shop: AlertingShop, hook: MisbehavingServer):
    shop.declare(pipeline=PIPELINE.replace("criticality", "notify: {to: hook}\ncriticality"))
    report = shop.run()
    assert shop.looks() == 1
    [body] = bodies(hook)
    assert body["title"].startswith("[success] shop succeeded; 14 rows in 4 of 4 assets,")
    assert (body["outcome"], body["rows"], body["run_id"]) == ("success", 14, report.run_ids[0])
    shop.orders(DAYS[1], BAD)
    shop.run(DAYS[1])
    shop.look()
    failed = bodies(hook)[1]
    assert failed["title"].startswith("[failed] shop failed: staging/shop/orders; ")
    assert failed["failed"] == ["staging/shop/orders"]
    assert "analytics/shop/revenue: not built" in failed["message"]


def test_who_asks_for_success_is_told_and_nobody_else(shop: AlertingShop, hook: MisbehavingServer):
    shop.run()
    assert shop.looks() == 0
    routes = "  routes: [{when: {event: success, owner: team:shop}, to: hook}]\n"
    shop.declare(platform=PLATFORM + routes)
    shop.run()
    assert shop.looks() == 1
    assert titles(hook)[0].startswith("[success] shop succeeded")


def test_a_channel_that_is_off_is_sent_nothing_and_misses_nothing_later(
    shop: AlertingShop, hook: MisbehavingServer
):
    shop.environ["HOOK"] = ""
    shop.declare()
    shop.orders(DAYS[1], BAD)
    shop.run()
    assert shop.looks() == 0
    shop.environ["HOOK"] = hook_at(hook)
    shop.declare()
    assert shop.looks() == 0
    assert [one.name for one in open_incidents(shop.instance)] == ["staging/shop/orders"]


def test_a_slow_database_ends_a_look_and_loses_nothing(
    shop: AlertingShop, hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    shop.orders(DAYS[1], BAD)
    shop.run()
    sensor = definitions_of(shop.loaded, NOW).get_repository_def().get_sensor_def("alerts")
    with monkeypatch.context() as patch:
        slow = "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(10)"
        patch.setattr(watching, "_STATEMENT", slow)
        told = sensor(dg.build_sensor_context(shop.instance))
        assert "Dagster's database is slow: a statement was ended for its time" in str(told)
    assert shop.looks() == 1


def test_a_lock_that_is_never_let_go_ends_a_look_and_loses_nothing(
    shop: AlertingShop, monkeypatch: pytest.MonkeyPatch
):
    shop.orders(DAYS[1], BAD)
    shop.run()
    sensor = definitions_of(shop.loaded, NOW).get_repository_def().get_sensor_def("alerts")
    with monkeypatch.context() as patch, transaction(shop.instance) as connection:
        connection.execute(sa.text("LOCK TABLE data_platform_incidents IN ACCESS EXCLUSIVE MODE"))
        patch.setattr(own_tables, "PATIENCE", "SET LOCAL lock_timeout = '100ms'")
        told = sensor(dg.build_sensor_context(shop.instance))
        assert "another process holds a lock in Dagster's database; nothing is lost" in str(told)
    assert shop.looks() == 1


def test_routes_that_cant_be_read_are_told_in_dagster(shop: AlertingShop):
    shop.declare(platform=PLATFORM + "  routes: [{to: nobody}]\n")
    repository = definitions_of(shop.loaded, NOW).get_repository_def()
    names = {one.name for one in repository.sensor_defs}
    assert "alerts" not in names
    tick = repository.get_sensor_def("pipelines_valid")(dg.build_sensor_context(shop.instance))
    assert isinstance(tick, dg.SensorResult)
    [evaluation] = tick.asset_events
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert not evaluation.passed
    assert "'nobody' is no channel" in str(evaluation.metadata["where"].value)


def test_nobody_to_tell_means_no_sensor(shop: AlertingShop):
    shop.declare(platform='lake: {root: "${SHOP}/lake"}\n')
    names = {one.name for one in definitions_of(shop.loaded, NOW).get_repository_def().sensor_defs}
    assert "alerts" not in names


def test_the_first_look_tells_nothing_of_the_past(instance: dg.DagsterInstance):
    assert looked_at(instance) is None
    watched = Watched(Plan(()), Alerts(), str, {})
    assert watch(instance, watched).events == 0
    assert looked_at(instance) is not None
