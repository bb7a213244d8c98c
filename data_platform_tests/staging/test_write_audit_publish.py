# ruff: noqa: E501 -- cases stand in tables, one a line
"""Staging writes, audits and publishes: what fails keeps its last version, nothing is lost."""

from dataclasses import replace

import pytest
from factories import DAY, DAYS, NEXT_DAY, Project, outcome

from data_platform.errors import ContractError
from data_platform.staging.computing import compute

RULE = (
    "staging:\n  orders:\n    from: raw.orders\n    quality:\n      - range: {column: v, min: 0}\n"
)
HOLDING = RULE.replace("    quality:", "    on_violation: quarantine\n    quality:")


def test_a_failed_partition_keeps_its_version_while_sound_ones_are_published(
    project: Project,
) -> None:
    project.declare(RULE, daily=True)
    project.land_all("raw/orders", dict.fromkeys(DAYS[:3], "SELECT 1 AS v"))
    project.compute("staging/orders", *DAYS[:3])
    project.land_all(
        "raw/orders", {day: f"SELECT {-2 if day == NEXT_DAY else 2} AS v" for day in DAYS[:3]}
    )
    passage = project.compute("staging/orders", *DAYS[:3])
    assert list(passage.failed) == [NEXT_DAY]
    assert [project.column("staging/orders", "v", day) for day in DAYS[:3]] == [[2], [1], [2]]


def test_nothing_is_published_where_all_failed(project: Project) -> None:
    project.declare(RULE, daily=True)
    project.land("raw/orders", "SELECT -1 AS v", DAY)
    passage = project.compute("staging/orders", DAY)
    assert passage.publication is None
    assert project.table("staging/orders").snapshot() is None


def test_a_missing_upstream_partition_fails_alone(project: Project) -> None:
    project.declare(RULE, daily=True)
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert passage.failed == {NEXT_DAY: f"raw/shop/orders has no published partition {NEXT_DAY}"}
    assert project.column("staging/orders", "v") == [1]


def test_the_same_partition_twice_is_no_second_commit(project: Project) -> None:
    project.declare(HOLDING, daily=True)
    project.land("raw/orders", "SELECT * FROM (VALUES (1), (-1)) t(v)", DAY)
    project.compute("staging/orders", DAY, run="one")
    passage = project.compute("staging/orders", DAY, run="two")
    assert passage.publication is not None
    assert not passage.publication.changed
    assert passage.quarantine is not None
    assert not passage.quarantine.changed
    assert len([*project.table("staging/orders").history()]) == 1
    assert project.column("quarantine/orders", "_run_id") == ["one"]


def test_a_column_of_the_present_moment_makes_no_new_version(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - add_columns: {loaded_at: current_timestamp}\n"
        "      - add_columns: {day: cast(loaded_at as varchar)}\n"
        "      - rename_columns: {day: loaded_on}\n"
        "analytics:\n  latest:\n    query: |\n      select v, loaded_on, now() as at from staging.orders\n",
    )
    project.land("raw/orders", "SELECT 1 AS v")
    first = project.compute("staging/orders").publication
    second = project.compute("staging/orders").publication
    assert first is not None
    assert second is not None
    assert (first.changed, second.changed) == ({""}, set())
    project.compute("analytics/latest")
    third = project.compute("analytics/latest").publication
    assert third is not None
    assert not third.changed


def test_quarantine_stands_beside_published_versions_only(project: Project) -> None:
    project.declare(f"{HOLDING}      - row_count: {{min_rows: 1}}\n", daily=True)
    project.land_all(
        "raw/orders", {DAY: "SELECT -1 AS v", NEXT_DAY: "SELECT * FROM (VALUES (1), (-1)) t(v)"}
    )
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert list(passage.failed) == [DAY]
    held = project.rows("quarantine/orders")
    published = project.table("staging/orders").snapshot()
    assert published is not None
    assert [row["_data_version"] for row in held] == [published.partitions[NEXT_DAY].data_version]


def test_quarantine_is_cleared_when_the_bad_rows_are_gone(project: Project) -> None:
    project.declare(HOLDING, daily=True)
    project.land("raw/orders", "SELECT * FROM (VALUES (1), (-1)) t(v)", DAY)
    project.compute("staging/orders", DAY)
    assert len(project.rows("quarantine/orders")) == 1
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    passage = project.compute("staging/orders", DAY)
    assert project.rows("quarantine/orders") == []
    assert passage.quarantine is not None


def test_no_quarantine_is_made_where_nothing_was_ever_held_back(project: Project) -> None:
    project.declare(HOLDING, daily=True)
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    assert project.compute("staging/orders", DAY).quarantine is None
    assert project.table("quarantine/orders").snapshot() is None


def test_an_empty_partition_passes_through(project: Project) -> None:
    project.declare(HOLDING, daily=True)
    project.land("raw/orders", "SELECT 1 AS v WHERE FALSE", DAY)
    assert not project.compute("staging/orders", DAY).failed
    snapshot = project.table("staging/orders").snapshot()
    assert snapshot is not None
    assert snapshot.partitions[DAY].rows == 0


STEPS = (
    "staging:\n  orders:\n    from: raw.orders\n    on_violation: quarantine\n    transformations:\n"
    "      - filter_rows: kind <> 'test'\n"
    "      - deduplicate: {by: [id], order_by: [v]}\n"
    "    quality:\n      - range: {column: v, min: 0}\n"
)
ROWS = (
    "SELECT * FROM (VALUES (1, 1, 'a'), (1, 2, 'a'), (2, -1, 'a'), (3, 3, 'test'),"
    " (4, 4, NULL), (5, 5, 'b')) t(id, v, kind)"
)


