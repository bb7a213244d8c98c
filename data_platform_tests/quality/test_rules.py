# ruff: noqa: E501 -- cases stand in tables, one a line
"""Each rule against the language's words, over real rows and a real commit."""

import pytest
from factories import DAY, DAYS, NEXT_DAY, Project, outcome, verdict


def audit(
    project: Project,
    rows: str,
    *rules: str,
    on_violation: str = "fail",
    more: str = "",
    columns: str = "",
) -> object:
    """What comes of rules over rows of an unpartitioned asset."""
    project.land("raw/orders", rows)
    listed = "".join(f"      - {rule}\n" for rule in rules)
    quality = f"    quality:\n{listed}" if rules else ""
    project.declare(
        f"staging:\n  orders:\n    from: raw.orders\n    on_violation: {on_violation}\n"
        f"{columns}{quality}{more}"
    )
    return project.compute("staging/orders")


EMPTY = "SELECT 1 AS v, 'a' AS s WHERE FALSE"


@pytest.mark.parametrize(
    ("rows", "rule", "expected"),
    [
        # not_null
        ("SELECT NULL::INT AS v", "not_null: v", "fail"),
        ("SELECT 1 AS v", "not_null: v", "pass"),
        (EMPTY, "not_null: v", "pass"),
        (EMPTY, "not_null: {columns: [v], on_empty: warn}", "warn"),
        (EMPTY, "not_null: {columns: [v], on_empty: fail}", "fail"),
        ("SELECT '' AS v", "not_null: v", "pass"),
        ("SELECT 'nan'::DOUBLE AS v", "not_null: v", "pass"),
        ("SELECT CASE WHEN i > 0 THEN i END v FROM range(10) t(i)", "not_null: {columns: [v], max_null_percentage: 10}", "pass"),
        ("SELECT CASE WHEN i > 1 THEN i END v FROM range(10) t(i)", "not_null: {columns: [v], max_null_percentage: 10}", "fail"),
        # unique
        ("SELECT 1 AS v FROM range(2)", "unique: v", "fail"),
        ("SELECT NULL::INT AS v FROM range(3)", "unique: v", "pass"),
        ("SELECT NULL::INT AS v FROM range(3)", "unique: {columns: [v], nulls: count}", "fail"),
        ("SELECT NULL::INT AS v", "unique: {columns: [v], nulls: count}", "pass"),
        ("SELECT 1 AS v FROM range(3)", "unique: {columns: [v], max_duplicates: 2}", "pass"),
        ("SELECT 1 AS v FROM range(4)", "unique: {columns: [v], max_duplicates: 2}", "fail"),
        ("SELECT 'nan'::DOUBLE AS v FROM range(2)", "unique: v", "fail"),
        ("SELECT 1 AS v, s FROM (VALUES ('a'), ('b')) t(s)", "unique: [v, s]", "pass"),
        ("SELECT 1 AS v, NULL::TEXT AS s FROM range(2)", "unique: [v, s]", "pass"),
        ("SELECT s AS v FROM (VALUES ('é'), ('e')) t(s)", "unique: v", "pass"),
        (EMPTY, "unique: v", "pass"),
        (EMPTY, "unique: {columns: [v], on_empty: fail}", "fail"),
        # range
        ("SELECT 0 AS v", "range: {column: v, min: 0}", "pass"),
        ("SELECT -1 AS v", "range: {column: v, min: 0}", "fail"),
        ("SELECT 9 AS v", "range: {column: v, max: 9}", "pass"),
        ("SELECT 10 AS v", "range: {column: v, max: 9}", "fail"),
        ("SELECT NULL::INT AS v", "range: {column: v, min: 0}", "pass"),
        ("SELECT NULL::INT AS v", "range: {column: v, min: 0, nulls: violation}", "fail"),
        ("SELECT 'nan'::DOUBLE AS v", "range: {column: v, min: 0}", "fail"),
        ("SELECT 'nan'::DOUBLE AS v", "range: {column: v, max: 9}", "fail"),
        ("SELECT 'nan'::DOUBLE AS v", "range: {column: v, min: 0, max: 9}", "fail"),
        ("SELECT 'nan'::FLOAT AS v", "range: {column: v, min: 0}", "fail"),
        ("SELECT 'inf'::DOUBLE AS v", "range: {column: v, min: 0}", "pass"),
        ("SELECT '-inf'::DOUBLE AS v", "range: {column: v, min: 0}", "fail"),
        ("SELECT DATE '2024-01-01' AS v", "range: {column: v, min: '2024-01-01'}", "pass"),
        ("SELECT DATE '2023-12-31' AS v", "range: {column: v, min: '2024-01-01'}", "fail"),
        ("SELECT 1.5::DECIMAL(9,2) AS v", "range: {column: v, max: 1.5}", "pass"),
        # accepted_values
        ("SELECT 'a' AS v", "accepted_values: {column: v, values: [a, b]}", "pass"),
        ("SELECT 'A' AS v", "accepted_values: {column: v, values: [a, b]}", "fail"),
        ("SELECT NULL::TEXT AS v", "accepted_values: {column: v, values: [a]}", "pass"),
        ("SELECT 1 AS v", "accepted_values: {column: v, values: [1, 2]}", "pass"),
        ("SELECT 'größe' AS v", "accepted_values: {column: v, values: [größe]}", "pass"),
        ("SELECT TRUE AS v", "accepted_values: {column: v, values: [true]}", "pass"),
        ("SELECT 'x' AS v", "accepted_values: {column: v, values: [1, 2]}", "fail"),
        ("SELECT '1' AS v", "accepted_values: {column: v, values: [1, a]}", "pass"),
        ("SELECT 1.0::DOUBLE AS v", "accepted_values: {column: v, values: [1, 2]}", "pass"),
        # expression
        ("SELECT 1 AS v", "expression: v > 0", "pass"),
        ("SELECT 0 AS v", "expression: v > 0", "fail"),
        ("SELECT NULL::INT AS v", "expression: v > 0", "fail"),
        ("SELECT NULL::INT AS v", "expression: v > 0 or v is null", "pass"),
        (EMPTY, "expression: v > 0", "pass"),
        # row_count
        ("SELECT 1 AS v FROM range(5)", "row_count: {min_rows: 5}", "pass"),
        ("SELECT 1 AS v FROM range(4)", "row_count: {min_rows: 5}", "fail"),
        ("SELECT 1 AS v FROM range(5)", "row_count: {max_rows: 5}", "pass"),
        ("SELECT 1 AS v FROM range(6)", "row_count: {max_rows: 5}", "fail"),
        ("SELECT 1 AS v FROM range(6)", "row_count: {min_rows: 1, max_rows: 5}", "fail"),
        (EMPTY, "row_count: {min_rows: 1}", "fail"),
        (EMPTY, "row_count: {min_rows: 0}", "pass"),
        (EMPTY, "row_count: {max_rows: 0}", "pass"),
    ],
)  # fmt: skip
def test_a_rule_passes_and_fails_as_the_language_says(
    project: Project, rows: str, rule: str, expected: str
) -> None:
    passage = audit(project, rows, rule)
    assert passage.outcomes[-1].verdict == expected  # type: ignore[attr-defined]
    assert bool(passage.failed) == (expected == "fail")  # type: ignore[attr-defined]


