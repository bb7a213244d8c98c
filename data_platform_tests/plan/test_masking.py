"""Whose values stay unseen: what is marked, what has its name, and what is made of it."""

import pytest
from factories import Project, key_of, outcome

from data_platform.plan.keys import Key
from data_platform.plan.lineage_relations import EVERY
from data_platform.plan.masking import Trace, masked
from data_platform.plan.nodes import LakeNode, Plan
from data_platform.plan.schemas import Masking

BODY = """
staging:
  people:
    from: raw.orders
    columns:
      id: {type: bigint}
      email: {type: varchar, pii: true}
      city: {type: varchar}
  things:
    from: raw.orders
analytics:
  contacts:
    query: select id, email as contact from staging.people
  again:
    query: select contact from analytics.contacts
  apart:
    query: select 1 as one from staging.things
"""


def masks(project: Project, traces: dict[str, Trace]) -> dict[str, Masking]:
    """The masking of each asset, given what columns are made of."""
    project.declare(BODY)
    built = project.build()
    assert not built.problems
    known = {key_of(name): trace for name, trace in traces.items()}
    plan = masked(built.plan, lambda node: known.get(node.key))
    return {
        f"{node.key.layer}/{node.key.name}": node.masking
        for node in plan.nodes
        if isinstance(node, LakeNode)
    }


def made_of(**columns: str) -> Trace:
    """`made_of(contact="staging/people.email")`; EVERY is any column."""
    origins = {
        name: frozenset({(key_of(origin.partition(".")[0]), origin.partition(".")[2])})
        for name, origin in columns.items()
        if origin
    }
    return Trace({name: origins.get(name, frozenset()) for name in columns})


TRACED = {
    "raw/orders": Trace({}),
    "staging/people": made_of(id="raw/orders.id", email="raw/orders.mail", city="raw/orders.city"),
    "staging/things": made_of(id="raw/orders.id", m="raw/orders.mail"),
    "analytics/contacts": made_of(id="staging/people.id", contact="staging/people.email"),
    "analytics/again": made_of(contact="analytics/contacts.contact"),
    "analytics/apart": made_of(one=""),
}


def test_nothing_is_masked_where_nothing_is_marked(project: Project) -> None:
    project.declare(BODY.replace(", pii: true", ""))
    plan = project.build().plan
    assert isinstance(plan, Plan)
    for node in plan.nodes:
        assert isinstance(node, LakeNode)
        assert not node.masking.hides("email")


def test_what_is_made_of_a_marked_column_is_masked_under_any_name(project: Project) -> None:
    found = masks(project, TRACED)
    assert found["staging/people"].columns >= {"email"}
    assert not found["staging/people"].hides("city")
    assert found["analytics/contacts"].hides("contact")
    assert found["analytics/contacts"].hides("CONTACT")
    assert not found["analytics/contacts"].hides("id")
    assert found["analytics/again"].hides("contact")
    assert not found["analytics/apart"].hides("one")


def test_the_source_of_a_marked_column_is_masked_and_what_others_make_of_it(
    project: Project,
) -> None:
    found = masks(project, TRACED)
    assert found["raw/orders"].hides("mail")
    assert not found["raw/orders"].hides("city")
    assert found["staging/things"].hides("m")
    assert not found["staging/things"].hides("id")


def test_a_column_of_the_same_name_is_masked(project: Project) -> None:
    traces = {**TRACED, "analytics/contacts": made_of(email="staging/people.city")}
    assert masks(project, traces)["analytics/contacts"].hides("email")


def test_nothing_is_shown_below_a_mark_where_nothing_is_known(project: Project) -> None:
    untraced = {name: trace for name, trace in TRACED.items() if name != "analytics/contacts"}
    found = masks(project, untraced)
    assert found["analytics/contacts"].hides("id")
    assert found["analytics/contacts"].hides("whatever")
    assert found["analytics/again"].hides("contact")
    assert not found["analytics/apart"].hides("one")


