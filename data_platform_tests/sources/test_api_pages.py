# ruff: noqa: E501 -- cases stand in tables, one a line
"""Pages: all records, each once, or an error that says what is amiss."""

from collections.abc import Callable
from typing import Any

import pytest
from api_project import ApiProject
from misbehaving_server import Asked, Reply, misbehaving

from data_platform.errors import SourceUnavailable
from data_platform.plan.naming import WHOLE

RECORDS = [{"id": number, "name": f"n{number}"} for number in range(25)]
KINDS: dict[str, dict[str, Any]] = {
    "page": {"type": "page", "page_size": 10},
    "page from 0": {"type": "page", "page_size": 10, "first_page": 0, "page_param": "p", "size_param": "n"},
    "page with total": {"type": "page", "page_size": 10, "total_path": "total"},
    "page with has_more": {"type": "page", "page_size": 10, "has_more_path": "more"},
    "offset": {"type": "offset", "page_size": 10},
    "offset with total": {"type": "offset", "page_size": 10, "total_path": "total"},
    "cursor": {"type": "cursor", "next_path": "next.cursor", "cursor_param": "after"},
    "link": {"type": "link"},
}  # fmt: skip


class Shop:
    """An API that knows every kind of pagination, over as many records as it is given."""

    def __init__(self, records: list[dict[str, Any]], size: int = 10) -> None:
        self.records = records
        self.size = size

    def __call__(self, asked: Asked) -> Reply:
        params = asked.params
        if asked.method == "POST":
            params = {key: str(value) for key, value in asked.json.items()}
        start = self._start(params)
        size = int(params.get("per_page") or params.get("n") or params.get("limit") or self.size)
        end = start + size
        more = end < len(self.records)
        host = asked.headers["host"]
        body = {
            "items": self.records[start:end],
            "total": len(self.records),
            "more": more,
            "next": {"cursor": f"c{end}" if more else None},
        }
        link = {"Link": f'<http://{host}/orders?after=c{end}>; rel="next", </>; rel="first"'}
        return Reply(body, headers=link if more else {})

    def _start(self, params: dict[str, str]) -> int:
        if "page" in params:
            return (int(params["page"]) - 1) * int(params["per_page"])
        if "p" in params:
            return int(params["p"]) * int(params["n"])
        if "offset" in params:
            return int(params["offset"])
        return int(params.get("after", "c0")[1:])


Ask = Callable[..., Any]


@pytest.fixture
def ask(api: ApiProject) -> Ask:
    def asked(script: Any, kind: str = "page", *, keys: Any = None, **more: Any) -> Any:
        """What came, or why nothing did; and what was asked."""
        with misbehaving(script) as server:
            pagination = {**KINDS[kind], **more}
            source = {"data_path": "items", "pagination": pagination, **(keys or {})}
            api.declare(f"{server.url}/orders", **source)
            came = api.ask(types={"id": "BIGINT"})
            return came.arrival.failed.get(WHOLE) or came.ids, server.asked

    return asked


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
def test_every_record_comes_once(ask: Ask, kind: str, count: int) -> None:
    ids, _ = ask(Shop(RECORDS[:count]), kind)
    assert ids == list(range(count))


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        ("page", 4),
        ("page with total", 3),
        ("page with has_more", 3),
        ("offset", 4),
        ("cursor", 3),
        ("link", 3),
    ],
)
def test_no_page_is_asked_for_that_cannot_be(ask: Ask, kind: str, requests: int) -> None:
    _, asked = ask(Shop(RECORDS), kind)
    assert len(asked) == requests


def test_parameters_stay_from_page_to_page_but_not_with_links(ask: Ask) -> None:
    keys = {"params": {"shop": "a"}}
    _, asked = ask(Shop(RECORDS), "cursor", keys=keys)
    assert [one.params for one in asked] == [
        {"shop": "a"}, {"shop": "a", "after": "c10"}, {"shop": "a", "after": "c20"},
    ]  # fmt: skip
    _, asked = ask(Shop(RECORDS), "link", keys=keys)
    assert [one.params for one in asked] == [{"shop": "a"}, {"after": "c10"}, {"after": "c20"}]


