"""What an API is asked, and what its records become."""

import datetime as dt
from typing import Any

import pytest
from api_project import ApiProject
from factories import DAY, NEXT_DAY
from misbehaving_server import Asked, Reply, misbehaving

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.naming import WHOLE
from data_platform.sources.arrivals import Landing


def test_records_become_rows(api: ApiProject) -> None:
    records = [{"id": 1, "at": {"city": "Köln"}, "tags": ["a"]}, {"id": 2, "at": None}]
    with misbehaving(Reply({"data": {"items": records}})) as server:
        api.declare(f"{server.url}/orders", data_path="data.items")
        came = api.ask()
    assert [(row["id"], row["at__city"], row["tags"]) for row in came.rows] == [
        (1, "Köln", '["a"]'),
        (2, None, None),
    ]
    assert api.work.moved.rows == 2
    assert api.work.moved.bytes > 50


def test_no_digit_is_lost(api: ApiProject) -> None:
    body = b'[\n {"id": 12345678901234567890123, "x": 0.1,\r\n "t": "a\\nb"} \n]'
    with misbehaving(Reply(body=body)) as server:
        api.declare(server.url)
        (row,) = api.ask(types={"x": "DECIMAL(3,1)"}).rows
    assert str(row["id"]) == "12345678901234567890123"
    assert str(row["x"]) == "0.1"
    assert row["t"] == "a\nb"


@pytest.mark.parametrize(
    ("json", "values"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (["a", None], ["a", None]),
        ([[1], []], ["[1]", "[]"]),
    ],
)
def test_records_that_are_no_objects_are_values(api: ApiProject, json: Any, values: Any) -> None:
    with misbehaving(Reply(json)) as server:
        api.declare(server.url)
        assert [row["value"] for row in api.ask().rows] == values


def test_an_object_in_place_of_a_list_is_one_record(api: ApiProject) -> None:
    with misbehaving(Reply({"data": {"id": 7}})) as server:
        api.declare(server.url, data_path="data")
        assert api.ask().ids == [7]
        api.declare(server.url)
        assert [row["data__id"] for row in api.ask().rows] == [7]


def test_a_body_that_is_compressed_is_read(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1}] * 1000, gzip=True)) as server:
        api.declare(server.url)
        assert api.ask().ids == [1] * 1000


def test_utf_16_and_a_byte_order_mark_are_read(api: ApiProject) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        with misbehaving(Reply(body='[{"id": "é"}]'.encode(encoding))) as server:
            api.declare(server.url)
            assert api.ask().ids == ["é"]


def test_no_records_need_columns_that_are_known(api: ApiProject) -> None:
    with misbehaving(Reply([])) as server:
        api.declare(server.url)
        with pytest.raises(SourceError, match="there are no records, and nothing says which"):
            api.ask()
        assert api.ask(types={"id": "BIGINT"}).rows == []


def test_no_content_is_no_records(api: ApiProject) -> None:
    with misbehaving(Reply(status=204)) as server:
        api.declare(server.url)
        assert api.ask(types={"id": "BIGINT"}).rows == []


def test_a_key_that_the_platform_needs_is_told(api: ApiProject) -> None:
    with misbehaving(Reply([{"_Partition": 1}])) as server:
        api.declare(server.url)
        failed = api.ask().arrival.failed
    assert "a record has the key _partition, a name that the platform needs" in failed[WHOLE]


# Parameters -----------------------------------------------------------------------------------


def test_parameters_headers_and_body_are_sent(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1}])) as server:
        api.environ = {"REGION": "eu & co"}
        api.declare(
            f"{server.url}/search?fixed=1",
            method="POST",
            params={"region": "${REGION}", "n": 2, "yes": True, "kind": ["a", "b"]},
            headers={"X-Trace": "t-${REGION}"},
            body={"filter": {"region": "${REGION}", "limit": 5}, "words": ["x", "$${y}"]},
        )
        api.ask()
    (asked,) = server.asked
    assert asked.method == "POST"
    assert asked.pairs == [
        ("fixed", "1"), ("region", "eu & co"), ("n", "2"), ("yes", "true"), ("kind", "a"),
        ("kind", "b"),
    ]  # fmt: skip
    assert asked.headers["x-trace"] == "t-eu & co"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json == {"filter": {"region": "eu & co", "limit": 5}, "words": ["x", "${y}"]}


def test_a_body_that_is_text_is_sent_as_it_is(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1}])) as server:
        headers = {"Content-Type": "application/x-query"}
        api.declare(server.url, method="POST", body="from orders\n", headers=headers)
        api.ask()
    assert server.asked[0].body == b"from orders\n"
    assert server.asked[0].headers["content-type"] == "application/x-query"


