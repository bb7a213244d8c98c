"""Runs as events of OpenLineage: what of Dagster's log comes to which event, with which facets."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from lineage_shop import DAYS, LineageShop, dataset, names
from openlineage_spec import check_event
from sqlalchemy.engine import Connection
from test_outbox import rested

from data_platform.errors import SecretsUnavailable
from data_platform.instance import own_tables
from data_platform.instance.own_tables import transaction
from data_platform.observability.openlineage import following
from data_platform.observability.openlineage.following import masked
from data_platform.observability.openlineage.naming import Naming
from data_platform.observability.openlineage.outbox import put
from data_platform.secrets.masker import know


@pytest.fixture
def shop(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> LineageShop:
    """A shop that is followed from now on."""
    found = LineageShop(tmp_path, instance, monkeypatch)
    assert found.tick() == "0 new events; 0 sent"
    return found


def died_within_a_batch(shop: LineageShop) -> None:
    """The process that made events of what is new died before that was kept."""

    def put_and_die(connection: Connection, events: Iterable[dict[str, Any]]) -> int:
        put(connection, events)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(following, "put", put_and_die)
        with pytest.raises(KeyboardInterrupt):
            shop.tick()


def test_run_is_told_from_source_to_destination(shop: LineageShop) -> None:
    shop.orders(DAYS[0], (1, "ann@shop.example", "2.50"), (101, "bob@shop.example", "1.00"))
    [run_id] = shop.run().run_ids
    died_within_a_batch(shop)
    assert shop.tick() == "8 new events; 8 sent"
    events = shop.told()
    jobs = ["shop.raw.orders", "shop.staging.orders", "shop.analytics.revenue",
            "shop.destinations.revenue"]  # fmt: skip
    assert names(events) == [(job, what) for job in jobs for what in ("START", "COMPLETE")]
    for event in events:
        check_run(event, run_id)
    assert "@shop.example" not in json.dumps(events)
    assert shop.tick() == "0 new events; 0 sent"
    check_pairs(events)
    raw, staging, analytics, destination = events[1::2]
    check_source(raw, str(shop.folder / "in" / "{partition_key}.csv"))
    check_staging(staging, raw["outputs"][0]["name"])
    assert analytics["job"]["facets"]["sql"]["dialect"] == "duckdb"
    assert 'FROM "shop.staging.orders"' in analytics["job"]["facets"]["sql"]["query"]
    assert destination["outputs"][0]["name"] == str(shop.folder / "out" / "{partition_key}.csv")


def check_run(event: dict[str, Any], run_id: str) -> None:
    check_event(event)
    assert event["job"]["namespace"] == "shops"
    facets = event["run"]["facets"]
    assert (facets["parent"]["run"]["runId"], facets["parent"]["job"]["name"]) == (run_id, "assets")
    partitions = facets["data_platform_partitions"]
    assert (partitions["count"], partitions["keys"]) == (2, DAYS)
    assert facets["nominalTime"]["nominalStartTime"] == "2024-01-01T00:00:00+00:00"
    assert facets["nominalTime"]["nominalEndTime"] == "2024-01-03T00:00:00+00:00"


def check_pairs(events: list[dict[str, Any]]) -> None:
    for start, end in zip(events[::2], events[1::2], strict=True):
        assert start["run"]["runId"] == end["run"]["runId"]
    # What one writes and the next reads is one dataset.
    for above, below in zip(events[1::2], events[3::2], strict=False):
        written, read = above["outputs"][0], below["inputs"][0]
        assert (written["namespace"], written["name"]) == (read["namespace"], read["name"])


def check_source(raw: dict[str, Any], path: str) -> None:
    [read], [written] = raw["inputs"], raw["outputs"]
    assert (read["namespace"], read["name"]) == ("file", path)
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 4
    # Which columns a file has is known by the run alone.
    schema = written["facets"]["schema"]["fields"]
    assert [field["name"] for field in schema] == ["id", "email", "amount"]
    [column] = written["facets"]["columnLineage"]["fields"]["amount"]["inputFields"]
    assert (column["name"], column["field"]) == (path, "amount")
    assert column["transformations"][0]["subtype"] == "IDENTITY"


def check_staging(staging: dict[str, Any], source: str) -> None:
    orders = dataset(staging, "staging/shop/orders")
    assert orders["outputFacets"]["outputStatistics"]["rowCount"] == 2
    quarantine = dataset(staging, "quarantine/shop/orders")
    assert quarantine["outputFacets"]["outputStatistics"]["rowCount"] == 1
    facets = orders["facets"]
    assert facets["version"]["datasetVersion"] == "0"
    assert facets["storage"]["storageLayer"] == "delta"
    assert facets["lifecycleStateChange"]["lifecycleStateChange"] == "OVERWRITE"
    assert facets["ownership"]["owners"] == [{"name": "team:shop", "type": "OWNER"}]
    assert facets["documentation"]["description"] == "Orders as they were placed."
    personal = {"field": "email", "key": "pii", "source": "data_platform", "value": "true"}
    assert personal in facets["tags"]["tags"]
    assertions = {one["name"]: one for one in facets["dataQualityAssertions"]["assertions"]}
    found = assertions["range_id"]
    assert (found["assertion"], found["column"], found["success"]) == ("range", "id", False)
    assert found["actual"] == "1 of 3 rows offend"
    check_columns(facets["columnLineage"], source)


def check_columns(lineage: dict[str, Any], source: str) -> None:
    [email] = lineage["fields"]["email"]["inputFields"]
    assert (email["field"], email["name"]) == ("email", source)
    assert [way["masking"] for way in email["transformations"]] == [True]
    [amount] = lineage["fields"]["amount"]["inputFields"]
    passed = {"type": "DIRECT", "subtype": "IDENTITY", "masking": False}
    assert amount["transformations"] == [passed]
    [deciding] = lineage["dataset"]
    assert (deciding["field"], deciding["transformations"][0]["subtype"]) == ("amount", "FILTER")


def vault_is_down(*_: object) -> None:
    raise SecretsUnavailable("no answer")


def test_failure_is_told_with_its_reason_and_partitions(shop: LineageShop) -> None:
    shop.declare(pipeline=shop.text.replace("on_violation: quarantine", "on_violation: fail"))
    shop.orders(DAYS[1], (101, "bob@shop.example", "1.00"))
    assert not shop.run().succeeded
    shop.tells(url="http://me:hunter2@127.0.0.1:1")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Naming, "source", vault_is_down)
        assert shop.tick() == "new events are left for later: no answer; 0 sent"
    said = shop.tick()
    assert "0 sent; " in said
    assert said.endswith("UTC; http://127.0.0.1:1 can't be reached: ConnectionError")
    shop.tells(file="lineage/events.jsonl", namespace="shops")
    rested(shop.instance)
    shop.tick()
    order = [event["eventTime"] for event in shop.told()]
    assert order == sorted(order)
    told = {(event["job"]["name"], event["eventType"]): event for event in shop.told()}
    failed = told["shop.staging.orders", "FAIL"]
    check_event(failed)
    message = failed["run"]["facets"]["errorMessage"]["message"]
    assert "range_id" in message
    assert "@shop.example" not in json.dumps(failed)
    partitions = failed["run"]["facets"]["data_platform_partitions"]
    assert (partitions["published"], partitions["failed"]) == (1, [DAYS[1]])
    [assertion] = [
        one
        for one in dataset(failed, "staging/shop/orders")["facets"]["dataQualityAssertions"][
            "assertions"
        ]
        if one["name"] == "range_id"
    ]
    assert (assertion["success"], assertion["severity"]) == (False, "error")


def test_nothing_is_told_where_lineage_resolves_to_nothing(shop: LineageShop) -> None:
    shop.tells()
    assert shop.sensor() is None
    shop.tells(url="${NOWHERE:-}")
    assert shop.sensor() is None
    shop.tells(url="${LATER}")
    told = "the variable LATER is not set; set it, or give a default: ${LATER:-...}"
    assert shop.tick() == f"0 new events; {told}"


def test_secrets_are_masked_in_all_texts_of_an_event() -> None:
    know("a-secret-of-this-test")
    told = masked({"run": [{"message": "no a-secret-of-this-test here"}], "count": 1, "none": None})
    assert "a-secret-of-this-test" not in json.dumps(told)
    assert told == {"run": [{"message": "no *** here"}], "count": 1, "none": None}


def test_example_of_the_page_is_an_event() -> None:
    page = Path(__file__).parents[3] / "docs" / "lineage.md"
    text = page.read_text().partition("```json\n")[2].partition("```")[0]
    check_event(json.loads(text))


def test_a_lock_that_is_never_let_go_ends_a_tick_and_loses_nothing(
    shop: LineageShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.orders(DAYS[0], (1, "ann@shop.example", "2.50"))
    assert shop.run().succeeded
    with monkeypatch.context() as patch, transaction(shop.instance) as connection:
        lock = "LOCK TABLE data_platform_openlineage IN ACCESS EXCLUSIVE MODE"
        connection.execute(sa.text(lock))
        patch.setattr(own_tables, "PATIENCE", "SET LOCAL lock_timeout = '100ms'")
        assert "another process holds a lock in Dagster's database" in shop.tick()
    assert shop.tick() == "8 new events; 8 sent"
