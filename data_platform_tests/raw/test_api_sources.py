"""Records of an API as a raw asset: landed as others are, nothing new where nothing changed."""

import pytest
from factories import DAY, NEXT_DAY, Project, verdict
from misbehaving_server import Asked, Reply, misbehaving

from data_platform.errors import SourceError
from data_platform.quality.gate import Passage

DAILY = """sources:
  orders:
    type: api
    url: {url}/orders
    params: {{day: ":partition_key"}}
    data_path: items
"""
WHOLE_TABLE = """sources:
  orders:
    type: api
    url: {url}/orders
    partitions: none
"""


def of_day(asked: Asked) -> Reply:
    day = asked.params["day"]
    items = [{"id": n, "day": day, "at": {"n": n / 2}} for n in range(3)]
    return Reply({"items": items if day != "2024-01-03" else []})


def test_days_land_with_their_own_rows(project: Project) -> None:
    with misbehaving(of_day) as server:
        project.declare(DAILY.format(url=server.url), daily=True)
        passage = project.land_source("orders", DAY, NEXT_DAY, "2024-01-03")
        assert not passage.failed
        assert passage.rows_in == {DAY: 3, NEXT_DAY: 3, "2024-01-03": 0}
        again = project.land_source("orders", NEXT_DAY)
    assert project.rows("raw/orders", NEXT_DAY) == [
        {"id": n, "day": NEXT_DAY, "at__n": n / 2} for n in range(3)
    ]
    assert again.publication is not None
    assert not again.publication.changed


def test_a_day_that_is_refused_leaves_the_others(project: Project) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(status=404) if asked.params["day"] == DAY else of_day(asked)

    with misbehaving(script) as server:
        project.declare(DAILY.format(url=server.url), daily=True)
        passage = project.land_source("orders", DAY, NEXT_DAY)
    assert list(passage.failed) == [DAY]
    assert len(project.rows("raw/orders")) == 3


def test_columns_that_come_and_go_are_told(project: Project) -> None:
    with misbehaving([Reply([{"a": 1}]), Reply([{"a": 2, "b": {"c": True}}])]) as server:
        project.declare(WHOLE_TABLE.format(url=server.url))
        project.land_source("orders")
        passage = project.land_source("orders")
    assert verdict(passage, "new_columns") == "warn"
    assert project.rows("raw/orders") == [{"a": 2, "b__c": True}]


def test_a_value_of_another_type_names_its_column(project: Project) -> None:
    with misbehaving([Reply([{"a": 1}]), Reply([{"a": "x"}])]) as server:
        project.declare(WHOLE_TABLE.format(url=server.url))
        project.land_source("orders")
        with pytest.raises(SourceError, match=r"raw/shop/orders: .*\ba\b"):
            project.land_source("orders")


def test_what_is_refused_leaves_what_was_landed(project: Project) -> None:
    with misbehaving([Reply([{"a": 1}]), Reply({"error": "no"}, 403)]) as server:
        project.declare(WHOLE_TABLE.format(url=server.url))
        project.land_source("orders")
        with pytest.raises(SourceError, match=r'answered 403: {"error": "no"}'):
            project.land_source("orders")
    assert project.rows("raw/orders") == [{"a": 1}]


GROWING = """sources:
  orders:
    type: api
    url: {url}/orders
    params: {{since: ":watermark"}}
    partitions: none
    incremental: {{cursor: at, key: id}}
    pagination: {{type: page, page_size: 2}}
"""


def test_a_growing_source_asks_from_where_it_got(project: Project) -> None:
    records = [{"id": n, "at": f"2024-01-0{n}T00:00:00Z"} for n in range(1, 6)]
    there = 3

    def script(asked: Asked) -> Reply:
        found = [r for r in records[:there] if str(r["at"]) >= asked.params.get("since", "")]
        start = (int(asked.params["page"]) - 1) * 2
        return Reply(found[start : start + 2])

    with misbehaving(script) as server:
        project.declare(GROWING.format(url=server.url))
        project.land_source("orders")
        there = 5
        project.land_source("orders")
        again = project.land_source("orders")
    since = [asked.params.get("since") for asked in server.asked]
    assert since[:3] == [None] * 3
    assert set(since[3:6]) == {"2024-01-03T00:00:00Z"}
    assert set(since[6:]) == {"2024-01-05T00:00:00Z"}
    assert project.column("raw/orders", "id") == [1, 2, 3, 4, 5]
    assert not changed(again)


def changed(passage: Passage) -> bool:
    assert passage.publication is not None
    return bool(passage.publication.changed)


def test_what_did_not_change_is_asked_on_condition_and_lands_no_version(project: Project) -> None:
    state = {"tag": '"1"', "rows": [{"a": 1}]}

    def script(asked: Asked) -> Reply:
        if asked.headers.get("if-none-match") == state["tag"]:
            return Reply(status=304)
        return Reply(state["rows"], headers={"ETag": str(state["tag"])})

    with misbehaving(script) as server:
        project.declare(WHOLE_TABLE.format(url=server.url))
        project.land_source("orders")
        for _ in range(2):
            assert not changed(project.land_source("orders"))
        state |= {"tag": '"2"', "rows": [{"a": 1}, {"a": 2}]}
        assert changed(project.land_source("orders"))
        assert not changed(project.land_source("orders"))
    tags = [asked.headers.get("if-none-match") for asked in server.asked]
    assert tags == [None, '"1"', '"1"', '"1"', '"2"']
    assert project.column("raw/orders", "a") == [1, 2]
