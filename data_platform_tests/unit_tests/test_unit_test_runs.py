"""What a unit test of a pipeline runs, and what it takes for right."""

import hmac
from decimal import Decimal

import pytest
from factories import Project

from data_platform.unit_tests.lake import MASKING_KEY

STAGING = """
staging:
  orders:
    from: raw.orders
    transformations:
      - convert_types: {amount: "decimal(12,2)"}
      - filter_rows: coalesce(country, '') <> 'XX'
    columns:
      id: {type: bigint, nullable: false}
      amount: {type: "decimal(12,2)", min: 0}
      country: {type: varchar}
    extra_columns: drop
    quality:
      - unique: [id]
      - row_count: {min_rows: 1, on_violation: warn}
    on_violation: quarantine
"""
DAILY = """
analytics:
  revenue:
    query: |
      SELECT CAST(:partition_start AS DATE) AS day, country, SUM(amount) AS revenue
      FROM staging.orders GROUP BY ALL
  week:
    query: SELECT :partition_key AS day, COUNT(*) AS n, SUM(amount) AS revenue FROM staging.orders
    inputs:
      staging.orders: {last: 3}
"""
ORDERS = "asset: staging.orders\ngiven:\n  raw.orders:\n"


@pytest.fixture
def shop(project: Project) -> Project:
    project.declare(STAGING)
    return project


@pytest.fixture
def daily(project: Project) -> Project:
    project.declare(STAGING + DAILY, daily=True)
    return project


def test_rows_come_in_any_order_and_only_named_columns_count(shop, judge):
    judged = judge(
        f"{ORDERS}"
        "    - {id: 1, amount: 1.10, country: DE}\n"
        "    - {id: 2, amount: 2.20, country: FR}\n"
        "expect:\n  rows:\n    - {id: 2, amount: 2.2}\n    - {id: 1, amount: 1.1}\n"
    )
    assert judged.passed


def test_a_cell_that_differs_is_told_with_both_values(shop, judge):
    judged = judge(
        f"{ORDERS}    - {{id: 1, amount: 1.10}}\nexpect:\n  rows:\n    - {{id: 1, amount: 1.11}}\n"
    )
    (difference,) = judged.tables
    (row,) = difference.rows
    assert (row.kind, row.wrong) == ("differs", (1,))
    assert (row.expected[1], row.found[1]) == (Decimal("1.11"), Decimal("1.10"))


def test_missing_and_surplus_rows_are_told(shop, judge):
    judged = judge(
        f"{ORDERS}    - {{id: 1, amount: 1, country: DE}}\n"
        "expect:\n  rows:\n    - {id: 2, amount: 5, country: FR}\n"
    )
    (difference,) = judged.tables
    assert [row.kind for row in difference.rows] == ["missing", "surplus"]


def test_the_same_row_twice_is_two_rows(shop, judge):
    judged = judge(
        f"{ORDERS}    - {{id: 1, country: DE}}\n    - {{id: 2, country: DE}}\n"
        "expect:\n  rows:\n    - {country: DE}\n"
    )
    (difference,) = judged.tables
    assert [row.kind for row in difference.rows] == ["surplus"]


def test_a_row_with_null_differs_from_one_with_zero(shop, judge):
    judged = judge(
        f"{ORDERS}    - {{id: 1, amount: null}}\nexpect:\n  rows:\n    - {{id: 1, amount: 0}}\n"
    )
    assert not judged.passed


def test_rows_that_are_held_back_are_told_as_they_came_with_reasons_in_any_order(shop, judge):
    judged = judge(
        f"{ORDERS}"
        "    - {id: null, amount: '-1'}\n"
        "    - {id: 2, amount: twelve}\n"
        "    - {id: 3, amount: '3', country: XX}\n"
        "expect:\n"
        "  rows: []\n"
        "  quarantined:\n"
        "    - {amount: twelve, reasons: ['types: amount']}\n"
        "    - {amount: '-1', reasons: [range_amount, not_null]}\n"
        "  checks: {conservation: pass, row_count: warn}\n"
    )
    assert judged.passed, judged