def test_rows_in_are_out_quarantined_filtered_and_deduplicated(project: Project) -> None:
    project.declare(STEPS, daily=True)
    project.land_all("raw/orders", {DAY: ROWS, NEXT_DAY: ROWS})
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    finding = outcome(passage, "conservation").findings[DAY]
    detail = "6 in = 2 out + 1 quarantined + 2 by filter_rows + 1 by deduplicate"
    assert (finding.verdict, finding.detail) == ("pass", detail)


@pytest.mark.parametrize(
    ("step", "change", "missing"),
    [
        ("filter_rows", "WHERE FALSE AND", "lost"),
        ("deduplicate", "LIMIT 0", "lost"),
        ("source", "WHERE id <> 5", "lost"),
        ("source", "UNION ALL FROM source_again", "too many"),
    ],
)
def test_a_step_that_loses_or_makes_rows_is_found_out(
    project: Project, step: str, change: str, missing: str
) -> None:
    project.declare(STEPS, daily=True)
    project.land("raw/orders", ROWS, DAY)
    node = project.staging("orders")
    again = '(SELECT * FROM "shop.raw.orders")'

    def tampered(sql: str) -> str:
        if change.startswith("WHERE FALSE"):
            return sql.replace("WHERE", change)
        return f"{sql} {change.replace('FROM source_again', f'FROM {again}')}"

    steps = tuple(
        replace(each, sql=tampered(each.sql)) if each.name == step else each for each in node.steps
    )
    passage = compute(replace(node, steps=steps), [DAY], project.workbench, {"run_id": "x"})
    assert missing in passage.failed.get(DAY, "")
    assert project.table("staging/orders").snapshot() is None
    assert project.table("quarantine/orders").snapshot() is None


CONTRACT = "staging:\n  orders:\n    from: raw.orders\n    columns: {v: {type: bigint}}\n"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("extra", "names"), [("keep", ["v", "w"]), ("drop", ["v"])])
def test_extra_columns_are_kept_or_dropped(
    project: Project, extra: str, names: list[str], known: bool
) -> None:
    if known:
        project.know(orders={"v": "BIGINT", "w": "INTEGER"})
    project.declare(f"{CONTRACT}    extra_columns: {extra}\n")
    project.land("raw/orders", "SELECT 1::BIGINT AS v, 2 AS w")
    project.compute("staging/orders")
    assert list(project.rows("staging/orders")[0]) == names


def test_extra_columns_fail_at_load_where_they_are_known(project: Project) -> None:
    project.know(orders={"v": "BIGINT", "w": "INTEGER"})
    project.declare(CONTRACT)
    assert "columns that the contract doesn't name: w" in project.problems()[0]


def test_extra_columns_fail_at_run_where_they_are_not(project: Project) -> None:
    project.declare(CONTRACT)
    project.land("raw/orders", "SELECT 1 AS v, 2 AS w")
    with pytest.raises(ContractError, match="doesn't name arrive: w; name them, drop them"):
        project.compute("staging/orders")


@pytest.mark.parametrize("promise", ["{type: bigint}", "{nullable: false}", "{description: x}"])
def test_a_promised_column_that_does_not_arrive_fails(project: Project, promise: str) -> None:
    project.declare(
        f"staging:\n  orders:\n    from: raw.orders\n    columns: {{v: {promise}}}\n"
        "    extra_columns: keep\n"
    )
    project.land("raw/orders", "SELECT 2 AS w")
    with pytest.raises(ContractError, match=r"staging/shop/orders: .*\bv\b"):
        project.compute("staging/orders")


def test_a_promised_column_that_does_not_arrive_is_told_at_load(project: Project) -> None:
    project.know(orders={"w": "BIGINT"})
    project.declare(CONTRACT)
    assert any("no column 'v' arrives here; there are w" in told for told in project.problems())


def test_a_type_that_changed_after_load_is_an_error_not_silence(project: Project) -> None:
    project.know(orders={"v": "BIGINT"})
    project.declare(CONTRACT)
    project.land("raw/orders", "SELECT 'x' AS v")
    with pytest.raises(ContractError, match="v arrives as VARCHAR, the contract says BIGINT"):
        project.compute("staging/orders")


def test_a_column_that_came_later_reads_as_null_before_alone_and_in_a_range(
    project: Project,
) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    columns: {v: {}, w: {}}\n", daily=True
    )
    project.land("raw/orders", "SELECT 1 AS v", DAY)
    project.land("raw/orders", "SELECT 1 AS v, 2 AS w", NEXT_DAY)
    project.compute("staging/orders", DAY)
    passage = project.compute("staging/orders", DAY, NEXT_DAY)
    assert passage.publication is not None
    assert passage.publication.changed == {NEXT_DAY}


def test_a_value_that_an_expression_can_not_compute_is_told(project: Project) -> None:
    project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    transformations:\n"
        "      - add_columns: {w: cast(v as bigint)}\n"
    )
    project.land("raw/orders", "SELECT 'x' AS v")
    with pytest.raises(ContractError, match=r"staging/shop/orders: .*'x'"):
        project.compute("staging/orders")
