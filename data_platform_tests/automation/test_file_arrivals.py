"""New files start their source: once each, for the partitions that they belong to."""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import boto3
import dagster as dg
import pytest
from arriving_files import DAILY, Shop, asked, why_not
from dagster_dev import wait_until
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url
from reliability_report import Figures, record

from data_platform.automation.sensors import queues
from data_platform.automation.sensors.file_keys import file_keys
from data_platform.automation.sensors.file_looks import Looked, look
from data_platform.automation.sensors.file_memory import Memory
from data_platform.automation.sensors.queue_sensor import LISTED_AT_LEAST, QueueState
from data_platform.automation.sensors.queues import objects_of
from data_platform.plan.partitions import Partitions, TimePartitions
from data_platform.sources.files.finding import listed

ORDERS = "sources:\n  orders: {type: file, path: 'in/orders-{partition_key}*.csv'%s}\n"
RATES = "sources:\n  rates: {type: file, path: in/rates*.csv, partitions: none%s}\n"
NOW = datetime(2024, 3, 1, 6, tzinfo=UTC)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def shop(tmp_path: Path, instance: dg.DagsterInstance) -> Shop:
    return Shop(tmp_path, instance)


def names_of(found: Looked) -> set[tuple[str, str]]:
    return {(key, Path(f.name).name) for key, files in found.new.items() for f in files}


# What starts ----------------------------------------------------------------------------------


def test_new_files_start_the_partitions_that_they_belong_to_in_one_run_a_range(shop: Shop) -> None:
    shop.declare(DAILY + ORDERS % "")
    for day in ("03-a", "04", "03-b", "07"):
        shop.put(f"orders-2024-01-{day}.csv")
    assert asked(shop.tick()) == {
        "orders 2024-01-03 2024-01-04": "file landed: orders-2024-01-03-a.csv and 2 more",
        "orders 2024-01-07": "file landed: orders-2024-01-07.csv",
    }
    assert "4 files, none new since 20" in why_not(shop.tick())


def test_a_file_of_a_source_without_partitions_starts_it_whole(shop: Shop) -> None:
    shop.declare(RATES % "")
    assert why_not(shop.tick()) == "rates: no files"
    shop.put("rates.csv")
    result = shop.tick()
    assert asked(result) == {"rates": "file landed: rates.csv"}


def test_sources_of_the_same_partition_are_in_one_run(shop: Shop) -> None:
    stocks = "  stocks: {type: file, path: 'in/stocks-{partition_start:%Y/%m/%d}.csv'}\n"
    shop.declare(DAILY + ORDERS % "" + stocks)
    shop.put("orders-2024-01-03.csv")
    shop.put("stocks-2024/01/03.csv")
    cause = "file landed: orders-2024-01-03.csv; file landed: 03.csv"
    assert asked(shop.tick()) == {"orders+stocks 2024-01-03": cause}


@pytest.mark.parametrize("age", [timedelta(hours=1), timedelta(days=900)])
def test_a_file_that_lands_with_an_older_time_is_new(shop: Shop, age: timedelta) -> None:
    shop.declare(RATES % "")
    shop.put("rates-a.csv")
    shop.tick()
    shop.put("rates-b.csv", age=age)
    assert asked(shop.tick()) == {"rates": "file landed: rates-b.csv"}


def test_a_file_that_replaces_one_of_its_name_size_and_time_is_new(shop: Shop) -> None:
    shop.declare(RATES % "")
    first = shop.put("rates.csv", "id\n1\n")
    moment = first.stat().st_mtime_ns
    shop.tick()
    other = shop.put("other.csv", "id\n2\n")
    os.utime(other, ns=(moment, moment))
    other.rename(first)
    assert asked(shop.tick()) == {"rates": "file landed: rates.csv"}


def test_a_file_that_goes_away_starts_nothing_and_is_forgotten(shop: Shop) -> None:
    shop.declare(RATES % "")
    first = shop.put("rates-a.csv")
    shop.put("rates-b.csv")
    shop.tick()
    first.unlink()
    assert "1 file, none new" in why_not(shop.tick())
    shop.put("rates-a.csv", "id\n9\n")
    assert asked(shop.tick()) == {"rates": "file landed: rates-a.csv"}


