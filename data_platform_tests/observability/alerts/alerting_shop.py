"""A shop that goes wrong, and those who are told: a mail server, and what chats and pagers speak.

Servers are real, on loopback. Slack and PagerDuty have fixed addresses: tests lead these there.
"""

import email
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from socket import socket
from typing import Any

import dagster as dg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from apprise.plugins import pagerduty
from apprise.plugins.slack import NotifySlack
from misbehaving_server import MisbehavingServer

from data_platform.definitions import definitions_of
from data_platform.loading import Loaded, load
from data_platform.observability.alerts.sensor import problem_words
from data_platform.observability.alerts.watching import Looked, Watched, watch
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings

PLATFORM = """
lake: {root: "${SHOP}/lake"}
alerts:
  channels:
    mail: {url: "${MAIL:-}"}
    hook: {url: "${HOOK:-}"}
    chat: {url: "${CHAT:-}"}
    pager: {url: "${PAGER:-}"}
  link: https://dagster.shop.example
"""
PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
criticality: high
runbook: https://wiki.shop.example/orders
partitions: {every: day, start: 2024-01-01, end: 2024-01-04}
sources:
  orders: {type: file, path: "in/{partition_key}.csv", settle: 0s}
staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, description: Its number.}
      email: {type: varchar, pii: true}
      amount: {type: "decimal(10,2)"}
    quality:
      - {range: {column: id, max: 100}}
      - {range: {column: amount, max: 1000, on_violation: quarantine}}
  sound_orders: {from: staging.orders, transformations: [drop_columns: [email]]}
analytics:
  revenue: {query: "SELECT SUM(amount) AS revenue FROM staging.sound_orders"}
"""
NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAYS = ["2024-01-01", "2024-01-02"]
LOOK = timedelta(seconds=15)


class Silent:
    """Hears of a run and says nothing."""

    def started(self, key: Key, partitions: int) -> None:
        """Nothing."""

    def finished(self, report: AssetReport) -> None:
        """Nothing."""


class Mailbox:
    """A mail server."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._controller = Controller(self, "127.0.0.1", self._port)

    async def handle_DATA(  # noqa: N802 -- the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, policy=default))  # type: ignore[arg-type]
        return "250 OK"

    @property
    def url(self) -> str:
        """As a channel has it."""
        return f"mailto://127.0.0.1:{self._port}?from=dp@shop.example&to=oncall@shop.example"

    @property
    def subjects(self) -> list[str]:
        """Of all mails."""
        return [str(mail["Subject"]) for mail in self.mails]

    def start(self) -> None:
        """Take mails."""
        self._controller.start()

    def stop(self) -> None:
        """Take none."""
        self._controller.stop()


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A mail server, while the block runs."""
    box = Mailbox()
    box.start()
    try:
        yield box
    finally:
        box.stop()


def chat_at(server: MisbehavingServer, patch: pytest.MonkeyPatch) -> str:
    """A channel of Slack that is that server."""
    patch.setattr(NotifySlack, "webhook_url", f"{server.url}/services")
    return "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7"


def pager_at(server: MisbehavingServer, patch: pytest.MonkeyPatch) -> str:
    """A channel of PagerDuty that is that server."""
    patch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", f"{server.url}/v2/enqueue")
    return "pagerduty://integrationkey1@apikey1"


def hook_at(server: MisbehavingServer) -> str:
    """A webhook that is that server."""
    return f"{server.url.replace('http', 'json')}/hook"


def bodies(server: MisbehavingServer) -> list[Any]:
    """What a server was sent."""
    return [json.loads(asked.body) for asked in server.asked]


class AlertingShop:
    """The shop, its instance, and a clock for who looks."""

    def __init__(
        self, folder: Path, instance: dg.DagsterInstance, channels: Mapping[str, str]
    ) -> None:
        self.instance = instance
        self.now = datetime.now(UTC)
        self.environ = {"SHOP": str(folder), **channels}
        self._folder = folder
        self._pipeline = folder / "pipelines" / "shop"
        self._pipeline.mkdir(parents=True)
        (folder / "in").mkdir()
        self.declare()
        for day in DAYS:
            self.orders(day, (1, "ann@shop.example", "2.50"), (2, "bob@shop.example", "5"))
        self.look()

    def declare(self, platform: str = PLATFORM, pipeline: str = PIPELINE) -> None:
        """Write what is to be read from now on."""
        (self._folder / "pipelines" / "platform.yaml").write_text(platform)
        (self._pipeline / "pipeline.yaml").write_text(pipeline)
        settings = Settings(self._folder, self._folder / ".data", (self._folder / "pipelines",))
        self.loaded: Loaded = load(settings, self.environ)

    def orders(self, day: str, *rows: tuple[object, ...]) -> None:
        """Write the file of a day."""
        lines = ["id,email,amount", *(",".join(map(str, row)) for row in rows)]
        (self._folder / "in" / f"{day}.csv").write_text("\n".join(lines) + "\n")

    def remove_orders(self, day: str) -> None:
        """Remove the file of a day."""
        (self._folder / "in" / f"{day}.csv").unlink()

    def run(self, *days: str) -> RunReport:
        """Run all of it for days."""
        definitions = definitions_of(self.loaded, NOW)
        request = Request("shop", keys=days or DAYS)
        return run_pipeline(definitions, self.loaded, self.instance, request, Silent(), NOW)

    @property
    def watched(self) -> Watched:
        """What the sensor watches."""
        broken = {name: problem_words(self.loaded.problems_of(name)) for name in self.loaded.broken}
        return Watched(
            self.loaded.plan,
            self.loaded.workspace.platform.alerts,
            self.loaded.outside().expand,
            broken,
            lambda: self.now,
        )

    def look(self, after: timedelta = LOOK) -> Looked:
        """One look a while later."""
        self.now += after
        return watch(self.instance, self.watched)

    def looks(self, number: int = 3) -> int:
        """Some looks: how many messages were sent."""
        return sum(self.look().sent for _ in range(number))