def test_a_connection_has_address_headers_and_credentials(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1}])) as server:
        api.environ = {"URL": server.url, "TOKEN": "abc"}
        auth = {"type": "bearer", "token": "${TOKEN}"}
        api.connect(url="${URL}/v1/", headers={"X-App": "a", "X-Other": "o"}, auth=auth)
        api.declare(connection="api", path="/orders", headers={"x-app": "b"})
        api.ask()
    (asked,) = server.asked
    assert asked.path == "/v1/orders"
    assert (asked.headers["x-app"], asked.headers["x-other"]) == ("b", "o")
    assert asked.headers["authorization"] == "Bearer abc"


PARTITIONED: dict[str, Any] = {
    "params": {"day": ":partition_key", "from": ":partition_start", "to": ":partition_end"},
}


def of_day(asked: Asked) -> Reply:
    return Reply([{"id": asked.params["day"], "from": asked.params["from"]}])


def test_each_partition_asks_for_its_own(api: ApiProject) -> None:
    with misbehaving(of_day) as server:
        api.declare(server.url, daily=True, **PARTITIONED)
        came = api.ask(DAY, NEXT_DAY)
    assert [asked.params for asked in server.asked] == [
        {"day": DAY, "from": "2024-01-01T00:00:00Z", "to": "2024-01-02T00:00:00Z"},
        {"day": NEXT_DAY, "from": "2024-01-02T00:00:00Z", "to": "2024-01-03T00:00:00Z"},
    ]
    assert came.of(NEXT_DAY) == [{"id": NEXT_DAY, "from": "2024-01-02T00:00:00Z"}]


def test_times_have_the_offset_of_the_partitions_zone(api: ApiProject) -> None:
    with misbehaving(of_day) as server:
        zone = {"every": "day", "start": "2024-01-01", "timezone": "Europe/Berlin"}
        api.declare(server.url, daily=True, partitions=zone, **PARTITIONED)
        api.ask("2024-03-31")
    params = server.asked[0].params
    assert params["from"] == "2024-03-31T00:00:00+01:00"
    assert params["to"] == "2024-04-01T00:00:00+02:00"


def test_a_partition_stands_within_texts_paths_and_bodies(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1}])) as server:
        api.declare(
            f"{server.url}/days/:partition_key/orders",
            daily=True,
            method="POST",
            params={"q": "at:>=:partition_start at:<:partition_end"},
            body={"range": [":partition_start", ":partition_end"]},
        )
        api.ask(DAY)
    (asked,) = server.asked
    assert asked.path == f"/days/{DAY}/orders"
    assert asked.params["q"] == "at:>=2024-01-01T00:00:00Z at:<2024-01-02T00:00:00Z"
    assert asked.json == {"range": ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]}


def test_values_of_a_run_keep_their_type_and_are_no_references(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1}])) as server:
        api.declare(
            server.url,
            method="POST",
            parameters={
                "shop": {"type": "str", "default": "x"},
                "top": {"type": "int", "default": 3},
            },
            params={"shop": ":shop", "text": "a:shop"},
            body={"top": ":top"},
        )
        api.ask(parameters={"shop": "${HOME} &:partition_key"})
    (asked,) = server.asked
    assert asked.params == {"shop": "${HOME} &:partition_key", "text": "a:shop"}
    assert asked.json == {"top": 3}


def test_a_watermark_is_left_out_on_a_first_run(api: ApiProject) -> None:
    with misbehaving(Reply([{"id": 1, "at": "2024-01-01T00:00:00Z"}])) as server:
        api.declare(
            server.url,
            incremental={"cursor": "at"},
            params={"since": ":watermark", "q": "at:>:watermark", "fixed": "1"},
        )
        api.ask()
        api.ask(position={"watermark": "2024-02-01T00:00:00Z"})
    first, second = (asked.params for asked in server.asked)
    assert first == {"fixed": "1"}
    assert second["q"].startswith("at:>2024-02-01T00:00:00")
    assert second["since"].startswith("2024-02-01T00:00:00")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"params": {"a": ":partition_start"}}, ":partition_start has no value: the source has no"),
        ({"params": {"a": "x :partition_end"}}, ":partition_end has no value: the source has no"),
        ({"params": {"a": ":watermark"}}, ":watermark has no value: the source isn't"),
        ({"params": {"a": ":shop"}}, "there is no parameter :shop; there are none"),
        ({"path": "/x"}, "`path` goes with a `connection`"),
        ({"body": {"a": 1}}, "a GET has no body: say `method: POST`"),
        ({"url": "ftp://x/y"}, "the url must begin with http:// or https://"),
        (
            {"params": {"page": 1}, "pagination": {"type": "page"}},
            "page is set by the pagination: leave it out",
        ),
    ],
)
def test_what_is_wrong_with_a_request_is_told_at_load(
    api: ApiProject, keys: dict[str, Any], message: str
) -> None:
    api.declare(**{"url": "http://localhost", **keys})
    (problem,) = api.problems()
    assert message in problem


