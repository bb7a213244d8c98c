"""The full webserver behind a proxy that says who asks: what is done has a user, and is noted.

The tests are in the order of their file: each mutation does something to what the former left.
"""

import json
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from attacked import BACKFILL, Attacked
from click.testing import CliRunner
from dagster_dev import wait_until
from dagster_graphql.schema import create_schema
from forgeries import LOCATION, MUTATIONS, RUN, Mutation
from graphql import GraphQLSchema
from webserver_process import Webserver
from websocket_talk import talking

from data_platform.cli import main
from data_platform.instance.storage import open_instance
from data_platform.observability.audit.deeds import Deed
from data_platform.observability.audit.reading import Wanted, deeds_of
from data_platform.settings import environment_with

SCHEMA: GraphQLSchema = create_schema().graphql_schema
HEADER = "X-Forwarded-Email"
ANN, BOB = "ann@example.com", "bob@example.com"
LAUNCH = MUTATIONS[0]
BY_POST = {HEADER: ANN}
START = """mutation ($run: ExecutionParams!) { launchRun(executionParams: $run) {
    ... on LaunchRunSuccess { run { runId tags { key value } } } ... on PythonError { message }
} }"""
AGAIN = """mutation ($of: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $of) {
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }"""


@pytest.fixture(scope="module")
def server(start_webserver: Callable[..., Webserver]) -> Webserver:
    started = start_webserver("full", "--user-header", HEADER)
    assert started.locations() == {LOCATION: "LOADED"}
    return started


@pytest.fixture(scope="module")
def names(attacked: Attacked, server: Webserver) -> dict[str, str]:
    return attacked.names(server)


def launched(server: Webserver, user: str, tags: dict[str, str] | None = None) -> str:
    given = {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]}
    said = server.post_as({HEADER: user}, START, run={**RUN, "executionMetadata": given}).data
    return said["launchRun"]["run"]["runId"]


def tags_of(attacked: Attacked, run_id: str) -> dict[str, str]:
    with open_instance(attacked.settings) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        return dict(run.tags)


def deeds(attacked: Attacked, **wanted: Any) -> list[Deed]:
    with open_instance(attacked.settings) as instance:
        return [*deeds_of(instance, Wanted(**wanted)).deeds]


def test_a_run_has_the_user_who_launched_it(attacked: Attacked, server: Webserver) -> None:
    run_id = launched(server, ANN)
    tags = tags_of(attacked, run_id)
    assert (tags["user"], tags["data_platform/user"]) == (ANN, ANN)
    [deed] = [one for one in deeds(attacked) if one.run_id == run_id]
    assert (deed.who, deed.action, deed.detail) == (ANN, "run started", f"{ANN} in Dagster's UI")


def test_nobody_launches_a_run_in_another_name(attacked: Attacked, server: Webserver) -> None:
    run_id = launched(server, ANN, {"data_platform/user": BOB, "user": BOB})
    tags = tags_of(attacked, run_id)
    assert (tags["user"], tags["data_platform/user"]) == (ANN, ANN)


def test_a_run_that_is_made_again_is_of_who_does_it(attacked: Attacked, server: Webserver) -> None:
    first = launched(server, ANN)
    wanted = {"parentRunId": first, "strategy": "ALL_STEPS"}
    said = server.post_as({HEADER: BOB}, AGAIN, of=wanted).data["launchRunReexecution"]
    tags = tags_of(attacked, said["run"]["runId"])
    assert (tags["user"], tags["data_platform/user"]) == (BOB, BOB)


