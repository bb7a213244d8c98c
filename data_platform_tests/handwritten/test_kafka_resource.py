import pytest
from kafka_cluster import KafkaCluster

from data_platform.errors import SourceError, StorageUnavailable
from data_platform.resources import KafkaResource
from data_platform.sources.topics import clients


@pytest.fixture(scope="module")
def cluster() -> KafkaCluster:
    return KafkaCluster()


@pytest.fixture
def events(cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> KafkaResource:
    monkeypatch.setenv("EVENTS", cluster.servers)
    return KafkaResource(bootstrap_servers="${EVENTS}", options={"client.id": "tests"})


def test_what_a_producer_sent_has_arrived_when_its_block_ends(
    events: KafkaResource, cluster: KafkaCluster
):
    topic = cluster.topic()
    with events.producer(**{"linger.ms": 5_000}) as producer:
        producer.produce(topic, b"one", partition=0)
    with events.consumer(**{"group.id": "mine", "auto.offset.reset": "earliest"}) as consumer:
        consumer.subscribe([topic])
        message = consumer.poll(20)

    assert message is not None
    assert message.value() == b"one"


def test_messages_that_do_not_arrive_are_an_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(clients, "PATIENCE", 0.5)
    nowhere = KafkaResource(bootstrap_servers="127.0.0.1:1")
    with (
        pytest.raises(StorageUnavailable, match="1 of the messages didn't arrive: no answer"),
        nowhere.producer() as producer,
    ):
        producer.produce("events", b"one")

    assert "rdkafka" not in "".join(capfd.readouterr())


def test_a_message_that_is_refused_is_an_error(events: KafkaResource, cluster: KafkaCluster):
    topic = cluster.topic()
    with (
        pytest.raises(
            StorageUnavailable, match=f"1 of the messages didn't arrive: topic {topic}: .*"
        ),
        events.producer() as producer,
    ):
        producer.produce(topic, b"one", partition=99)


def test_an_error_of_the_block_itself_comes_out(events: KafkaResource):
    with pytest.raises(ValueError, match="mine"), events.producer():
        raise ValueError("mine")


def test_options_that_can_not_be_used_are_named(events: KafkaResource):
    with (
        pytest.raises(SourceError, match=r'No such configuration property: "no\.such"'),
        events.consumer(**{"no.such": 1}),
    ):
        pass
