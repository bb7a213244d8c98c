# ruff: noqa: E501 -- cases stand in tables, one a line
"""Who asks: shown to the first origin only, renewed where it ends, and never told to anybody."""

import base64
import logging
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx
import pytest
from api_project import ApiProject
from factories import DAY, NEXT_DAY
from misbehaving_server import Asked, MisbehavingServer, Reply, misbehaving

from data_platform.errors import PlatformError, SourceError, SourceUnavailable
from data_platform.plan.naming import WHOLE
from data_platform.sources.http.asking import Manner
from data_platform.sources.http.auth import ClientCredentials, Signature
from data_platform.sources.http.masking import Secrets
from data_platform.sources.http.requests import Answer, Request, origin_of
from data_platform.spec.http import ApiKeyAuth, BasicAuth, BearerAuth, OAuth2Auth, RequestRetry
from data_platform.spec.platform import ApiConnection

SECRET = "s3cr3t/+ü"
QUOTED = "s3cr3t%2F%2B%C3%BC"
GOOD = Reply([{"id": 1}])


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "headers", "params"),
    [
        ({"type": "bearer", "token": "${TOKEN}"}, {"authorization": "Bearer abc"}, {}),
        (
            {"type": "basic", "username": "me", "password": "${SECRET}"},
            {"authorization": basic("me", SECRET)},
            {},
        ),
        ({"type": "api_key", "name": "X-Key", "value": "${TOKEN}"}, {"x-key": "abc"}, {}),
        (
            {"type": "api_key", "name": "key", "value": "${SECRET}", "in": "query"},
            {},
            {"key": SECRET},
        ),
    ],
)
def test_credentials_go_where_they_belong(
    api: ApiProject, auth: dict[str, str], headers: dict[str, str], params: dict[str, str]
) -> None:
    with misbehaving(GOOD) as server:
        api.environ = {"TOKEN": "abc", "SECRET": SECRET}
        api.declare(server.url, auth=auth)
        assert api.ask().ids == [1]
    (asked,) = server.asked
    assert {name: asked.headers.get(name) for name in headers} == headers
    assert asked.params == params


def test_a_source_asks_in_its_own_name_before_its_connections(api: ApiProject) -> None:
    with misbehaving(GOOD) as server:
        api.connect(url=server.url, auth={"type": "bearer", "token": "theirs"})
        api.declare(connection="api", auth={"type": "bearer", "token": "own"})
        api.ask()
    assert server.asked[0].headers["authorization"] == "Bearer own"


def test_a_name_in_the_address_is_basic_authentication_and_not_shown(api: ApiProject) -> None:
    with misbehaving(Reply(status=404)) as server:
        url = server.url.replace("http://", "http://me:geheim@")
        api.declare(f"{url}/a")
        failed = api.ask().arrival.failed[WHOLE]
    assert server.asked[0].headers["authorization"] == basic("me", "geheim")
    assert "geheim" not in failed
    assert f"{server.url}/a answered 404" in failed


# Other origins --------------------------------------------------------------------------------


@pytest.fixture
def elsewhere() -> Iterator[MisbehavingServer]:
    with misbehaving(GOOD) as server:
        yield server


