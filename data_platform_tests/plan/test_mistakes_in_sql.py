# ruff: noqa: E501 -- cases stand in tables, one a line
"""A mistake in an SQL file is told at its line and column there, before anything runs."""

import re

import pytest
from factories import Project

BODY = """sources:
  orders: {type: file, path: o.parquet}
  shops: {type: file, path: s.parquet}
staging:
  orders: {from: raw.orders}
  shops: {from: raw.shops}
analytics:
  a: {sql: a.sql}
"""
ORDERS = {"id": "BIGINT", "name": "VARCHAR", "price": "DECIMAL(9,2)", "at": "TIMESTAMP", "shop_id": "BIGINT"}  # fmt: skip
SHOPS = {"id": "BIGINT", "name": "VARCHAR", "city": "VARCHAR"}

MISTAKES = {
    # names
    "select": ("select id, §nmae\nfrom staging.orders", "no column 'nmae' here; did you mean 'name'?"),
    "qualified": ("select o.id,\n  o.§nmae\nfrom staging.orders o", "no column 'nmae' in o; did you mean 'name'?"),
    "qualified by the table's own name": ("select id,\n  orders . §nmae\nfrom staging.orders", "no column 'nmae' in orders; did you mean 'name'?"),
    "quoted": ('select §"Nmae" from staging.orders', "no column 'Nmae' here; did you mean 'name'?"),
    "where": ("select id\nfrom staging.orders\nwhere §prise > 0", "did you mean 'price'?"),
    "group by": ("select count(*) as n\nfrom staging.orders\ngroup by §nmae", "did you mean 'name'?"),
    "having": ("select name, count(*) as n\nfrom staging.orders\ngroup by name\nhaving sum(§prise) > 0", "did you mean 'price'?"),
    "order by": ("select id\nfrom staging.orders\norder by §nmae", "did you mean 'name'?"),
    "qualify": ("select id from staging.orders\nqualify row_number() over (partition by §nmae) = 1", "did you mean 'name'?"),
    "window": ("select id, row_number() over (\n  partition by §nmae order by id) as n\nfrom staging.orders", "did you mean 'name'?"),
    "case": ("select case when\n  §prise > 1 then 1 else 0 end as c\nfrom staging.orders", "did you mean 'price'?"),
    "filter of an aggregate": ("select count(*) filter (where §nmae = 'a') as n from staging.orders", "did you mean 'name'?"),
    "exclude": ("select * exclude (§nmae)\nfrom staging.orders", "no column 'nmae'"),
    "replace": ("select * replace (§nmae + 1 as id)\nfrom staging.orders", "no column 'nmae'"),
    "an alias that is nearly so": ("select id as nmae from staging.orders\nwhere §nmaes = 1", "no column 'nmaes'"),
    # joins
    "on, left": ("select o.id\nfrom staging.orders o\njoin staging.shops s on s.id = o.§shop", "no column 'shop' in o; did you mean 'shop_id'?"),
    "on, right": ("select o.id\nfrom staging.orders o\njoin staging.shops s\n  on s.§shop_id = o.shop_id", "no column 'shop_id' in s"),
    "using": ("select o.id\nfrom staging.orders o\njoin staging.shops s using (§shopid)", "no column 'shopid' here; did you mean 'shop_id'?"),
    "in both": ("select\n  §id\nfrom staging.orders o join staging.shops s on o.shop_id = s.id", 'Ambiguous reference to column name "id"'),
    "of no table": ("select §x.id\nfrom staging.orders o", "there is no table 'x' here"),
    # CTEs and subqueries
    "in a CTE": ("with a as (\n  select id,\n    §prise\n  from staging.orders\n)\nselect id from a", "did you mean 'price'?"),
    "of a CTE": ("with a as (\n  select id, price as paid\n  from staging.orders\n)\nselect id,\n  §payed\nfrom a", "did you mean 'paid'?"),
    "of a CTE, but right in it": ("with a as (\n  select id, price as paid\n  from staging.orders\n)\nselect id,\n  a.§price\nfrom a", "no column 'price' in a"),
    "right in one part, wrong in another": ("with a as (select price from staging.orders)\nselect price from a\nunion all\nselect §price from staging.shops", "no column 'price' here"),
    "in a CTE of a CTE": ("with a as (\n  with b as (select §prise from staging.orders)\n  select * from b)\nselect * from a", "did you mean 'price'?"),
    "in a subquery of where": ("select id\nfrom staging.orders\nwhere shop_id in (\n  select §nmae from staging.shops)", "did you mean 'name'?"),
    "of the outer query": ("select id\nfrom staging.orders o\nwhere exists (\n  select 1 from staging.shops s where s.id = o.§shop)", "no column 'shop' in o; did you mean 'shop_id'?"),
    "in a subquery of from": ("select x.id\nfrom (\n  select id, §nmae from staging.orders) x", "did you mean 'name'?"),
    "of a subquery": ("select x.§nmae\nfrom (select id, name from staging.orders) x", "no column 'nmae' in x; did you mean 'name'?"),
    "in a lateral subquery": ("select o.id, l.x from staging.orders o,\n  lateral (select o.§nmae as x) l", "did you mean 'name'?"),
    "in the second part of a set": ("select id from staging.orders\nintersect\nselect §nmae from staging.shops", "did you mean 'name'?"),
    "of values": ("select §b from (values (1)) t(a)", "no column 'b' here; there is a"),
    # what stands around it
    "behind letters of several bytes": ("select 'ÄÖ€𝄞' as u, §nmae from staging.orders", "did you mean 'name'?"),
    "behind comments that name it": ("-- nmae is here\n/* nmae\n nmae */ select §nmae from staging.orders", "did you mean 'name'?"),
    "behind a text that names it": ("select 'nmae' as x,\n  §nmae from staging.orders", "did you mean 'name'?"),
    "an unknown parameter": ("select §:x as x,\n  :partition_key as k, nmae from staging.orders", "unknown parameter :x"),
    "behind a column that is a keyword": ("select at,\n  §nmae from staging.orders where at is not null", "did you mean 'name'?"),
    "behind references of other lengths": ("select o.id, s.id as s\nfrom shop.staging.orders o join staging.shops s on true where §nmae = 1", "no column 'nmae'"),
    # assets
    "unknown asset": ("select *\nfrom staging.§ordes", "there is no asset staging.ordes; did you mean staging.orders?"),
    "unknown asset in a CTE": ("with a as (\n  select 1 as x from staging.§ordes)\nselect x from a", "did you mean staging.orders?"),
    # types
    "sum over text": ("select sum(price) as p,\n  §sum(name) as s\nfrom staging.orders", "sum(VARCHAR) doesn't work"),
    "avg over text in a CTE": ("with a as (\n  select §avg(name) as s from staging.orders)\nselect s from a", "avg(VARCHAR) doesn't work"),
    "sum over text of a subquery": ("select §sum(n) as s\nfrom (select upper(name) as n from staging.orders)", "sum(VARCHAR) doesn't work"),
    "sum over a moment": ("select\n  §sum(at) as s\nfrom staging.orders", "sum(TIMESTAMP) doesn't work"),
    "text times a number": ("select\n  §name * 2 as x\nfrom staging.orders", "VARCHAR * INTEGER doesn't work"),
    "text compared with a number": ("select id\nfrom staging.orders\nwhere §name > price", "Cannot compare values of type VARCHAR and type DECIMAL(9,2)"),
    "a moment compared with a number": ("select id\nfrom staging.orders\nwhere §at > 5", "Cannot compare values of type TIMESTAMP"),
    "year of text": ("select\n  §year(name) as x\nfrom staging.orders", "year(VARCHAR) doesn't work"),
    "too many arguments": ("select\n  §round(price, 1, 2, 3) as x\nfrom staging.orders", "doesn't work"),
    "kinds that don't mix": ("select §coalesce(at, price) as x from staging.orders", "Cannot mix values of type TIMESTAMP and DECIMAL(9,2)"),
    # groups and sets
    "not grouped by": ("select name,\n  §price\nfrom staging.orders\ngroup by name", 'column "price" must appear in the GROUP BY clause'),
    "an aggregate in where": ("select id\nfrom staging.orders\nwhere §sum(price) > 1", "WHERE clause cannot contain aggregates"),
    "an aggregate of an aggregate": ("select\n  sum(§max(price)) as s\nfrom staging.orders", "aggregate function calls cannot be nested"),
    "a window in where": ("select id from staging.orders\nwhere §row_number() over () = 1", "WHERE clause cannot contain window functions"),
    "sets of other widths": ("select id, name from staging.orders\n§union all\nselect id from staging.shops", "same number of result columns"),
    "a value of two columns": ("select §(select id, name from staging.orders) as x", "Subquery returns 2 columns"),
}  # fmt: skip