def test_each_column_of_not_null_has_its_own_tolerance(project: Project) -> None:
    rows = "SELECT NULL::INT AS a, i AS b FROM range(2) t(i)"
    passage = audit(project, rows, "not_null: {columns: [a, b], max_null_percentage: 50}")
    assert verdict(passage, "not_null_a") == "fail"  # type: ignore[arg-type]
    assert verdict(passage, "not_null_b") == "pass"  # type: ignore[arg-type]


def test_a_tolerance_that_holds_leaves_its_rows_in(project: Project) -> None:
    rows = "SELECT CASE WHEN i > 0 THEN i END AS v FROM range(10) t(i)"
    rule = "not_null: {columns: [v], max_null_percentage: 10}"
    passage = audit(project, rows, rule, on_violation="quarantine")
    assert len(project.rows("staging/orders")) == 10
    assert passage.quarantined == {}  # type: ignore[attr-defined]


def test_a_tolerance_that_does_not_hold_acts_on_all_offending_rows(project: Project) -> None:
    rows = "SELECT CASE WHEN i > 1 THEN i END AS v FROM range(10) t(i)"
    rule = "not_null: {columns: [v], max_null_percentage: 10}"
    audit(project, rows, rule, on_violation="quarantine")
    assert len(project.rows("staging/orders")) == 8


