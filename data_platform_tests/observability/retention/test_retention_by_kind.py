"""What goes of each kind, and what stays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from remembering_shop import DAYS, RememberingShop, remove

from data_platform.instance.own_tables import transaction
from data_platform.observability.alerts.outbox import OUTBOX
from data_platform.observability.incidents.keeping import INCIDENTS


def test_what_steps_printed_goes_with_the_event_that_leads_there(shop: RememberingShop):
    shop.orders(DAYS[0], (1, 5))
    run_id = shop.run(DAYS[0]).run_ids[0]
    manager = shop.instance.compute_log_manager
    assert isinstance(manager, LocalComputeLogManager)
    folder = Path(manager.get_captured_local_path([run_id, "any"], "out")).parent
    assert any(folder.rglob("*.out"))
    told = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'LOGS_CAPTURED'"
    [(many,)] = shop.sql(told)
    assert remove(shop, "{compute_logs: 30d}") == {}
    shop.grow_older(31)
    would = remove(shop, "{compute_logs: 30d}", dry=True)
    assert folder.exists()
    gone = remove(shop, "{compute_logs: 30d}")
    assert (gone, gone["compute logs"].count) == (would, many)
    assert not folder.exists()
    assert shop.sql(told) == [(0,)]
    assert shop.instance.get_run_by_id(run_id) is not None


def test_quarantine_goes_by_partition_and_decisions_stay(shop: RememberingShop):
    for day in DAYS:
        shop.orders(day, (1, 5), (2, 5000), (3, 5001))
    shop.run(*DAYS)
    table = shop.loaded.lake().table(shop.loaded.plan.nodes[-1].quarantine_key)  # type: ignore[union-attr]
    assert remove(shop, "{quarantine: 1d}") == {}
    would = remove(shop, "{quarantine: 0s}", dry=True)
    gone = remove(shop, "{quarantine: 0s}")
    assert (gone, gone["quarantine"].count) == (would, 6)
    snapshot = table.snapshot()
    assert snapshot is not None
    assert snapshot.partitions == {}
    [observed] = shop.instance.fetch_observations(
        dg.AssetKey(["quarantine", "shop", "orders"]), limit=1
    ).records
    told = observed.asset_observation
    assert told is not None
    assert (told.description, told.metadata["data_platform/by"].value) == (
        "2 rows removed after 0s", "ann"
    )  # fmt: skip
    # Built from the same file they are held back again.
    shop.orders(DAYS[0], (1, 6), (2, 5000))
    shop.run(DAYS[0])
    snapshot = table.snapshot()
    assert snapshot is not None
    assert {key: one.rows for key, one in snapshot.partitions.items()} == {DAYS[0]: 1}


def test_of_ticks_and_answers_the_newest_stay(shop: RememberingShop):
    shop.sql(
        "INSERT INTO job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body)"
        " SELECT 'o', 's' || n % 2, CASE n % 3 WHEN 0 THEN 'SKIPPED' WHEN 1 THEN 'SUCCESS'"
        " ELSE 'STARTED' END, 'SENSOR', now() - n * interval '1 day', '{}'"
        " FROM generate_series(40, 99) AS n"
    )
    shop.sql(
        "INSERT INTO asset_daemon_asset_evaluations (evaluation_id, asset_key,"
        " asset_evaluation_body, create_timestamp) SELECT n, 'a' || n % 3, '{}',"
        " now() - (100 - n) * interval '1 day' FROM generate_series(1, 60) AS n"
    )
    would = remove(shop, "{ticks: 30d}", dry=True)
    gone = remove(shop, "{ticks: 30d}")
    assert gone == would
    assert {name: one.count for name, one in gone.items()} == {
        "ticks": 40 - 4,
        "answers of conditions": 60 - 3,
    }
    assert shop.sql(
        "SELECT asset_key, max(evaluation_id) FROM asset_daemon_asset_evaluations GROUP BY 1"
        " ORDER BY 1"
    ) == [("a0", 60), ("a1", 58), ("a2", 59)]


def test_incidents_that_are_over_and_sent_messages_go(shop: RememberingShop):
    assert remove(shop, "{alerts: 30d}") == {}
    with transaction(shop.instance, OUTBOX, INCIDENTS):
        pass
    shop.sql(
        "INSERT INTO data_platform_incidents SELECT 'i' || n, CASE WHEN n > 0 THEN"
        " now() - n * interval '1 day' END, '{}' FROM generate_series(0, 99) AS n"
    )
    shop.sql(
        "INSERT INTO data_platform_outbox (id, channel, subject, message, made_at, next_try,"
        " sent_at, given_up_at) SELECT n, 'c', 's', '{}', ago, now(),"
        " CASE WHEN n % 3 = 0 THEN ago END, CASE WHEN n % 3 = 1 THEN ago END"
        " FROM generate_series(0, 99) AS n,"
        " LATERAL (SELECT now() - n * interval '1 day' AS ago) AS a"
    )
    would = remove(shop, "{alerts: 30d}", dry=True)
    gone = remove(shop, "{alerts: 30d}")
    assert gone == would
    assert {name: one.count for name, one in gone.items()} == {"incidents": 70, "messages": 47}
    # A message that waits stays, and all of the last week.
    newest = remove(shop, "{alerts: 1d}")["incidents"].newest
    assert newest is not None
    assert newest < datetime.now(UTC) - timedelta(days=7)
    assert shop.sql(
        "SELECT count(*) FROM data_platform_outbox WHERE sent_at IS NULL AND given_up_at IS NULL"
    ) == [(33,)]
