"""Who is told: by owner, tag, pipeline, asset, event and severity."""

from datetime import UTC, datetime
from typing import Any

import pytest
from factories import Project

from data_platform.observability.alerts.routing import channels_of, channels_of_end
from data_platform.observability.alerts.words import message_of
from data_platform.observability.incidents.model import Behind, Incident, Matter, Part, Sign
from data_platform.plan.pipelines import Plan
from data_platform.spec.alerts import Alerts, Event, Severity

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
ORDERS = "staging/shop/orders"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    project = Project(tmp_path_factory.mktemp("routes"))
    project.know(orders={"id": "BIGINT"})
    project.declare("tags: {domain: sales, hot: ''}\nstaging: {orders: {from: raw.orders}}\n")
    project.declare(
        'analytics: {mart: {owner: team:finance, query: "SELECT * FROM shop.staging.orders"}}\n'
        "sources: {orders: {type: file, path: o.parquet, partitions: none}}\n",
        name="finance",
    )
    return project.build().plan


def alerts(*routes: dict[str, Any], **more: Any) -> Alerts:
    channels = {name: {"url": ""} for name in ("chat", "mail", "pager")}
    return Alerts.model_validate({"channels": channels, "routes": list(routes), **more})


def incident(
    event: Event = "failure", matter: Matter = "trouble", name: str = ORDERS, **more: Any
) -> Incident:
    sign = Sign(event, "error", NOON, 1, "it broke", "run", {"": Part(1)})
    return Incident("id", matter, name, NOON, NOON, {"failure": sign}, **more)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({}, True),
        ({"owner": "team:shop"}, True),
        ({"owner": ["team:other", "team:finance"]}, False),
        ({"tag": "hot"}, True),
        ({"tag": "domain"}, True),
        ({"tag": "domain=sales"}, True),
        ({"tag": "domain=other"}, False),
        ({"pipeline": "shop"}, True),
        ({"pipeline": "finance"}, False),
        ({"asset": "staging.orders"}, True),
        ({"asset": "shop.staging.orders"}, True),
        ({"asset": "raw.orders"}, False),
        ({"event": "failure"}, True),
        ({"event": ["stale", "recovered"]}, False),
        ({"severity": "warning"}, True),
        ({"severity": "critical"}, False),
        ({"owner": "team:shop", "event": "stale"}, False),
    ],
    ids=str,
)
def test_a_route_is_for_what_all_of_it_says(plan: Plan, when: dict[str, Any], told: bool):
    found = channels_of(alerts({"when": when, "to": "chat"}), incident(), plan, "error")
    assert found == (["chat"] if told else [])


@pytest.mark.parametrize("asset", ["destinations.orders", "shop.destinations.orders"])
def test_a_route_names_destinations(plan: Plan, asset: str):
    routes = alerts({"when": {"asset": asset}, "to": "chat"})
    load = incident(name="destinations/shop/orders")
    assert channels_of(routes, load, plan, "error") == ["chat"]
    assert channels_of(routes, incident(), plan, "error") == []


def test_each_route_counts_and_each_channel_once(plan: Plan):
    routes = [{"to": ["chat", "mail"]}, {"to": ["mail", "pager"]}]
    assert channels_of(alerts(*routes), incident(), plan, "error") == ["chat", "mail", "pager"]


def test_without_routes_all_channels_are_told(plan: Plan):
    assert channels_of(alerts(), incident(), plan, "info") == ["chat", "mail", "pager"]


def test_owners_of_what_stands_behind_are_told(plan: Plan):
    route = {"when": {"owner": "team:finance", "event": "stale"}, "to": "mail"}
    assert channels_of(alerts(route), incident(), plan, "error") == []
    behind = {"analytics/finance/mart": Behind("skipped", NOON)}
    assert channels_of(alerts(route), incident(behind=behind), plan, "error") == ["mail"]


@pytest.mark.parametrize("matter", ["pipeline", "daemon"])
def test_what_nobody_owns_is_told_everybody_unless_a_route_is_for_it(plan: Plan, matter: Matter):
    event: Event = "broken_pipeline" if matter == "pipeline" else "daemon_down"
    one = incident(event, matter, "shop")
    owners = {"when": {"owner": "team:shop"}, "to": "chat"}
    assert channels_of(alerts(owners), one, plan, "error") == ["chat", "mail", "pager"]
    wanted = {"when": {"event": event}, "to": "pager"}
    assert channels_of(alerts(owners, wanted), one, plan, "error") == ["pager"]


def test_a_recovery_is_for_whom_was_told_and_who_asks(plan: Plan):
    told = incident(told_to=("chat", "gone"), told_as="error")
    assert channels_of_end(alerts({"to": "mail"}), told, plan) == ["chat"]
    asking = {"when": {"event": ["recovered", "failure"], "severity": "error"}, "to": "mail"}
    assert channels_of_end(alerts(asking), told, plan) == ["chat", "mail"]
    assert channels_of_end(
        alerts({**asking, "when": {"event": "recovered", "tag": "x"}}), told, plan
    ) == ["chat"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> *x*", "`<!channel> *x*`"),
        ("a `b` @here", "`a 'b' @here`"),
        ("_a_ [b](http://c)", "`_a_ [b](http://c)`"),
        ("table orders_2024 (shop): 3 %", "table orders_2024 (shop): 3 %"),
        ("größe 'ä' …", "größe 'ä' …"),
    ],
)
def test_nothing_that_was_said_is_markup(plan: Plan, text: str, shown: str):
    sign = Sign("failure", "error", NOON, 1, text, None, {"": Part(1)})
    one = Incident("id", "trouble", ORDERS, NOON, NOON, {"failure": sign})
    told = message_of(one, "opened", "error", plan, None, NOON)
    assert told.body.splitlines()[0] == shown


def test_many_behind_are_counted_and_ten_are_named(plan: Plan):
    behind = {f"analytics/shop/a{number}": Behind("stale", NOON) for number in range(12)}
    told = message_of(incident(behind=behind), "repeated", "error", plan, "https://d/", NOON)
    assert told.title == "[error] still: staging/shop/orders failed: it broke (12 assets behind)"
    assert "analytics/shop/a9 (stale) and 2 more" in told.body
    assert told.link == "https://d/runs/run"
    assert (len(told.values["behind"]), told.values["behind_count"]) == (10, 12)


@pytest.mark.parametrize(
    ("severity", "turn", "title"),
    [
        ("critical", "worse", "[critical] now worse: staging/shop/orders failed: it broke"),
        ("warning", "opened", "[warning] staging/shop/orders failed: it broke"),
    ],
)
def test_titles_say_how_bad_it_is(plan: Plan, severity: Severity, turn: Any, title: str):
    assert message_of(incident(), turn, severity, plan, None, NOON).title == title
