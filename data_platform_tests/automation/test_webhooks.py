"""Webhooks tell of new versions of external assets: signed, from now, each once."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import httpx
import pytest
import uvicorn
from arriving_files import Shop
from click.testing import CliRunner
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from data_platform.cli import main
from data_platform.settings import Settings
from data_platform.spec.outside import ExternalAsset
from data_platform.spec.partitions import Divided
from data_platform.webhooks.reporting import Reporter
from data_platform.webhooks.serving import LONGEST_BODY, webhooks_app
from data_platform.webhooks.signing import SKEW, signature_of

SECRET = "a secret of the tests"
DAILY = Divided.model_validate({"every": "day", "start": "2024-01-01"})
ASSETS = {
    "crm/people": ExternalAsset(),
    "crm/eu/visits": ExternalAsset(partitions=DAILY),
}
VERSION = {"data_version": "v1"}


class Server:
    """The real server, on a port of its own."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        app = webhooks_app(Reporter(instance, ASSETS), SECRET)
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def post(
        self, key: str = "crm/people", told: Any = VERSION, age: float = 0, **headers: str
    ) -> httpx.Response:
        """A signed request; a header that is given stands in for its own."""
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        stamp = f"{int(time.time() - age)}"
        own = {"X-Timestamp": stamp, "X-Signature": signature_of(SECRET, stamp, body)}
        wanted = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        sent = {name: value for name, value in wanted.items() if value}
        return httpx.post(f"{self.url}/assets/{key}", content=body, headers=sent)


@pytest.fixture
def server(instance: dg.DagsterInstance) -> Iterator[Server]:
    found = Server(instance)
    yield found
    found.stop()


def versions(instance: dg.DagsterInstance, key: str) -> list[tuple[str | None, str]]:
    records = instance.fetch_materializations(dg.AssetKey(key.split("/")), limit=100).records
    made = [record.asset_materialization for record in records]
    return [(one.partition, (one.tags or {})[DATA_VERSION_TAG]) for one in made if one]


def test_a_signed_version_is_recorded(server: Server, instance: dg.DagsterInstance) -> None:
    told = {**VERSION, "metadata": {"rows": 7}}
    answer = server.post(told=told)
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"asset": "crm/people", "partition": None, "data_version": "v1"}
    answer = server.post("crm/eu/visits", {**VERSION, "partition": "2024-01-03"})
    assert answer.status_code == 202, answer.text
    assert versions(instance, "crm/people") == [(None, "v1")]
    assert versions(instance, "crm/eu/visits") == [("2024-01-03", "v1")]


@pytest.mark.parametrize(
    ("headers", "age", "status", "message"),
    [
        ({"X_Signature": ""}, 0, 401, "X-Signature is missing"),
        ({"X_Timestamp": ""}, 0, 401, "X-Timestamp is missing"),
        ({"X_Signature": "0" * 64}, 0, 401, "the signature isn't that of this body"),
        ({"X_Signature": "sha1=abc"}, 0, 400, "64 hexadecimal digits"),
        ({"X_Timestamp": "yesterday"}, 0, 400, "no number of seconds"),
        ({"X_Timestamp": "-5"}, 0, 400, "no number of seconds"),
        ({}, SKEW + 5, 401, "seconds from now, and may be 300"),
        ({}, -SKEW - 5, 401, "seconds from now, and may be 300"),
    ],
)
def test_who_is_not_known_or_not_now_is_refused(
    server: Server, headers: dict[str, str], age: float, status: int, message: str
) -> None:
    answer = server.post(age=age, **headers)
    assert answer.status_code == status
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("key", "told", "status", "message"),
    [
        ("crm/dogs", VERSION, 404, "is no external asset; there are crm/people, crm/eu/visits"),
        ("raw/shop/orders", VERSION, 404, "is no external asset"),
        ("crm/people", b"{", 400, "Invalid JSON"),
        ("crm/people", b"\xff", 400, "the body"),
        ("crm/people", [], 400, "the body"),
        ("crm/people", {}, 400, "data_version: Field required"),
        ("crm/people", {"data_version": ""}, 400, "data_version"),
        ("crm/people", {**VERSION, "rows": 1}, 400, "rows"),
        ("crm/people", {**VERSION, "partition": "2024-01-03"}, 400, "crm/people has none"),
        ("crm/eu/visits", VERSION, 400, "crm/eu/visits has some: name one"),
        ("crm/eu/visits", {**VERSION, "partition": "2023-01-03"}, 400, "has no partition"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    server: Server, instance: dg.DagsterInstance, key: str, told: Any, status: int, message: str
) -> None:
    answer = server.post(key, told)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]
    assert versions(instance, "crm/people") == versions(instance, "crm/eu/visits") == []


