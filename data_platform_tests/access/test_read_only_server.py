"""The webserver for those who only look: nothing that is sent to it changes or starts anything.

One server for all of it, over a database with something of each kind. After each request the whole
database, the folder and the code server are what they were before.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from attacked import Attacked
from dagster_graphql.schema import create_schema
from forgeries import MUTATIONS, SCHEDULE, SENSOR, Mutation
from graphql import GraphQLSchema, parse, validate
from webserver_process import Webserver
from websocket_talk import NEW, OLD, talking

SCHEMA: GraphQLSchema = create_schema().graphql_schema
REFUSED = "this webserver is for reading"
EACH = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
LAUNCH = MUTATIONS[0]
READ = "{ version }"


@dataclass
class Target:
    """The server, and what must stay as it is."""

    server: Webserver
    attacked: Attacked
    names: dict[str, str]
    contents: dict[str, str]
    processes: set[int]

    def variables(self, mutation: Mutation) -> dict[str, Any]:
        return mutation.of(self.names)


@pytest.fixture(scope="module")
def reading(attacked: Attacked, start_webserver: Callable[..., Webserver]) -> Target:
    server = start_webserver("read_only", "--read-only")
    assert server.locations() == {"attacked": "LOADED"}
    names = attacked.names(server)
    return Target(server, attacked, names, attacked.contents(), server.code_servers())


@pytest.fixture
def target(reading: Target) -> Iterator[Target]:
    """Everything is as it was before, whatever the test sends."""
    yield reading
    assert reading.attacked.contents() == reading.contents
    assert not reading.attacked.trace.exists()


def test_every_mutation_of_the_schema_is_among_the_forgeries() -> None:
    assert SCHEMA.mutation_type is not None
    assert sorted(one.name for one in MUTATIONS) == sorted(SCHEMA.mutation_type.fields)
    for one in MUTATIONS:
        assert validate(SCHEMA, parse(one.document(SCHEMA))) == []


@EACH
def test_no_mutation_is_done_by_post(target: Target, mutation: Mutation) -> None:
    said = target.server.post(mutation.document(SCHEMA), **target.variables(mutation))
    assert said.status == httpx.codes.FORBIDDEN
    assert REFUSED in json.loads(said.text)["errors"][0]["message"]


@EACH
def test_no_mutation_is_done_by_get(target: Target, mutation: Mutation) -> None:
    params = {
        "query": mutation.document(SCHEMA),
        "variables": json.dumps(target.variables(mutation)),
        "operationName": "Forged",
    }
    said = target.server.client.get("/graphql", params=params)
    assert said.status_code == httpx.codes.FORBIDDEN
    assert REFUSED in said.text


@EACH
def test_no_mutation_is_done_over_a_websocket(target: Target, mutation: Mutation) -> None:
    with talking(target.server.url) as talk:
        talk.ask(mutation.document(SCHEMA), **target.variables(mutation))
        said = talk.next()
    assert (said["type"], said["id"]) == ("error", "1")
    assert "a websocket is for subscriptions" in said["payload"]["message"]


def test_the_newer_protocol_of_websockets_does_nothing_either(target: Target) -> None:
    for kind in ("subscribe", "request", "next"):
        with talking(target.server.url, protocols=(NEW, OLD)) as talk:
            talk.ask(LAUNCH.document(SCHEMA), kind, **target.variables(LAUNCH))
            # Messages are taken one after another: this is answered when that has been.
            talk.begin()


def _body(target: Target) -> dict[str, Any]:
    return {"query": LAUNCH.document(SCHEMA), "variables": target.variables(LAUNCH)}


OTHER_WAYS: dict[str, Callable[[Target], dict[str, Any]]] = {
    "as_a_form": lambda target: {"data": {k: json.dumps(v) for k, v in _body(target).items()}},
    "as_a_form_with_files": lambda target: {
        "files": {k: (None, json.dumps(v)) for k, v in _body(target).items()}
    },
    "as_an_upload_of_graphql": lambda target: {
        "files": {"operations": (None, json.dumps(_body(target))), "map": (None, "{}")}
    },
    "as_plain_text": lambda target: {
        "content": json.dumps(_body(target)), "headers": {"content-type": "text/plain"},
    },
    "as_graphql": lambda target: {
        "content": LAUNCH.document(SCHEMA), "headers": {"content-type": "application/graphql"},
        "params": {"variables": json.dumps(target.variables(LAUNCH))},
    },
    "as_a_type_that_names_json": lambda target: {
        "content": json.dumps(_body(target)),
        "headers": {"content-type": "text/plain; application/json"},
    },
    "in_the_address": lambda target: {
        "params": {k: v if k == "query" else json.dumps(v) for k, v in _body(target).items()}
    },
    "in_the_address_beside_json": lambda target: {
        "params": {"query": LAUNCH.document(SCHEMA)}, "json": {"query": READ},
    },
    "several_at_once": lambda target: {"json": [_body(target), {"query": READ}]},
    "query_as_a_list": lambda target: {"json": {"query": [LAUNCH.document(SCHEMA)]}},
    "in_utf_16": lambda target: {
        "content": json.dumps(_body(target)).encode("utf-16"),
        "headers": {"content-type": "application/json; charset=utf-16"},
    },
    "with_another_method_asked_for": lambda target: {
        "json": _body(target), "headers": {"x-http-method-override": "GET"},
    },
    "as_somebody_in_particular": lambda target: {
        "json": _body(target),
        "headers": {"x-forwarded-email": "admin@example.com", "authorization": "Bearer forged"},
    },
}  # fmt: skip


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_no_other_way_to_send_a_mutation_does_it(target: Target, way: str) -> None:
    said = target.server.client.post("/graphql", **OTHER_WAYS[way](target))
    if way == "in_the_address_beside_json":
        assert said.json()["data"].keys() == {"version"}
    else:
        assert said.is_client_error, said.text


_FREE = 'freeConcurrencySlotsForRun(runId: "x")'
_LONG = "in_a_long_document"
DISGUISES = {
    "alias": (f"mutation {{ version: {_FREE} }}", None),
    "no_name": (f"mutation {{ {_FREE} }}", None),
    "second_operation": (f"query A {READ} mutation B {{ {_FREE} }}", "B"),
    "second_operation_that_is_not_named": (f"query A {READ} mutation B {{ {_FREE} }}", "A"),
    "first_operation": (f"mutation B {{ {_FREE} }} query A {READ}", "B"),
    "fragment": (f"mutation {{ ...F }} fragment F on Mutation {{ {_FREE} }}", None),
    "inline_fragment": (f"mutation {{ ... on Mutation {{ {_FREE} }} }}", None),
    "directive": (f"mutation {{ {_FREE} @include(if: true) @skip(if: false) }}", None),
    "comment": (f"# query {{ version }}\nmutation # query\n {{ {_FREE} }}", None),
    "byte_order_mark": (f"\ufeffmutation {{ {_FREE} }}", None),
    "commas": (f",,,mutation,,,{{,,{_FREE},,}}", None),
    "named_like_a_query": (f"mutation query {{ {_FREE} }}", "query"),
    "after_a_fragment": (
        f"fragment F on Mutation {{ {_FREE} }} query A {READ} mutation query {{ ...F }}", "query"
    ),
    "twice": (f"mutation {{ a: {_FREE} b: {_FREE} c: setNuxSeen }}", None),
    _LONG: (f"{'#' * 50_001}\nmutation {{ {_FREE} }}", None),
}  # fmt: skip


SENT = [(one, how) for one in DISGUISES for how in ("POST", "GET") if (one, how) != (_LONG, "GET")]
"""Disguises, and how they are sent; an address can't be that long."""


