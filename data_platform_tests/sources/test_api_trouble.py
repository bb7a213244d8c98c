# ruff: noqa: E501 -- cases stand in tables, one a line
"""A server that has trouble: retries, time-outs, cut answers, errors that say what to do."""

import datetime as dt
import functools
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from api_project import ApiProject
from misbehaving_server import Asked, Reply, misbehaving

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.naming import WHOLE
from data_platform.sources.http import arriving as arriving_module
from data_platform.sources.http import rates
from data_platform.sources.http.troubles import retry_after, trouble_of

GOOD = Reply([{"id": 1}])
TROUBLES = {
    "429": Reply(status=429),
    "500": Reply(status=500),
    "502": Reply(status=502, body=b"<html>bad gateway</html>"),
    "503 with Retry-After": Reply(status=503, headers={"Retry-After": "7"}),
    "reset": Reply(reset=True),
    "cut body": Reply([{"id": 1}], cut=5),
    "cut chunks": Reply([{"id": 1}], chunks=True, cut=5),
    "length too great": Reply([{"id": 1}], length=1000),
    "length too small": Reply([{"id": 1}], length=7),
    "cut without a length": Reply([{"id": "abc"}], cut=10, until_close=True),
    "empty body": Reply(body=b""),
    "cut gzip": Reply([{"id": 1}] * 50, gzip=True, length=20, cut=20),
    "no gzip": Reply(body=b"[]", headers={"Content-Encoding": "gzip"}),
    "cut in a letter": Reply(body='[{"id": "é'.encode()[:-1]),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_what_may_pass_is_asked_for_again(api: ApiProject, trouble: Reply) -> None:
    with misbehaving([trouble, trouble, GOOD]) as server:
        api.declare(server.url)
        assert api.ask().ids == [1]
    assert len(server.asked) == 3


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_what_does_not_pass_is_tried_as_often_as_declared(api: ApiProject, trouble: Reply) -> None:
    with misbehaving(trouble) as server:
        api.declare(server.url, retry={"total": 1})
        with pytest.raises(SourceUnavailable, match=rf"raw/shop/orders: .*{server.url}.*2 tries"):
            api.ask()
    # What is beyond its length may stay on the connection, and spoil the next try unasked; so may
    # a connection that is being closed.
    spoils = trouble in (TROUBLES["length too small"], TROUBLES["cut gzip"])
    assert len(server.asked) in ({1, 2} if spoils else {2})


@pytest.mark.parametrize(
    "text", ["[", '[{"id": 1},', '[{"id": tr', '["\\u12', '["a', "[1", "[-", '{"a"', '{"a":']
)
def test_json_that_breaks_off_is_asked_for_again(api: ApiProject, text: str) -> None:
    with misbehaving([Reply(body=text.encode()), GOOD]) as server:
        api.declare(server.url)
        assert api.ask().ids == [1]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 418, 422])
def test_refusals_are_not_asked_again(api: ApiProject, status: int) -> None:
    with misbehaving(Reply({"why": "x" * 300}, status)) as server:
        api.declare(server.url)
        failed = api.ask().arrival.failed[WHOLE]
    assert len(server.asked) == 1
    assert f"GET {server.url}/ answered {status}: " in failed
    assert failed.endswith("x...")
    assert len(failed) < 330


def test_statuses_that_may_pass_can_be_declared(api: ApiProject) -> None:
    with misbehaving([Reply(status=404), GOOD]) as server:
        api.declare(server.url, retry={"statuses": [404]})
        assert api.ask().ids == [1]


def test_an_error_of_the_server_that_is_not_declared_may_pass_with_the_step(
    api: ApiProject,
) -> None:
    with misbehaving(Reply(status=500)) as server:
        api.declare(server.url, retry={"statuses": [429]})
        with pytest.raises(SourceUnavailable, match="answered 500"):
            api.ask()
    assert len(server.asked) == 1


def test_reading_by_post_is_asked_again_too(api: ApiProject) -> None:
    with misbehaving([Reply(reset=True), Reply(status=503), GOOD]) as server:
        api.declare(server.url, method="POST", body={"q": 1})
        assert api.ask().ids == [1]
    assert [asked.json for asked in server.asked] == [{"q": 1}] * 3


def test_nobody_there_may_pass(api: ApiProject) -> None:
    with misbehaving(GOOD) as server:
        api.declare(server.url, retry={"total": 0})
    with pytest.raises(SourceUnavailable, match=server.url):
        api.ask()


@pytest.mark.parametrize(
    "slow",
    [
        Reply([{"id": 1}], wait=60),
        Reply([{"id": 1}] * 100, drip=0.05),
        Reply([1], chunks=True, drip=0.4),
    ],
    ids=["no answer", "slow drip", "slow chunks"],
)
def test_the_time_is_of_the_whole_answer(api: ApiProject, slow: Reply) -> None:
    with misbehaving([slow, GOOD]) as server:
        api.declare(server.url, request_timeout="1s", retry={"total": 0})
        with pytest.raises(SourceUnavailable, match="no whole answer within 1 s"):
            api.ask()


def test_retries_are_logged_without_the_terminal(
    api: ApiProject, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        misbehaving([Reply({"why": "full"}, 503), GOOD]) as server,
        caplog.at_level(logging.WARNING),
    ):
        api.declare(server.url)
        api.ask()
    (record,) = [r for r in caplog.records if r.name == "dagster.data_platform.api"]
    assert 'answered 503: {"why": "full"}; asked again in 0.0 s' in record.getMessage()
    assert capsys.readouterr().out == ""


