"""What is published, gathered from the lake, a ledger in PostgreSQL and the event log."""

from datetime import UTC, datetime, timedelta

import pytest
from factories import DAY, NEXT_DAY, Project, database_outside, key_of

from data_platform.destinations.loading import deliver
from data_platform.observability.event_log import Logged
from data_platform.observability.facts import gather_facts
from data_platform.observability.status import Facts
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode

BODY = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: integer, nullable: false}
    on_violation: quarantine
destinations:
  orders:
    from: staging.orders
    type: database
    connection: shop
    table: orders
"""
LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def shop(project: Project, postgres_url: str) -> Project:
    """Two days, three rows in quarantine, one day loaded into a database."""
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    project.declare(BODY, daily=True)
    one, two = "SELECT UNNEST([1, NULL]) AS id", "SELECT UNNEST([1, 2, NULL, NULL]) AS id"
    project.land_all("raw/orders", {DAY: one, NEXT_DAY: two})
    project.compute("staging/orders", DAY, NEXT_DAY)
    node = project.node("destinations/orders")
    assert isinstance(node, DestinationNode)
    deliver(node, [NEXT_DAY], project.workbench, database_outside(postgres_url), "run")
    return project


def facts(project: Project, text: str, url: str, logged: Logged | None = None) -> Facts:
    key = key_of(text)
    nodes = project.build().plan.nodes
    given = {key: logged} if logged else {}
    return gather_facts(nodes, project.workbench, database_outside(url), given)[key]


def test_the_lake_tells_rows_and_quarantine(shop: Project, postgres_url: str):
    found = facts(shop, "staging/orders", postgres_url)
    assert found.rows == {DAY: 1, NEXT_DAY: 2}
    assert found.quarantined == 3
    assert found.published_at is not None
    assert abs(datetime.now(UTC) - found.published_at) < timedelta(minutes=1)


def test_the_ledger_tells_what_a_table_holds(shop: Project, postgres_url: str):
    assert facts(shop, "destinations/orders", postgres_url).rows == {NEXT_DAY: 2}


def test_an_unchanged_materialization_counts_as_publication(shop: Project, postgres_url: str):
    found = facts(shop, "staging/orders", postgres_url, Logged(LATER))
    assert found.published_at == LATER


def test_a_database_without_ledger_holds_nothing(project: Project, postgres_url: str):
    project.declare(BODY)
    found = facts(project, "destinations/orders", postgres_url)
    assert (found.rows, found.unknown) == ({}, None)


def test_a_database_out_of_reach_hides_nothing_else(shop: Project):
    url = "postgresql://me:secret@127.0.0.1:1/shop"
    destination = facts(shop, "destinations/orders", url)
    assert destination.unknown is not None
    assert "127.0.0.1" in destination.unknown
    assert "secret" not in destination.unknown
    assert facts(shop, "staging/orders", url).rows == {DAY: 1, NEXT_DAY: 2}


def test_checks_of_the_log_are_handed_on(shop: Project, postgres_url: str):
    logged = Logged(None, ("not_null",), ("types",))
    found = facts(shop, "staging/orders", postgres_url, logged)
    assert (found.failed_checks, found.warned_checks) == (("not_null",), ("types",))


def test_an_asset_without_partitions_has_one(project: Project, postgres_url: str):
    project.declare(BODY)
    project.land("raw/orders", "SELECT 1 AS id")
    assert facts(project, "raw/orders", postgres_url).rows == {WHOLE: 1}
    assert facts(project, "staging/orders", postgres_url) == Facts()