def test_a_file_of_a_partition_that_is_not_over_waits_for_it(tmp_path: Path) -> None:
    days = Partitions(TimePartitions("day", date(2024, 1, 1), None, "Europe/Berlin"))
    file = tmp_path / "2024-03-01.csv"
    file.write_text("id\n")
    path = f"{tmp_path}/{{partition_key}}.csv"
    files = listed(f"{tmp_path}/*.csv", None)
    begun = look(files, file_keys(path, days, NOW), Memory(), settle=0, waiting=None, now=NOW)
    assert begun.new == {}
    assert "1 of partitions that aren't over" in begun.in_words()
    over = datetime(2024, 3, 1, 23, tzinfo=UTC)
    begun = look(files, file_keys(path, days, over), Memory(), settle=0, waiting=None, now=over)
    assert names_of(begun) == {("2024-03-01", "2024-03-01.csv")}


def test_files_of_no_partition_are_named_and_start_nothing(shop: Shop) -> None:
    shop.declare(DAILY + ORDERS % "")
    shop.put("orders-2023-12-31.csv")
    shop.put("orders-2024-13-41.csv")
    assert "2 of no partition (orders-2023-12-31.csv, orders-2024-13-41.csv)" in why_not(
        shop.tick()
    )


@pytest.mark.parametrize(
    ("partitions", "path", "name", "expected"),
    [
        ({"every": "hour"}, "{partition_key}.csv", "2024-02-29-23%3A00.csv", ["2024-02-29-23:00"]),
        ({"every": "hour"}, "{partition_start:%d/%H}/*.csv", "29/23/a.csv", 2),
        ({"every": "month"}, "{partition_start:%b%y}.csv", "Feb24.csv", ["2024-02-01"]),
        ({"every": "week"}, "*{partition_key}*.csv", "x2024-02-190.csv", ["2024-02-19"]),
        ({"every": "day"}, "{partition_start:%Y-%m}.csv", "2024-02.csv", 29),
        ({"every": "day"}, "[ab]{partition_key}?.csv", "b2024-02-01z.csv", ["2024-02-01"]),
        ({"every": "day"}, "{partition_key}.csv", "2024-02-30.csv", []),
    ],
)
def test_the_partition_of_a_name(
    partitions: dict[str, str], path: str, name: str, expected: list[str] | int
) -> None:
    start = date(2024, 1, 1)
    every = Partitions(TimePartitions(partitions["every"], start, None, "UTC"))  # type: ignore[arg-type]
    found = file_keys(f"/in/{path}", every, NOW).of(f"/in/{name}")
    assert (len(found) if isinstance(expected, int) else list(found)) == expected


def test_registered_keys_are_whatever_names_say() -> None:
    keys = file_keys("/in/{partition_key}/orders-{partition_key}.csv", Partitions(dynamic="c"), NOW)
    assert keys.of("/in/ÄB c/orders-ÄB c.csv") == ("ÄB c",)
    assert keys.of("/in/a/orders-b.csv") == ()


# Once -----------------------------------------------------------------------------------------


def test_a_tick_that_is_lost_asks_for_the_very_same_run_again(shop: Shop) -> None:
    shop.declare(RATES % "")
    shop.put("rates.csv")
    lost, again = shop.tick_that_is_lost(), shop.tick()
    assert [r.run_key for r in lost.run_requests or ()] == [
        r.run_key for r in again.run_requests or ()
    ]
    assert "none new" in why_not(shop.tick())


def test_files_that_somebody_has_landed_start_nothing(shop: Shop) -> None:
    shop.declare(RATES % ", settle: 0s")
    shop.put("rates.csv")
    definitions = shop.definitions()
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=shop.instance).success
    assert "1 file, none new" in why_not(shop.tick(definitions=definitions))
    shop.put("rates.csv", "id\n2\n")
    assert asked(shop.tick(definitions=definitions)) == {"rates": "file landed: rates.csv"}


def test_another_path_is_looked_at_anew(shop: Shop) -> None:
    shop.declare(RATES % "")
    shop.put("rates.csv")
    shop.put("prices.csv")
    shop.tick()
    shop.declare((RATES % "").replace("in/rates*", "in/prices*"))
    assert asked(shop.tick()) == {"rates": "file landed: prices.csv"}


