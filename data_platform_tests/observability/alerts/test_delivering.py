"""Messages reach their channels over real protocols: late, where one is down, but none is lost."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import dagster as dg
import pytest
from alerting_shop import bodies, chat_at, hook_at, mailbox, pager_at
from misbehaving_server import Asked, MisbehavingServer, Reply, misbehaving

from data_platform.instance.own_tables import transaction
from data_platform.observability.alerts import channels as sending
from data_platform.observability.alerts import delivering, outbox
from data_platform.observability.alerts.channels import ChannelError, send, state_of
from data_platform.observability.alerts.delivering import Delivered, deliver
from data_platform.observability.alerts.messages import Message
from data_platform.observability.alerts.testing import send_to_each
from data_platform.secrets.masker import know
from data_platform.spec.alerts import Channel

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
TAKEN = Reply({"ok": True})
DOWN = Reply({}, 503)


def message(number: int = 1, subject: str = "one", **values: object) -> Message:
    return Message(
        f"{subject}-{number}",
        subject,
        "opened",
        "error",
        f"[error] {subject} failed",
        "**Since** noon · `<!channel>`",
        "https://dagster.example/runs/1",
        {"event": "failure", "name": f"raw/shop/{subject}", **values},
    )


def as_written(text: str) -> str:
    return text


class Office:
    """An outbox, its channels, and a clock."""

    def __init__(self, instance: dg.DagsterInstance, **channels: str) -> None:
        self.instance = instance
        self.channels = {name: Channel(url=url) for name, url in channels.items()}
        self.now = NOON

    def put(self, *messages: Message) -> None:
        with transaction(self.instance, outbox.OUTBOX) as connection:
            outbox.put(connection, [(one, list(self.channels)) for one in messages], self.now)

    def deliver(self, after: timedelta = timedelta(0)) -> Delivered:
        self.now += after
        return deliver(self.instance, self.channels, as_written, lambda: self.now, 10)

    @property
    def undelivered(self) -> list[outbox.Undelivered]:
        return outbox.undelivered(self.instance, self.now)


@pytest.fixture
def hook() -> Iterator[MisbehavingServer]:
    with misbehaving(TAKEN) as server:
        yield server


@pytest.fixture
def office(instance: dg.DagsterInstance, hook: MisbehavingServer) -> Office:
    return Office(instance, hook=hook_at(hook))


def ids(server: MisbehavingServer) -> list[str]:
    return [body["id"] for body in bodies(server)]


def test_what_is_put_twice_is_sent_once(office: Office, hook: MisbehavingServer):
    office.put(message(1), message(2))
    office.put(message(1))
    assert office.deliver() == Delivered(2, {})
    assert office.deliver() == Delivered(0, {})
    assert ids(hook) == ["one-1", "one-2"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [(DOWN, "error=503"), (Reply(reset=True), "Connection error"), (Reply({}, 404), "error=404")],
    ids=["503", "reset", "404"],
)
def test_a_channel_that_fails_is_tried_again_and_gets_everything(
    office: Office, hook: MisbehavingServer, reply: Reply, error: str
):
    hook.script = reply
    office.put(message(1), message(1, "two"))
    failed = office.deliver().failed["hook"]
    assert error in failed
    assert office.deliver().sent == 0
    [undelivered] = office.undelivered
    assert (undelivered.channel, undelivered.waiting, undelivered.error) == ("hook", 2, failed)
    hook.script = TAKEN
    assert office.deliver(timedelta(seconds=15)) == Delivered(2, {})
    assert office.undelivered == []
    assert sorted(set(ids(hook))) == ["one-1", "two-1"]


def test_tries_are_further_and_further_apart_up_to_ten_minutes(
    office: Office, hook: MisbehavingServer
):
    hook.script = DOWN
    office.put(message())
    tried: list[int] = []
    for minute in range(60):
        before = len(hook.asked)
        office.deliver(timedelta(minutes=1))
        if len(hook.asked) > before:
            tried.append(minute)
    gaps = [later - one for one, later in pairwise(tried)]
    assert gaps[:3] == [1, 1, 1]
    assert set(gaps[-3:]) == {10}


def test_what_nobody_takes_for_a_week_is_given_up_and_told(office: Office, hook: MisbehavingServer):
    hook.script = DOWN
    office.put(message())
    office.deliver()
    office.deliver(timedelta(days=6))
    assert office.undelivered[0].given_up == 0
    office.deliver(timedelta(days=2))
    hook.script = TAKEN
    assert office.deliver(timedelta(hours=1)).sent == 0
    [undelivered] = office.undelivered
    assert (undelivered.waiting, undelivered.given_up) == (0, 1)


def test_a_recovery_never_overtakes_what_it_is_about(office: Office, hook: MisbehavingServer):
    hook.script = DOWN
    office.put(message(1))
    office.deliver()
    hook.script = TAKEN
    office.put(message(2), message(1, "other"))
    office.deliver(timedelta(seconds=1))
    assert ids(hook)[1:] == ["other-1", "one-1", "one-2"]


def test_a_channel_that_hangs_holds_no_other_up(
    instance: dg.DagsterInstance, hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sending, "SECONDS", 1)
    with misbehaving(Reply({}, wait=60)) as hanging:
        office = Office(instance, hanging=hook_at(hanging), hook=hook_at(hook))
        office.put(message(1), message(1, "two"))
        delivered = office.deliver()
        assert delivered.sent == 2
        assert list(delivered.failed) == ["hanging"]


def test_two_who_deliver_at_once_send_each_message_once(office: Office, hook: MisbehavingServer):
    gate = threading.Barrier(2)

    def slowly(_: Asked) -> Reply:
        return Reply({}, wait=0.02)

    hook.script = slowly
    office.put(*(message(1, f"s{number}") for number in range(12)))
    found: list[Delivered] = []

    def run() -> None:
        gate.wait()
        found.append(office.deliver())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.sent for one in found) == 12
    assert len(ids(hook)) == len(set(ids(hook))) == 12


def test_who_is_killed_between_sending_and_noting_has_sent_twice_and_lost_nothing(
    office: Office, hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    office.put(message(1), message(2))
    with monkeypatch.context() as patch:
        patch.setattr(delivering.outbox, "sent", killed)
        with pytest.raises(KeyboardInterrupt):
            office.deliver()
    assert office.deliver().sent == 0
    assert office.deliver(outbox.LEASE).sent == 2
    assert ids(hook) == ["one-1", "one-1", "one-2"]


def test_who_is_killed_before_sending_has_lost_nothing(
    office: Office, hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    office.put(message())
    with monkeypatch.context() as patch:
        patch.setattr(delivering, "send", killed)
        with pytest.raises(KeyboardInterrupt):
            office.deliver()
    assert office.deliver(outbox.LEASE).sent == 1
    assert ids(hook) == ["one-1"]


# Channels ---------------------------------------------------------------------------------------


def test_mail_has_a_subject_a_body_and_what_tells_messages_apart():
    with mailbox() as box:
        send(Channel(url=box.url), message(), as_written)
        [mail] = box.mails
    assert mail["Subject"] == "[error] one failed"
    assert mail["X-Data-Platform-Message"] == "one-1"
    assert mail["References"] == "<one@data-platform>"
    html = mail.get_body(("html",))
    assert html is not None
    assert "<strong>Since</strong> noon" in html.get_content()


def test_mail_that_is_down_is_an_error_without_its_password():
    with mailbox() as box:
        url = box.url.replace("://", "://dp:S3cretPassw0rd@")
    with pytest.raises(ChannelError) as error:
        send(Channel(url=url), message(), as_written)
    assert "S3cretPassw0rd" not in str(error.value)


def test_slack_is_told_as_it_likes_it_and_nobody_is_called_by_data(
    hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    hook.script = Reply(body=b"ok")
    send(Channel(url=chat_at(hook, monkeypatch)), message(), as_written)
    [body] = bodies(hook)
    [attachment] = body["attachments"]
    assert attachment["title"] == "[error] one failed"
    assert attachment["text"] == "*Since* noon · `&lt;!channel&gt;`"


def test_pagerduty_opens_and_resolves_one_incident(
    hook: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
):
    hook.script = Reply({}, 202)
    channel = Channel(url=pager_at(hook, monkeypatch))
    send(channel, message(), as_written)
    ended = Message("one-2", "one", "recovered", "info", "[recovered] one", "well")
    send(channel, ended, as_written)
    opened, resolved = bodies(hook)
    assert (opened["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == resolved["dedup_key"] == "one"
    assert opened["payload"]["severity"] == "error"
    assert opened["payload"]["summary"] == "[error] one failed"
    assert opened["links"] == [{"href": "https://dagster.example/runs/1"}]


def test_a_webhook_gets_values(hook: MisbehavingServer):
    send(Channel(url=hook_at(hook)), message(owner="team:shop", behind=["a"]), as_written)
    [body] = bodies(hook)
    wanted = {"id": "one-1", "subject": "one", "owner": "team:shop", "severity": "error"}
    assert body.items() >= wanted.items()
    assert body["behind"] == ["a"]


def test_a_message_holds_no_secret():
    know("S3cretTokenOfTheShop")
    told = message(error="token S3cretTokenOfTheShop was refused", rows=[{"a": 1}]).masked()
    assert "S3cretTokenOfTheShop" not in json.dumps(told.values)
    assert told.values["rows"] == [{"a": 1}]


def test_states_of_channels_are_told_without_their_addresses():
    def expand(text: str) -> str:
        return text.replace("${EMPTY:-}", "").replace("${BAD}", "slakc://s3cret-token")

    def state(url: str) -> tuple[str, str]:
        found = state_of("chat", Channel(url=url), expand)
        return found.state, found.why

    assert state("json://hooks.example/a") == ("on", "")
    assert state("${EMPTY:-}") == ("off", "${EMPTY:-} is empty")
    wrong, why = state("${BAD}")
    assert wrong == "wrong"
    assert "no address of slakc:// that Apprise knows" in why
    assert "s3cret" not in why


def test_each_channel_is_tested_and_one_that_fails_hides_no_other(hook: MisbehavingServer):
    with mailbox() as box:
        channels = {
            "mail": Channel(url=box.url),
            "chat": Channel(url=""),
            "wrong": Channel(url="nothing"),
            "hook": Channel(url=hook_at(hook)),
        }
        tested = list(send_to_each(channels, as_written, NOON, "ann"))
        assert box.subjects == ["[test] channel mail of data-platform"]
    assert [(one.channel, one.outcome) for one in tested] == [
        ("mail", "sent"),
        ("chat", "off"),
        ("wrong", "failed"),
        ("hook", "sent"),
    ]
    assert "sent by ann at 2024-03-01 12:00 UTC" in bodies(hook)[0]["message"]
