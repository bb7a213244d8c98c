"""Mistakes in tests.yaml: all at once, with their place and what would be right."""

import json

import jsonschema
import pytest
from factories import Project

from data_platform.spec.json_schema import tests_schema as schema_of_tests

BODY = """
staging:
  orders:
    from: raw.orders
    parameters: {least: {type: int, default: 1}}
    columns:
      id: {type: bigint}
      price: {type: "decimal(9,2)"}
      day: {type: date}
    extra_columns: drop
    quality:
      - expression: {name: dear, condition: "price >= :least"}
analytics:
  sums:
    query: SELECT id, price, day FROM staging.orders
"""
START = "tests:\n  - name: one\n    asset: analytics.sums\n"


@pytest.fixture(autouse=True)
def shop(project: Project) -> Project:
    project.declare(BODY, daily=True)
    return project


def test_unknown_keys_and_words_come_all_at_once(problems):
    found = problems(
        "test:\n  - x\n"
        "tests:\n"
        "  - name: One\n    asset: analytics.sums\n    expects: {}\n    expect: {count: -1}\n"
        "  - name: two\n    expect: {checks: {dear: red}}\n"
    )
    assert [line.split(":")[0] for line in found] == ["1", "4", "6", "7", "8", "9"]
    assert "unknown key 'test'; did you mean 'tests'?" in found[0]
    assert "'One' is no name" in found[1]
    assert "unknown key 'expects'; did you mean 'expect'?" in found[2]
    assert "expected at least 0, found -1" in found[3]
    assert "'asset' is missing" in found[4]
    assert "'red' is not allowed; allowed: pass, warn, quarantine, fail" in found[5]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("expect: {}", "4:5", "nothing is expected: name rows, count"),
        ("expect: {error: x, count: 1}", "4:5", "a step that fails gives no count"),
        ("expect: {count: 1, ordered: true}", "4:5", "`ordered` is about `rows`"),
        ("expect: {rows: 5}", "4:14", "expected a list of rows such as `- {id: 1}`"),
        ("expect: {rows: {csv: a, file: b.csv}}", "4:14", "`csv` or from `file`"),
        ("expect: {rows: [{id: {a: 1}}]}", "4:22", "a value is a text, a number"),
        ("now: yesterday\n    expect: {count: 0}", "4:5", "'yesterday' is no moment"),
    ],
)
def test_what_is_wrong_by_itself_has_its_place(problems, text, place, message):
    (found,) = problems(f"{START}    {text}\n")
    assert found.startswith(f"{place}: ")
    assert message in found


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("partition: 2025-01-01", "4:5", "'2025-01-01' is no partition: they are daily from"),
        ("partition: [2024-01-02, x]", "4:29", "'x' is no partition"),
        ("parameters: {least: 1}", "4:18", "analytics.sums has no parameter 'least'"),
        ("given: {staging.order: []}", "4:13", "doesn't read staging.order; did you mean 'stag"),
        ("given: {staging.orders: [{prize: 1}]}", "4:31", "'prize'; did you mean 'price'?"),
        ("given: {staging.orders: [{id: 1.5}]}", "4:30", "id is bigint; 1.5 can't be one without"),
        ("given: {staging.orders: [{price: 1.005}]}", "4:30", "1.005 can't be one without loss"),
        ("given: {staging.orders: [{id: x}]}", "4:30", "id is bigint; 'x' can't be one"),
        ("given: {staging.orders: [{id: true}]}", "4:30", "true and false are boolean"),
        ("given: {staging.orders: [{day: 2024-13-01}]}", "4:30", "day is date; '2024-13-01'"),
        (
            "given: {staging.orders: [{price: 1234567.123456789}]}",
            "4:30",
            "put it in quotes, since YAML keeps no more than 15 digits",
        ),
        ("given: {staging.orders: [{_partition: 2023-01-01}]}", "4:30", "is no partition of stag"),
        ("given: {staging.orders: {file: x.csv}}", "4:30", "there is no file"),
        ("given: {staging.orders: {file: pipeline.yaml}}", "4:30", "a .csv or .parquet file"),
        ('given: {staging.orders: {csv: "id\\n1,2"}}', "4:30", "row 1 of the CSV has 2 fields"),
        ("given: {staging.orders: {csv: ''}}", "4:30", "a CSV needs a header"),
    ],
)  # fmt: skip
def test_what_the_pipeline_does_not_have_has_its_place(problems, text, place, message):
    (found,) = problems(f"{START}    {text}\n    expect: {{count: 0}}\n")
    assert found.startswith(f"{place}: "), found
    assert message in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{rows: [{prize: 1}]}", "analytics/shop/sums has no column 'prize'; did you mean 'price'"),
        ("{rows: [{price: 1.005}]}", "price is decimal(9,2); 1.005 can't be one without loss"),
        ("{quarantined: []}", "no rule of analytics.sums quarantines rows"),
        ("{checks: {dear: fail}}", "analytics.sums has no check 'dear'; there are none"),
    ],
)
def test_expectations_that_cannot_come_true_are_mistakes(problems, text, message):
    (found,) = problems(f"{START}    expect: {text}\n")
    assert message in found


@pytest.mark.parametrize(
    ("asset", "message"),
    [
        ("staging.order", "there is no asset staging.order; did you mean 'staging.orders'?"),
        ("raw.orders", "raw.orders is a source: tests are of staging and analytics"),
        ("other.staging.orders", "is another pipeline's: its tests stand beside that"),
    ],
)
def test_only_assets_of_the_pipeline_have_tests_here(problems, asset, message):
    (found,) = problems(f"tests:\n  - name: one\n    asset: {asset}\n    expect: {{count: 0}}\n")
    assert message in found


def test_rows_of_several_partitions_say_which_they_are_of(problems):
    found = problems(
        f"{START}    partition: [2024-01-01, 2024-01-02]\n"
        "    given: {staging.orders: [{id: 1}, {id: 2, _partition: 2024-01-02}]}\n"
        "    expect: {count: 2}\n"
    )
    assert found == ["5:30: of which partition is the row? Say it by _partition"]


def test_names_are_unique_and_inputs_are_assets(problems):
    found = problems(
        "inputs: {raw.order: {}}\n"
        + START
        + "    expect: {count: 0}\n"
        + START.removeprefix("tests:\n")
        + "    expect: {count: 0}\n"
    )
    assert found == [
        "1:10: there is no asset raw.order; did you mean 'raw.orders'?",
        "6:5: there is a test 'one' already",
    ]


def test_a_broken_pipeline_hides_no_mistake_of_the_file_itself(project: Project, problems):
    project.declare("staging:\n  orders:\n    from: raw.gone\n")
    assert len(problems("tests: []\n")) == 1
    assert problems(f"{START}    expect: {{count: 0}}\n") == []


def test_the_json_schema_knows_what_is_read():
    schema = schema_of_tests()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))
    sound = {"name": "one", "asset": "staging.a", "expect": {"rows": [{"id": 1, "x": [None]}]}}
    assert validator.is_valid({"tests": [sound]})
    assert validator.is_valid({"tests": [{**sound, "given": {"raw.a": {"csv": "a\n1"}}}]})
    assert not validator.is_valid({"tests": [{**sound, "partitions": "2024-01-01"}]})
    assert not validator.is_valid({"tests": [{**sound, "expect": {"checks": {"a": "red"}}}]})
    assert not validator.is_valid({"tests": []})
