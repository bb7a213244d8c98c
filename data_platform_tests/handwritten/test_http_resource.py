# ruff: noqa: E501 -- YAML stands in lines
"""A connection of type api in hand-written assets: an httpx client that asks as sources do."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import stamina
from misbehaving_server import Asked, Reply, misbehaving

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.resources import HttpResource

CODE = """
    from data_platform.resources import HttpResource

    @dg.asset(partitions_def=daily)
    def rates(context: dg.AssetExecutionContext, bank: HttpResource) -> pd.DataFrame:
        with bank.get_client() as client:
            answer = client.get("rates", params={"day": context.partition_key})
            return pd.DataFrame(answer.raise_for_status().json())
"""


def rates(asked: Asked) -> Reply:
    known = asked.headers.get("authorization") == "Bearer abc" and asked.path == "/v1/rates"
    return Reply(
        [{"day": asked.params["day"], "rate": 1.5}] if known else {}, 200 if known else 401
    )


def test_an_asset_of_ones_own_asks_an_api(sales, monkeypatch):
    with misbehaving(rates) as server:
        monkeypatch.setenv("BANK_URL", f"{server.url}/v1")
        monkeypatch.setenv("BANK_TOKEN", "abc")
        (sales.folder / "pipelines" / "platform.yaml").write_text(
            "lake: {root: .data/lake}\nconnections:\n  bank:\n    type: api\n    url: '${BANK_URL}'\n"
            "    auth: {type: bearer, token: '${BANK_TOKEN}'}\n"
        )
        sales.write(CODE)
        assert sales.run(["2024-01-01", "2024-01-02"], ["analytics/rates"]).success
    assert sales.rows("SELECT day, rate FROM sales.analytics.rates ORDER BY day") == [
        ("2024-01-01", 1.5),
        ("2024-01-02", 1.5),
    ]


def test_every_kind_of_credentials_makes_a_resource(sales):
    (sales.folder / "pipelines" / "platform.yaml").write_text(
        "connections:\n"
        "  a: {type: api, url: 'http://a', auth: {type: oauth2, token_url: 'http://a/t',"
        " client_id: me, client_secret: '${A}'}}\n"
        "  b: {type: api, url: 'http://b', auth: {type: api_key, name: k, value: '${B}', in: query}}\n"
        "  c: {type: api, url: 'http://c', headers: {X: y}, rate_limit: 5/s}\n"
    )
    sales.write(CODE.replace("bank", "a"))
    assert sales.definitions().resolve_all_asset_specs()


@pytest.fixture
def waitless():
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


def test_a_client_tries_again_and_gives_refusals_as_answers(waitless):
    replies = [
        Reply(status=503),
        Reply({"a": 1}, headers={"X": "y"}, gzip=True),
        Reply({"no": 1}, 404),
    ]
    with misbehaving(replies) as server, HttpResource(url=server.url).get_client() as client:
        answer = client.get("/a", params={"q": "ü"}, headers={"X-Own": "o"})
        assert (answer.json(), answer.headers["x"]) == ({"a": 1}, "y")
        refused = client.get("b")
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            refused.raise_for_status()
    assert [asked.path for asked in server.asked] == ["/a", "/a", "/b"]
    assert server.asked[0].params == {"q": "ü"}
    assert server.asked[0].headers["x-own"] == "o"


def test_what_may_change_something_is_not_sent_twice(waitless):
    with (
        misbehaving(Reply(reset=True)) as server,
        HttpResource(url=server.url).get_client() as client,
    ):
        with pytest.raises(SourceUnavailable):
            client.post("/a", json={"n": 1})
        assert len(server.asked) == 1
        with pytest.raises(SourceUnavailable, match="4 tries"):
            client.put("/a", json={"n": 1})
        assert [asked.json for asked in server.asked] == [{"n": 1}] * 5


def test_what_the_server_surely_did_not_do_is_sent_again(waitless):
    replies = [Reply(status=429), Reply(status=503), Reply({"ok": 1})]
    with misbehaving(replies) as server, HttpResource(url=server.url).get_client() as client:
        assert client.post("/a", json={"n": 1}).json() == {"ok": 1}
    assert len(server.asked) == 3


def test_another_server_gets_no_credentials(waitless):
    auth = {"type": "bearer", "token": "abc"}
    with misbehaving(Reply({})) as home, misbehaving(Reply({})) as other:
        resource = HttpResource(url=home.url, auth=auth, headers={"X-Key": "k"})
        with resource.get_client() as client:
            client.get(f"{other.url}/x")
            client.get("/y")
    assert not {"authorization", "x-key"} & set(other.asked[0].headers)
    assert home.asked[0].headers["authorization"] == "Bearer abc"
    assert home.asked[0].headers["x-key"] == "k"


def test_the_time_is_of_the_whole_answer(waitless):
    with (
        misbehaving(Reply([1] * 100, drip=0.1)) as server,
        HttpResource(url=server.url).get_client(timeout=0.3) as client,
        pytest.raises(SourceUnavailable, match=r"no whole answer within 0.3 s \(4 tries\)"),
    ):
        client.get("/")


def test_an_address_that_is_none_is_told():
    with (
        pytest.raises(SourceError, match="the url is no address"),
        HttpResource(url="shop").get_client(),
    ):
        pass


def test_requests_at_the_same_time_share_a_token_and_its_renewal(waitless):
    tokens = iter(range(1, 100))
    newest = [0]

    def script(asked: Asked) -> Reply:
        if asked.path == "/token":
            newest[0] = next(tokens)
            return Reply({"access_token": f"t{newest[0]}"})
        known = asked.headers["authorization"] == f"Bearer t{newest[0]}" and newest[0] > 1
        return Reply({"ok": 1}, wait=0.05) if known else Reply(status=401, wait=0.05)

    with misbehaving(script) as server:
        auth = {
            "type": "oauth2",
            "token_url": f"{server.url}/token",
            "client_id": "me",
            "client_secret": "abc",
        }
        with (
            HttpResource(url=server.url, auth=auth).get_client() as client,
            ThreadPoolExecutor(8) as pool,
        ):
            answers = list(pool.map(client.get, ["/a"] * 8))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert newest == [2]