def test_partitions_that_all_ask_for_the_same_are_refused_at_load(api: ApiProject) -> None:
    api.declare("http://localhost", daily=True)
    (problem,) = api.problems()
    assert "each partition would ask for the same: name :partition_start" in problem


def test_an_address_that_would_be_too_long_is_told(api: ApiProject) -> None:
    api.declare("http://localhost:1", params={"q": "${LONG}"})
    api.environ = {"LONG": "x" * 70_000}
    assert "the address would be too long with q" in api.ask().arrival.failed[WHOLE]


# Failures -------------------------------------------------------------------------------------


def test_a_partition_that_is_refused_fails_alone(api: ApiProject) -> None:
    def script(asked: Asked) -> Reply:
        return Reply({"why": "gone"}, 404) if asked.params["day"] == DAY else of_day(asked)

    with misbehaving(script) as server:
        api.declare(server.url, daily=True, **PARTITIONED)
        came = api.ask(DAY, NEXT_DAY)
    assert len(server.asked) == 2
    assert came.ids == [NEXT_DAY]
    assert came.arrival.failed[DAY].startswith(f"raw/shop/orders {DAY}: GET {server.url}/?day=")
    assert came.arrival.failed[DAY].endswith('answered 404: {"why": "gone"}')


def test_trouble_that_may_pass_ends_the_step(api: ApiProject) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(status=503) if asked.params["day"] == NEXT_DAY else of_day(asked)

    with misbehaving(script) as server:
        api.declare(server.url, daily=True, **PARTITIONED)
        with pytest.raises(
            SourceUnavailable, match=rf"{NEXT_DAY}: GET .* answered 503: null \(4 tries"
        ):
            api.ask(DAY, NEXT_DAY)


def test_who_is_not_let_in_asks_no_further(api: ApiProject) -> None:
    with misbehaving(Reply({"error": "who?"}, 401)) as server:
        api.declare(server.url, daily=True, **PARTITIONED)
        with pytest.raises(SourceError, match=r'answered 401: {"error": "who\?"}'):
            api.ask(DAY, NEXT_DAY)
    assert len(server.asked) == 1


# Conditions -----------------------------------------------------------------------------------


def conditional(asked: Asked) -> Reply:
    if asked.headers.get("if-none-match") == '"v1"':
        return Reply(status=304)
    return Reply(
        [{"id": 1}], headers={"ETag": '"v1"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    )


def landing(marks: Any) -> dict[str, Any]:
    return {WHOLE: Landing("", dt.datetime.now(dt.UTC), marks)}


def test_what_did_not_change_costs_one_request(api: ApiProject) -> None:
    with misbehaving(conditional) as server:
        api.declare(server.url)
        marks = api.ask().arrival.marks[WHOLE]
        again = api.ask(landings=landing(marks)).arrival
    assert again.query is None
    assert again.unchanged == {WHOLE}
    assert len(server.asked) == 2
    assert server.asked[1].headers["if-modified-since"] == "Mon, 01 Jan 2024 00:00:00 GMT"


def test_another_request_is_asked_without_a_condition(api: ApiProject) -> None:
    with misbehaving(conditional) as server:
        api.declare(server.url)
        marks = api.ask().arrival.marks[WHOLE]
        api.declare(server.url, params={"all": True})
        assert api.ask(landings=landing(marks)).ids == [1]


def test_pages_are_asked_without_a_condition(api: ApiProject) -> None:
    with misbehaving(conditional) as server:
        api.declare(server.url, pagination={"type": "link"})
        came = api.ask()
        assert came.arrival.marks == {}
        assert "if-none-match" not in server.asked[0].headers


def test_not_modified_without_a_condition_is_an_error(api: ApiProject) -> None:
    with misbehaving(Reply(status=304)) as server:
        api.declare(server.url)
        assert (
            "it answered 304, and was asked without a condition" in api.ask().arrival.failed[WHOLE]
        )
