"""A project with one source of type topic, on the cluster of the tests."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from factories import Project
from kafka_cluster import KafkaCluster

from data_platform.plan.naming import WHOLE
from data_platform.quality.gate import Passage
from data_platform.spec.platform import KafkaConnection

PLATFORM = """
connections:
  events: {type: kafka, bootstrap_servers: nowhere}
"""
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


class Topics:
    """A project with the source `events` of a topic."""

    def __init__(self, project: Project, cluster: KafkaCluster) -> None:
        self.project = project
        self.cluster = cluster
        project.platform(PLATFORM)

    def declare(self, topic: str, more: str = "", *, daily: bool = False) -> None:
        end = "" if daily else ", partitions: none"
        source = f"{{type: topic, connection: events, topic: {topic}{end}{more}}}"
        self.project.declare(f"sources:\n  events: {source}\n", daily=daily)

    def land(self, *keys: str, connection: KafkaConnection | None = None) -> Passage:
        return self.project.land_source(
            "events", *keys, connection=connection or self.cluster.connection
        )

    def column(self, name: str, *keys: str) -> list[Any]:
        return sorted(self.project.column("raw/events", name, *keys), key=str)

    def position(self) -> dict[str, Any]:
        snapshot = self.project.table("raw/events").snapshot()
        assert snapshot is not None
        assert snapshot.batches is not None
        assert snapshot.batches.position is not None
        return dict(snapshot.batches.position)


def values(*numbers: int) -> list[str]:
    return [json.dumps({"id": number}) for number in numbers]


def noticed(passage: Passage, name: str, key: str = WHOLE) -> int:
    [outcome] = [o for o in passage.outcomes if o.check.name == name]
    return outcome.findings[key].offending


def at(day: int, hour: int = 0) -> int:
    return int((FIRST + timedelta(days=day - 1, hours=hour)).timestamp() * 1_000)