# Retry-After ----------------------------------------------------------------------------------

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Mon, 01 Jan 2024 00:00:30 GMT", 30.0),
        ("Sun, 31 Dec 2023 23:00:00 GMT", 0.0),
        ("Mon, 01 Jan 2024 01:00:30 +0100", 30.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
def test_how_long_a_server_asks_to_wait(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds


def test_it_is_waited_as_long_as_the_server_asks(api: ApiProject) -> None:
    at: list[float] = []

    def script(asked: Asked) -> Reply:
        at.append(time.monotonic())
        return Reply(status=429, headers={"Retry-After": "1"}) if len(at) == 1 else GOOD

    with misbehaving(script) as server:
        api.declare(server.url)
        assert api.ask(waiting=True).ids == [1]
    assert at[1] - at[0] >= 1.0


def test_a_wait_that_is_too_long_ends_the_step(api: ApiProject) -> None:
    with misbehaving(Reply(status=429, headers={"Retry-After": "3600"})) as server:
        api.declare(server.url)
        with pytest.raises(SourceUnavailable, match="answered 429: null; it asks to wait 3,600 s"):
            api.ask()
    assert len(server.asked) == 1


# Stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "slow",
    [Reply(wait=600), Reply([1] * 100, drip=60), Reply(status=429, headers={"Retry-After": "100"})],
    ids=["no answer", "slow drip", "wait before the next try"],
)
def test_a_step_that_is_stopped_ends_at_once(api: ApiProject, slow: Reply) -> None:
    asked = threading.Event()

    def script(_: Asked) -> Reply:
        asked.set()
        return slow

    def stop() -> None:
        asked.wait(30)
        time.sleep(0.2)
        api.work.stop(SourceUnavailable("the step's time is over"))

    with misbehaving(script) as server:
        api.declare(server.url, request_timeout="10m")
        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(SourceUnavailable, match="the step's time is over"):
            api.ask(waiting=True)
        stopper.join()


def test_a_step_that_waits_for_its_turn_ends_at_once_too(
    api: ApiProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_user_folder", lambda: tmp_path)
    link = {"Link": '</2>; rel="next"'}
    asked = threading.Event()

    def script(_: Asked) -> Reply:
        asked.set()
        return Reply([{"id": 1}], headers=link)

    def stop() -> None:
        asked.wait(30)
        time.sleep(0.2)
        api.work.stop(SourceUnavailable("the step's time is over"))

    with misbehaving(script) as server:
        api.declare(server.url, rate_limit="1/h", pagination={"type": "link"})
        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(SourceUnavailable, match="the step's time is over"):
            api.ask()
        stopper.join()
    assert len(server.asked) == 1


# Answers that aren't what they should be ------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"error": "no", "code": 7}, "data", "there is no 'data' in the answer; it has the keys error, code"),
        ({"data": {"rows": []}}, "data.items", "there is no 'data.items' in the answer; it has the keys rows in 'data'"),
        ({"data": None}, "data", "'data' is no list or object of records, but null"),
        ({"data": "x"}, "data", "'data' is no list or object of records, but a text"),
        ([1], "data", "there is no 'data' in the answer; it has a list"),
        ("x", None, "the answer is no list or object of records, but a text"),
        (7, None, "but a number"),
        ({"data": [], "errors": [{"message": "no field x"}]}, "data", "the answer has errors: no field x"),
    ],
)  # fmt: skip
def test_an_answer_of_200_without_records_is_an_error(
    api: ApiProject, body: Any, path: str | None, message: str
) -> None:
    with misbehaving(Reply(body)) as server:
        api.declare(server.url, **({"data_path": path} if path else {}))
        assert message in api.ask().arrival.failed[WHOLE]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>\n<h1>Hello</h1></html>", "the answer is no JSON (text/html): Expecting value at character 0: <html> <h1>Hello"),
        (b'[{"id": 1}] trailing', "no JSON (text/html): Extra data at character 12"),
        (b'[{"id": NaN}]', "NaN is no number there"),
        (b'[{"id": 1}{"id": 2}]', "Expecting ',' delimiter"),
        (b"[\xff\xfe1, 2, 3, 4]", "the answer is no text: byte 1 is no UTF-8"),
        (b"[" * 100_000, "the JSON is nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_told_by_its_begin(api: ApiProject, body: bytes, message: str) -> None:
    with misbehaving(Reply(body=body, headers={"Content-Type": "text/html"})) as server:
        api.declare(server.url)
        assert message in api.ask().arrival.failed[WHOLE]


def test_a_part_that_nobody_asked_for_is_an_error(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1}], 206)) as server:
        api.declare(server.url)
        assert "answered with a part only (206)" in api.ask().arrival.failed[WHOLE]


def test_an_answer_is_bounded(api: ApiProject, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller = functools.partial(arriving_module.Manner, largest=2**20)
    monkeypatch.setattr(arriving_module, "Manner", smaller)
    with misbehaving(Reply(body=b" " * 3 * 2**20, gzip=True)) as server:
        api.declare(server.url)
        failed = api.ask().arrival.failed[WHOLE]
    assert "an answer of more than 1 MiB; ask for smaller pages" in failed


def test_a_certificate_that_nobody_trusts_is_an_error_that_does_not_pass() -> None:
    error = OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    trouble = trouble_of(error, str(error), "https://x/", 1.0)
    assert isinstance(trouble, SourceError)
    assert "its certificate isn't trusted" in str(trouble)
