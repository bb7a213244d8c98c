"""Rows that break a rule are counted, shown and held back by statements over rows as they are."""

import pytest
from factories import DAY, NEXT_DAY, Project, outcome

from data_platform.errors import ContractError
from data_platform.plan.naming import WHOLE
from data_platform.quality.gate import Gate

ORDERS = """
staging:
  orders:
    from: raw.orders
    on_violation: quarantine
    quality:
"""


def declare(project: Project, *rules: str, daily: bool = False) -> None:
    project.declare(ORDERS + "".join(f"      - {rule}\n" for rule in rules), daily=daily)


@pytest.mark.parametrize("name", ["rowid", "ROWID", "number"])
def test_a_column_may_be_called_as_the_number_of_a_row(project: Project, name: str) -> None:
    declare(project, "range: {column: v, min: 0}")
    project.land("raw/orders", f'SELECT 7 AS "{name}", i AS v FROM range(-2, 3) t(i)')
    passage = project.compute("staging/orders")
    assert passage.quarantined == {WHOLE: 2}
    assert project.column("staging/orders", "v") == [0, 1, 2]
    assert set(project.column("quarantine/orders", "v")) == {-2, -1}


KEYED = """
staging:
  orders:
    from: raw.orders
    on_violation: quarantine
    quality:
      - foreign_key:
          name: known
          columns: [a, b]
          references: {asset: staging.pairs, columns: [x, y]}
      - range: {column: v, min: 0}
  pairs:
    from: raw.pairs
"""


def test_missing_keys_are_held_back_with_all_their_reasons(project: Project) -> None:
    sources = "".join(
        f"  {name}: {{type: file, path: {name}.parquet, partitions: none}}\n"
        for name in ("orders", "pairs")
    )
    project.declare(f"sources:\n{sources}{KEYED}")
    project.land("raw/pairs", "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) t(x, y)")
    project.compute("staging/pairs")
    rows = "(1, 'a', 0), (1, 'b', 1), (2, 'a', -2), (2, NULL, 3), (NULL, 'a', 4), (1, 'b', 5)"
    project.land("raw/orders", f"SELECT * FROM (VALUES {rows}) t(a, b, v)")
    passage = project.compute("staging/orders")
    assert passage.quarantined == {WHOLE: 3}
    assert outcome(passage, "known").offending == 3
    held = {row["v"]: row["_reasons"] for row in project.rows("quarantine/orders")}
    assert held == {1: ["known"], -2: ["known", "range_v"], 5: ["known"]}
    assert sorted(map(str, project.column("staging/orders", "v"))) == ["0", "3", "4"]


def test_examples_are_of_the_partitions_with_most_offending_rows(project: Project) -> None:
    declare(project, "range: {column: v, max: 0}", daily=True)
    # The n-th day has n rows, all offending: days one to five less than the five days after them.
    days = [f"2024-01-{number:02}" for number in range(1, 11)]
    project.land_all(
        "raw/orders",
        {day: f"SELECT {number} AS v FROM range({number})" for number, day in enumerate(days, 1)},
    )
    passage = project.compute("staging/orders", *days)
    assert [row["v"] for row in outcome(passage, "range_v").examples] == ["6"] * 5


def test_a_row_of_a_partition_that_nobody_asked_for_is_told(project: Project) -> None:
    declare(project, "range: {column: v, min: 0}", daily=True)
    table = project.table("staging/orders")
    with project.workbench.open() as (session, scratch):
        session.run(f"CREATE TEMP VIEW made AS SELECT '{NEXT_DAY}' AS _partition, 1 AS v")
        gate = Gate(session, project.staging("orders"), table, scratch, [DAY], {})
        with pytest.raises(ContractError, match=f"a row of partition {NEXT_DAY}, not asked for"):
            gate.make_candidate("made", stored=True)
