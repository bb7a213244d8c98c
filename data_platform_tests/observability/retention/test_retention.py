"""What goes by age, and that nobody who asks afterwards is told anything else than before."""

import json
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
from click.testing import CliRunner
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from remembering_shop import DAYS, NEVER, NOW, RememberingShop, evaluated, remove

from data_platform.asset_specs import asset_key
from data_platform.backfills.choosing import chosen
from data_platform.cli import main
from data_platform.embedded.server import server_url
from data_platform.instance.storage import open_instance
from data_platform.observability.event_log import read_event_log
from data_platform.observability.failures import last_failures
from data_platform.observability.following.follower import Follower
from data_platform.observability.reasons.question import Records
from data_platform.observability.reasons.why import why
from data_platform.observability.retention.ground import (
    Gone,
    Ground,
    Kind,
    Position,
    Step,
)
from data_platform.observability.retention.kinds import kinds_of, remove_old, tick
from data_platform.observability.retention.sweeping import Swept, go_on, sweep
from data_platform.settings import Settings

TIMES = 400
"""Runs of long ago, of which each wrote some 50 events."""
STAGING = dg.AssetKey(["staging", "shop", "orders"])
ALL = "{runs: 30d, events: 30d, ticks: 30d, compute_logs: 30d, quarantine: 30d, alerts: 30d}"


@pytest.fixture(scope="module")
def long_ago(
    tmp_path_factory: pytest.TempPathFactory,
    data_dir: Path,
    postgres_admin_url: str,
    dagster_template: str,
) -> Iterator[tuple[Path, str]]:
    """A folder and a database to make others from, with 20,000 events of long ago.

    Of four days one failed then, one was built then only, and two are built again now.
    """
    folder, name = tmp_path_factory.mktemp("long-ago"), f"long_ago_{uuid.uuid4().hex[:8]}"
    with a_database(postgres_admin_url, name, dagster_template):
        with opened_shop(folder, server_url(data_dir, name)) as shop:
            for day in DAYS:
                shop.orders(day, (1, 5), (2, 5000))
            first = shop.run(*DAYS)
            shop.orders(NEVER, (1000, 5))
            failed = shop.run(NEVER)
            # As Dagster's daemon tells of a run of one partition.
            shop.sql(
                "UPDATE event_logs SET partition = %s WHERE run_id = %s"
                " AND dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED'",
                NEVER,
                failed.run_ids[0],
            )
            shop.grow_older(200)
            shop.tell_again(first.run_ids[0], TIMES)
            for day in DAYS[:2]:
                shop.orders(day, (1, 6), (2, 5000))
            shop.run(*DAYS[:2])
        yield folder, name


@pytest.fixture
def old_shop(
    tmp_path: Path, long_ago: tuple[Path, str], data_dir: Path, postgres_admin_url: str
) -> Iterator[RememberingShop]:
    """A copy of it."""
    folder, name = tmp_path / "shop", f"old_{uuid.uuid4().hex[:8]}"
    shutil.copytree(long_ago[0], folder)
    database = a_database(postgres_admin_url, name, long_ago[1])
    with database, opened_shop(folder, server_url(data_dir, name)) as shop:
        yield shop


@contextmanager
def opened_shop(folder: Path, url: str) -> Iterator[RememberingShop]:
    """A shop over a database that is there."""
    settings = Settings(folder, folder / ".data", (folder / "pipelines",), storage_url=url)
    with open_instance(settings) as instance:
        yield RememberingShop(folder, instance, url)


