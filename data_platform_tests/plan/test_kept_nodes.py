"""Nodes that an earlier process compiled are taken again where nothing changed, and only there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from factories import Project

from data_platform.plan import building
from data_platform.plan.building import BuiltPlan, build_plan
from data_platform.plan.kept import KeptNodes
from data_platform.plan.nodes import RawNode
from data_platform.plan.schemas import Column, Schema
from data_platform.spec.reading import read_workspace

SHOP = """
staging:
  orders:
    from: raw.orders
    parameters: {least: {type: int, default: 1}}
    transformations:
      - add_columns: {net: amount - 1}
      - filter_rows: "amount >= :least"
    quality: [{expression: {name: positive, condition: net > 0}}]
analytics:
  totals:
    sql: totals.sql
    inputs: {staging.orders: {last: 7}}
destinations:
  totals:
    from: analytics.totals
    type: database
    connection: shop
    table: totals
"""
TOTALS = "select sum(net) as total, count(*) as n from staging.orders"
REPORT = """
analytics:
  best: {query: "select max(total) as best from shop.analytics.totals"}
"""
COLUMNS = {"id": "BIGINT", "amount": "DECIMAL(12,2)", "at": "TIMESTAMP"}
COMPILED = ("staging_node", "analytics_node", "destination_node")


class Kept:
    """A project whose nodes are kept."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = project
        self.folder = project.folder / "plans"
        self.columns: Mapping[str, str] = COLUMNS
        self.environ = {"LEAST": "1"}
        self.compiled: list[str] = []
        project.declare(SHOP, daily=True, totals=TOTALS)
        project.declare(REPORT, name="reports", daily=True)
        for name in COMPILED:
            monkeypatch.setattr(building, name, self._noting(getattr(building, name)))

    def _noting(self, compile_: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noted(asset: Any) -> Any:
            self.compiled.append(str(asset.key))
            return compile_(asset)

        return noted

    def build(self, folder: Path | None = None) -> BuiltPlan:
        """The plan; what had to be compiled for it is in `compiled`."""
        self.compiled.clear()
        workspace = read_workspace([self.project.pipelines], self.environ, self.project.folder)
        return build_plan(workspace, self._schema, None, KeptNodes(folder or self.folder))

    def afresh(self) -> BuiltPlan:
        """The plan without anything that was kept."""
        return self.build(self.project.folder / "nothing kept")

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file below the pipelines."""
        path = self.project.pipelines / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def _schema(self, _: RawNode) -> Schema:
        return Schema(tuple(Column(name, kind) for name, kind in self.columns.items()), closed=True)


ALL = [
    "analytics/reports/best",
    "analytics/shop/totals",
    "destinations/shop/totals",
    "staging/shop/orders",
]


@pytest.fixture
def kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(project, monkeypatch)


def test_what_nobody_changed_is_not_compiled_again(kept: Kept) -> None:
    first = kept.build()
    assert sorted(kept.compiled) == ALL
    again = kept.build()
    assert kept.compiled == []
    assert again.plan.pipelines == first.plan.pipelines
    assert again.problems == first.problems == ()


@pytest.mark.parametrize(
    ("name", "old", "new", "compiled"),
    [
        ("shop/totals.sql", "count(*)", "count(net)", {"shop"}),
        ("shop/pipeline.yaml", "amount - 1", "amount - 2", {"shop", "reports"}),
        ("shop/pipeline.yaml", "last: 7", "last: 8", {"shop", "reports"}),
        ("shop/pipeline.yaml", "start: 2024-01-01", "start: 2024-01-02", {"shop", "reports"}),
        ("shop/pipeline.yaml", "owner: team:shop", "owner: team:other", {"shop", "reports"}),
        ("shop/pipeline.yaml", "version: 1", "# A line more.\nversion: 1", {"shop", "reports"}),
        ("reports/pipeline.yaml", "max(total)", "min(total)", {"reports"}),
        ("platform.yaml", "database: 2", "database: 3", {"shop", "reports"}),
    ],
)
def test_what_changed_is_compiled_with_all_that_is_made_of_it(
    kept: Kept, name: str, old: str, new: str, compiled: set[str]
) -> None:
    kept.build()
    kept.edit(name, old, new)
    built = kept.build()
    # What the SQL of a file of its own is no part of is kept.
    beside = {"staging/shop/orders"} if name.endswith(".sql") else set()
    assert {key.split("/")[1] for key in kept.compiled} >= compiled
    assert not beside & set(kept.compiled)
    assert built.plan.pipelines == kept.afresh().plan.pipelines
    kept.build()
    assert kept.compiled == []


def test_what_is_made_of_changed_sql_is_compiled_too(kept: Kept) -> None:
    kept.build()
    kept.edit("shop/totals.sql", "sum(net) as total", "cast(sum(net) as bigint) as total")
    built = kept.build()
    assert sorted(kept.compiled) == [key for key in ALL if not key.startswith("staging")]
    best = built.plan.pipelines[0].nodes[-1]
    assert best.schema.columns[0].type == "BIGINT"


def test_other_columns_of_a_source_are_another_plan(kept: Kept) -> None:
    kept.build()
    kept.columns = {**COLUMNS, "amount": "BIGINT"}
    built = kept.build()
    assert sorted(kept.compiled) == ALL
    assert built.plan.pipelines == kept.afresh().plan.pipelines


def test_another_value_of_a_variable_is_another_plan(kept: Kept) -> None:
    kept.edit("shop/pipeline.yaml", "table: totals", "table: totals_${LEAST}")
    kept.build()
    kept.environ = {"LEAST": "7"}
    built = kept.build()
    assert "destinations/shop/totals" in kept.compiled
    assert built.plan.pipelines == kept.afresh().plan.pipelines


def test_a_mistake_is_told_each_time_and_hides_nothing(kept: Kept) -> None:
    kept.build()
    kept.edit("shop/totals.sql", "sum(net)", "sum(nett)")
    told = [kept.build().problems for _ in range(2)]
    assert told[0] == told[1] == kept.afresh().problems
    assert any("nett" in str(problem) for problem in told[0])
    kept.edit("shop/totals.sql", "sum(nett)", "sum(net)")
    assert kept.build().problems == ()


def test_an_unused_parameter_is_warned_of_each_time(kept: Kept) -> None:
    kept.edit("shop/pipeline.yaml", "amount >= :least", "amount >= 1")
    first, again = kept.build(), kept.build()
    assert kept.compiled == []
    assert [problem.warning for problem in first.problems] == [True]
    assert again.problems == first.problems


def test_a_function_is_looked_up_each_time(kept: Kept) -> None:
    (kept.project.pipelines / "shop" / "own.py").write_text("def mend(frame):\n    return frame\n")
    kept.edit(
        "shop/pipeline.yaml",
        "    transformations:\n",
        "    transformations:\n      - python: {function: 'own:mend'}\n",
    )
    kept.build()
    kept.build()
    # Nobody knows what it gives, so what is made of that isn't kept either.
    assert "staging/shop/orders" in kept.compiled


def test_a_file_that_can_not_be_read_is_none(kept: Kept) -> None:
    first = kept.build()
    for file in kept.folder.iterdir():
        file.write_bytes(file.read_bytes()[:-20] + b"no pickle any more.")
    assert kept.build().plan.pipelines == first.plan.pipelines
    assert sorted(kept.compiled) == ALL
    kept.build()
    assert kept.compiled == []


def test_nothing_needs_to_be_kept(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    first = kept.build(tmp_path / "file")
    assert kept.build(tmp_path / "file").plan.pipelines == first.plan.pipelines
    assert sorted(kept.compiled) == ALL


def test_another_version_of_the_platform_compiles_anew(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.build()
    monkeypatch.setattr("data_platform.plan.kept._compilers", lambda: "another one")
    kept.build()
    assert sorted(kept.compiled) == ALL
