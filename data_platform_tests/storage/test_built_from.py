"""What a step would build from the same again, as the lake's log tells it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import DAY, DAYS, NEXT_DAY, Project, key_of

from data_platform.analytics.computing import compute
from data_platform.keeping.rollback import plan_rollback, roll_back
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnalyticsNode
from data_platform.storage import delta
from data_platform.storage.built_from import Standing, standing_of

SUMMED = "analytics/summed"
BODY = """
analytics:
  summed:
    query: "select sum(n) * :rate as n from raw.orders"
    parameters:
      rate: {type: int, default: 1}
"""


def declare(project: Project, body: str = BODY, *, daily: bool = True) -> None:
    project.declare(body, daily=daily)


def land(project: Project, days: dict[str, int], others: int = 0) -> None:
    rows = {day: f"SELECT {n}::BIGINT AS n, {others}::BIGINT AS other" for day, n in days.items()}
    project.land_all("raw/orders", rows)


def found(
    project: Project, *keys: str, configuration: str = "", rate: int | None = None
) -> Standing:
    node = project.node(SUMMED)
    assert isinstance(node, AnalyticsNode)
    workbench = replace(project.workbench, given={} if rate is None else {"rate": rate})
    return standing_of(node, keys or [WHOLE], workbench, configuration)


def build(project: Project, *keys: str) -> list[str]:
    """What a step does: builds what is left, and gives that."""
    node = project.node(SUMMED)
    assert isinstance(node, AnalyticsNode)
    standing = found(project, *keys)
    lake = project.workbench.lake.for_step(node.key, standing.inputs, standing.prints)
    left = [key for key in keys or [WHOLE] if key not in standing.unchanged]
    if left:
        workbench = replace(project.workbench, lake=lake)
        assert not compute(node, left, workbench, {"run_id": "test"}).failed
    return left


def roll_back_to(project: Project, text: str, version: int) -> None:
    lake = project.workbench.lake
    roll_back(lake, plan_rollback(lake, key_of(text), version), "ada")


def stands(project: Project, *keys: str) -> list[str]:
    return [*found(project, *keys).unchanged]


def test_what_was_built_stands_until_an_input_has_other_rows(project: Project) -> None:
    declare(project)
    land(project, {DAY: 1, NEXT_DAY: 2})
    assert build(project, DAY, NEXT_DAY) == [DAY, NEXT_DAY]
    assert build(project, DAY, NEXT_DAY) == []
    land(project, {DAY: 1, NEXT_DAY: 3})
    assert build(project, DAY, NEXT_DAY) == [NEXT_DAY]
    assert build(project, DAY, NEXT_DAY) == []


def test_the_same_rows_of_other_inputs_are_noted_once(project: Project) -> None:
    declare(project)
    land(project, {DAY: 1})
    build(project, DAY)
    land(project, {DAY: 1}, others=7)
    assert build(project, DAY) == [DAY]
    assert build(project, DAY) == []
    said = [commit.get("keeping") for commit in project.table(SUMMED).history()]
    assert said == ["note", None]


def test_rows_that_come_again_as_they_were_are_no_change(project: Project) -> None:
    declare(project)
    land(project, {DAY: 1})
    build(project, DAY)
    land(project, {DAY: 1})
    assert stands(project, DAY) == [DAY]


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace("sum(n) *", "sum(n) + 0 *"),
        BODY + "    quality:\n      - row_count: {min_rows: 1}\n",
        BODY.replace("default: 1", "default: 2"),
    ],
    ids=["statement", "rule", "default of a parameter"],
)
def test_code_alone_is_a_change(project: Project, body: str) -> None:
    declare(project)
    land(project, {DAY: 1})
    build(project, DAY)
    declare(project, body)
    assert stands(project, DAY) == []
    assert build(project, DAY) == [DAY]
    assert stands(project, DAY) == [DAY]


def test_configuration_alone_is_a_change(project: Project) -> None:
    declare(project)
    land(project, {DAY: 1})
    build(project, DAY)
    assert found(project, DAY, configuration="{'size': 2}").unchanged == {}
    assert found(project, DAY, rate=2).unchanged == {}
    assert [*found(project, DAY, rate=1).unchanged] == [DAY], "as it is where nobody says it"


def test_an_input_that_was_never_published_leaves_nothing_to_compare(project: Project) -> None:
    declare(project)
    assert stands(project, DAY) == []


def test_a_table_that_was_rolled_back_is_built_anew(project: Project) -> None:
    declare(project)
    for n in (1, 2):
        land(project, {DAY: n})
        build(project, DAY)
    roll_back_to(project, SUMMED, 0)
    assert build(project, DAY) == [DAY]
    assert [row["n"] for row in project.rows(SUMMED)] == [2]
    assert build(project, DAY) == []


def test_inputs_that_were_rolled_back_are_others(project: Project) -> None:
    declare(project)
    for n in (1, 2):
        land(project, {DAY: n})
        build(project, DAY)
    roll_back_to(project, "raw/orders", 0)
    assert build(project, DAY) == [DAY]
    assert [row["n"] for row in project.rows(SUMMED)] == [1]


def test_both_rolled_back_to_what_belonged_together_are_built_once_more(project: Project) -> None:
    """The newest commit that tells of a partition tells of rows that don't stand any more."""
    declare(project)
    for n in (1, 2):
        land(project, {DAY: n})
        build(project, DAY)
    roll_back_to(project, "raw/orders", 0)
    roll_back_to(project, SUMMED, 0)
    assert build(project, DAY) == [DAY]
    assert build(project, DAY) == []


