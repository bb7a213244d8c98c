# ruff: noqa: E501 -- cases stand in tables, one a line
"""What each transformation does to rows, whether the source's columns are known at load or not."""

from collections.abc import Sequence

import pytest
from factories import DAY, NEXT_DAY, Project

ORDERS = """
    SELECT * FROM (VALUES
        (1, 'a', 10.5, 'x'), (1, 'b', NULL, 'y'), (2, 'c', 30.25, NULL), (3, NULL, 40.0, 'z')
    ) t(id, name, price, note)
"""
COLUMNS = {"id": "INTEGER", "name": "VARCHAR", "price": "DECIMAL(4,2)", "note": "VARCHAR"}
SHOPS = "SELECT * FROM (VALUES (1, 'North'), (2, 'South'), (9, 'None')) t(id, region)"
VISITS = "SELECT * FROM (VALUES (1, 'mon'), (1, 'tue'), (9, 'wed')) t(id, day)"
OTHERS = """sources:
  orders: {type: file, path: orders.parquet, partitions: none}
  shops: {type: file, path: shops.parquet, partitions: none}
  visits: {type: file, path: visits.parquet, partitions: none}
"""
SHOPS_ASSET = """  shops:
    from: raw.shops
    columns:
      id: {type: integer, unique: true}
      region: {type: varchar}
  visits:
    from: raw.visits
    columns:
      id: {type: integer}
      day: {type: varchar}
"""


@pytest.fixture(params=["known", "unknown"])
def orders(request: pytest.FixtureRequest, project: Project) -> Project:
    """A project whose orders are landed, with columns known at load or only at run."""
    if request.param == "known":
        project.know(
            orders=COLUMNS,
            shops={"id": "INTEGER", "region": "VARCHAR"},
            visits={"id": "INTEGER", "day": "VARCHAR"},
        )
    project.land("raw/orders", ORDERS)
    return project


TIE = 17
"""The winner of a tie among 0 to 49: any, but always the same."""


def staged(project: Project, *steps: str, others: str = "") -> list[tuple[object, ...]]:
    """The rows that come out of steps, as tuples."""
    listed = "".join(f"      - {step}\n" for step in steps)
    project.declare(
        f"{OTHERS if others else ''}staging:\n{others}  orders:\n"
        f"    from: raw.orders\n    transformations:\n{listed}"
    )
    passage = project.compute("staging/orders")
    assert not passage.failed
    return [tuple(row.values()) for row in project.rows("staging/orders")]


def names(project: Project) -> list[str]:
    return list(project.rows("staging/orders")[0])


def test_add_columns_adds_and_replaces(orders: Project) -> None:
    staged(orders, "add_columns: {price: price * 2, total: price + 1}")
    assert orders.column("staging/orders", "price") == [21, None, 60.5, 80]
    assert orders.column("staging/orders", "total") == [11.5, None, 31.25, 41]


def test_an_expression_does_not_see_a_column_that_its_own_step_adds(orders: Project) -> None:
    orders.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - add_columns: {double: price * 2, quadruple: double * 2}\n"
    )
    problems = orders.build().problems
    if problems:
        assert "double" in problems[0].message
        return
    with pytest.raises(Exception, match="double"):
        orders.compute("staging/orders")


def test_a_window_in_an_expression_stays_in_its_partition(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - add_columns:\n          n: row_number() over (order by id)\n          s: sum(id) over ()\n",
        daily=True,
    )
    project.land_all("raw/orders", {DAY: "SELECT 5 AS id", NEXT_DAY: "SELECT 6 AS id"})
    project.compute("staging/orders", DAY, NEXT_DAY)
    assert [(row["n"], row["s"]) for row in project.rows("staging/orders")] == [(1, 5), (1, 6)]


def test_rename_columns(orders: Project) -> None:
    staged(orders, "rename_columns: {price: amount}")
    assert names(orders) == ["id", "name", "amount", "note"]


def test_drop_columns_ignores_what_is_not_there(orders: Project) -> None:
    staged(orders, "drop_columns: [note, nothing, PRICE]")
    assert names(orders) == ["id", "name"]


def test_select_columns_keeps_their_order(orders: Project) -> None:
    staged(orders, "select_columns: [name, id]")
    assert names(orders) == ["name", "id"]


def test_filter_rows_leaves_out_what_is_not_true(orders: Project) -> None:
    assert [row[1] for row in staged(orders, "filter_rows: price > 11")] == ["c", None]