def test_a_check_that_fails_unnamed_fails_the_test(shop, judge):
    twice = f"{ORDERS}    - {{id: 1}}\n    - {{id: 1}}\nexpect:\n"
    assert judge(f"{twice}  count: 0\n").messages == ("check unique_id fails: 1 of 2 rows",)
    assert judge(f"{twice}  checks: {{unique_id: fail}}\n").passed


def test_a_check_that_comes_out_otherwise_is_told(shop, judge):
    judged = judge(f"{ORDERS}    - {{id: 1}}\nexpect:\n  checks: {{unique_id: fail}}\n")
    assert judged.messages == ("check unique_id should be 'fail' and is 'pass'",)


def test_count_is_of_published_rows(shop, judge):
    judged = judge(f"{ORDERS}    - {{id: 1}}\nexpect:\n  count: 2\n")
    assert judged.messages == ("2 rows expected, 1 row published",)


def test_an_input_that_is_not_named_has_no_rows(shop, judge):
    assert judge("asset: staging.orders\nexpect:\n  rows: []\n").passed


def test_defaults_are_values_of_columns_that_a_row_does_not_name(shop, judge):
    inputs = "inputs:\n  raw.orders:\n    defaults: {id: 7, country: DE}\n"
    body = f"{ORDERS}    - {{amount: 1}}\n    - {{id: 8, country: null}}\n"
    expect = "expect:\n  rows:\n    - {id: 7, country: DE}\n    - {id: 8, country: null}\n"
    assert judge(body + expect, inputs).passed


def test_types_of_unknown_columns_can_be_named(shop, judge):
    body = f"{ORDERS}    - {{id: 1, amount: 0.125}}\nexpect:\n  count: 0\n"
    for kind in ("double", "decimal(9,3)", "varchar"):
        value = body.replace("0.125", "'0.125'") if kind == "varchar" else body
        judged = judge(value, f"inputs:\n  raw.orders:\n    columns: {{amount: '{kind}'}}\n")
        assert judged.passed, (kind, judged)


def test_csv_is_aligned_and_its_empty_fields_are_null(shop, judge):
    judged = judge(
        "asset: staging.orders\n"
        "given:\n"
        "  raw.orders:\n"
        "    csv: |\n"
        "      id, amount, country\n"
        "      1,    1.50, DE\n"
        '      2,        , "Ä, ö"\n'
        "expect:\n"
        "  rows:\n"
        "    - {id: 1, amount: 1.5, country: DE}\n"
        "    - {id: 2, amount: null, country: 'Ä, ö'}\n"
    )
    assert judged.passed, judged


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_may_come_from_a_file(shop, judge, suffix):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    path = shop.pipelines / "shop" / f"orders.{suffix}"
    table = pa.table({"id": [1], "amount": [Decimal("1.10")], "country": ["DE"]})
    (pyarrow.csv.write_csv if suffix == "csv" else pyarrow.parquet.write_table)(table, path)
    judged = judge(
        f"asset: staging.orders\ngiven:\n  raw.orders: {{file: orders.{suffix}}}\n"
        "expect:\n  rows:\n    - {id: 1, amount: 1.10, country: DE}\n"
    )
    assert judged.passed, judged


def test_a_partition_reads_its_own_rows_alone(daily, judge):
    judged = judge(
        "asset: analytics.revenue\n"
        "partition: 2024-01-02\n"
        "given:\n"
        "  staging.orders:\n"
        "    - {country: DE, amount: 1.10}\n"
        "    - {country: DE, amount: 100, _partition: 2024-01-01}\n"
        "expect:\n  rows:\n    - {day: 2024-01-02, country: DE, revenue: 1.10}\n"
    )
    assert judged.passed, judged


def test_several_partitions_run_at_once_and_rows_say_which_they_are_of(daily, judge):
    judged = judge(
        "asset: analytics.week\n"
        "partition: [2024-01-03, 2024-01-04]\n"
        "given:\n"
        "  staging.orders:\n"
        "    - {amount: 1, _partition: 2024-01-01}\n"
        "    - {amount: 10, _partition: 2024-01-04}\n"
        "expect:\n"
        "  rows:\n"
        "    - {_partition: 2024-01-03, day: 2024-01-03, n: 1, revenue: 1}\n"
        "    - {_partition: 2024-01-04, day: 2024-01-04, n: 1, revenue: 10}\n"
    )
    assert judged.passed, judged