@pytest.mark.parametrize(
    "cursor", ["", "{", "[]", '{"raw/shop/rates": 3}', '{"raw/shop/rates": {}}']
)
def test_a_cursor_that_cannot_be_read_begins_anew(shop: Shop, cursor: str) -> None:
    shop.declare(RATES % "")
    shop.put("rates.csv")
    shop.cursors["shop_files"] = cursor
    assert asked(shop.tick()) == {"rates": "file landed: rates.csv"}


@pytest.mark.parametrize("seed", range(3))
def test_histories_of_files_hand_over_each_version_once(shop: Shop, seed: int) -> None:
    """Files come, are replaced, go away and come again; ticks are lost; nothing is lost with it."""
    shop.declare(DAILY + ORDERS % "")
    definitions = shop.definitions()
    chance = random.Random(seed)
    there: set[str] = set()
    unasked: set[str] = set()
    run_keys: set[str] = set()
    for _ in range(50):
        for _ in range(chance.randrange(4)):
            name = f"2024-01-{chance.randint(1, 12):02}-{chance.choice('ab')}"
            if name in there and chance.random() < 0.4:
                (shop.inbox / f"orders-{name}.csv").unlink()
                there.discard(name)
                unasked.discard(name)
                continue
            age = timedelta(minutes=chance.choice([10, 60, 60, 9_999]))
            shop.put(f"orders-{name}.csv", f"id\n{chance.randrange(10)}\n", age)
            there.add(name)
            unasked.add(name)
        if chance.random() < 0.3:
            shop.tick_that_is_lost(definitions=definitions)
        result = shop.tick(definitions=definitions)
        keys = {request.run_key or "" for request in result.run_requests or ()}
        assert not run_keys & keys
        run_keys |= keys
        assert _days(result) == {name[:10] for name in unasked}
        unasked.clear()


def _days(result: dg.SensorResult) -> set[str]:
    ranges = [what.removeprefix("orders ").split() for what in asked(result)]
    days = [f"2024-01-{day:02}" for day in range(1, 13)]
    return {day for parts in ranges for day in days if parts[0] <= day <= parts[-1]}


# Files that are still written -----------------------------------------------------------------


def test_a_file_that_was_changed_a_moment_ago_waits_until_it_stands_still(shop: Shop) -> None:
    shop.declare(RATES % ", settle: 60s")
    shop.put("rates.csv", age=timedelta(seconds=2))
    assert "1 changed a moment ago and must stand still first" in why_not(shop.tick())
    shop.put("rates.csv", age=timedelta(seconds=61))
    assert asked(shop.tick()) == {"rates": "file landed: rates.csv"}


def test_a_file_from_a_clock_that_is_ahead_waits_as_long_as_it_is_seen_unchanged(
    shop: Shop,
) -> None:
    shop.declare(RATES % ", settle: 60s")
    shop.put("rates.csv", age=timedelta(days=-2))
    shop.waited = timedelta(seconds=40)
    assert "must stand still" in why_not(shop.tick())
    assert "must stand still" in why_not(shop.tick())
    assert asked(shop.tick()) == {"rates": "file landed: rates.csv"}


def test_a_partition_waits_for_the_last_of_its_files_but_not_for_ever(shop: Shop) -> None:
    shop.declare(RATES % ", settle: 60s")
    shop.put("rates-a.csv", age=timedelta(seconds=90))
    shop.put("rates-b.csv", age=timedelta(seconds=5))
    assert "must stand still" in why_not(shop.tick())
    shop.put("rates-a.csv", age=timedelta(seconds=900))
    assert asked(shop.tick()) == {"rates": "file landed: rates-a.csv"}
    shop.put("rates-b.csv", age=timedelta(seconds=70))
    assert asked(shop.tick()) == {"rates": "file landed: rates-b.csv"}


# Late ones ------------------------------------------------------------------------------------


def test_a_file_that_is_late_is_named_and_nothing_waits_for_it(shop: Shop) -> None:
    shop.declare(
        "partitions: {every: day, start: 2024-01-01, end: 2024-01-06}\n" + ORDERS % ", deadline: 2h"
    )
    shop.put("orders-2024-01-01.csv")
    shop.put("orders-2024-01-04.csv")
    shop.tick()
    assert why_not(shop.tick()).endswith("; late: 2024-01-02, 2024-01-03, 2024-01-05")


