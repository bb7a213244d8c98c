"""`data_platform.testing`: a pipeline runs in a folder of its own, and touches nothing else."""

import os
from pathlib import Path

import pytest
from factories import Project

from data_platform.errors import ConfigurationError, PermanentError
from data_platform.testing import materialize, problems, validate_definitions

BODY = """sources:
  orders: {type: file, settle: 0s, path: "${ORDERS:-orders.csv}"}
staging:
  orders:
    from: raw.orders
    columns:
      id: {type: bigint, nullable: false}
      name: {type: varchar}
    on_violation: quarantine
analytics:
  totals:
    query: SELECT COUNT(*) AS n FROM staging.orders
    quality:
      - row_count: {min_rows: 1}
destinations:
  totals: {from: analytics.totals, type: database, connection: shop, table: totals}
"""


@pytest.fixture(autouse=True)
def shop(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two orders, one without an id, and a warehouse that isn't there."""
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(project.folder))
    monkeypatch.delenv("DATA_PLATFORM_PIPELINES", raising=False)
    monkeypatch.delenv("DATA_PLATFORM_DATA_DIR", raising=False)
    project.declare(BODY)
    (project.folder / "orders.csv").write_text("id,name\n1,a\n,b\n")
    return project


def test_destinations_are_left_out(shop: Project, tmp_path: Path) -> None:
    made = materialize("shop", tmp_path / "run")
    assert made.failed == {}
    assert {asset.key.layer for asset in made.report.assets} == {"raw", "staging", "analytics"}
    assert made.query("SELECT n FROM analytics.totals") == [{"n": 1}]
    assert len(made.query("SELECT * FROM quarantine.orders")) == 1


def test_a_selected_destination_is_loaded(shop: Project, tmp_path: Path) -> None:
    made = materialize("shop", tmp_path / "run", select=["destinations/totals"])
    assert list(made.failed) == ["destinations/shop/totals"]


def test_all_it_makes_is_in_its_folder(shop: Project, tmp_path: Path) -> None:
    before = dict(os.environ), set(shop.folder.iterdir())
    materialize("shop", tmp_path / "run", environ={"EXTRA": "1"})
    assert dict(os.environ) == before[0]
    assert set(shop.folder.iterdir()) - before[1] == {tmp_path / "run"}


def test_the_same_folder_goes_on_with_what_is_in_it(shop: Project, tmp_path: Path) -> None:
    materialize("shop", tmp_path / "run")
    again = materialize("shop", tmp_path / "run", select=["raw/orders"])
    assert again.report.assets[0].changed == 0
    assert again.query("SELECT n FROM analytics.totals") == [{"n": 1}]


def test_variables_of_the_test_win(shop: Project, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("id,name\n7,c\n8,d\n9,e\n")
    made = materialize("shop", tmp_path / "run", environ={"ORDERS": str(tmp_path / "mine.csv")})
    assert made.query("SELECT n FROM analytics.totals") == [{"n": 3}]


def test_what_failed_tells_why(shop: Project, tmp_path: Path) -> None:
    shop.declare(BODY.replace("min_rows: 1", "min_rows: 9"))
    made = materialize("shop", tmp_path / "run")
    assert list(made.failed) == ["analytics/shop/totals"]
    assert "row_count: 1 row" in made.failed["analytics/shop/totals"]


def test_mistakes_are_told(shop: Project, tmp_path: Path) -> None:
    assert problems() == []
    validate_definitions()
    shop.declare("staging: 1\n")
    assert [text for text in problems() if "pipeline.yaml:6:" in text]
    with pytest.raises(ConfigurationError, match=r"pipeline\.yaml:6:"):
        materialize("shop", tmp_path / "run")


def test_an_unknown_pipeline_is_told(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="did you mean shop"):
        materialize("shp", tmp_path / "run")
