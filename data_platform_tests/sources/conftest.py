"""What tests of sources share."""

import pytest
from api_project import ApiProject
from factories import Project
from kafka_cluster import KafkaCluster, scanned
from topic_project import Topics

from data_platform.sources.topics.clients import TopicClient


@pytest.fixture
def api(project: Project) -> ApiProject:
    """A project with one source of type api."""
    return ApiProject(project)


@pytest.fixture(scope="session")
def cluster() -> KafkaCluster:
    """Kafka's brokers, shared by all tests of topics."""
    return KafkaCluster()


@pytest.fixture
def topics(project: Project, cluster: KafkaCluster) -> Topics:
    """A project with the source `events` of a topic."""
    return Topics(project, cluster)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that know the times of messages."""
    monkeypatch.setattr(TopicClient, "offsets_at", scanned)