def test_a_source_without_schedule_is_late_after_its_last_file(shop: Shop) -> None:
    shop.declare(RATES % ", deadline: 2h")
    assert why_not(shop.tick()) == "rates: no files"
    shop.put("rates.csv", age=timedelta(hours=3))
    shop.tick()
    assert "; late: a file, since 20" in why_not(shop.tick())
    shop.put("rates.csv", age=timedelta(hours=1))
    shop.tick()
    assert "late" not in why_not(shop.tick())


# Many, and trouble ----------------------------------------------------------------------------


def test_a_source_that_cannot_be_listed_hides_no_other(shop: Shop) -> None:
    bad = "  bad: {type: file, path: in/bad*.csv, partitions: none}\n"
    shop.declare(RATES % "" + bad)
    shop.put("rates.csv")
    (shop.inbox / os.fsdecode(b"bad\xff.csv")).write_text("id\n")
    result = shop.tick()
    assert asked(result) == {"rates": "file landed: rates.csv"}
    assert "bad: no listing: the name of a file is no UTF-8" in why_not(shop.tick())


def test_a_source_is_looked_at_as_often_as_it_says(shop: Shop) -> None:
    slow = "  slow: {type: file, path: in/slow.csv, partitions: none, poll: 1h}\n"
    shop.declare(RATES % ", poll: 20s" + slow)
    shop.tick()
    shop.put("rates.csv")
    shop.put("slow.csv")
    shop.let_time_pass = lambda sensor, seconds=0: Shop.let_time_pass(shop, sensor, 25)  # type: ignore[method-assign]
    assert asked(shop.tick()) == {"rates": "file landed: rates.csv"}
    repository = shop.definitions().get_repository_def()
    assert repository.get_sensor_def("shop_files").minimum_interval_seconds == 20


def test_more_runs_than_one_look_asks_for_come_with_the_next(shop: Shop) -> None:
    shop.declare(DAILY + ORDERS % "")
    first = datetime(2024, 1, 1, tzinfo=UTC)
    for number in range(0, 240, 2):
        shop.put(f"orders-{first + timedelta(days=number):%Y-%m-%d}.csv")
    assert len(asked(shop.tick())) == 100
    assert len(asked(shop.tick())) == 20
    assert "120 files, none new" in why_not(shop.tick())


@pytest.mark.campaign
def test_twenty_thousand_files_are_one_tick(shop: Shop) -> None:
    started = time.monotonic()
    shop.declare(
        "partitions: {every: hour, start: 2022-01-01}\n"
        "sources:\n  orders:\n    type: file\n"
        "    path: 'in/{partition_start:%Y/%m/%d}/{partition_key}.csv'\n"
    )
    first = datetime(2022, 1, 1, tzinfo=UTC)
    for number in range(20_000):
        hour = first + timedelta(hours=number)
        shop.put(f"{hour:%Y/%m/%d}/{hour:%Y-%m-%d-%H}%3A00.csv")
    definitions = shop.definitions()
    for expected in ("orders 2022-01-01-00:00 2024-04-13-07:00", None):
        began = time.monotonic()
        result = shop.tick(definitions=definitions)
        assert time.monotonic() - began < 60, "Dagster ends a tick"
        assert list(asked(result)) == ([expected] if expected else [])
    shop.put("2022/01/05/2022-01-05-03%3A00.csv", "id\n7\n")
    assert list(asked(shop.tick(definitions=definitions))) == ["orders 2022-01-05-03:00"]
    assert len(shop.cursors["shop_files"] or "") < 1_000
    outcome = "the first look asks for all, the second for none, the next for the one that came"
    record(Figures("looks at a folder of files", 20_000, outcome, time.monotonic() - started))


def test_arrival_is_off_where_a_schedule_starts_the_source(shop: Shop) -> None:
    shop.declare('schedule: "0 6 * * *"\n' + RATES % "")
    sensors = {sensor.name for sensor in shop.definitions().sensors or ()}
    assert "shop_files" not in sensors
    shop.declare('schedule: "0 6 * * *"\n' + RATES % ", arrival: sensor")
    assert "shop_files" in {sensor.name for sensor in shop.definitions().sensors or ()}


# Buckets --------------------------------------------------------------------------------------

DATED = """
sources:
  orders:
    type: file
    path: %s/{partition_start:%%Y/%%m}/{partition_key}.csv
    connection: store
"""