def placed(text: str) -> tuple[str, str]:
    """The text without its mark, and the line and column of that."""
    before = text[: text.index("§")]
    column = len(before) - before.rfind("\n")
    return text.replace("§", ""), f"{before.count(chr(10)) + 1}:{column}"


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_an_sql_file(project: Project, case: str) -> None:
    text, message = MISTAKES[case]
    project.know(orders=ORDERS, shops=SHOPS)
    sql, place = placed(text)
    project.declare(BODY, a=sql)
    [problem] = project.problems()
    assert problem.startswith(f"shop/a.sql:{place}: ")
    assert message in problem


def test_a_parameter_stays_what_it_is(project: Project) -> None:
    project.know(orders=ORDERS, shops=SHOPS)
    body = BODY.replace("path: o.parquet", "path: 'o{partition_key}.parquet'").replace(
        "path: s.parquet", "path: s.parquet, partitions: none"
    )
    sql, place = placed(
        "select ':partition_key' as t, :partition_start as s,\n  :partition_key || §nmae as x\n"
        "from staging.orders where at::date = :partition_key::date"
    )
    project.declare(body, daily=True, a=sql)
    [problem] = project.problems()
    assert re.match(rf"shop/a.sql:{place}: no column 'nmae'", problem)


def test_a_mistake_in_a_block_of_yaml_is_told_there(project: Project) -> None:
    project.know(orders=ORDERS, shops=SHOPS)
    query = "    query: |\n      select id,\n        §sum(name) as s\n      from staging.orders\n      group by id\n"
    text = BODY.replace("  a: {sql: a.sql}\n", f"  a:\n{query}")
    file = project.declare(text.replace("§", ""))
    [problem] = project.problems()
    line = next(n for n, each in enumerate(file.read_text().splitlines(), 1) if "sum(" in each)
    assert problem.startswith(f"shop/pipeline.yaml:{line}:9: sum(VARCHAR) doesn't work")


def test_columns_that_nobody_knows_are_no_mistake(project: Project) -> None:
    project.declare(BODY, a="select nmae, sum(name) as s from staging.orders group by nmae")
    assert project.problems() == []