CREDENTIALS: dict[str, Any] = {
    "auth": {"type": "api_key", "name": "key", "value": "abc123", "in": "query"},
    "headers": {"X-Token": "xyz789", "Cookie": "session=1"},
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_elsewhere_goes_without_credentials(
    api: ApiProject, elsewhere: MisbehavingServer, status: int
) -> None:
    with misbehaving(Reply(status=status, headers={"Location": f"{elsewhere.url}/x"})) as server:
        api.declare(server.url, **CREDENTIALS)
        assert api.ask().ids == [1]
    (asked,) = elsewhere.asked
    assert asked.params == {}
    assert not {"x-token", "cookie", "authorization"} & set(asked.headers)
    assert server.asked[0].params == {"key": "abc123"}


def test_a_link_elsewhere_goes_without_credentials(
    api: ApiProject, elsewhere: MisbehavingServer
) -> None:
    link = {"Link": f'<{elsewhere.url}/next>; rel="next"'}
    with misbehaving(Reply([{"id": 0}], headers=link)) as server:
        api.declare(server.url, pagination={"type": "link"}, **CREDENTIALS)
        assert api.ask().ids == [0, 1]
    (asked,) = elsewhere.asked
    assert asked.params == {}
    assert not {"x-token", "cookie"} & set(asked.headers)


def test_links_and_redirects_at_home_go_with_credentials(api: ApiProject) -> None:
    link = {"Link": '</next?after=1>; rel="next"'}
    replies = [
        Reply([{"id": 0}], headers=link),
        Reply(status=302, headers={"Location": "/y?z=1"}),
        GOOD,
    ]
    with misbehaving(replies) as server:
        api.declare(server.url, pagination={"type": "link"}, **CREDENTIALS)
        assert api.ask().ids == [0, 1]
    assert [asked.params for asked in server.asked] == [
        {"key": "abc123"}, {"after": "1", "key": "abc123"}, {"z": "1", "key": "abc123"},
    ]  # fmt: skip
    assert {asked.headers["x-token"] for asked in server.asked} == {"xyz789"}


def test_cookies_of_a_server_go_nowhere(api: ApiProject, elsewhere: MisbehavingServer) -> None:
    headers = {"Location": f"{elsewhere.url}/x", "Set-Cookie": "a=1"}
    with misbehaving(Reply(status=302, headers=headers)) as server:
        api.declare(server.url)
        api.ask()
    assert "cookie" not in elsewhere.asked[0].headers


def test_what_is_posted_goes_to_no_other_server(
    api: ApiProject, elsewhere: MisbehavingServer
) -> None:
    with misbehaving(Reply(status=307, headers={"Location": elsewhere.url})) as server:
        api.declare(server.url, method="POST", body={"a": 1})
        assert "redirects what is sent to it to another server" in api.ask().arrival.failed[WHOLE]
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/", "more than 5 redirects"),
        ("file:///etc/passwd", "redirects to what is no address of the web"),
        ("http://x:port/", "redirects to what is no address of the web"),
        ("", "more than 5 redirects"),
    ],
)
def test_redirects_are_followed_within_reason(api: ApiProject, location: str, message: str) -> None:
    with misbehaving(Reply(status=302, headers={"Location": location})) as server:
        api.declare(server.url)
        assert message in api.ask().arrival.failed[WHOLE]
    assert len(server.asked) <= 6


def test_a_redirect_to_nowhere_is_an_error(api: ApiProject) -> None:
    with misbehaving(Reply(status=302)) as server:
        api.declare(server.url)
        assert "answered 302" in api.ask().arrival.failed[WHOLE]


# OAuth2 ---------------------------------------------------------------------------------------


class TokenServer:
    """Gives tokens `t1`, `t2`, ... and records to who has the newest.

    Args:
        life: of a token as it is told; None leaves it out.
        in_form: whether credentials are taken in the form only.
    """

    def __init__(self, life: int | None = 3600, *, in_form: bool = False) -> None:
        self.life = life
        self.in_form = in_form
        self.given = 0
        self.revoked = 0
        self.tokens: list[Asked] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            return self._token(asked)
        valid = (
            self.given > self.revoked and asked.headers["authorization"] == f"Bearer t{self.given}"
        )
        return GOOD if valid else Reply({"error": "expired"}, 401)

    def _token(self, asked: Asked) -> Reply:
        self.tokens.append(asked)
        form = parse_qs(asked.body.decode())
        if self.in_form and "client_secret" not in form:
            return Reply({"error": "invalid_client"}, 401)
        self.given += 1
        life = {"expires_in": self.life} if self.life is not None else {}
        return Reply({"access_token": f"t{self.given}", "token_type": "Bearer", **life})


def oauth(api: ApiProject, server: MisbehavingServer, **keys: Any) -> None:
    api.environ = {"SECRET": SECRET}
    auth = {
        "type": "oauth2",
        "token_url": f"{server.url}/token",
        "client_id": "me",
        "client_secret": "${SECRET}",
    }
    api.declare(f"{server.url}/orders", auth={**auth, **keys.pop("auth", {})}, **keys)