def test_a_source_of_which_some_column_is_personal_shows_nothing(project: Project) -> None:
    people = made_of(id="raw/orders.id", email=f"raw/orders.{EVERY}", city="raw/orders.city")
    found = masks(project, {**TRACED, "staging/people": people})
    assert found["raw/orders"].hides("city")


@pytest.mark.parametrize("others", [frozenset(), frozenset({(key_of("staging/people"), EVERY)})])
def test_columns_that_nobody_names_are_masked_where_they_may_be_personal(
    project: Project, others: frozenset[tuple[Key, str]]
) -> None:
    contacts = Trace(TRACED["analytics/contacts"].columns, others)
    found = masks(project, {**TRACED, "analytics/contacts": contacts})["analytics/contacts"]
    assert found.hides("further") == bool(others)
    assert not found.hides("id")


def test_the_plan_follows_renamed_and_computed_columns_by_itself(project: Project) -> None:
    project.declare(
        """
staging:
  people:
    from: raw.orders
    transformations:
      - rename_columns: {mail: email}
      - add_columns: {domain: "split_part(email, '@', 2)", year: "extract(year from born)"}
    columns:
      id: {type: bigint}
      email: {type: varchar, pii: true}
      city: {type: varchar}
    extra_columns: keep
analytics:
  contacts:
    query: |
      with c as (select id, lower(email) as contact, city from staging.people)
      select contact, count(*) as visits, max(city) as city from c group by contact
  cities:
    query: select city, count(distinct email) as people from staging.people group by city
  everything:
    query: select * from analytics.contacts
"""
    )
    nodes = {str(node.key): node for node in project.build().plan.nodes}
    names = ("id", "mail", "email", "city", "domain", "year", "contact", "visits")
    hidden = {
        key: {name for name in names if node.masking.hides(name)}
        for key, node in nodes.items()
        if isinstance(node, LakeNode)
    }
    assert hidden["raw/shop/orders"] == {"email", "mail"}
    assert "domain" in hidden["staging/shop/people"]
    assert not {"id", "city", "year"} & hidden["staging/shop/people"]
    assert "contact" in hidden["analytics/shop/contacts"]
    assert not {"city", "visits"} & hidden["analytics/shop/contacts"]
    assert not {"city"} & hidden["analytics/shop/cities"]
    assert "contact" in hidden["analytics/shop/everything"]
    assert not {"city", "visits"} & hidden["analytics/shop/everything"]


@pytest.mark.parametrize(
    ("rule", "detail"),
    [
        ("expression: max(email)", "••• here, ••• in raw/shop/shops"),
        ("expression: max(city)", "Rome here, Bari in raw/shop/shops"),
        ("expression: count(*)", "1 here, 2 in raw/shop/shops"),
        (
            "expression: count(*), with_expression: length(max(email))",
            "••• here, ••• in raw/shop/shops",
        ),
    ],
)
def test_a_reconciliation_tells_no_value_of_a_person(
    project: Project, rule: str, detail: str
) -> None:
    project.declare(
        "sources:\n"
        "  orders: {type: file, path: orders.parquet, partitions: none}\n"
        "  shops: {type: file, path: shops.parquet, partitions: none}\n"
        "staging:\n  people:\n    from: raw.orders\n    columns:\n"
        "      email: {type: varchar, pii: true}\n      city: {type: varchar}\n"
        f"    quality:\n      - reconcile: {{with: raw.shops, {rule}}}\n"
    )
    project.land("raw/orders", "SELECT 'me@x.org' AS email, 'Rome' AS city")
    project.land("raw/shops", "SELECT 'you@x.org' AS email, 'Bari' AS city FROM range(2)")
    passage = project.compute("staging/people")
    [finding] = outcome(passage, "reconcile_shops").findings.values()
    assert finding.detail == detail
    assert not passage.publication
