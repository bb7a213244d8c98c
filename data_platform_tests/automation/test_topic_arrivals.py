"""New messages start their topic's source: once, until more come or a run has read some."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from arriving_files import Shop, asked, why_not
from kafka_cluster import KafkaCluster

SENSOR = "shop_topics"


@pytest.fixture(scope="module")
def cluster() -> KafkaCluster:
    return KafkaCluster()


@pytest.fixture
def shop(tmp_path: Path, cluster: KafkaCluster, instance: dg.DagsterInstance) -> Shop:
    platform = f"connections:\n  events: {{type: kafka, bootstrap_servers: '{cluster.servers}'}}\n"
    return Shop(tmp_path, instance, platform)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def declare(shop: Shop, topic: str, more: str = "") -> dg.Definitions:
    source = f"{{type: topic, connection: events, topic: {topic}{more}}}"
    shop.declare(f"sources:\n  clicks: {source}\n")
    return shop.definitions()


def land(shop: Shop, definitions: dg.Definitions) -> bool:
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=shop.instance, raise_on_error=False).success


def test_messages_start_the_source_until_they_are_read(shop: Shop, cluster: KafkaCluster) -> None:
    topic = cluster.topic()
    definitions = declare(shop, topic)
    assert "no message since offset 0" in why_not(shop.tick(SENSOR, definitions))
    cluster.send(topic, '{"id": 1}', '{"id": 2}')
    assert asked(shop.tick(SENSOR, definitions)) == {"clicks": "messages: 2 new"}
    assert "2 messages unread; a run was asked for" in why_not(shop.tick(SENSOR, definitions))
    assert land(shop, definitions)
    assert "no message since offset 2" in why_not(shop.tick(SENSOR, definitions))
    cluster.send(topic, '{"id": 3}', partition=2)
    assert asked(shop.tick(SENSOR, definitions)) == {"clicks": "messages: 1 new"}


def test_what_one_run_did_not_read_starts_the_next(shop: Shop, cluster: KafkaCluster) -> None:
    topic = cluster.topic('{"id": 1}', '{"id": 2}', '{"id": 3}')
    definitions = declare(shop, topic, ", max_records: 2")
    assert asked(shop.tick(SENSOR, definitions)) == {"clicks": "messages: 3 new"}
    assert land(shop, definitions)
    assert asked(shop.tick(SENSOR, definitions)) == {"clicks": "messages: 1 new"}


def test_a_reading_that_fails_is_not_asked_for_again_until_more_comes(
    shop: Shop, cluster: KafkaCluster
) -> None:
    topic = cluster.topic("{")
    definitions = declare(shop, topic, ", retries: {attempts: 0}")
    first = shop.tick(SENSOR, definitions)
    assert not land(shop, definitions)
    assert "a run was asked for" in why_not(shop.tick(SENSOR, definitions))
    cluster.send(topic, '{"id": 1}')
    again = shop.tick(SENSOR, definitions)
    assert [r.run_key for r in again.run_requests or ()] != [
        r.run_key for r in first.run_requests or ()
    ]


def test_a_tick_that_is_lost_asks_for_the_very_same_run_again(
    shop: Shop, cluster: KafkaCluster
) -> None:
    definitions = declare(shop, cluster.topic('{"id": 1}'))
    lost, kept = shop.tick_that_is_lost(SENSOR, definitions), shop.tick(SENSOR, definitions)
    assert [r.run_key for r in lost.run_requests or ()] == [
        r.run_key for r in kept.run_requests or ()
    ]


def test_no_run_is_asked_for_while_one_reads(shop: Shop, cluster: KafkaCluster) -> None:
    topic = cluster.topic('{"id": 1}')
    definitions = declare(shop, topic)
    [request] = shop.tick(SENSOR, definitions).run_requests or ()
    job = definitions.resolve_implicit_global_asset_job_def()
    shop.instance.create_run_for_job(job, tags={"dagster/run_key": request.run_key or ""})
    cluster.send(topic, '{"id": 2}')
    assert "a run is reading it" in why_not(shop.tick(SENSOR, definitions))


def test_a_topic_that_is_not_there_is_told(shop: Shop) -> None:
    definitions = declare(shop, "no-such-topic-1")
    assert "clicks: " in why_not(shop.tick(SENSOR, definitions))


def test_days_of_a_topic_start_when_they_are_over(shop: Shop, cluster: KafkaCluster) -> None:
    topic = cluster.topic()
    source = f"{{type: topic, connection: events, topic: {topic}}}"
    days = "partitions: {every: day, start: 2024-01-01, end: 2024-01-04}\n"
    shop.declare(f"{days}sources:\n  clicks: {source}\n")
    definitions = shop.definitions()
    result = shop.tick(SENSOR, definitions)
    assert asked(result) == {"clicks 2024-01-03": "messages of 2024-01-03 are complete"}
    assert "no partition is over since 2024-01-03" in why_not(shop.tick(SENSOR, definitions))
    shop.cursors[SENSOR] = '{"clicks": {"newest": "2024-01-01"}}'
    assert list(asked(shop.tick(SENSOR, definitions))) == ["clicks 2024-01-02 2024-01-03"]


def test_a_schedule_takes_the_place_of_the_sensor(shop: Shop, cluster: KafkaCluster) -> None:
    source = f"{{type: topic, connection: events, topic: {cluster.topic()}}}"
    shop.declare(f"schedule: '@hourly'\nsources:\n  clicks: {source}\n")
    assert SENSOR not in {sensor.name for sensor in shop.definitions().sensors or ()}