def test_words_of_who_keeps_a_table_in_order_are_no_change(project: Project) -> None:
    declare(project)
    land(project, {DAY: 1})
    build(project, DAY)
    for text in ("raw/orders", SUMMED):
        project.table(text).note({"keeping": "vacuum"})
    assert stands(project, DAY) == [DAY]


def test_what_the_log_does_not_tell_any_more_is_built_anew(project: Project) -> None:
    """Whoever keeps a log short takes the oldest commits, which checkpoints stand for."""
    gone = 2
    declare(project)
    for day, n in ((DAY, 1), (NEXT_DAY, 2), (DAYS[2], 3)):
        land(project, {day: n})
        build(project, day)
    table = project.table(SUMMED)
    opened = table.delta.opened()
    assert opened is not None
    opened.create_checkpoint()
    table.place.remove(f"{table.relative}/_delta_log/{number:020}.json" for number in range(gone))
    assert len([*table.history()]) == 3 - gone
    assert stands(project, *DAYS[:3]) == DAYS[gone:3]
    assert build(project, *DAYS[:3]) == DAYS[:gone]
    assert build(project, *DAYS[:3]) == []


def test_a_commit_of_somebody_else_says_nothing(project: Project) -> None:
    declare(project)
    land(project, {DAY: 1})
    build(project, DAY)
    table = project.table(SUMMED)
    log, words = f"{table.relative}/_delta_log", b'{"txn":{"appId":"other","version":1}}\n'
    table.place.write(f"{log}/{1:020}.json", words)
    assert [commit.get("operation") for commit in table.history()] == [None, "CREATE TABLE"]
    assert stands(project, DAY) == [DAY]


def test_the_newest_commit_is_read_first_and_no_more_than_are_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "COMMITS_AT_ONCE", 4)
    table = project.table("raw/orders")
    assert [*table.history()] == [], "of a table that isn't there"
    land(project, {DAY: 1})
    for number in range(1, 12):
        table.note({"number": f"{number}"})
    asked: list[int] = []
    read_all = table.place.read_all

    def counted(names: Sequence[str]) -> Sequence[bytes | None]:
        asked.append(len(names))
        return read_all(names)

    monkeypatch.setattr(table.place, "read_all", counted)
    history = table.history()
    assert next(history)["number"] == "11"
    assert asked == [1]
    assert [commit.get("number") for commit in history] == [*map(str, range(10, 0, -1)), None]
    assert asked == [1, 2, 4, 4, 1]