@pytest.mark.parametrize(
    ("keep", "order", "kept"),
    [
        ("first", "[price]", ["a", "c", None]),
        ("last", "[price]", ["a", "c", None]),
        ("first", "[name desc]", ["b", "c", None]),
        ("last", "[name]", ["b", "c", None]),
        ("first", "[name asc]", ["a", "c", None]),
        ("last", "[name desc]", ["a", "c", None]),
    ],
)
def test_deduplicate_keeps_first_or_last(
    orders: Project, keep: str, order: str, kept: Sequence[str]
) -> None:
    rows = staged(orders, f"deduplicate: {{by: [id], order_by: {order}, keep: {keep}}}")
    assert [row[1] for row in rows] == kept


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_deduplicate_decides_ties_by_what_rows_hold(project: Project, order: str) -> None:
    project.land("raw/orders", f"SELECT 1 AS id, n FROM range(50) t(n) ORDER BY n {order}")
    rows = staged(project, "deduplicate: {by: [id], order_by: [id]}")
    assert rows == [(1, TIE)]


def test_deduplicate_takes_null_for_a_key(project: Project) -> None:
    project.land("raw/orders", "SELECT NULL::INT AS id, n FROM range(3) t(n)")
    assert staged(project, "deduplicate: {by: [id], order_by: [n]}") == [(None, 2)]


def test_aggregate_gives_a_row_a_group(orders: Project) -> None:
    rows = staged(orders, "aggregate: {group_by: [id], columns: {n: count(*), price: sum(price)}}")
    assert [(int(row[0]), row[1], float(row[2])) for row in rows] == [  # type: ignore[call-overload]
        (1, 2, 10.5),
        (2, 1, 30.25),
        (3, 1, 40.0),
    ]


def test_a_left_join_keeps_rows_without_a_match(orders: Project) -> None:
    orders.land("staging/shops", SHOPS)
    rows = staged(orders, "join: {with: staging.shops, on: [id]}", others=SHOPS_ASSET)
    assert [row[-1] for row in rows] == ["North", "North", "South", None]


def test_an_inner_join_drops_rows_without_a_match(orders: Project) -> None:
    orders.land("staging/shops", SHOPS)
    rows = staged(orders, "join: {with: staging.shops, on: [id], how: inner}", others=SHOPS_ASSET)
    assert [row[-1] for row in rows] == ["North", "North", "South"]


def test_a_join_with_a_side_that_is_not_unique_multiplies(orders: Project) -> None:
    orders.land("staging/visits", VISITS)
    rows = staged(orders, "join: {with: staging.visits, on: [id]}", others=SHOPS_ASSET)
    assert [(row[0], row[-1]) for row in rows] == [
        (1, "mon"),
        (1, "tue"),
        (1, "mon"),
        (1, "tue"),
        (2, None),
        (3, None),
    ]


def test_an_inner_join_with_a_side_that_is_not_unique(orders: Project) -> None:
    orders.land("staging/visits", VISITS)
    rows = staged(orders, "join: {with: staging.visits, on: [id], how: inner}", others=SHOPS_ASSET)
    assert [row[0] for row in rows] == [1, 1, 1, 1]


@pytest.mark.parametrize(("how", "ids"), [("semi", [1, 1, 2]), ("anti", [3])])
def test_semi_and_anti_joins_only_choose(orders: Project, how: str, ids: Sequence[int]) -> None:
    orders.land("staging/shops", SHOPS)
    rows = staged(
        orders, f"join: {{with: staging.shops, on: [id], how: {how}}}", others=SHOPS_ASSET
    )
    assert [row[0] for row in rows] == ids
    assert len(rows[0]) == 4


def test_an_anti_join_keeps_rows_whose_key_is_null(project: Project) -> None:
    project.land("raw/orders", "SELECT NULL::INT AS id, 'a' AS name")
    project.land("staging/shops", SHOPS)
    step = "join: {with: staging.shops, on: [id], how: anti}"
    assert staged(project, step, others=SHOPS_ASSET) == [(None, "a")]


DAILY = """sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
  visits: {type: database, connection: shop, table: visits, cursor: at}
"""


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("right", [(DAY, [(1, "a", "mon"), (7, None, "tue")]), (NEXT_DAY, [(2, None, "wed")])]),
        (
            "full",
            [
                (DAY, [(1, "a", "mon"), (7, None, "tue")]),
                (NEXT_DAY, [(1, "b", None), (2, None, "wed")]),
            ],
        ),
    ],
)
def test_right_and_full_joins_put_unmatched_rows_into_their_partition(
    project: Project, how: str, expected: list[tuple[str, list[tuple[object, ...]]]]
) -> None:
    project.declare(
        f"{DAILY}staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        f"      - join: {{with: raw.visits, on: [id], how: {how}, columns: [day]}}\n",
        daily=True,
    )
    project.land_all(
        "raw/orders", {DAY: "SELECT 1 AS id, 'a' AS n", NEXT_DAY: "SELECT 1 AS id, 'b' AS n"}
    )
    project.land_all(
        "raw/visits",
        {
            DAY: "SELECT * FROM (VALUES (1, 'mon'), (7, 'tue')) t(id, day)",
            NEXT_DAY: "SELECT 2 AS id, 'wed' AS day",
        },
    )
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert not passage.failed
    found = [
        (day, [tuple(row.values()) for row in project.rows("staging/orders", day)])
        for day in (DAY, NEXT_DAY)
    ]
    assert found == expected