class Store:
    """A bucket, and a queue that it tells of objects, on the server of the tests."""

    def __init__(self, *, queue: bool = False) -> None:
        self.bucket = Bucket()
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
        options = {"endpoint_url": server_url(), "region_name": "us-east-1", **keys}
        self._sqs = boto3.client("sqs", **options)
        self.queue = ""
        if queue:
            self.queue = self._sqs.create_queue(QueueName=self.bucket.name)["QueueUrl"]
            arn = f"arn:aws:sqs:us-east-1:123456789012:{self.bucket.name}"
            telling = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
            boto3.client("s3", **options).put_bucket_notification_configuration(
                Bucket=self.bucket.name,
                NotificationConfiguration={"QueueConfigurations": telling},
            )

    def platform(self) -> str:
        queue = f", queue: '{self.queue}'" if self.queue else ""
        return (
            f"connections:\n  store: {{type: s3, endpoint_url: '{server_url()}', "
            f"access_key_id: {ACCESS_KEY}, secret_access_key: {SECRET_KEY}, "
            f"region: us-east-1{queue}}}\n"
        )

    def waiting(self) -> tuple[int, int]:
        """Messages that can be received, and those that were and aren't deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)
        return tuple(int(answer["Attributes"][name]) for name in names)  # type: ignore[return-value]


def bucket_shop(tmp_path: Path, instance: dg.DagsterInstance, store: Store) -> Shop:
    shop = Shop(tmp_path, instance, store.platform())
    shop.declare(DAILY + DATED % f"{store.bucket.url}/in")
    return shop


def test_new_objects_start_their_partitions(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    store = Store()
    shop = bucket_shop(tmp_path, instance, store)
    assert "orders: no files" in why_not(shop.tick())
    store.bucket.put("in/2024/01/2024-01-03.csv", "id\n1\n")
    store.bucket.put("in/2024/02/2024-01-05.csv", "id\n1\n")
    assert asked(shop.tick()) == {"orders 2024-01-03": "file landed: 2024-01-03.csv"}
    assert "2 files, none new" in why_not(shop.tick())
    store.bucket.put("in/2024/01/2024-01-03.csv", "id\n2\n")
    assert asked(shop.tick()) == {"orders 2024-01-03": "file landed: 2024-01-03.csv"}


def test_a_queue_tells_of_objects_and_forgets_them_once_runs_are_asked_for(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "HIDDEN", 1)
    store, sensor = Store(queue=True), "queue_1_files"
    shop = bucket_shop(tmp_path, instance, store)
    assert "shop_files" not in {one.name for one in shop.definitions().sensors or ()}
    shop.tick(sensor)
    store.bucket.put("in/2024/01/2024-01-03.csv", "id\n1\n")
    assert asked(shop.tick_that_is_lost(sensor))
    assert store.waiting()[1] >= 1, "what a lost tick received isn't deleted"
    wait_until(lambda: store.waiting()[1] == 0, 10)
    assert list(asked(shop.tick(sensor))) == ["orders 2024-01-03"]
    shop.tick(sensor)
    store.bucket.put("in/2024/01/2024-01-04.csv", "id\n1\n")
    assert list(asked(shop.tick(sensor))) == ["orders 2024-01-04"]
    assert "messages" in why_not(shop.tick(sensor))
    assert store.waiting()[0] == 0


def test_what_a_queue_did_not_tell_is_found_by_a_listing(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    store, sensor = Store(), "queue_1_files"
    store.queue = f"{server_url()}/123456789012/no-such-queue"
    shop = bucket_shop(tmp_path, instance, store)
    assert "no-such-queue refuses: " in why_not(shop.tick(sensor))
    store.bucket.put("in/2024/01/2024-01-03.csv", "id\n1\n")
    assert why_not(shop.tick(sensor)), "it isn't listed without a message"
    state = QueueState.loaded(shop.cursors[sensor])
    assert state.listed is not None
    past = replace(state, listed=state.listed - LISTED_AT_LEAST)
    shop.cursors[sensor] = past.dumped()
    assert list(asked(shop.tick(sensor))) == ["orders 2024-01-03"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2Fc"}}}]}',
            ("s3://b/a b/c",),
        ),
        ('{"Service": "Amazon S3", "Event": "s3:TestEvent"}', None),
        ('{"Records": "x"}', None),
        ("", None),
        ("[]", None),
    ],
)
def test_what_a_message_tells_of(body: str, expected: tuple[str, ...] | None) -> None:
    assert objects_of(body) == expected