def test_pages_are_asked_for_in_a_body_that_is_a_mapping(ask: Ask) -> None:
    keys = {"method": "POST", "body": {"shop": "a"}}
    ids, asked = ask(Shop(RECORDS), "offset", keys=keys)
    assert ids == list(range(25))
    assert asked[1].json == {"shop": "a", "offset": 10, "limit": 10}
    assert asked[1].params == {}


def test_a_server_that_gives_less_than_was_asked_for(ask: Ask) -> None:
    class Stingy(Shop):
        def __call__(self, asked: Asked) -> Reply:
            start = self._start(asked.params)
            return Reply({"items": self.records[start : start + 4]})

    assert ask(Stingy(RECORDS), "offset")[0] == list(range(25))


# The end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_more_than_max_pages_is_an_error(ask: Ask, kind: str) -> None:
    why, asked = ask(Shop(RECORDS), kind, max_pages=2)
    assert "there is more after 2 pages (20 records): raise max_pages" in why
    assert len(asked) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_as_max_pages_are_none(ask: Ask, kind: str) -> None:
    assert ask(Shop(RECORDS), kind, max_pages=3)[0] == list(range(25))
    assert ask(Shop(RECORDS[:20]), kind, max_pages=2)[0] == list(range(20))


def test_a_server_without_an_end_is_an_error(ask: Ask) -> None:
    numbers = iter(range(100))

    def script(_: Asked) -> Reply:
        number = next(numbers)
        return Reply({"items": [], "next": {"cursor": f"c{number}"}})

    why, asked = ask(script, "cursor", max_pages=5)
    assert "the server goes on after 5 pages and an empty one" in why
    assert len(asked) == 6


@pytest.mark.parametrize("kind", ["page with has_more", "cursor", "link"])
def test_an_empty_page_in_the_middle_is_not_the_end(ask: Ask, kind: str) -> None:
    class Gappy(Shop):
        def __call__(self, asked: Asked) -> Reply:
            reply = super().__call__(asked)
            return Reply({**reply.json, "items": []}, headers=reply.headers) if self._start(asked.params) == 10 else reply  # fmt: skip

    assert ask(Gappy(RECORDS), kind)[0] == [*range(10), *range(20, 25)]


def test_an_offset_that_cannot_move_is_an_error(ask: Ask) -> None:
    why, asked = ask(Reply({"items": [], "more": True}), "offset", has_more_path="more")
    assert (
        "names a page as the next one that it gave already; the pages were asked for 3 times" in why
    )
    assert len(asked) == 3


# What doesn't fit together --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["page", "offset", "cursor", "link"])
def test_a_page_that_comes_twice_is_asked_for_again(ask: Ask, kind: str) -> None:
    class Twice(Shop):
        faults = 1

        def __call__(self, asked: Asked) -> Reply:
            reply = super().__call__(asked)
            if self._start(asked.params) == 10 and self.faults:
                self.faults -= 1
                return Reply({**reply.json, "items": self.records[:10]}, headers=reply.headers)
            return reply

    assert ask(Twice(RECORDS), kind)[0] == list(range(25))
    Twice.faults = 100
    why, asked = ask(Twice(RECORDS), kind)
    assert "page 2 has the very records of the page before; the pages were asked for 3" in why
    assert len(asked) == 6


@pytest.mark.parametrize("kind", ["cursor", "link"])
def test_pages_that_go_round_are_an_error(ask: Ask, kind: str) -> None:
    def script(asked: Asked) -> Reply:
        here = asked.params.get("after", "c0")
        following = {"c0": "c1", "c1": "c2", "c2": "c1"}[here]
        link = {"Link": f'</orders?after={following}>; rel="next"'}
        return Reply({"items": [{"id": int(here[1])}], "next": {"cursor": following}}, headers=link)

    assert "names a page as the next one that it gave already" in ask(script, kind)[0]


