"""`on_empty`: what it means that a source, or a partition of it, has no rows."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import DAY, NEXT_DAY, Project, outcome, verdict

from data_platform.errors import ConfigurationError
from data_platform.plan.building import build_plan
from data_platform.plan.nodes import RawNode


def daily(on_empty: str) -> str:
    return (
        "sources:\n  orders:\n    type: file\n"
        f"    path: orders/{{partition_key}}.parquet\n{on_empty}"
    )


def write(project: Project, rows: dict[str, list[int]]) -> None:
    folder = project.folder / "orders"
    folder.mkdir(exist_ok=True)
    for key, ids in rows.items():
        pq.write_table(pa.table({"id": pa.array(ids, pa.int64())}), folder / f"{key}.parquet")


def test_a_partition_without_rows_warns_and_is_published(project: Project) -> None:
    project.declare(daily(""), daily=True)
    write(project, {DAY: [1, 2], NEXT_DAY: []})
    passage = project.land_source("orders", DAY, NEXT_DAY)
    assert not passage.failed
    assert verdict(passage, "not_empty") == "warn"
    findings = outcome(passage, "not_empty").findings
    assert {key: finding.verdict for key, finding in findings.items()} == {
        DAY: "pass",
        NEXT_DAY: "warn",
    }
    assert findings[NEXT_DAY].detail == "0 rows, wanted at least 1"
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    assert set(snapshot.partitions) == {DAY, NEXT_DAY}


def test_a_partition_without_rows_fails_alone_and_its_last_version_stands(
    project: Project,
) -> None:
    project.declare(daily("    on_empty: fail\n"), daily=True)
    write(project, {DAY: [1], NEXT_DAY: [2]})
    assert not project.land_source("orders", DAY, NEXT_DAY).failed
    write(project, {DAY: [3], NEXT_DAY: []})
    passage = project.land_source("orders", DAY, NEXT_DAY)
    assert list(passage.failed) == [NEXT_DAY]
    assert "not_empty: 0 rows" in passage.failed[NEXT_DAY]
    assert project.column("raw/orders", "id") == [2, 3]


def test_nothing_is_asked_where_empty_is_as_it_should_be(project: Project) -> None:
    project.declare(daily("    on_empty: pass\n"), daily=True)
    write(project, {DAY: []})
    passage = project.land_source("orders", DAY)
    assert not passage.failed
    assert "not_empty" not in {found.check.name for found in passage.outcomes}


@pytest.mark.parametrize(("said", "effect"), [("", "warn"), ("    on_empty: fail\n", "fail")])
def test_a_source_without_partitions_is_asked_as_a_whole(
    project: Project, said: str, effect: str
) -> None:
    body = f"sources:\n  orders:\n    type: file\n    path: orders/one.parquet\n{said}"
    project.declare(body)
    write(project, {"one": []})
    node = project.node("raw/orders")
    assert isinstance(node, RawNode)
    assert node.checks[0].description == "It has rows."
    passage = project.land_source("orders")
    assert verdict(passage, "not_empty") == effect
    assert bool(passage.failed) == (effect == "fail")


def test_a_rule_may_not_take_its_name(project: Project) -> None:
    quality = "    quality:\n      - row_count: {name: not_empty, min_rows: 1}\n"
    project.declare(daily(quality), daily=True)
    built = build_plan(project.workspace(), lambda _: None)
    with pytest.raises(ConfigurationError, match="a check 'not_empty' stands at line"):
        raise ConfigurationError(list(built.problems))
