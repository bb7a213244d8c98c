# ruff: noqa: E501 -- what is printed stands in one line
"""Functions of people run in Dagster: sources, steps in worker processes, rules, and what is told."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from data_platform.cli import main
from data_platform.testing import Materialized, materialize

PIPELINE = """
version: 1
pipeline: money
owner: team:money
partitions: {every: day, start: 2024-01-01, end: 2024-01-04}
sources:
  rates:
    type: python
    function: rates:fetch
staging:
  rates:
    from: raw.rates
    transformations:
      - python:
          function: rates:in_cents
          chunk_size: 2
          num_workers: 2
      - filter_rows: cents > 0
    quality:
      - python: rates:plausible
analytics:
  total:
    query: SELECT SUM(cents) AS cents FROM staging.rates
    quality:
      - python: rates:plausible
"""
MODULE = """
import helpers


def fetch(partition):
    for n in range(5):
        yield {"day": partition.start.date(), "n": n, "rate": n / 2}


def in_cents(rows):
    return rows.assign(cents=(rows["rate"] * helpers.CENTS).astype("int64"))


def plausible(rows):
    return {"positive": bool((rows["cents"] > 0).all())}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pipeline of functions, which the settings name."""
    folder = tmp_path / "pipelines" / "money"
    folder.mkdir(parents=True)
    (folder.parent / "platform.yaml").write_text("{}")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "rates.py").write_text(MODULE)
    (folder / "helpers.py").write_text("CENTS = 100\n")
    monkeypatch.setenv("DATA_PLATFORM_PIPELINES", str(folder.parent))
    monkeypatch.chdir(tmp_path)
    return folder


def made(folder: Path) -> Materialized:
    return materialize("money", folder.parents[1] / "state", partition="2024-01-03")


def test_a_pipeline_of_functions_runs_in_dagster(folder: Path) -> None:
    run = made(folder)
    assert run.failed == {}
    assert run.query("SELECT n, cents, day FROM money.staging.rates ORDER BY n")[0]["cents"] == 50
    assert run.query("SELECT cents FROM money.analytics.total") == [{"cents": 500}]


def test_a_failure_in_dagster_names_the_function_and_its_line(folder: Path) -> None:
    (folder / "helpers.py").write_text("CENTS = 'a'\n")
    failed = made(folder).failed
    assert "rates:in_cents raised" in failed["staging/money/rates"]
    assert f"{folder}/rates.py:11" in failed["staging/money/rates"]


def test_a_rule_that_fails_publishes_nothing(folder: Path) -> None:
    (folder / "rates.py").write_text(MODULE.replace('(rows["cents"] > 0)', '(rows["cents"] > 60)'))
    run = made(folder)
    assert "python_plausible: 1 of 1 failed: positive" in run.failed["staging/money/rates"]


def test_explain_shows_functions_where_they_stand(folder: Path) -> None:
    printed = CliRunner().invoke(main, ["explain", "money"], catch_exceptions=False).output
    words = " ".join(printed.split())
    assert "source function rates:fetch (money/rates.py:5)" in words
    assert (
        "python rates:in_cents (money/rates.py:10) gets 2 rows at once as pandas, in 2 processes"
        in words
    )
    assert 'FROM "python: rates:in_cents of source"' in words
    assert "python_plausible (fails): rates:plausible says that the rows are right." in words


def test_check_finds_mistakes_of_functions(folder: Path) -> None:
    (folder / "helpers.py").write_text("CENTS = \n")
    result = CliRunner().invoke(main, ["check"], catch_exceptions=False)
    assert result.exit_code == 1
    assert "module rates can't be imported: helpers.py:1:9: no valid Python" in " ".join(
        result.output.split()
    )