def test_users_who_ask_at_the_same_time_are_not_mixed_up(
    attacked: Attacked, server: Webserver
) -> None:
    users = [f"user{number % 4}@example.com" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        runs = [*pool.map(lambda user: launched(server, user, {"expected": user}), users)]
    with open_instance(attacked.settings) as instance:
        for run_id, user in zip(runs, users, strict=True):
            run = instance.get_run_by_id(run_id)
            assert run is not None
            assert (run.tags["data_platform/user"], run.tags["expected"]) == (user, user)


def test_names_are_read_as_proxies_send_them(attacked: Attacked, server: Webserver) -> None:
    said = server.client.post(
        "/graphql",
        json={"query": START, "variables": {"run": RUN}},
        headers=[(HEADER.encode(), "Bjørk <bjørk@example.com>".encode())],
    ).json()
    run_id = said["data"]["launchRun"]["run"]["runId"]
    assert tags_of(attacked, run_id)["user"] == "Bjørk <bjørk@example.com>"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_the_forgeries_would_work_where_changes_are_allowed(
    server: Webserver, names: dict[str, str], mutation: Mutation
) -> None:
    said = server.post_as(BY_POST, mutation.document(SCHEMA), **mutation.of(names))
    [answer] = said.data.values()
    kind = answer["__typename"] if isinstance(answer, dict) else str(answer)
    assert kind == mutation.answers, said.text


def test_all_that_was_done_is_noted_with_the_user_and_once(
    attacked: Attacked, names: dict[str, str]
) -> None:
    told = deeds(attacked, who=ANN)
    found = [(one.action, one.about) for one in told if one.action != "run started"]
    assert sorted(found) == sorted(
        [
            ("schedule started", ("every_night",)),
            ("schedule stopped", ("every_night",)),
            ("schedule reset", ("every_night",)),
            ("sensor started", ("new_files",)),
            ("sensor moved", ("new_files",)),
            ("sensor stopped", ("new_files",)),
            ("sensor reset", ("new_files",)),
            ("run cancelled", ("greeting",)),
            ("asset wiped", ("orders",)),
            ("build told", ("orders",)),
            ("check told", ("orders",)),
            ("backfill begun", ("orders",)),
            ("backfill begun", ("orders",)),
            ("backfill cancelled", ("orders",)),
            ("backfill resumed", ("orders",)),
            ("partitions registered", ("files",)),
            ("partition forgotten", ("files",)),
            ("automation stopped", ()),
            ("pool limited", ("shop",)),
            ("pool reset", ("shop",)),
            ("pools freed", (names["waiting"],)),
            ("pools freed", (names["waiting"],)),
            ("run deleted", (names["ended"],)),
            ("run deleted", (names["waiting"],)),
        ]
    )
    detail = {one.action: one.detail for one in told}
    assert detail["sensor moved"] == "to 'forged'"
    assert detail["pool limited"] == "to 7"
    assert detail["backfill cancelled"] == BACKFILL
    assert detail["partitions registered"] == "forged"
    # Dagster's own log and tables tell some of it too, without a name.
    nameless = {(one.action, one.about) for one in deeds(attacked) if not one.who}
    assert nameless.isdisjoint({("run cancelled", ("greeting",)), ("asset wiped", ("orders",))})


def test_the_command_shows_who_it_was(attacked: Attacked) -> None:
    with environment_with(attacked.environ):
        said = CliRunner().invoke(main, ["audit", "--who", ANN, "--format", "json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)["deeds"]
    shown = [one for one in told if one["action"] == "sensor stopped"]
    assert [one["who"] for one in shown] == [ANN]


def test_a_build_that_is_told_by_its_path_is_noted(attacked: Attacked, server: Webserver) -> None:
    said = server.client.post("/report_asset_materialization/told", headers={HEADER: BOB})
    assert said.status_code == httpx.codes.OK
    told = [one.action for one in deeds(attacked, key="told")]
    assert told == ["build told"]
    assert [one.who for one in deeds(attacked, key="told")] == [BOB]


# What a full server refuses.


@pytest.fixture
def unchanged(attacked: Attacked) -> Any:
    before = attacked.contents()
    yield
    assert attacked.contents() == before


NOBODY: dict[str, list[tuple[str, str]]] = {
    "no_header": [],
    "empty": [(HEADER, "")],
    "several": [(HEADER, ANN), (HEADER, BOB)],
    "another_header": [("X-Forwarded-User", ANN), ("X_Forwarded_Email", ANN)],
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("who", NOBODY)
def test_a_change_that_nobody_made_is_refused(server: Webserver, who: str) -> None:
    body = {"query": START, "variables": {"run": RUN}}
    for path in ("/graphql", "/report_asset_materialization/orders"):
        said = server.client.post(path, json=body, headers=NOBODY[who])
        assert said.status_code == httpx.codes.UNAUTHORIZED
        assert f"the header {HEADER} is missing" in said.text
    assert server.client.post("/graphql", json={"query": "{ version }"}).is_success


FOREIGN: dict[str, dict[str, str]] = {
    "another_site": {"Origin": "https://evil.example"},
    "a_frame_without_one": {"Origin": "null"},
    "another_port": {"Origin": "http://127.0.0.1:1"},
    "a_name_that_begins_alike": {"Origin": "http://127.0.0.1.evil.example"},
    "a_user_in_the_origin": {"Origin": "http://127.0.0.1@evil.example"},
    "no_origin_but_another_site": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("page", FOREIGN)
def test_a_page_of_another_site_changes_nothing(server: Webserver, page: str) -> None:
    headers = {**BY_POST, **FOREIGN[page]}
    said = server.client.post(
        "/graphql", json={"query": START, "variables": {"run": RUN}}, headers=headers
    )
    assert said.status_code == httpx.codes.FORBIDDEN
    assert "of another site" in said.text
    # A page may send this without asking first.
    said = server.client.post("/report_asset_materialization/orders", headers=headers)
    assert said.status_code == httpx.codes.FORBIDDEN


def test_a_page_of_another_site_opens_no_websocket(server: Webserver) -> None:
    with (
        pytest.raises(Exception, match="HTTP 403"),
        talking(server.url, origin="https://evil.example"),
    ):
        pass
    with talking(server.url, origin=server.url) as talk:
        talk.ask("subscription { locationStateChangeEvents { __typename } }")


def test_the_ui_s_own_pages_and_those_behind_a_proxy_change_things(server: Webserver) -> None:
    for headers in (
        {"Origin": server.url},
        {"Origin": "https://dagster.example.com", "Host": "dagster.example.com"},
        {"Origin": "https://dagster.example.com", "X-Forwarded-Host": "dagster.example.com"},
    ):
        assert server.post_as({**BY_POST, **headers}, START, run=RUN).status == httpx.codes.OK


@pytest.mark.usefixtures("unchanged")
def test_a_mutation_is_taken_as_json_by_post_only(server: Webserver) -> None:
    body = json.dumps({"query": START, "variables": {"run": RUN}})
    params = {"query": START, "variables": json.dumps({"run": RUN})}
    for kind in ("text/plain", "application/graphql", "application/x-www-form-urlencoded"):
        said = server.client.post(
            "/graphql", content=body, params=params, headers={**BY_POST, "content-type": kind}
        )
        assert said.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE
    said = server.client.get("/graphql", params=params, headers=BY_POST)
    assert said.status_code == httpx.codes.METHOD_NOT_ALLOWED
    with talking(server.url) as talk:
        talk.ask(START, run=RUN)
        assert talk.next()["type"] == "error"


def test_pages_are_shown_in_no_frame_of_another_site(server: Webserver) -> None:
    for path in ("/", "/graphql", "/server_info", "/favicon.png"):
        said = server.client.get(path, headers={"accept": "text/html"}).headers
        assert said["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in said["content-security-policy"]
        assert said["x-content-type-options"] == "nosniff"
    assert "script-src 'nonce-" in server.client.get("/").headers["content-security-policy"]


def test_at_sigterm_an_open_request_is_answered_and_none_is_taken(server: Webserver) -> None:
    server.client.close()
    body = json.dumps({"query": "{ version }"}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nExpect: 100-continue\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert b"100 Continue" in connection.recv(1000)  # it waits for the rest
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(server.port), 30)
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert b"200 OK" in answer
    assert b'"version"' in answer
    assert server.stop() == 0


def listens(port: int) -> bool:
    with socket.socket() as another:
        return another.connect_ex(("127.0.0.1", port)) == 0


def test_without_the_option_the_header_says_nothing(
    attacked: Attacked, start_webserver: Callable[..., Webserver]
) -> None:
    server = start_webserver("unknown")
    run_id = launched(server, ANN)
    assert {"user", "data_platform/user"}.isdisjoint(tags_of(attacked, run_id))
    with open_instance(attacked.settings) as instance:
        instance.add_run_tags(run_id, {"data_platform/user": BOB})
    # Whoever makes a run again isn't who made it first.
    wanted = {"parentRunId": run_id, "strategy": "ALL_STEPS"}
    said = server.post_as({HEADER: ANN}, AGAIN, of=wanted).data["launchRunReexecution"]
    tags = tags_of(attacked, said["run"]["runId"])
    assert tags["data_platform/user"] == "somebody in Dagster's UI"
    assert server.stop() == 0
