# ruff: noqa: E501 -- cases stand in tables, one a line
"""SQL of people: which assets it reads, and that nothing else can be meant."""

from pathlib import Path

import pytest

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Input
from data_platform.plan.sql.queries import Query, compile_query

HERE = Location(Path("daily.sql"))
ASSETS = {"staging.orders", "staging.shops", "sales.staging.orders"}


def reads(reference: str, place: Location) -> Input:
    if reference not in ASSETS:
        raise ConfigurationError([Problem(place, f"there is no asset {reference}")])
    parts = reference.split(".")
    return Input(Key(parts[-2], parts[0] if len(parts) > 2 else "shop", parts[-1]), "same")


def compiled(text: str) -> Query:
    return compile_query(text, HERE, reads)


def read_by(text: str) -> set[str]:
    return {str(given.key) for given in compiled(text).inputs}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("select * from staging.orders", {"staging/shop/orders"}),
        ("from staging.orders o join staging.shops s using (id)", {"staging/shop/orders", "staging/shop/shops"}),
        ("from sales.staging.orders", {"staging/sales/orders"}),
        ("select (select max(id) from staging.shops) from staging.orders", {"staging/shop/orders", "staging/shop/shops"}),
        ("with x as (from staging.orders) from x", {"staging/shop/orders"}),
        ("with x as (from staging.orders) from X", {"staging/shop/orders"}),
        ("with x as (from staging.orders), y as (from x) from y join x using (id)", {"staging/shop/orders"}),
        ("with recursive x(i) as (select 1 union all select i + 1 from x where i < 3) from x, staging.orders", {"staging/shop/orders"}),
        ("with x as (from staging.orders) select * from (select * from x) where id in (select id from x)", {"staging/shop/orders"}),
        ("from staging.orders union all from staging.shops", {"staging/shop/orders", "staging/shop/shops"}),
        ("with x as (from staging.orders) select * from x union all select * from x", {"staging/shop/orders"}),
        ("from generate_series(1, 3) g(i) join staging.orders on true", {"staging/shop/orders"}),
    ],
)  # fmt: skip
def test_it_reads_the_assets_that_it_names(text: str, keys: set[str]) -> None:
    assert read_by(text) == keys


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("from 'x.csv'", "daily.sql:1:"),
        ('from "x.csv"', "daily.sql:1:"),
        ("from '/etc/passwd'", "daily.sql:1:"),
        ("select *\nfrom staging.order", "daily.sql:2:"),
        ("from orders", "daily.sql:1:"),
        ("from information_schema.tables", "daily.sql:1:"),
        ("from pg_catalog.pg_class", "daily.sql:1:"),
        ("from sqlite_master", "daily.sql:1:"),
        ("from _staged", "daily.sql:1:"),
        # a CTE elsewhere makes no table of its name here
        ("from 'x.csv', (with \"x.csv\" as (select 1) from \"x.csv\")", "daily.sql:1:"),
        ('from "x.csv" where id in (with "x.csv" as (select 1 i) select i from "x.csv")', "daily.sql:1:"),
        ("with a as (from b), b as (from staging.orders) from a", "daily.sql:1:"),
        ("with a as (from a) from a", "daily.sql:1:"),
        ("with a as (with b as (select 1) from b) from b", "daily.sql:1:"),
        ("with a as (select 1) from main.a", "daily.sql:1:"),
    ],
)  # fmt: skip
def test_any_other_table_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no asset") as caught:
        compiled(text)
    assert str(caught.value).startswith(place)


def test_all_unknown_tables_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        compiled("from staging.a join staging.b using (id)\njoin staging.c using (id)")
    assert len(caught.value.problems) == 3


def test_parameters_are_bound_by_name() -> None:
    query = compiled("from staging.orders where at >= :partition_start and day = :partition_key")
    assert query.parameters == ("partition_start", "partition_key")
    assert "$partition_start" in query.sql
    assert ":partition" not in query.sql


@pytest.mark.parametrize("name", [":run_id", "?", "$1", "$run_id"])
def test_another_parameter_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"parameter|not allowed"):
        compiled(f"select {name} from staging.orders")


def test_a_text_that_looks_like_a_parameter_stays_a_text() -> None:
    query = compiled("select ':partition_key' as a from staging.orders")
    assert query.parameters == ()
    assert "':partition_key'" in query.sql


def test_an_alias_is_kept_and_a_table_without_one_has_its_name() -> None:
    assert compiled("select o.id from staging.orders as o").sql.endswith("AS o")
    assert "AS orders" in compiled("select orders.id from staging.orders").sql


def test_a_parameter_may_be_a_column_of_its_own() -> None:
    query = compiled("select :partition_key as day, l[1:2] as l, {'a':id} as s from staging.orders")
    assert query.parameters == ("partition_key",)
