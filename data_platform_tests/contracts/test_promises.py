"""What a contract promises is held to in each layer, in the same words."""

import duckdb
import pytest
from factories import Project, verdict

from data_platform.errors import ContractError

OF_ID = "unique: true, min: 2, max: 9, accepted_values: [2], nullable: false"
PROMISES = f"{{id: {{{OF_ID}}}, name: {{matches: b}}}}"
BROKEN = "SELECT 1::BIGINT AS id, 'a' AS name UNION ALL SELECT 1, 'b' UNION ALL SELECT NULL, NULL"
CHECKS = ["range_id", "accepted_values_id", "unique_id", "not_null", "matches_name"]


def declare_source(project: Project, columns: str) -> None:
    file = project.folder / "orders.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({BROKEN}) TO '{file}'")
    project.declare(
        f"sources:\n  orders:\n    type: file\n    path: {file}\n    columns: {columns}\n"
    )


def wrong(project: Project) -> str:
    [problem] = project.workspace().problems
    return str(problem).rpartition("pipeline.yaml:")[2]


def test_the_same_words_hold_in_raw(project: Project) -> None:
    declare_source(project, PROMISES)
    passage = project.land_source("orders")
    assert {name: verdict(passage, name) for name in CHECKS} == dict.fromkeys(CHECKS, "fail")


def test_the_same_words_hold_in_staging(project: Project) -> None:
    project.declare(f"staging:\n  orders:\n    from: raw.orders\n    columns: {PROMISES}\n")
    project.land("raw/orders", BROKEN)
    passage = project.compute("staging/orders")
    assert {name: verdict(passage, name) for name in CHECKS} == dict.fromkeys(CHECKS, "fail")


def test_the_same_words_hold_in_analytics(project: Project) -> None:
    project.declare(
        f"analytics:\n  a:\n    query: select * from raw.orders\n    columns: {PROMISES}\n"
    )
    project.land("raw/orders", BROKEN)
    passage = project.compute("analytics/a")
    assert {name: verdict(passage, name) for name in CHECKS} == dict.fromkeys(CHECKS, "fail")


def test_a_promised_column_that_does_not_arrive_is_told_by_its_name(project: Project) -> None:
    columns = "{id: {type: bigint}, total: {type: bigint}}"
    project.declare(f"staging:\n  orders:\n    from: raw.orders\n    columns: {columns}\n")
    project.land("raw/orders", "SELECT 1::BIGINT AS id")
    message = "no column total arrives, and the contract promises it"
    with pytest.raises(ContractError, match=message):
        project.compute("staging/orders")


def test_a_promised_column_in_other_letters_is_told_with_those_of_the_query(
    project: Project,
) -> None:
    project.declare(
        "analytics:\n  a:\n    query: select id from raw.orders\n    columns: {ID: {}}\n"
    )
    project.know(orders={"id": "BIGINT"})
    assert project.problems() == [
        "shop/pipeline.yaml:9:15: the SQL gives no column 'ID'; did you mean 'id'?"
    ]


@pytest.mark.parametrize(
    ("promise", "message"),
    [
        ("{min: 1, max: 0}", "min 1 is above max 0: no value is within"),
        ("{min: 0.5, max: 0.25}", "min 0.5 is above max 0.25"),
        ("{accepted_values: []}", "needs at least one entry"),
        ("{min: true}", "expected a number, or a date or time as text; found true"),
        ("{unique: 1}", "expected true or false, found 1"),
    ],
)
def test_a_promise_that_nothing_can_keep_is_told(
    project: Project, promise: str, message: str
) -> None:
    project.declare(f"staging:\n  orders:\n    from: raw.orders\n    columns: {{id: {promise}}}\n")
    found = wrong(project)
    assert found.startswith("9:")
    assert message in found


def test_bounds_of_texts_and_equal_bounds_are_left_alone(project: Project) -> None:
    columns = "{id: {min: 1, max: 1}, at: {min: '2024-01-02', max: '2024-01-01'}}"
    project.declare(f"staging:\n  orders:\n    from: raw.orders\n    columns: {columns}\n")
    assert project.workspace().problems == ()