@pytest.mark.parametrize(("disguise", "method"), SENT)
def test_no_disguise_hides_a_mutation(target: Target, disguise: str, method: str) -> None:
    document, name = DISGUISES[disguise]
    asked = {"query": document} | ({"operationName": name} if name else {})
    sent: dict[str, Any] = {"json": asked} if method == "POST" else {"params": asked}
    said = target.server.client.request(method, "/graphql", **sent)
    assert said.status_code == httpx.codes.FORBIDDEN


_DRY_RUNS = {
    "schedule": """query ($of: ScheduleSelector!) { scheduleOrError(scheduleSelector: $of) {
        ... on Schedule { futureTick(tickTimestamp: 1700000000) { evaluationResult {
            __typename } } } } }""",
    "next_ticks": """query ($of: ScheduleSelector!) { scheduleOrError(scheduleSelector: $of) {
        ... on Schedule { futureTicks(limit: 2) { results { ok: timestamp it: evaluationResult {
            __typename } } } } } }""",
}


@pytest.mark.parametrize("name", _DRY_RUNS)
def test_no_query_has_code_of_schedules_run(target: Target, name: str) -> None:
    said = target.server.post(_DRY_RUNS[name], of=SCHEDULE)
    assert REFUSED in said.text


def test_no_query_has_code_of_partitions_run(target: Target) -> None:
    said = target.server.post(
        """query ($of: RepositorySelector!) { partitionSetOrError(
            repositorySelector: $of, partitionSetName: "daily_greeting_partition_set"
        ) { ... on PartitionSet { partition(partitionName: "2024-01-01") {
            runConfigOrError { __typename } tagsOrError { __typename } } } } }""",
        of={k: v for k, v in SENSOR.items() if k != "sensorName"},
    )
    assert said.text.count(REFUSED) == 2


