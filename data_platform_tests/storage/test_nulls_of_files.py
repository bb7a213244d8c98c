"""NULLs of each column, told by the very COPY that writes: no scan of their own."""

import pytest
from factories import DAY, NEXT_DAY, Project

ODD = """
SELECT * FROM (VALUES
  (1, NULL, [1, NULL], 'a', NULL),
  (2, 'b', NULL, NULL, NULL),
  (NULL, NULL, [], '', NULL)
) t(id, "a ""b"".c", many, text, "NULL")
"""


def test_every_column_is_counted_lists_as_a_whole(project: Project) -> None:
    nulls = project.land("staging/orders", ODD).nulls[""]
    assert nulls == {"id": 1, 'a "b".c': 2, "many": 1, "text": 1, "NULL": 3}


def test_each_partition_has_its_own_counts(project: Project) -> None:
    publication = project.land_all(
        "staging/orders",
        {
            DAY: "SELECT unnest([1, NULL, NULL]) AS id",
            NEXT_DAY: "SELECT unnest([1, 2]) AS id",
            "2024-01-03": "SELECT 1 AS id WHERE FALSE",
        },
    )
    assert publication.nulls == {DAY: {"id": 2}, NEXT_DAY: {"id": 0}, "2024-01-03": {}}


@pytest.mark.parametrize("rows", [3, 300_000])
def test_an_unchanged_partition_is_counted_too(project: Project, rows: int) -> None:
    query = f"SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE i END AS id FROM range({rows}) r(i)"
    first, second = project.land("raw/orders", query), project.land("raw/orders", query)
    assert not second.changed
    assert first.nulls == second.nulls == {"": {"id": rows // 3}}
