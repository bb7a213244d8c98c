"""A load that is ended or killed while it reads the table back leaves what was there."""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from factories import DAY
from shop_tables import AMOUNTS, RECONCILE, Rows, Shop

from data_platform.destinations.loading import deliver
from data_platform.engine.work import Work
from data_platform.errors import TimedOut

SLOW = """
CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO shop.kept VALUES (NEW.*); RETURN NEW; END $$
"""
READING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'"
)


@pytest.fixture
def slow(shop: Shop) -> Shop:
    """The destination's table is a view now, which gives a row a minute."""
    shop.declare(RECONCILE)
    shop.publish(AMOUNTS, DAY)
    assert not shop.load(DAY).failed
    shop.execute(
        "ALTER TABLE shop.orders RENAME TO kept",
        "CREATE VIEW shop.orders AS SELECT * FROM shop.kept "
        "WHERE id < 5 OR pg_sleep(60) IS NOT NULL",
        SLOW,
        "CREATE TRIGGER keeps INSTEAD OF INSERT ON shop.orders "
        "FOR EACH ROW EXECUTE FUNCTION keep_row()",
    )
    shop.publish("SELECT 9 AS id, 9.99 AS amount", DAY)
    return shop


def kept(shop: Shop) -> Rows:
    return shop.ask("SELECT id, amount::text FROM shop.kept ORDER BY id")


def wait_until_it_reads(shop: Shop) -> None:
    limit = time.monotonic() + 60
    while shop.ask(READING) != [(1,)]:
        assert time.monotonic() < limit, "it never read the table back"
        time.sleep(0.05)


def test_reading_back_is_ended_by_the_time_limit(slow: Shop) -> None:
    before, versions = kept(slow), slow.versions()
    work = Work()
    workbench = replace(slow.project.workbench, work=work)

    def stop() -> None:
        wait_until_it_reads(slow)
        work.stop(TimedOut("not done within its timeout"))

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(TimedOut, match="not done within its timeout"):
        deliver(slow.node(), [DAY], workbench, slow.outside, "run")
    stopping.join()
    assert (kept(slow), slow.versions()) == (before, versions)
    assert slow.ask(READING) == [(0,)]


def test_a_load_that_is_killed_while_it_reads_back_leaves_the_old_rows(slow: Shop) -> None:
    before, versions = kept(slow), slow.versions()
    script = Path(__file__).with_name("load_orders.py")
    command = [sys.executable, str(script), str(slow.project.folder), slow.url, DAY]
    with subprocess.Popen(command) as killed:
        wait_until_it_reads(slow)
        killed.kill()
    assert (kept(slow), slow.versions()) == (before, versions)
    # Its server process would hold the table's lock until it looks up from its sleep.
    slow.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        "CREATE OR REPLACE VIEW shop.orders AS SELECT * FROM shop.kept",
    )
    assert not slow.load(DAY).failed
    assert kept(slow) == [(9, "9.99")]