def test_a_token_is_asked_for_as_the_rfc_says(api: ApiProject) -> None:
    tokens = TokenServer()
    with misbehaving(tokens) as server:
        oauth(api, server, auth={"scope": "read all"})
        assert api.ask().ids == [1]
    (asked,) = tokens.tokens
    assert asked.method == "POST"
    assert asked.headers["authorization"] == basic("me", QUOTED)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["read all"],
    }


def test_a_server_that_takes_credentials_in_the_form_only(api: ApiProject) -> None:
    tokens = TokenServer(in_form=True)
    with misbehaving(tokens) as server:
        oauth(api, server)
        assert api.ask().ids == [1]
    assert parse_qs(tokens.tokens[1].body.decode())["client_secret"] == [SECRET]


@pytest.mark.parametrize("life", [3600, None])
def test_partitions_share_a_token(api: ApiProject, life: int | None) -> None:
    tokens = TokenServer(life)
    with misbehaving(tokens) as server:
        oauth(api, server, daily=True, params={"day": ":partition_key"})
        assert api.ask(DAY, NEXT_DAY).ids == [1, 1]
    assert tokens.given == 1


def test_a_token_that_is_refused_is_renewed_once(api: ApiProject) -> None:
    tokens = TokenServer()

    def script(asked: Asked) -> Reply:
        if asked.path == "/orders" and asked.params["day"] == NEXT_DAY and tokens.given == 1:
            tokens.revoked = 1
        return tokens(asked)

    with misbehaving(script) as server:
        oauth(api, server, daily=True, params={"day": ":partition_key"})
        assert api.ask(DAY, NEXT_DAY).ids == [1, 1]
    assert tokens.given == 2


def test_a_token_that_is_refused_twice_is_an_error(api: ApiProject) -> None:
    tokens = TokenServer()
    tokens.revoked = 100
    with misbehaving(tokens) as server:
        oauth(api, server)
        with pytest.raises(SourceError, match=r'answered 401: {"error": "expired"}'):
            api.ask()
    assert tokens.given == 2
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply({"error": "invalid_client", "error_description": f"bad {SECRET}"}, 401), "gave no token: status 401, invalid_client: bad ***"),
        (Reply({"id_token": "eyJsecret"}), "gave no token: status 200, keys id_token"),
        (Reply(body=b"<html>"), "gave no token: status 200, <html>"),
        (Reply({"access_token": ""}), "gave no token: status 200, keys access_token"),
    ],
)  # fmt: skip
def test_no_token_is_an_error_that_says_why(api: ApiProject, reply: Reply, message: str) -> None:
    with misbehaving(reply) as server:
        oauth(api, server)
        with pytest.raises(SourceError, match=r"raw/shop/orders: .*/token") as raised:
            api.ask()
    assert message in str(raised.value)
    assert "eyJsecret" not in str(raised.value)


def test_trouble_of_the_server_of_tokens_may_pass(api: ApiProject) -> None:
    with misbehaving(Reply(status=503)) as server:
        oauth(api, server)
        with pytest.raises(SourceUnavailable, match=r"/token answered 503: null \(4 tries\)"):
            api.ask()


@pytest.mark.parametrize(
    ("life", "kept"),
    [(3600, 3570), (100, 90), ("60", 54), (None, 10**6), ("soon", 10**6), (0, 10**6)],
)
def test_a_token_is_kept_until_shortly_before_its_end(life: Any, kept: float) -> None:
    now = [0.0]
    count = [0]

    async def ask(request: Request) -> Answer:
        count[0] += 1
        body = b'{"access_token": "a%d", "expires_in": %s}' % (
            count[0], b"null" if life is None else b'"%s"' % str(life).encode(),
        )  # fmt: skip
        return Answer(request, 200, {}, body)  # type: ignore[arg-type]

    auth = OAuth2Auth(type="oauth2", token_url="http://x/t", client_id="a", client_secret="b")
    credentials = ClientCredentials(auth, Secrets(), ask, lambda: now[0])

    async def tokens() -> None:
        for moment in (0.0, kept - 1, kept + 1):
            now[0] = moment
            await credentials.signature()

    anyio.run(tokens)
    assert count[0] == (1 if kept == 10**6 else 2)