def test_nobody_without_the_secret_learns_which_assets_there_are(server: Server) -> None:
    wrong = "0" * 64
    known, unknown = (server.post(key, X_Signature=wrong) for key in ("crm/people", "crm/dogs"))
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)


def test_a_request_is_taken_once_by_all_servers_and_after_a_restart(
    server: Server, instance: dg.DagsterInstance
) -> None:
    stamp = f"{int(time.time())}"
    other = Server(instance)
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(
                    lambda n: (server, other)[n % 2].post(
                        X_Timestamp=stamp, X_Signature=_of(stamp)
                    ),
                    range(16),
                )
            )
    finally:
        other.stop()
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 15
    again = Server(instance)
    assert again.post(X_Timestamp=stamp, X_Signature=_of(stamp)).status_code == 409
    again.stop()
    assert versions(instance, "crm/people") == [(None, "v1")]


def _of(stamp: str) -> str:
    return f"sha256={signature_of(SECRET, stamp, json.dumps(VERSION).encode())}"


def test_what_storage_did_not_take_may_be_sent_again(
    server: Server, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ConnectionError

    stamp = f"{int(time.time())}"
    with monkeypatch.context() as patch:
        patch.setattr(instance, "report_runless_asset_event", broken)
        answer = server.post(X_Timestamp=stamp, X_Signature=_of(stamp))
        assert answer.status_code == 500
        assert "send it again" in answer.json()["error"]
    assert server.post(X_Timestamp=stamp, X_Signature=_of(stamp)).status_code == 202


def test_a_body_that_is_too_long_is_not_read(server: Server) -> None:
    assert server.post(told=b" " * (LONGEST_BODY + 1)).status_code == 413
    with socket.create_connection(("127.0.0.1", server.port)) as sender:
        sender.sendall(
            b"POST /assets/crm/people HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(3):
            sender.sendall(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
        assert b"413" in sender.recv(100)


def test_other_paths_and_methods_are_clear_errors(server: Server) -> None:
    answers = [httpx.get(f"{server.url}/assets/crm/people"), httpx.post(f"{server.url}/runs")]
    assert [answer.status_code for answer in answers] == [405, 404]
    assert "only POST" in answers[0].json()["error"]
    assert "POST to /assets/" in answers[1].json()["error"]
    assert httpx.get(f"{server.url}/health").json() == {"status": "up"}


def test_a_new_version_starts_what_follows(shop: Shop) -> None:
    source = "sources:\n  people: {type: file, path: in/people.csv, after: [crm/people]}\n"
    shop.declare(source)
    definitions = shop.definitions()
    server = Server(shop.instance)
    cursor, requested = None, []
    try:
        for version in (None, "v1", "v1", "v2", "v2", None):
            if version:
                assert (
                    server.post(
                        told={"data_version": version, "metadata": {"n": len(requested)}}
                    ).status_code
                    == 202
                )
                time.sleep(0)
            result = dg.evaluate_automation_conditions(definitions, shop.instance, cursor=cursor)
            cursor = result.cursor
            requested.append(result.get_num_requested(dg.AssetKey(["raw", "shop", "people"])))
    finally:
        server.stop()
    assert requested == [0, 1, 0, 1, 0, 0]


@pytest.fixture
def shop(tmp_path: Any, instance: dg.DagsterInstance) -> Shop:
    return Shop(tmp_path, instance, "external_assets:\n  crm/people: {}\n")


def test_an_external_asset_that_is_not_declared_is_a_mistake(shop: Shop) -> None:
    source = "sources:\n  people: {type: file, path: in/people.csv, after: [crm/poeple]}\n"
    shop.declare(source)
    with pytest.raises(AssertionError, match=r"isn.t among the external_assets.*crm/people"):
        shop.loaded()


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("", "platform.yaml has no `webhooks`"),
        ("webhooks: {secret: '${SECRET_OF_TESTS}'}\n", "shorter than 16 characters"),
        ("webhooks: {secret: abcdefghijklmnopqr}\n", "no `external_assets`"),
    ],
)
def test_the_command_says_what_is_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, platform: str, message: str
) -> None:
    (settings.home / "pipelines").mkdir()
    (settings.home / "pipelines" / "platform.yaml").write_text(platform or "pools: {}\n")
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(settings.home))
    monkeypatch.setenv("SECRET_OF_TESTS", "short")
    result = CliRunner().invoke(main, ["webhooks"])
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