def test_the_first_partition_is_meant_where_none_is_named(daily, judge):
    judged = judge(
        "asset: staging.orders\ngiven:\n  raw.orders:\n    - {id: 1}\n"
        "expect:\n  rows:\n    - {id: 1, _partition: 2024-01-01}\n"
    )
    assert judged.passed, judged


def test_parameters_and_the_clock_are_the_tests_own(project, judge):
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n"
        "    columns: {id: {type: bigint}, at: {type: timestamp}}\n"
        "analytics:\n  recent:\n"
        "    parameters: {least: {type: int, default: 1}}\n"
        "    query: |\n"
        "      SELECT id, today() AS day, CAST(age(at) AS VARCHAR) AS age,\n"
        "        CAST(current_timestamp AS TIMESTAMP) AS moment\n"
        "      FROM staging.orders WHERE id >= :least\n"
    )
    judged = judge(
        "asset: analytics.recent\n"
        "now: 2017-02-01T12:00:00+02:00\n"
        "parameters: {least: 2}\n"
        "given:\n"
        "  staging.orders:\n"
        "    - {id: 1}\n"
        "    - {id: 2, at: 2017-01-30 00:00:00}\n"
        "expect:\n"
        "  rows:\n"
        "    - {id: 2, day: 2017-02-01, age: 2 days, moment: 2017-02-01 10:00:00}\n"
    )
    assert judged.passed, judged


def test_doubles_may_be_off_by_a_tolerance_and_nan_equals_nan(project, judge):
    project.declare(
        "analytics:\n  ratios:\n    query: SELECT a / b AS x, [a, b] AS pair FROM raw.orders\n",
    )
    given = (
        "asset: analytics.ratios\n"
        "given:\n  raw.orders:\n    - {a: 1.0, b: 3.0}\n    - {a: NaN, b: 1.0}\nexpect:\n"
    )
    inputs = "inputs:\n  raw.orders:\n    columns: {a: double, b: double}\n"
    rows = "  rows:\n    - {x: %s, pair: [1, 3]}\n    - {x: NaN, pair: [NaN, 1]}\n"
    assert judge(given + rows % "0.3333333333", inputs).passed
    assert not judge(given + rows % "0.333", inputs).passed
    assert judge(f"{given}  tolerance: 0.001\n{rows % '0.333'}", inputs).passed


def test_ordered_rows_must_come_in_their_order(project, judge):
    project.declare("analytics:\n  top:\n    query: SELECT a FROM raw.orders ORDER BY a DESC\n")
    given = "asset: analytics.top\ngiven:\n  raw.orders:\n    - {a: 1}\n    - {a: 2}\nexpect:\n"
    assert judge(f"{given}  ordered: true\n  rows:\n    - {{a: 2}}\n    - {{a: 1}}\n").passed
    assert not judge(f"{given}  ordered: true\n  rows:\n    - {{a: 1}}\n    - {{a: 2}}\n").passed


def test_a_step_may_be_expected_to_fail_with_a_message(project, judge):
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    columns: {id: {type: bigint}}\n"
    )
    given = f"{ORDERS}    - {{id: 1, more: 2}}\nexpect:\n"
    assert judge(f"{given}  error: columns that the contract doesn't name arrive\n").passed
    assert (
        "it fails with another message than 'nothing': "
        in (judge(f"{given}  error: nothing\n").messages[0])
    )
    assert "doesn't name arrive: more" in judge(f"{given}  count: 1\n").messages[0]
    sound = judge(f"{ORDERS}    - {{id: 1}}\nexpect:\n  error: anything\n")
    assert sound.messages == ("it should fail with 'anything', and nothing failed",)


def test_python_steps_run(project, judge):
    folder = project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - python: {function: 'steps:doubled'}\n"
        "    columns: {id: {type: bigint}}\n"
    ).parent
    (folder / "steps.py").write_text(
        "def doubled(rows):\n    if (rows['id'] < 0).any():\n        raise ValueError('negative')\n"
        "    return rows.assign(id=rows['id'] * 2)\n"
    )
    assert judge(f"{ORDERS}    - {{id: 2}}\nexpect:\n  rows:\n    - {{id: 4}}\n").passed
    assert judge(f"{ORDERS}    - {{id: -2}}\nexpect:\n  error: negative\n").passed
    # Tests don't see one another, though they share an instance of DuckDB.
    assert judge(f"{ORDERS}    - {{id: 2}}\nexpect:\n  rows:\n    - {{id: 4}}\n").passed


