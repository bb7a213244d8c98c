"""`data-platform quarantine`: which rows were held back beside what is published, and why."""

import json

import pytest
from factories import DAY, NEXT_DAY, Project

from data_platform.quality.gate import Gate

STAGING = """staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      price: {type: integer, min: 0}
    extra_columns: drop
    on_violation: quarantine
    quality:
      - row_count: {max_rows: 3}
"""
SOME = "SELECT * FROM (VALUES (1, 5, 'a'), (NULL, -1, 'b'), (2, -7, 'c')) t(id, price, note)"
SOUND = "SELECT * FROM (VALUES (1, 5, 'a')) t(id, price, note)"
MANY = (
    "SELECT i::INTEGER AS id, (1 - 2 * (i // 9))::INTEGER AS price, 'x' AS note FROM range(10) t(i)"
)


@pytest.fixture(autouse=True)
def shop(project: Project) -> Project:
    """Two days, both with rows in quarantine."""
    project.declare(STAGING, daily=True)
    project.land_all("raw/orders", {DAY: SOME, NEXT_DAY: SOME})
    project.compute("staging/orders", DAY, NEXT_DAY, run="first")
    return project


def listed(command, *arguments: str) -> list[dict]:
    result = command("quarantine", "list", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def shown(command, *arguments: str) -> list[dict]:
    result = command("quarantine", "show", "staging/shop/orders", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_rows_and_reasons_are_counted_by_partition(command):
    assert listed(command) == [
        {
            "asset": "staging/shop/orders",
            "partition": day,
            "rows": 2,
            "discarded": 0,
            "reasons": {"not_null": 1, "range_price": 2},
        }
        for day in (DAY, NEXT_DAY)
    ]


def test_rows_are_shown_as_they_came(command):
    rows = shown(command, "--partition", DAY)
    assert [(row["id"], row["price"], row["note"]) for row in rows] == [
        (None, -1, "b"),
        (2, -7, "c"),
    ]
    assert rows[0]["_reasons"] == ["not_null", "range_price"]
    assert rows[0]["_run_id"] == "first"
    assert list(rows[0])[:2] == ["partition", "_reasons"]
    assert not {"_data_version", "_source_version"} & set(rows[0])


def test_rows_of_a_publication_that_never_came_do_not_count(
    command, project: Project, monkeypatch: pytest.MonkeyPatch
):
    """Quarantine is committed before the rows that it stands beside."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    project.land("raw/orders", f"{SOME} UNION ALL VALUES (3, -8, 'd'), (4, 8, 'e')", DAY)
    with monkeypatch.context() as patched:
        patched.setattr(Gate, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            project.compute("staging/orders", DAY, run="second")
    assert [found["partition"] for found in listed(command)] == [NEXT_DAY]
    project.compute("staging/orders", DAY, run="third")
    assert [found["rows"] for found in listed(command)] == [3, 2]


def test_a_failed_audit_leaves_quarantine_as_it_was(command, project: Project):
    project.land("raw/orders", MANY, DAY)
    passage = project.compute("staging/orders", DAY, run="second")
    assert DAY in passage.failed
    assert {row["_run_id"] for row in shown(command)} == {"first"}


def test_quarantine_beside_another_version_is_left_out(command, project: Project):
    """The asset moved on without its quarantine: what stands beside the old version is over."""
    project.land("staging/orders", "SELECT 9::BIGINT AS id, 9 AS price", DAY)
    assert [found["partition"] for found in listed(command)] == [NEXT_DAY]
    assert shown(command, "--partition", DAY) == []
    sql = "select count(*) as n from quarantine.orders"
    assert command("query", sql, "--format", "csv").stdout == "n\n2\n"


def test_rows_mended_at_the_source_leave_quarantine(command, project: Project):
    project.land_all("raw/orders", {DAY: SOUND, NEXT_DAY: SOUND})
    project.compute("staging/orders", DAY, NEXT_DAY)
    assert listed(command) == []
    assert command("quarantine", "list").stdout == "nothing is in quarantine\n"


def test_the_lake_can_be_asked_for_them(command):
    sql = "select partition, count(*) as n from shop.quarantine.orders group by 1 order by 1"
    result = command("query", sql, "--format", "csv")
    assert result.stdout == f"partition,n\n{DAY},2\n{NEXT_DAY},2\n"


def test_limit_and_what_is_left(command):
    result = command("quarantine", "show", "staging.orders", "--limit", "1")
    assert result.stdout.splitlines()[-1] == "1 of 4 rows shown, 3 more: --limit 0 shows all"


def test_text_tells_reasons_with_counts(command):
    lines = command("quarantine", "list", "shop").stdout.splitlines()
    assert lines[0].split() == ["asset", "partition", "rows", "reasons"]
    assert lines[1].split() == ["staging/shop/orders", DAY, "2", "not_null", "1"]
    assert lines[2].split() == ["range_price", "2"]
    assert lines[-1] == "4 rows held back"
    assert max(map(len, lines)) <= 80


def test_an_unknown_partition_is_an_error(command):
    result = command("quarantine", "show", "staging.orders", "--partition", "2023-01-01")
    assert result.exit_code == 1
    assert "staging/shop/orders has no partition '2023-01-01'" in result.stderr


def test_nothing_published_is_nothing_held_back(command, project: Project):
    project.declare(STAGING, name="empty", daily=True)
    assert listed(command, "empty") == []
    result = command("quarantine", "show", "staging/empty/orders")
    assert (result.exit_code, result.stdout) == (0, "no rows\n")
    result = command("query", "select * from empty.quarantine.orders")
    assert result.exit_code == 1
    assert "no row was held back" in result.stderr


def test_an_asset_without_partitions_can_have_quarantine(command, project: Project):
    project.declare(STAGING, name="whole")
    project.land("raw/whole/orders", SOME)
    project.compute("staging/whole/orders")
    assert [(found["partition"], found["rows"]) for found in listed(command, "whole")] == [
        (None, 2)
    ]
    result = command("quarantine", "show", "staging/whole/orders", "--format", "json")
    assert next(iter(json.loads(result.stdout)[0])) == "_reasons"


def test_a_destination_holds_nothing_back(command, project: Project):
    body = f"{STAGING}destinations:\n  out:\n    from: staging.orders\n    type: database\n"
    project.declare(f"{body}    connection: shop\n    table: orders\n", daily=True)
    assert command("quarantine", "show", "destinations.out").exit_code == 2