def test_a_join_adds_only_columns_that_this_side_does_not_have(project: Project) -> None:
    project.know(
        orders={"id": "INTEGER", "region": "VARCHAR"}, shops={"id": "INTEGER", "region": "VARCHAR"}
    )
    project.land("raw/orders", "SELECT 1 AS id, 'mine' AS region")
    project.land("staging/shops", SHOPS)
    rows = staged(project, "join: {with: staging.shops, on: [id]}", others=SHOPS_ASSET)
    assert rows == [(1, "mine")]


def test_union_appends_by_name(orders: Project) -> None:
    orders.land("raw/shops", "SELECT 'new' AS name, 8 AS id")
    rows = staged(orders, "union: [raw.shops]", others=SHOPS_ASSET)
    assert len(rows) == 5
    assert (8, "new", None, None) in rows


def test_union_after_aggregate_leaves_no_trace_of_files(orders: Project) -> None:
    orders.land("raw/shops", "SELECT 8 AS id, 'West' AS region")
    staged(
        orders,
        "aggregate: {group_by: [id], columns: {n: count(*)}}",
        "union: [raw.shops]",
        others=SHOPS_ASSET,
    )
    assert set(names(orders)) == {"id", "n", "region"}
    node = orders.staging("orders")
    assert not {"_file", "_row", "_partition"} & set(node.schema.names)


def test_union_of_an_unpartitioned_asset_reads_all_partitions_of_another(
    project: Project,
) -> None:
    project.declare(
        "sources:\n  orders: {type: file, path: orders.parquet, partitions: none}\n"
        "  visits: {type: database, connection: shop, table: visits, cursor: at}\n"
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - union: [raw.visits]\n",
        daily=True,
    )
    project.land("raw/orders", "SELECT 1 AS id")
    project.land_all("raw/visits", {DAY: "SELECT 2 AS id", NEXT_DAY: "SELECT 3 AS id"})
    assert not project.compute("staging/orders").failed
    assert project.column("staging/orders", "id") == [1, 2, 3]


def test_union_of_a_partitioned_asset_with_a_whole_one_is_refused(project: Project) -> None:
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: orders, cursor: at}\n"
        "  visits: {type: file, path: orders.parquet, partitions: none}\n"
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - union: [raw.visits]\n",
        daily=True,
    )
    assert project.problems()[0].startswith(
        "shop/pipeline.yaml:12:17: raw.visits has no partitions"
    )


def test_fill_nulls_keeps_the_columns_type(orders: Project) -> None:
    staged(orders, "fill_nulls: {price: 0, name: unknown, note: '-'}")
    assert orders.column("staging/orders", "price") == [10.5, 0, 30.25, 40]
    assert orders.column("staging/orders", "name") == ["a", "b", "c", "unknown"]
    schema = orders.table("staging/orders").snapshot().schema  # type: ignore[union-attr]
    assert str(schema.field("price").type) == "decimal128(4, 2)"


def test_round_takes_digits_of_both_signs(project: Project) -> None:
    project.land("raw/orders", "SELECT 1234.567::DOUBLE AS a, 1250 AS b, 1.255::DECIMAL(9,3) AS c")
    rows = staged(project, "round: {a: 1, b: -2, c: 2}")
    assert [float(str(value)) for value in rows[0]] == [1234.6, 1300, 1.26]


def test_steps_follow_one_another(orders: Project) -> None:
    rows = staged(
        orders,
        "filter_rows: price is not null",
        "rename_columns: {price: amount}",
        "add_columns: {amount: amount * 2}",
        "filter_rows: amount > 21",
        "select_columns: [id, amount]",
        "round: {amount: 0}",
    )
    assert [(row[0], float(str(row[1]))) for row in rows] == [(2, 61), (3, 80)]


@pytest.mark.parametrize(
    "step",
    [
        "rename_columns: {price: name}",
        "add_columns: {_partition: id}",
        "add_columns: {partition: id}",
        "rename_columns: {price: _row}",
        "aggregate: {group_by: [id], columns: {id: count(*)}}",
        "join: {with: staging.shops, on: [id], columns: [region, region]}",
    ],
)
def test_names_that_are_taken_are_refused(project: Project, step: str) -> None:
    project.know(orders=COLUMNS)
    project.declare(
        f"{OTHERS}staging:\n{SHOPS_ASSET}  orders:\n    from: raw.orders\n    transformations:\n"
        f"      - {step}\n"
    )
    assert len(project.problems()) == 1