PATHS = [
    "/report_asset_materialization/orders",
    "/report_asset_materialization/orders?partition=2024-01-04",
    "/report_asset_check/orders?check_name=complete&passed=false",
    "/report_asset_observation/orders",
    "//report_asset_materialization/orders",
    "/graphql/",
    "/graphql/../report_asset_materialization/orders",
    "/%67raphql/%2e%2e/report_asset_observation/orders",
    "/",
    "/runs",
    "/server_info",
    "/logs/x/y.err",
    "/download_debug/x",
    "/notebook",
]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_posted_to_other_paths(target: Target, path: str) -> None:
    bodies: list[dict[str, Any]] = [{"json": {}}, {}, {"data": {"asset_key": "orders"}}]
    for body in bodies:
        said = target.server.client.post(path, **body)
        assert said.status_code == httpx.codes.FORBIDDEN, said.text


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "QUERY", "TRACE"])
def test_no_other_method_does_anything(target: Target, method: str) -> None:
    body = json.dumps(_body(target))
    said = target.server.client.request(
        method, "/graphql", content=body, headers={"content-type": "application/json"}
    )
    assert said.is_client_error


def test_files_of_code_locations_are_not_read(target: Target) -> None:
    params = {"repoLocName": "attacked", "path": "/etc/secret.ipynb"}
    said = target.server.client.get("/notebook", params=params)
    assert "<html" in said.text  # the UI's own page, which says that there is no such one


# What works.


def test_pages_are_served(target: Target) -> None:
    for path in ("/", "/runs", "/assets/orders", "/locations"):
        said = target.server.client.get(path, headers={"accept": "text/html"})
        assert said.status_code == httpx.codes.OK
        assert "__NEXT_DATA__" in said.text
    assert "graphiql" in target.server.client.get("/graphql", headers={"accept": "text/html"}).text
    assert target.server.client.get("/favicon.png").status_code == httpx.codes.OK


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_questions_are_answered(target: Target, method: str) -> None:
    asked = {"query": "{ runsOrError { ... on Runs { results { runId status } } } }"}
    sent: dict[str, Any] = {"json": asked} if method == "POST" else {"params": asked}
    said = target.server.client.request(method, "/graphql", **sent).json()
    assert {"runId": target.attacked.ended, "status": "SUCCESS"} in said["data"]["runsOrError"][
        "results"
    ]


def test_the_log_of_a_run_is_told_over_a_websocket(target: Target) -> None:
    document = """subscription ($run: ID!) { pipelineRunLogs(runId: $run) {
        ... on PipelineRunLogsSubscriptionSuccess { messages { ... on MessageEvent { message } } }
    } }"""
    with talking(target.server.url) as talk:
        talk.ask(document, run=target.attacked.ended)
        said = talk.next()
    assert said["type"] == "data"
    assert "it was so" in json.dumps(said["payload"])


def test_a_run_is_downloaded_as_a_file(target: Target) -> None:
    said = target.server.client.get(f"/download_debug/{target.attacked.ended}")
    assert said.status_code == httpx.codes.OK


def test_nobody_has_a_permission_and_the_configuration_is_not_shown(target: Target) -> None:
    said = target.server.post(
        "{ permissions { value } instance { info runLauncher { name } } }"
    ).data
    assert {one["value"] for one in said["permissions"]} == {False}
    assert said["instance"] == {"info": None, "runLauncher": {"name": "LaunchesNothing"}}


def test_the_code_servers_are_those_of_the_beginning(target: Target) -> None:
    assert target.server.code_servers() == target.processes
    assert target.server.locations() == {"attacked": "LOADED"}
