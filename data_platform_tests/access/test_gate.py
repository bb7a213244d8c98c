"""What the gate before Dagster's webserver lets in, by its rules: prefixes, origins, options."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from click.testing import CliRunner
from dagster import DagsterInstance
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from starlette.testclient import TestClient

from data_platform.cli import main
from data_platform.instance.users import request_of, user_of_request
from data_platform.webserver.app import PlatformWebserver
from data_platform.webserver.contexts import PlatformProcessContext
from data_platform.webserver.gate import Rules, named

PREFIX = "/dagster"
READ = {"query": "{ version }"}
CHANGE = {"query": "mutation { setAutoMaterializePaused(paused: true) }"}
SITE = "https://dagster.example.com"


@pytest.fixture
def client(instance: DagsterInstance) -> Iterator[Callable[[Rules], TestClient]]:
    """Of a server without code locations; each is asked in this process."""
    opened: list[PlatformProcessContext] = []

    def made(rules: Rules) -> TestClient:
        target = EmptyWorkspaceTarget()
        context = PlatformProcessContext(instance, target, read_only=rules.read_only)
        opened.append(context.__enter__())
        return TestClient(PlatformWebserver(context, rules).create_asgi_app())

    yield made
    for one in opened:
        one.__exit__(None, None, None)


def test_a_prefix_opens_no_way_around(client: Callable[[Rules], TestClient]) -> None:
    reading = client(Rules(read_only=True, prefix=PREFIX))
    assert reading.get(f"{PREFIX}/server_info").status_code == httpx.codes.OK
    assert reading.post(f"{PREFIX}/graphql", json=READ).status_code == httpx.codes.OK
    for path in ("/graphql", "/report_asset_materialization/orders", "/report_asset_check/orders"):
        for begun in ("", PREFIX, f"{PREFIX}{PREFIX}"):
            said = reading.post(begun + path, json=CHANGE)
            assert said.status_code in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND)


def test_an_origin_that_is_named_may_change_things(client: Callable[[Rules], TestClient]) -> None:
    of_site = client(Rules(origins=frozenset({SITE})))
    assert of_site.post("/graphql", json=CHANGE, headers={"Origin": SITE}).is_success
    for other in ("https://dagster.example.com.evil.example", "http://dagster.example.com", ""):
        said = of_site.post("/graphql", json=CHANGE, headers={"Origin": other})
        assert said.status_code == httpx.codes.FORBIDDEN


def test_an_origin_is_compared_with_its_case_and_port(
    client: Callable[[Rules], TestClient],
) -> None:
    server = client(Rules())
    headers = {"Host": "dagster.example.com:8443"}
    said = server.post(
        "/graphql", json=CHANGE, headers={**headers, "Origin": "https://DAGSTER.example.com:8443"}
    )
    assert said.is_success
    said = server.post("/graphql", json=CHANGE, headers={**headers, "Origin": SITE})
    assert said.status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize(
    ("said", "user"),
    [
        ([], None),
        ([""], None),
        (["   "], None),
        (["ann@example.com", "ann@example.com"], None),
        ([" ann@example.com "], "ann@example.com"),
        (["ann\x1b[31m@example.com"], "ann[31m@example.com"),
        (["bj\xc3\xb8rk"], "bj\u00f8rk"),
        (["\xff"], "\ufffd"),
        (["a" * 1000], "a" * 254),
    ],
    ids=["none", "empty", "blank", "two", "spaces", "steering", "utf_8", "latin_1", "long"],
)
def test_a_user_is_what_one_header_says(said: list[str], user: str | None) -> None:
    assert named(said) == user


def test_a_request_is_of_nobody_once_it_is_answered() -> None:
    with request_of("ann"):
        with request_of(None):
            assert user_of_request() is None
        assert user_of_request() == "ann"
    assert user_of_request() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--origin", "dagster.example.com"], "is no origin"),
        (["--origin", "https://dagster.example.com/"], "is no origin"),
        (["--path-prefix", "dagster"], "must begin with a slash"),
        (["--path-prefix", "/dagster/"], "must begin with a slash"),
        (["--workspace", "nowhere.yaml"], "does not exist"),
        (["--port", "0"], "is not in the range"),
    ],
    ids=["no_scheme", "with_a_path", "no_slash", "slash_at_the_end", "no_file", "no_port"],
)
def test_options_that_cannot_be_are_refused(arguments: list[str], message: str) -> None:
    said = CliRunner().invoke(main, ["webserver", *arguments])
    assert said.exit_code == 2
    assert message in said.output
