"""`skip_unchanged` and what a source says of its state: nothing is read that needn't be."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster_steps import materialized, run_assets
from factories import DAY, DAYS, NEXT_DAY, Project

from data_platform.plan.nodes import RawNode
from data_platform.raw import extraction
from data_platform.raw.landings import asked, known_landings, not_to_be_asked
from data_platform.sources.arrivals import Arrival, Landing, Question
from data_platform.storage.places.place import Place

MODULE = """
import pathlib
calls = pathlib.Path(__file__).with_name("calls")

def fetch({partition}):
    with calls.open("a") as file:
        file.write("x")
    return [{{"id": len(calls.read_text())}}]
"""
NOW = datetime(2024, 3, 1, tzinfo=UTC)


def declare(project: Project, expires: str = "1h", more: str = "", *, daily: bool = False) -> None:
    path = project.declare(
        "sources:\n  orders:\n    type: python\n    function: fetching:fetch\n"
        f"    skip_unchanged: {{expires: {expires}}}\n{more}",
        daily=daily,
    )
    path.with_name("fetching.py").write_text(MODULE.format(partition="partition" if daily else ""))


def calls(project: Project) -> int:
    return len((project.pipelines / "shop" / "calls").read_text())


def raw(project: Project) -> RawNode:
    node = project.node("raw/orders")
    assert isinstance(node, RawNode)
    return node


def test_the_same_question_is_asked_once_while_it_holds(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project)
    assert run_assets(project, instance, "raw/orders").success
    again = run_assets(project, instance, "raw/orders")
    assert again.success
    assert calls(project) == 1
    # Nobody looked at the source: nothing may look fresher than it is.
    assert materialized(instance, project, "raw/orders") == [None]
    assert {one.check_name for one in again.get_asset_check_evaluations()} == {
        "not_empty",
        "new_columns",
    }


def test_it_is_asked_again_when_that_has_expired(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project, expires="0s")
    assert run_assets(project, instance, "raw/orders").success
    assert run_assets(project, instance, "raw/orders").success
    assert calls(project) == 2


def test_another_question_is_asked(project: Project, instance: dg.DagsterInstance) -> None:
    declare(project)
    assert run_assets(project, instance, "raw/orders").success
    declare(project, more="    quality:\n      - row_count: {min_rows: 1}\n")
    assert run_assets(project, instance, "raw/orders").success
    assert calls(project) == 2


def test_what_stands_must_be_what_landed(project: Project, instance: dg.DagsterInstance) -> None:
    declare(project)
    assert run_assets(project, instance, "raw/orders").success
    project.land("raw/orders", [{"id": 99}])
    assert run_assets(project, instance, "raw/orders").success
    assert calls(project) == 2
    assert project.column("raw/orders", "id") == [2]


def note_of(project: Project) -> tuple[Place, str]:
    table = project.table("raw/orders")
    [note] = table.place.list(f"{table.relative}/_landings")
    return table.place, note.relative


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"data_version": 1, "at": "noon"}'])
def test_a_note_that_cant_be_read_is_none(
    project: Project, instance: dg.DagsterInstance, text: str
) -> None:
    declare(project)
    assert run_assets(project, instance, "raw/orders").success
    place, note = note_of(project)
    place.write(note, text.encode())
    assert run_assets(project, instance, "raw/orders").success
    assert calls(project) == 2


def test_a_note_of_another_version_is_none(project: Project, instance: dg.DagsterInstance) -> None:
    declare(project)
    assert run_assets(project, instance, "raw/orders").success
    place, note = note_of(project)
    noted = json.loads(place.read(note) or b"")
    place.write(note, json.dumps({**noted, "data_version": "another"}).encode())
    assert run_assets(project, instance, "raw/orders").success
    assert calls(project) == 2


def test_of_a_range_only_what_is_due_is_read(
    project: Project, instance: dg.DagsterInstance
) -> None:
    declare(project, daily=True)
    assert run_assets(project, instance, "raw/orders", partition_key=DAY).success
    tags = {
        "dagster/asset_partition_range_start": DAY,
        "dagster/asset_partition_range_end": NEXT_DAY,
    }
    assert run_assets(project, instance, "raw/orders", tags=tags).success
    assert calls(project) == 2
    assert materialized(instance, project, "raw/orders") == [DAY, NEXT_DAY]


def test_what_is_left_of_a_range_is_contiguous(project: Project) -> None:
    declare(project, daily=True)
    node, fresh = raw(project), Landing("", NOW, {})
    old = Landing("", NOW - timedelta(hours=2), {})
    landings = dict.fromkeys(DAYS[:7], fresh) | {DAYS[2]: old, DAYS[4]: old}
    skipped = not_to_be_asked(node, landings, DAYS[:7], NOW)
    assert list(skipped) == [DAYS[0], DAYS[1], DAYS[5], DAYS[6]]
    assert skipped[DAYS[0]] == "the same was asked 0 s ago, and that holds for 1 h"
    later = NOW - timedelta(minutes=1)
    assert not not_to_be_asked(node, landings, DAYS[:1], later), "a clock that went back"


def test_parameters_are_part_of_the_question(project: Project) -> None:
    declare(project)
    node = raw(project)
    assert asked(node, "", {"a": 1}) != asked(node, "", {"a": "1"})
    assert asked(node, "", {"a": 1, "b": 2}) == asked(node, "", {"b": 2, "a": 1})
    assert asked(node, DAY, {}) != asked(node, NEXT_DAY, {})


def test_what_the_source_calls_unchanged_is_materialized_as_it_stands(
    project: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an answer 304: a source that says so, in the place of one of the kinds."""
    declare(project, expires="0s")
    seen: list[Question] = []

    @contextmanager
    def answers(question: Question) -> Generator[Arrival]:
        seen.append(question)
        if question.landings:
            yield Arrival(None, unchanged=frozenset(question.keys))
        else:
            yield Arrival("SELECT 1 AS id, '' AS _partition", marks={"": {"etag": '"7"'}})

    monkeypatch.setattr(extraction, "arriving", answers)
    assert run_assets(project, instance, "raw/orders").success
    for _ in range(2):
        assert run_assets(project, instance, "raw/orders").success
    assert [dict(one.landings[""].marks) if one.landings else None for one in seen] == [
        None,
        {"etag": '"7"'},
        {"etag": '"7"'},
    ]
    assert materialized(instance, project, "raw/orders") == [None, None, None]
    assert len([*project.table("raw/orders").history()]) == 1
    event = instance.get_latest_materialization_event(dg.AssetKey(["raw", "shop", "orders"]))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["not_read"].value == "the source says that it is unchanged"
    assert metadata["dagster/row_count"].value == 1
    assert metadata["unchanged"].value is True


def test_no_note_is_kept_where_nobody_asks(project: Project, instance: dg.DagsterInstance) -> None:
    path = project.declare("sources:\n  orders: {type: python, function: 'fetching:fetch'}\n")
    path.with_name("fetching.py").write_text(MODULE.format(partition=""))
    assert run_assets(project, instance, "raw/orders").success
    table = project.table("raw/orders")
    assert not list(table.place.list(f"{table.relative}/_landings"))
    assert known_landings(raw(project), table, table.snapshot(), [""], {}) == {}
