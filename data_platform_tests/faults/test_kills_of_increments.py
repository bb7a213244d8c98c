"""Kill a run of an incremental source by -9 anywhere: no row is lost, and none comes twice.

Rows arrive all the time, also while a run reads, some of them late; others change. Whatever was
killed, the run after it leaves what the source holds.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg2
import pytest
from reliability_report import Figures, record
from retail_platform import Databases, query
from run_retail import start

from data_platform.engine.session import open_session
from data_platform.instance import launcher
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.storage.lake import Lake
from data_platform.storage.versions import Snapshot

PIPELINE = """
version: 1
pipeline: feed
owner: team:feed
partitions: none
sources:
  events:
    type: database
    connection: shop
    table: events
    incremental:
      cursor: at
      key: id
      keep: {keep}
      lookback: 1h
"""
PLATFORM = """
connections:
  shop: {type: database, url: "${SHOP_URL}"}
"""
MAKE = """
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, value integer NOT NULL);
CREATE TABLE versions (id bigint, at timestamptz, value integer);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO versions VALUES (NEW.id, NEW.at, NEW.value); RETURN NEW; END $$;
CREATE TRIGGER keep AFTER INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION keep();
"""
NEWEST = "(SELECT coalesce(max(at), '2024-01-01+00') FROM events)"
NEW = """
INSERT INTO events SELECT n, {newest} + (n % 3) * interval '1 s', 0
FROM generate_series({n}, {n} + 40) n
"""
"""Some of them even with the newest."""
LATE = """
INSERT INTO events SELECT n, {newest} - (n % 50) * interval '1 min', 0
FROM generate_series({n}, {n} + 20) n
"""
"""By less than the lookback."""
CHANGED = """
UPDATE events SET value = value + 1, at = {newest} + interval '1 s'
WHERE id % 7 = {n} % 7 AND id > {n} - 200
"""
KILLS = 6
FULL_KILLS = int(os.environ.get("CAMPAIGN_KILLS", "200"))


class Events:
    """An installation with one incremental source.

    Args:
        folder: of its own.
        databases: on the tests' server.
        keep: of the source.
    """

    def __init__(self, folder: Path, databases: Databases, keep: str) -> None:
        self.folder = folder
        self.keep = keep
        self.shop_url, self.dagster_url = databases.empty(), databases.dagster()
        pipeline = folder / "pipelines" / "feed" / "pipeline.yaml"
        pipeline.parent.mkdir(parents=True)
        pipeline.write_text(PIPELINE.format(keep=keep))
        (folder / "pipelines" / "platform.yaml").write_text(PLATFORM)
        query(self.shop_url, MAKE)
        self._rows = 0

    @property
    def environ(self) -> dict[str, str]:
        """Of a process that runs it."""
        return {
            "DATA_PLATFORM_HOME": str(self.folder),
            "DATA_PLATFORM_PIPELINES": str(self.folder / "pipelines"),
            "DATA_PLATFORM_STORAGE_URL": self.dagster_url,
            "LAKE_ROOT": "lake",
            "SHOP_URL": self.shop_url,
        }

    def change(self, seed: random.Random) -> None:
        """Let rows come or change."""
        self._rows += 100
        statement = seed.choice((NEW, LATE, CHANGED)).format(newest=NEWEST, n=self._rows)
        with closing(psycopg2.connect(self.shop_url)) as connection, connection:
            connection.cursor().execute(statement)

    def run(self) -> None:
        """Run until the end."""
        process, connection = start(self.environ, None, None, "feed")
        assert connection.recv() == "running"
        assert connection.recv() == "succeeded"
        process.join()

    def seconds(self) -> float:
        """How long a run takes."""
        process, connection = start(self.environ, None, None, "feed")
        assert connection.recv() == "running"
        began = time.monotonic()
        assert connection.recv() == "succeeded"
        seconds = time.monotonic() - began
        process.join()
        return seconds

    def kill(self, seconds: float, seed: random.Random) -> bool:
        """Start a run and kill it at some moment; False where it was through by then."""
        process, connection = start(self.environ, None, None, "feed")
        assert connection.recv() == "running"
        late = connection.poll(seed.uniform(0.0, seconds))
        if not late:
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join(20)
        connection.close()
        return not late

    @property
    def snapshot(self) -> Snapshot | None:
        """What is current."""
        return Lake(self.folder / "lake").table(Key("raw", "feed", "events")).snapshot()

    def assert_right(self) -> None:
        """What readers see is what the source holds, and no row was landed twice."""
        snapshot = self.snapshot
        assert snapshot is not None
        with open_session(self.folder, [self.folder / "lake"], "1GB", 1) as session:
            session.show("seen", snapshot.files([WHOLE]), hidden=False)
            session.show("landed", snapshot.all_rows([WHOLE]), hidden=False)
            columns = 'SELECT id, epoch_us("at"), value'
            seen = session.rows(f"{columns} FROM seen ORDER BY ALL")
            landed = session.rows(f"{columns} FROM landed ORDER BY ALL")
        held = "SELECT id, (extract(epoch FROM at) * 1000000)::bigint, value FROM events"
        ever = f"{held.replace('events', 'versions')} ORDER BY 1, 2, 3"
        assert len(landed) == len(set(landed))
        assert set(landed) <= set(query(self.shop_url, ever))
        if self.keep == "latest":
            assert seen == query(self.shop_url, f"{held} ORDER BY 1, 2, 3")
        else:
            assert set(query(self.shop_url, held)) <= set(seen)
        assert snapshot.partitions[WHOLE].rows == len(seen)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "COMMAND_PATIENCE_SECONDS", 0.0)


@pytest.fixture
def events(
    databases: Databases, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Events]:
    platform = Events(tmp_path, databases, getattr(request, "param", "latest"))
    yield platform
    databases.drop(platform.shop_url, platform.dagster_url)


def disturb(events: Events, kills: int, seed: random.Random, each: int = 5) -> tuple[int, int]:
    """Kill runs while rows come; after some kills a run goes through and is looked at.

    Returns:
        How many runs were killed, and how many batches there are.
    """
    events.change(seed)
    events.run()
    events.change(seed)
    seconds = events.seconds()
    killed = 0
    while killed < kills:
        for _ in range(min(each, kills - killed)):
            done = Event()
            shop = Thread(target=_sell, args=(events, done, random.Random(seed.random())))
            shop.start()
            try:
                killed += events.kill(seconds, seed)
            finally:
                done.set()
                shop.join(20)
        events.run()
        events.assert_right()
    snapshot = events.snapshot
    assert snapshot is not None
    assert snapshot.batches is not None
    return killed, snapshot.batches.number


def _sell(events: Events, done: Event, seed: random.Random) -> None:
    while True:
        events.change(seed)
        if done.wait(0.1):
            return


@pytest.mark.parametrize("events", ["latest", "history"], indirect=True)
def test_killed_runs_lose_no_row_and_double_none(events: Events) -> None:
    killed, _ = disturb(events, KILLS // 2, random.Random(events.keep))
    assert killed == KILLS // 2


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_campaign_of_kills_between_load_and_watermark(databases: Any, events: Events) -> None:
    began = time.monotonic()
    killed, batches = disturb(events, FULL_KILLS, random.Random(20180102), each=10)
    outcome = (
        f"{killed // 10} looks at {batches} batches: the rows of the source, none lost and none "
        "twice, while new, late and changed ones came"
    )
    what = "kill -9 at a random moment of a run of an incremental source"
    record(Figures(what, killed, outcome, time.monotonic() - began))