def test_a_total_that_changes_is_asked_for_again(ask: Ask) -> None:
    class Growing(Shop):
        def __call__(self, asked: Asked) -> Reply:
            reply = super().__call__(asked)
            if asked.params["page"] == "1" and len(self.records) == 24:
                self.records = RECORDS
            return reply

    ids, asked = ask(Growing(RECORDS[:24]), "page with total")
    assert ids == list(range(25))
    assert len(asked) == 5


def test_data_that_never_stands_still_may_pass_later(ask: Ask) -> None:
    totals = iter(range(100, 200))
    script = lambda asked: Reply({**Shop(RECORDS)(asked).json, "total": next(totals)})  # noqa: E731
    with pytest.raises(
        SourceUnavailable,
        match="total was 104 on the first page and is 105 on page 2: the data changed between pages; the pages were asked for 3 times",
    ):
        ask(script, "page with total")


@pytest.mark.parametrize(
    ("total", "kind"), [(26, "page with total"), (26, "offset with total"), (11, "page with total")]
)
def test_a_total_that_is_not_kept_is_an_error(ask: Ask, total: int, kind: str) -> None:
    script = lambda asked: Reply({**Shop(RECORDS)(asked).json, "total": total})  # noqa: E731
    assert f"total says {total} records, and there came" in ask(script, kind)[0]


@pytest.mark.parametrize("total", [None, "many", -1, True, 2.5, [1]])
def test_a_total_that_is_no_number_is_an_error(ask: Ask, total: Any) -> None:
    script = lambda asked: Reply({**Shop(RECORDS)(asked).json, "total": total})  # noqa: E731
    assert "total is no number in the answer" in ask(script, "page with total")[0]


def test_a_total_as_text_counts(ask: Ask) -> None:
    script = lambda asked: Reply({**Shop(RECORDS)(asked).json, "total": "25"})  # noqa: E731
    assert ask(script, "page with total")[0] == list(range(25))


@pytest.mark.parametrize(
    ("kind", "path"), [("page with total", "total_path"), ("page with has_more", "has_more_path")]
)
def test_a_path_that_leads_nowhere_is_an_error(ask: Ask, kind: str, path: str) -> None:
    assert "meta.x isn't there in the answer" in ask(Shop(RECORDS), kind, **{path: "meta.x"})[0]


def test_a_page_that_is_larger_than_asked_for_is_an_error(ask: Ask) -> None:
    script = Reply({"items": RECORDS})
    why = ask(script, "page")[0]
    assert (
        "page 1 has 25 records, and 10 were asked for: the server doesn't know the parameter" in why
    )


def test_a_cursor_that_is_none_is_an_error(ask: Ask) -> None:
    script = Reply({"items": RECORDS, "next": {"cursor": {"id": 7}}})
    assert "next.cursor is no cursor in the answer" in ask(script, "cursor")[0]


@pytest.mark.parametrize("end", [None, "", 0, False])
def test_a_cursor_that_says_nothing_is_the_end(ask: Ask, end: Any) -> None:
    assert ask(Reply({"items": RECORDS, "next": {"cursor": end}}), "cursor")[0] == list(range(25))
    assert ask(Reply({"items": RECORDS}), "cursor")[0] == list(range(25))


def test_pages_without_a_path_must_be_lists(ask: Ask) -> None:
    why, _ = ask(Reply({"error": "no"}), "page", keys={"data_path": None})
    assert "the answer is one object with the keys error: say in data_path" in why


def test_an_error_on_a_later_page_leaves_nothing(ask: Ask) -> None:
    script = [
        Shop(RECORDS)(Asked("GET", "", {"page": "1", "per_page": "10"}, {"host": "x"}, b"")),
        Reply({"error": "full"}),
    ]
    assert "there is no 'items' in the answer; it has the keys error" in ask(script, "page")[0]


def test_trouble_on_a_later_page_is_asked_for_again(ask: Ask) -> None:
    shop, count = Shop(RECORDS), iter(range(100))
    script = lambda asked: Reply(status=503) if next(count) % 2 else shop(asked)  # noqa: E731
    ids, asked = ask(script, "offset")
    assert ids == list(range(25))
    assert len(asked) == 7