@contextmanager
def a_database(admin_url: str, name: str, template: str) -> Iterator[None]:
    """A database made from another one, while the block runs."""
    with closing(psycopg2.connect(admin_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def answers(shop: RememberingShop) -> Mapping[str, Any]:
    """What people and Dagster are told."""
    instance, plan = shop.instance, shop.loaded.plan
    shop.sql("UPDATE asset_keys SET cached_status_data = NULL")
    definitions = shop.definitions
    graph = definitions.resolve_asset_graph()
    statuses = {}
    for node in plan.nodes:
        key = asset_key(node.key)
        found = get_and_update_asset_status_cache_value(
            instance, key, graph.get(key).partitions_def, dynamic_partitions_loader=instance
        )
        assert found is not None
        statuses[key] = (
            found.serialized_materialized_partition_subset,
            found.serialized_failed_partition_subset,
            found.serialized_in_progress_partition_subset,
        )
    records = Records(plan, instance, shop.loaded.lake(), NOW)
    wanted = {node.key: (*DAYS, NEVER) for node in plan.nodes}
    return {
        "partitions": statuses,
        "log": read_event_log(instance, plan.nodes),
        "failures": last_failures(instance, plan.nodes),
        "why": [why(records, node, day) for node in plan.nodes for day in (*DAYS, NEVER)],
        "automation": evaluated(definitions, instance),
        **{
            which: chosen(which, plan.nodes, wanted, instance, shop.loaded)
            for which in ("failed", "missing", "stale")
        },
    }


def test_all_are_told_the_same_after_most_is_gone(old_shop: RememberingShop):
    before, many = answers(old_shop), old_shop.counts()
    assert many["event_logs"] > 15_000
    assert before["failed"]
    assert '"num_partitions": 1' in before["partitions"][STAGING][1]
    would = remove(old_shop, ALL, dry=True)
    assert old_shop.counts() == many
    gone = remove(old_shop, ALL)
    assert gone == would
    left = old_shop.counts()
    assert left["event_logs"] < 400
    assert left["runs"] < 6
    assert left["asset_check_executions"] < 40
    orphans = (
        "SELECT count(*) FROM asset_event_tags WHERE event_id NOT IN (SELECT id FROM event_logs)"
    )
    assert old_shop.sql(orphans) == [(0,)]
    assert answers(old_shop) == before
    assert remove(old_shop, ALL) == {}


def test_nothing_goes_where_nothing_is_said(old_shop: RememberingShop):
    many = old_shop.counts()
    assert remove(old_shop, "{}") == {}
    assert remove(old_shop, "{quarantine: 3000d}") == {}
    assert old_shop.counts() == many


@pytest.mark.parametrize("retention", ["{events: 30d}", "{runs: 20d, events: 90d}"])
def test_each_age_is_of_its_own_kind_and_what_would_go_goes(
    old_shop: RememberingShop, retention: str
):
    before = answers(old_shop)
    would = remove(old_shop, retention, dry=True)
    assert remove(old_shop, retention) == would
    assert ("events" in would) == ("events" in retention)
    assert ("runs" in would) == ("runs" in retention)
    assert answers(old_shop) == before


# Others at the same time


def test_who_writes_meanwhile_waits_for_nothing(old_shop: RememberingShop):
    done, waiting = threading.Event(), list[object]()
    written = 0

    def write() -> None:
        nonlocal written
        with old_shop.another() as cursor:
            while not done.is_set() or not written:
                cursor.execute(
                    "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp)"
                    " SELECT run_id, event, dagster_event_type, now() FROM event_logs LIMIT 1"
                )
                cursor.execute("UPDATE runs SET update_timestamp = now() WHERE status = 'SUCCESS'")
                cursor.execute("SELECT relation::regclass FROM pg_locks WHERE NOT granted")
                waiting.extend(cursor.fetchall())
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        gone = remove(old_shop, "{events: 30d}")
    finally:
        done.set()
        writer.join()
    assert gone["events"].count > 1_000
    assert written
    assert waiting == []


def test_it_gives_way_to_who_holds_the_table(old_shop: RememberingShop):
    loaded = old_shop.keep("{events: 30d, runs: 30d}")
    with old_shop.another() as cursor:
        cursor.execute("BEGIN; LOCK TABLE asset_event_tags IN EXCLUSIVE MODE")
        swept = remove_old(loaded, old_shop.instance, "ann")
        cursor.execute("ROLLBACK")
    assert swept is not None
    assert not swept.ended
    assert swept.trouble["events"].startswith("canceling statement due to lock timeout")
    assert remove(old_shop, "{events: 30d, runs: 30d}")


def test_two_do_not_remove_at_once(old_shop: RememberingShop):
    loaded = old_shop.keep("{runs: 30d}")

    class Other:
        name = "other"

        def step(self, ground: Ground, position: Position) -> Step:
            assert remove_old(loaded, ground.instance, "bob") is None
            assert remove_old(loaded, ground.instance, "bob", dry=True) is not None
            assert "somebody else" in tick(loaded, ground.instance)
            return Step({"asked": Gone(1)}, None)

    ground = Ground(old_shop.instance, loaded.workspace.platform.retention, datetime.now(UTC))
    assert sweep(ground, [Other()]) == Swept({"asked": Gone(1)})


class Killed(Exception):
    """Ends a process, as far as a test can."""


class Until:
    """A kind whose process is killed after some steps."""

    def __init__(self, kind: Kind, steps: int) -> None:
        self._kind, self._steps = kind, steps

    @property
    def name(self) -> str:
        """Of the kind."""
        return self._kind.name

    def step(self, ground: Ground, position: Position) -> Step:
        """The same, until it is too late."""
        if not self._steps:
            raise Killed
        self._steps -= 1
        return self._kind.step(ground, position)


def test_who_was_killed_goes_on_where_it_was(old_shop: RememberingShop):
    loaded = old_shop.keep(ALL)
    before, would = answers(old_shop), remove(old_shop, ALL, dry=True)
    ground = Ground(old_shop.instance, loaded.workspace.platform.retention, datetime.now(UTC))
    kinds = kinds_of(loaded, "ann")
    gone: dict[str, Gone] = {}
    for steps in (3, 1, 4):
        with pytest.raises(Killed):
            go_on(ground, [Until(kind, steps) for kind in kinds], 60)
    position = "SELECT kind, position IS NULL FROM data_platform_retention"
    assert old_shop.sql(f"{position} WHERE kind = 'events'") == [("events", False)]
    swept = go_on(ground, kinds, 600)
    assert swept is not None
    assert swept.ended
    gone = {name: one for name, one in swept.gone.items() if one.count}
    assert 0 < gone["events"].count < would["events"].count
    assert all(ended for _, ended in old_shop.sql(position))
    assert remove(old_shop, ALL) == {}
    assert answers(old_shop) == before


def test_it_is_done_once_a_day_by_itself_and_a_look_is_bounded(old_shop: RememberingShop):
    loaded = old_shop.keep("{events: 30d}")
    assert tick(loaded, old_shop.instance, seconds=0) == "nothing was old; goes on at the next look"
    assert tick(loaded, old_shop.instance).startswith("removed ")
    [(ended,)] = old_shop.sql("SELECT ended_at FROM data_platform_retention WHERE kind = 'events'")
    assert tick(loaded, old_shop.instance) == "nothing was old"
    [(again,)] = old_shop.sql("SELECT ended_at FROM data_platform_retention WHERE kind = 'events'")
    assert again == ended
    old_shop.sql("UPDATE data_platform_retention SET ended_at = ended_at - interval '1 day'")
    assert tick(loaded, old_shop.instance) == "nothing was old"
    [(again,)] = old_shop.sql("SELECT ended_at FROM data_platform_retention WHERE kind = 'events'")
    assert again > ended


# What stays


def test_a_run_that_is_not_over_stays_whole(old_shop: RememberingShop):
    runs = ("old-7", "old-8", "old-9")
    for run, status in zip(runs, ("STARTED", "QUEUED", "CANCELING"), strict=True):
        old_shop.sql("UPDATE runs SET status = %s WHERE run_id = %s", status, run)
    many = "SELECT run_id, count(*) FROM event_logs WHERE run_id = ANY(%s) GROUP BY 1 ORDER BY 1"
    before = old_shop.sql(many, [*runs])
    assert len(before) == len(runs)
    assert remove(old_shop, ALL)
    assert old_shop.sql(many, [*runs]) == before
    assert len(old_shop.sql("SELECT 1 FROM runs WHERE run_id = ANY(%s)", [*runs])) == len(runs)


def test_a_run_of_a_backfill_that_goes_on_stays(old_shop: RememberingShop):
    old_shop.sql(
        "INSERT INTO bulk_actions (key, status, timestamp) VALUES ('fill', 'REQUESTED', now())"
    )
    old_shop.sql("UPDATE runs SET backfill_id = 'fill' WHERE run_id = 'old-7'")
    many = "SELECT count(*) FROM event_logs WHERE run_id = 'old-7'"
    before = old_shop.sql(many)
    remove(old_shop, "{runs: 30d}")
    assert old_shop.sql(many) == before
    old_shop.sql("UPDATE bulk_actions SET status = 'COMPLETED_SUCCESS'")
    remove(old_shop, "{runs: 30d}")
    assert old_shop.sql(many) == [(0,)]


def test_what_a_reader_of_the_log_has_not_read_stays(old_shop: RememberingShop):
    follower = Follower("alerts", {dg.DagsterEventType.RUN_FAILURE})
    with follower.batch(old_shop.instance):
        pass
    [(upto,)] = old_shop.sql("SELECT min(id) FROM event_logs WHERE run_id = 'old-100'")
    position = json.dumps({"upto": upto, "gaps": [[upto - 5, upto - 4, 0]]})
    old_shop.sql("UPDATE data_platform_followers SET position = %s", position)
    above = f"SELECT count(*) FROM event_logs WHERE id >= {upto - 5}"
    before = old_shop.sql(above)
    would = remove(old_shop, ALL, dry=True)
    assert remove(old_shop, ALL) == would
    assert old_shop.sql(above) == before
    assert would["events"].count
    # One that nobody has heard of for long holds nobody up.
    old_shop.sql("UPDATE data_platform_followers SET updated_at = now() - interval '31 days'")
    assert remove(old_shop, ALL)
    assert old_shop.sql(above) != before


def test_what_was_replaced_only_now_stays_for_as_long(shop: RememberingShop):
    for day in DAYS:
        shop.orders(day, (1, 5))
    for amount in range(3):
        shop.orders(DAYS[0], (1, amount))
        shop.run(DAYS[0])
    shop.grow_older(100)
    shop.orders(DAYS[0], (1, 9))
    shop.run(DAYS[0])
    built = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
    assert shop.sql(f"{built} AND asset_key = %s", '["raw", "shop", "orders"]') == [(4,)]
    remove(shop, "{events: 30d}")
    # The third was replaced a moment ago: whoever looks now compares with it.
    assert shop.sql(f"{built} AND asset_key = %s", '["raw", "shop", "orders"]') == [(2,)]


def test_the_build_with_which_a_version_began_stays(shop: RememberingShop):
    key = dg.AssetKey(["raw", "shop", "orders"])
    for version in ("a", "b", "b", "b", "b"):
        shop.instance.report_runless_asset_event(
            dg.AssetMaterialization(key, partition=DAYS[0], tags={"dagster/data_version": version})
        )
    shop.grow_older(100)
    ids = [number for (number,) in shop.sql("SELECT id FROM event_logs ORDER BY id")]
    remove(shop, "{events: 30d}")
    left = [number for (number,) in shop.sql("SELECT id FROM event_logs ORDER BY id")]
    assert left == [ids[1], *ids[3:]]


def test_a_day_that_never_began_to_be_built_is_still_told_to_have_failed(shop: RememberingShop):
    shop.run(NEVER)
    shop.grow_older(200)
    for day in DAYS:
        shop.orders(day, (1, 5))
        shop.run(day)
    shop.grow_older(100)
    before = answers(shop)
    assert [*before["failed"].values()] == [(NEVER,), (NEVER,)]
    assert remove(shop, ALL)["events of runs"]
    assert answers(shop) == before


# The command, and the sensor


def test_the_command_tells_what_goes(old_shop: RememberingShop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(old_shop.folder)
    environ = {
        "DATA_PLATFORM_HOME": str(old_shop.folder),
        "DATA_PLATFORM_PIPELINES": str(old_shop.folder / "pipelines"),
        "DATA_PLATFORM_STORAGE_URL": old_shop.url,
    }

    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, ["retention", *arguments], env=environ)
        assert result.exit_code == code, result.output
        return result.output

    old_shop.keep("{}")
    assert "platform.yaml keeps all for ever: say what goes" in call(code=1)
    old_shop.keep("{events: 30d}")
    would = json.loads(call("--dry-run", "--format", "json"))
    assert (would["dry_run"], would["ended"], would["trouble"]) == (True, True, [])
    [events, _] = would["gone"]
    assert (events["kind"], events["count"] > 1_000) == ("events", True)
    assert "nothing is removed: run it without --dry-run" in call("--dry-run")
    told = call("--by", "ann")
    assert f"{events['count']:,}" in told
    assert call() == "nothing is old\n"
    noted = old_shop.sql("SELECT who, action, detail LIKE 'removed %' FROM data_platform_audit")
    assert noted == [("ann", "retention", True)]
    with old_shop.another() as cursor:
        old_shop.keep("{runs: 30d}")
        cursor.execute("BEGIN; LOCK TABLE event_logs IN EXCLUSIVE MODE")
        assert "runs gave way, run it again: canceling statement" in call(code=1)


def test_the_sensor_is_there_where_something_is_said(shop: RememberingShop):
    def sensors() -> set[str]:
        return {sensor.name for sensor in shop.definitions.sensors or ()}

    assert "retention" not in sensors()
    shop.keep("{ticks: 30d}")
    assert "retention" in sensors()