def test_a_tolerance_is_judged_by_partition(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    quality:\n      - not_null: {columns: [v], max_null_percentage: 50}\n",
        daily=True,
    )
    project.land_all(
        "raw/orders",
        {
            DAY: "SELECT * FROM (VALUES (1), (NULL)) t(v)",
            NEXT_DAY: "SELECT * FROM (VALUES (1), (NULL), (NULL)) t(v)",
        },
    )
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert passage.quarantined == {NEXT_DAY: 2}
    assert len(project.rows("staging/orders", DAY)) == 2


def test_a_row_is_quarantined_once_with_all_its_reasons(project: Project) -> None:
    rows = "SELECT NULL::INT AS v, -1 AS w, 'x' AS s"
    passage = audit(
        project,
        rows,
        "not_null: [v, s]",
        "range: {column: w, min: 0}",
        "expression: {name: small, condition: w < -5}",
        on_violation="quarantine",
    )
    held = project.rows("quarantine/orders")
    assert passage.quarantined == {"": 1}  # type: ignore[attr-defined]
    assert [row["_reasons"] for row in held] == [["not_null_v_s: v", "range_w", "small"]]
    assert (held[0]["v"], held[0]["w"], held[0]["_run_id"]) == (None, -1, "test")


def test_quarantine_keeps_rows_as_they_came(project: Project) -> None:
    project.land("raw/orders", "SELECT 'x' AS v, 'y' AS w")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n"
        "    transformations:\n      - convert_types: {v: bigint}\n      - drop_columns: [w]\n"
    )
    project.compute("staging/orders")
    assert [(r["v"], r["w"]) for r in project.rows("quarantine/orders")] == [("x", "y")]


def test_set_rules_judge_what_would_be_published(project: Project) -> None:
    rows = "SELECT * FROM (VALUES (1, 1), (1, -1)) t(v, w)"
    passage = audit(
        project,
        rows,
        "unique: v",
        "range: {column: w, min: 0}",
        "row_count: {max_rows: 1}",
        on_violation="quarantine",
    )
    assert not passage.failed  # type: ignore[attr-defined]
    assert project.rows("staging/orders") == [{"v": 1, "w": 1}]


def test_set_rules_fail_under_an_asset_that_quarantines(project: Project) -> None:
    passage = audit(project, "SELECT 1 AS v FROM range(2)", "unique: v", on_violation="quarantine")
    assert "unique_v: 1 of 2 rows" in passage.failed[""]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "bad", "published"), [(99, 50, True), (100, 3, True), (100, 4, False), (200, 7, False)]
)
def test_the_percentage_of_quarantine_counts_from_a_hundred_rows_up(
    project: Project, rows: int, bad: int, published: bool
) -> None:
    passage = audit(
        project,
        f"SELECT CASE WHEN i >= {bad} THEN i END AS v FROM range({rows}) t(i)",
        "not_null: v",
        on_violation="quarantine",
        more="    max_quarantine_percentage: 3\n",
    )
    assert bool(passage.failed) != published  # type: ignore[attr-defined]
    assert len(project.rows("staging/orders")) == (rows - bad if published else 0)
    assert project.rows("quarantine/orders") == [] or published


def test_the_contract_says_rules_in_short(project: Project) -> None:
    passage = audit(
        project,
        "SELECT * FROM (VALUES (1, 'a', 5), (1, 'z', -5), (NULL, 'a', 50)) t(v, s, w)",
        on_violation="warn",
        columns="    columns:\n      v: {nullable: false, unique: true}\n"
        "      s: {accepted_values: [a, b]}\n      w: {min: 0, max: 10}\n",
    )
    found = {o.check.name: o.offending for o in passage.outcomes}  # type: ignore[attr-defined]
    assert found == {
        "conservation": 0,
        "not_null": 1,
        "unique_v": 1,
        "accepted_values_s": 1,
        "range_w": 2,
    }


def test_a_check_shows_at_most_five_offending_rows(project: Project) -> None:
    passage = audit(project, "SELECT NULL::INT AS v, i AS w FROM range(9) t(i)", "not_null: v")
    examples = outcome(passage, "not_null_v").examples  # type: ignore[arg-type]
    assert [row["w"] for row in examples] == ["0", "1", "2", "3", "4"]


