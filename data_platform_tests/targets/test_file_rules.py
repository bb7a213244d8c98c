"""Rules on a destination of files: what was written is read back before any file is put."""

import pytest
from factories import DAY, NEXT_DAY
from files_project import AMOUNTS, Exports

from data_platform.destinations.loading import Loading

RECONCILE = "reconcile: {with: staging.orders, expression: sum(amount)}"
ENDINGS = ["csv", "csv.gz", "jsonl.zst", "parquet"]


def verdicts(loading: Loading) -> dict[str, str]:
    return {outcome.check.name: outcome.verdict for outcome in loading.outcomes}


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_keep_their_rules_are_put(exports: Exports, ending: str) -> None:
    rules = ["not_null: id", "unique: id", "row_count: {min_rows: 2}", RECONCILE]
    exports.declare(f"out/{{partition_key}}.{ending}", *rules)
    exports.publish(AMOUNTS, DAY, NEXT_DAY)
    loading = exports.deliver(DAY, NEXT_DAY)
    assert set(verdicts(loading).values()) == {"pass"}
    assert [outcome.rows for outcome in loading.outcomes] == [4, 4, 4, 4]
    assert sorted(exports.held()) == [DAY, NEXT_DAY]


def test_no_file_is_put_where_one_of_them_breaks_a_rule(exports: Exports) -> None:
    exports.declare()
    exports.publish(AMOUNTS, DAY, NEXT_DAY)
    exports.deliver(DAY, NEXT_DAY)
    before = {name: exports.text(f"out/{name}") for name in exports.names()}
    versions = exports.held()
    exports.declare("out/{partition_key}.csv", "range: {column: amount, max: 100}")
    exports.publish("SELECT 3 AS id, 7.00 AS amount", DAY)
    exports.publish("SELECT 4 AS id, 101.00 AS amount", NEXT_DAY)
    loading = exports.deliver(DAY, NEXT_DAY)
    assert loading.failed == {NEXT_DAY: "range_amount: 1 of 1 rows"}
    assert (loading.undone, loading.loaded) == ({DAY}, frozenset())
    assert loading.standing == versions
    assert {name: exports.text(f"out/{name}") for name in exports.names()} == before


def test_a_warning_is_told_and_the_file_put(exports: Exports) -> None:
    exports.declare(
        "out/{partition_key}.jsonl", "range: {column: amount, max: 15, on_violation: warn}"
    )
    exports.publish(AMOUNTS, DAY)
    loading = exports.deliver(DAY)
    [outcome] = loading.outcomes
    assert (outcome.verdict, outcome.offending) == ("warn", 1)
    assert outcome.examples == [{"amount": "20.25", "_partition": DAY}]
    assert list(exports.held()) == [DAY]


def test_a_file_without_rows_is_judged_as_such(exports: Exports) -> None:
    exports.declare("out/{partition_key}.csv", "row_count: {min_rows: 1}")
    exports.publish(f"{AMOUNTS} WHERE FALSE", DAY)
    assert exports.deliver(DAY).failed == {DAY: "row_count: 0 rows, wanted at least 1"}
    assert not exports.path("out").exists()


@pytest.mark.parametrize(
    ("rules", "more", "message"),
    [
        (["not_null: nothing"], "", "pipeline.yaml:15:9: no column 'nothing' in this asset"),
        (
            ["not_null: {columns: [id], on_violation: quarantine}"],
            "",
            "pipeline.yaml:15:9: a table outside has no quarantine",
        ),
        (
            ["unique: {columns: [id], scope: asset}"],
            "",
            "pipeline.yaml:15:9: files of other partitions aren't read",
        ),
        (
            ["drift: {metric: row_count, max_change_percentage: 5}"],
            "",
            "pipeline.yaml:15:9: figures of earlier partitions are kept with the versions",
        ),
    ],
)
def test_mistakes_are_found_at_load(
    exports: Exports, rules: list[str], more: str, message: str
) -> None:
    exports.project.know(orders={"id": "INTEGER", "amount": "DECIMAL(12,2)"})
    exports.declare("out/{partition_key}.csv", *rules, more=more)
    [problem] = exports.project.problems()
    assert message in problem