# Nothing is told ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 401, 503])
@pytest.mark.parametrize(
    "keys",
    [
        {"auth": {"type": "bearer", "token": "${SECRET}"}},
        {"auth": {"type": "basic", "username": "me", "password": "${SECRET}"}},
        {"auth": {"type": "api_key", "name": "key", "value": "${SECRET}", "in": "query"}},
        {"auth": {"type": "api_key", "name": "X-Key", "value": "${SECRET}"}},
        {"headers": {"X-Other": "a ${SECRET}"}},
        {"headers": {"Authorization": f"Bearer {SECRET}"}},
        {"params": {"sig": "${SECRET}"}},
        {"method": "POST", "body": {"password": "${SECRET}"}},
    ],
)
def test_a_secret_that_the_server_repeats_is_masked(
    api: ApiProject, keys: dict[str, Any], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def script(asked: Asked) -> Reply:
        told = f"{asked.headers} {asked.params} {asked.body.decode()} {SECRET}"
        return Reply(body=told.encode(), status=status)

    api.environ = {"SECRET": "s3cr3t-abc"}
    keys = {name: _with(value) for name, value in keys.items()}
    with misbehaving(script) as server, caplog.at_level(logging.DEBUG, "dagster"):
        api.declare(server.url, **keys)
        shown = failure(api) + caplog.text
    assert "s3cr3t-abc" not in shown
    assert base64.b64encode(b"me:s3cr3t-abc").decode() not in shown
    assert f"answered {status}" in shown
    assert "chained" not in shown or "chained: [None, None]" in shown


def failure(api: ApiProject) -> str:
    """Why nothing came, with all that hangs on the error."""
    try:
        return str(api.ask().arrival.failed)
    except PlatformError as error:
        chained = [error.__cause__, error.__context__]
        return "".join(traceback.format_exception(error)) + f"chained: {chained}"


def _with(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: text.replace(SECRET, "s3cr3t-abc") for name, text in value.items()}
    return value


@pytest.mark.parametrize("token", ["abc\ndef", "töken"])
def test_a_token_that_http_cannot_carry_is_not_quoted(api: ApiProject, token: str) -> None:
    with misbehaving(GOOD) as server:
        api.environ = {"TOKEN": token}
        api.declare(server.url, auth={"type": "bearer", "token": "${TOKEN}"})
        failed = api.ask().arrival.failed[WHOLE]
    assert "a header holds what HTTP can't carry, such as a line break" in failed
    assert token[:3] not in failed.replace(server.url, "")


def test_a_variable_that_is_not_set_is_told(api: ApiProject) -> None:
    with misbehaving(GOOD) as server:
        api.declare(server.url, auth={"type": "bearer", "token": "${NO_SUCH_TOKEN}"})
        with pytest.raises(PlatformError, match="the variable NO_SUCH_TOKEN is not set"):
            api.ask()


def test_secrets_are_in_no_repr() -> None:
    auth = OAuth2Auth(type="oauth2", token_url="http://x/t", client_id="a", client_secret=SECRET)
    url = httpx.URL(f"http://me:{QUOTED}@x/?key={QUOTED}")
    held: list[Any] = [
        auth,
        BearerAuth(type="bearer", token=SECRET),
        BasicAuth(type="basic", username="a", password=SECRET),
        ApiKeyAuth(type="api_key", name="a", value=SECRET),
        ApiConnection(type="api", url="http://x", headers={"X-Key": SECRET}, auth=auth),
        Manner(url, RequestRetry(), {"X-Key": SECRET}, auth),
        Request("GET", url, origin_of(url), {"X-Key": SECRET}, {"a": SECRET}, SECRET.encode()),
        Signature({"X-Key": SECRET}, {"key": SECRET}),
    ]
    assert not [one for one in held if "s3cr3t" in repr(one)]


def test_a_secret_at_the_border_of_an_excerpt_is_masked_whole(api: ApiProject) -> None:
    with misbehaving(Reply(body=b"x" * 195 + b"s3cr3t-abc and more")) as server:
        api.declare(server.url, auth={"type": "bearer", "token": "s3cr3t-abc"})
        failed = api.ask().arrival.failed[WHOLE]
    assert "s3cr" not in failed
    assert "***" in failed