PARENT = """sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
  shops: {type: database, connection: shop, table: shops, cursor: at}
staging:
  shops:
    from: raw.shops
"""


def refer(project: Project, rule: str, orders: str, shops: dict[str, str]) -> object:
    project.declare(
        f"{PARENT}  orders:\n    from: raw.orders\n    quality:\n      - {rule}\n", daily=True
    )
    project.land("raw/orders", orders, NEXT_DAY)
    project.land_all("staging/shops", shops)
    return project.compute("staging/orders", NEXT_DAY)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ("SELECT 1 AS shop", "pass"),
        ("SELECT 2 AS shop", "pass"),
        ("SELECT 3 AS shop", "fail"),
        ("SELECT NULL::INT AS shop", "pass"),
    ],
)
def test_a_foreign_key_looks_into_all_partitions(
    project: Project, orders: str, expected: str
) -> None:
    shops = {DAY: "SELECT 1 AS id", NEXT_DAY: "SELECT * FROM (VALUES (2), (NULL)) t(id)"}
    rule = "foreign_key: {column: shop, references: staging.shops.id}"
    passage = refer(project, rule, orders, shops)
    assert verdict(passage, "foreign_key_shop") == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ("SELECT 1 AS shop, 'us' AS land", "pass"),
        ("SELECT 1 AS shop, 'de' AS land", "fail"),
        ("SELECT NULL::INT AS shop, 'de' AS land", "pass"),
        ("SELECT 7 AS shop, NULL::TEXT AS land", "pass"),
    ],
)
def test_a_foreign_key_of_two_columns(project: Project, orders: str, expected: str) -> None:
    rule = (
        "foreign_key: {columns: [shop, land], "
        "references: {asset: staging.shops, columns: [id, country]}}"
    )
    shops = {DAY: "SELECT * FROM (VALUES (1, 'us'), (2, 'de'), (NULL, 'de')) t(id, country)"}
    passage = refer(project, rule, orders, shops)
    assert verdict(passage, "foreign_key_shop_land") == expected  # type: ignore[arg-type]


def test_a_foreign_key_of_a_source_is_asked_too(project: Project) -> None:
    (project.folder / "orders.csv").write_text("shop\n1\n3\n")
    project.declare(
        "sources:\n  shops: {type: file, path: shops.csv, partitions: none}\n"
        "  orders:\n    type: file\n    path: orders.csv\n    partitions: none\n    quality:\n"
        "      - foreign_key: {column: shop, references: raw.shops.id}\n"
    )
    assert "has never been published" in project.land_source("orders").failed[""]
    project.land("raw/shops", "SELECT 1::BIGINT AS id")
    assert "foreign_key_shop: 1 of 2 rows" in project.land_source("orders").failed[""]


ASSET_KEY = (
    "staging:\n  orders:\n    from: raw.orders\n"
    "    quality:\n      - unique: {columns: [v], scope: asset}\n"
)


def test_a_key_of_the_whole_asset_is_unique_across_a_range(project: Project) -> None:
    project.declare(ASSET_KEY, daily=True)
    project.land_all("raw/orders", {day: f"SELECT {n % 3} AS v" for n, day in enumerate(DAYS[:4])})
    passage = project.compute("staging/orders", *DAYS[:4])
    assert list(passage.failed) == [DAYS[3]]


@pytest.mark.parametrize(("first", "second"), [(DAY, NEXT_DAY), (NEXT_DAY, DAY)])
def test_a_key_of_the_whole_asset_is_unique_against_what_is_published(
    project: Project, first: str, second: str
) -> None:
    project.declare(ASSET_KEY, daily=True)
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 1 AS v"})
    assert not project.compute("staging/orders", first).failed
    assert list(project.compute("staging/orders", second).failed) == [second]
    assert not project.compute("staging/orders", first).failed


def test_a_key_of_a_partition_may_come_again_in_another(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    quality:\n      - unique: v\n", daily=True
    )
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 1 AS v"})
    assert not project.compute("staging/orders", DAY, NEXT_DAY).failed


