"""A destination of files as Dagster runs it: what it tells of each file, and of one that fails."""

import dagster as dg
from dagster_steps import failure_of, materialized, run_assets
from factories import DAY, NEXT_DAY
from files_project import AMOUNTS, Exports

RANGE = {
    "dagster/asset_partition_range_start": DAY,
    "dagster/asset_partition_range_end": NEXT_DAY,
}
WHY = """\
destinations/shop/orders: the load of 2 partitions was rolled back, since 1 of them broke a rule:
  2024-01-02: range_amount: 1 of 1 rows
No file was put: those of before stand.
Its checks show offending rows. Mend what is named, then: \
data-platform run shop --partition 2024-01-02"""


def test_files_are_materialized_or_none_of_them(
    exports: Exports, instance: dg.DagsterInstance
) -> None:
    exports.declare("out/{partition_key}.csv", "range: {column: amount, max: 100}")
    exports.publish(AMOUNTS, DAY)
    exports.publish("SELECT 7 AS id, 101.50 AS amount", NEXT_DAY)
    result = run_assets(exports.project, instance, "destinations/orders", tags=RANGE)
    assert failure_of(result) == WHY
    assert materialized(instance, exports.project, "destinations/orders") == []
    exports.publish("SELECT 7 AS id, 1.50 AS amount", NEXT_DAY)
    result = run_assets(exports.project, instance, "destinations/orders", tags=RANGE)
    assert result.success
    done = materialized(instance, exports.project, "destinations/orders")
    assert sorted(map(str, done)) == [DAY, NEXT_DAY]
    assert sorted(exports.held()) == [DAY, NEXT_DAY]