def test_a_column_that_is_not_there_is_told_when_it_runs(project, judge):
    project.declare("analytics:\n  all:\n    query: SELECT * FROM raw.orders\n")
    judged = judge(
        "asset: analytics.all\ngiven:\n  raw.orders:\n    - {amount: 1}\n"
        "expect:\n  rows:\n    - {amuont: 1}\n"
    )
    assert judged.messages == ("rows: there is no column 'amuont'; did you mean 'amount'?",)


def test_a_failure_says_where_rows_went(shop, judge):
    judged = judge(
        f"{ORDERS}    - {{id: 1, country: XX}}\n    - {{id: 2, amount: '-1'}}\n"
        "expect:\n  count: 2\n"
    )
    assert judged.notes == ("2 in = 0 out + 1 quarantined + 1 by filter_rows",)


def test_personal_data_is_masked_by_a_key_that_tests_know(project, judge):
    project.platform("masking: {key: '${MASKING_KEY:-unset}'}\nconnections: {}\n")
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - mask: {mail: hash}\n"
    )
    given = f"{ORDERS}    - {{id: 1, mail: a@b.c}}\n    - {{id: 2, mail: a@b.c}}\nexpect:\n"
    judged = judge(f"{given}  rows: [{{mail: x}}, {{mail: x}}]\n")
    (difference,) = judged.tables
    token = hmac.new(MASKING_KEY.encode(), b"a@b.c", "sha256").hexdigest()
    assert [row.found for row in difference.rows if row.found] == [(token,), (token,)]


KINDS = """
sources:
  fed: {type: python, function: feeds:fetch, partitions: {%s},
        columns: {n: {type: bigint}}}
analytics:
  made:
    partitions: {%s}
    query: SELECT :partition_key AS key, COALESCE(SUM(n), 0) AS n FROM raw.fed
"""
REGIONS = "by: {region: {values: [eu, us]}}"


@pytest.mark.parametrize(
    ("upstream", "reader", "rows", "key", "total"),
    [
        ("every: day, start: 2024-01-01", "every: month, start: 2024-01-01",
         "[{n: 1}, {n: 2, _partition: 2024-01-31}, {n: 9, _partition: 2024-02-01}]",
         "2024-01-01", 3),
        ("every: hour, start: 2024-01-01", "every: day, start: 2024-01-01",
         "[{n: 1, _partition: '2024-01-02-23:00'}, {n: 2}]", "2024-01-02", 3),
        (f"every: day, start: 2024-01-01, {REGIONS}", REGIONS,
         "[{n: 1, _partition: '2024-01-05|us'}, {n: 2}]", "us", 3),
        (REGIONS, f"every: day, start: 2024-01-01, {REGIONS}",
         "[{n: 1, _partition: eu}, {n: 2}]", "'2024-01-07|us'", 2),
        ("dynamic: customers", "dynamic: customers", "[{n: 1, _partition: b}, {n: 2}]", "a", 2),
    ],
)  # fmt: skip
def test_rows_are_of_what_belongs_to_the_partition(
    project, judge, upstream, reader, rows, key, total
):
    project.declare(KINDS % (upstream, reader))
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch(partition): ...\n")
    judged = judge(
        f"asset: analytics.made\npartition: {key}\ngiven:\n  raw.fed: {rows}\n"
        f"expect:\n  rows:\n    - {{key: {key}, n: {total}}}\n"
    )
    assert judged.passed, judged


def test_a_registered_key_must_be_said(project, problems):
    project.declare(KINDS % ("dynamic: customers", "dynamic: customers"))
    (project.pipelines / "shop" / "feeds.py").write_text("def fetch(partition): ...\n")
    assert problems(
        "tests:\n  - name: one\n    asset: analytics.made\n    expect: {count: 0}\n"
    ) == ["2:5: keys are registered as they come: say one by `partition`"]