def reconciled(
    project: Project,
    rule: str,
    rows: str,
    other: str,
    on_violation: str = "fail",
    quality: str = "",
) -> str:
    project.declare(
        f"{PARENT}  orders:\n    from: raw.orders\n    on_violation: {on_violation}\n"
        f"    quality:\n      - reconcile: {{with: raw.shops, {rule}}}\n{quality}",
        daily=True,
    )
    project.land_all("raw/orders", {DAY: rows, NEXT_DAY: rows})
    project.land_all("raw/shops", {DAY: other, NEXT_DAY: f"FROM ({other})"})
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    found = {finding.verdict for finding in outcome(passage, "reconcile_shops").findings.values()}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize(
    ("rule", "rows", "other", "expected"),
    [
        ("expression: sum(v)", "SELECT 1 AS v", "SELECT 1 AS v", "pass"),
        ("expression: sum(v)", "SELECT 1 AS v", "SELECT 2 AS v", "fail"),
        ("expression: sum(v), tolerance: 1", "SELECT 1 AS v", "SELECT 2 AS v", "pass"),
        ("expression: sum(v), tolerance: 0.5", "SELECT 1 AS v", "SELECT 2 AS v", "fail"),
        ("expression: sum(v), with_expression: sum(w)", "SELECT 3 AS v", "SELECT 3 AS w", "pass"),
        ("expression: sum(v)", "SELECT NULL::INT AS v", "SELECT NULL::INT AS v", "pass"),
        ("expression: sum(v)", "SELECT NULL::INT AS v", "SELECT 0 AS v", "fail"),
        ("expression: count(*)", "SELECT 1 AS v WHERE FALSE", "SELECT 1 AS v WHERE FALSE", "pass"),
        ("expression: count(*) filter (where v > 5)", "SELECT 1 AS v WHERE FALSE", "SELECT 1 AS v", "pass"),
        ("expression: count(*)", "SELECT 1 AS v WHERE FALSE", "SELECT 1 AS v", "fail"),
        ("expression: sum(v)", "SELECT 'nan'::DOUBLE AS v", "SELECT 'nan'::DOUBLE AS v", "pass"),
        ("expression: sum(v), tolerance: 5", "SELECT 'nan'::DOUBLE AS v", "SELECT 1::DOUBLE AS v", "fail"),
        ("expression: max(v), tolerance: 5", "SELECT 'inf'::DOUBLE AS v", "SELECT 1::DOUBLE AS v", "fail"),
        ("expression: min(v), tolerance: 1", "SELECT DATE '2024-01-01' AS v", "SELECT DATE '2024-01-02' AS v", "fail"),
        ("expression: sum(v)", "SELECT 0.10::DECIMAL(9,2) AS v FROM range(3)", "SELECT 0.30::DECIMAL(9,2) AS v", "pass"),
    ],
)  # fmt: skip
def test_reconcile_compares_partition_by_partition(
    project: Project, rule: str, rows: str, other: str, expected: str
) -> None:
    assert reconciled(project, rule, rows, other) == expected


@pytest.mark.parametrize(("included", "expected"), [("true", "pass"), ("false", "fail")])
def test_reconcile_counts_quarantined_rows_where_told(
    project: Project, included: str, expected: str
) -> None:
    rule = f"expression: sum(v), including_quarantine: {included}"
    rows = "SELECT * FROM (VALUES (1), (-1)) t(v)"
    quality = "      - range: {column: v, min: 0}\n"
    assert reconciled(project, rule, rows, rows, "quarantine", quality) == expected


def test_an_asset_without_partitions_reconciles_with_all_of_another(project: Project) -> None:
    project.declare(
        f"{PARENT}analytics:\n  totals:\n    query: |\n      select sum(v) as v from raw.orders\n"
        "    partitions: none\n    quality:\n      - reconcile: {with: raw.shops, expression: sum(v)}\n",
        daily=True,
    )
    project.land_all("raw/orders", {DAY: "SELECT 1 AS v", NEXT_DAY: "SELECT 2 AS v"})
    project.land_all("raw/shops", {DAY: "SELECT 3 AS v"})
    assert not project.compute("analytics/totals").failed
    project.land_all("raw/shops", {NEXT_DAY: "SELECT 1 AS v"})
    assert "3 here, 4 in raw/shop/shops" in project.compute("analytics/totals").failed[""]
