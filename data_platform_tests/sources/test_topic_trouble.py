import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from topic_project import Topics, values

from data_platform.engine.outside import Outside
from data_platform.engine.session import Session, open_session
from data_platform.engine.work import Work
from data_platform.errors import PlatformError, SourceError, SourceUnavailable
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.kinds import Topic
from data_platform.sources.arrivals import Question
from data_platform.sources.topics import clients
from data_platform.sources.topics.arriving import arriving
from data_platform.spec.platform import KafkaConnection


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PATIENCE", 1.0)


class TestWork:
    def question(self, topics: Topics, topic: str, tmp_path: Path, work: Work) -> Question:
        topics.declare(topic)
        node = topics.project.node("raw/events")
        assert isinstance(node, RawNode)
        outside = Outside(lambda _: topics.cluster.connection, lambda text: text)
        session = cast("Session", None)
        return Question(node, [WHOLE], session, tmp_path / "scratch", outside, work=work)

    def test_rows_and_bytes_are_counted(self, topics: Topics, tmp_path: Path):
        topic = topics.cluster.topic(*values(1, 2, 3))
        work = Work()
        with open_session(tmp_path / "spill", [tmp_path], "500MB", 1) as session:
            asked = self.question(topics, topic, tmp_path, work)
            asked = replace(asked, session=session)
            source = asked.node.source
            assert isinstance(source, Topic)
            with arriving(asked, source) as arrival:
                assert arrival.query is not None

        assert (work.moved.rows, work.moved.bytes) == (3, 27)

    def test_a_step_that_is_to_end_does(
        self, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        topic = topics.cluster.topic(*values(*range(3_000)))
        work = Work(tell=lambda _: work.stop(SourceUnavailable("time is up")))
        asked = self.question(topics, topic, tmp_path, work)
        source = asked.node.source
        assert isinstance(source, Topic)
        with pytest.raises(SourceUnavailable, match="time is up"), arriving(asked, source):
            pass

        assert 0 < work.moved.rows < 3_000


class TestTrouble:
    def test_a_topic_that_is_not_there_is_named(self, topics: Topics):
        topics.declare("nowhere")
        with pytest.raises(SourceError, match=r"topic nowhere: .*UNKNOWN_TOPIC_OR_PART"):
            topics.land()

    @pytest.mark.usefixtures("impatient")
    def test_a_cluster_that_does_not_answer_may_come_back(
        self, topics: Topics, capfd: pytest.CaptureFixture[str]
    ):
        topics.declare("orders")
        nobody = KafkaConnection(type="kafka", bootstrap_servers="127.0.0.1:1")
        with pytest.raises(SourceUnavailable, match="topic orders: "):
            topics.land(connection=nobody)

        assert "rdkafka" not in "".join(capfd.readouterr())

    @pytest.mark.usefixtures("impatient")
    def test_credentials_that_are_refused_are_no_matter_of_patience(self, topics: Topics):
        options = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "me",
            "sasl.password": "hush",
        }
        topics.declare(topics.cluster.topic())
        connection = topics.cluster.connection.model_copy(update={"options": options})
        with pytest.raises(SourceError, match="_AUTHENTICATION") as refused:
            topics.land(connection=connection)

        assert "hush" not in f"{refused.value}"

    @pytest.mark.parametrize(
        ("options", "about"),
        [
            ({"no.such": 1}, 'No such configuration property: "no.such"'),
            ({"security.protocol": "odd"}, 'Invalid value "odd"'),
            ({"ssl.key.pem": "hush", "security.protocol": "SSL"}, "can't be used"),
        ],
    )
    def test_an_option_that_can_not_be_is_named_without_secrets(
        self, topics: Topics, options: dict[str, Any], about: str
    ):
        topics.declare("orders")
        connection = topics.cluster.connection.model_copy(update={"options": options})
        with pytest.raises(PlatformError, match=about) as refused:
            topics.land(connection=connection)

        assert "hush" not in f"{refused.value}"

    def test_options_have_the_types_that_are_written(self, topics: Topics):
        options = {"fetch.min.bytes": 1, "check.crcs": True, "client.id": "tests"}
        topics.declare(topics.cluster.topic(*values(1)))
        topics.land(connection=topics.cluster.connection.model_copy(update={"options": options}))

        assert topics.column("id") == [1]

    def test_without_the_package_the_extra_is_named(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ):
        topics.declare("orders")
        monkeypatch.setitem(sys.modules, "confluent_kafka", None)
        with pytest.raises(SourceError, match=r"pip install 'data-platform\[kafka\]'"):
            topics.land()
