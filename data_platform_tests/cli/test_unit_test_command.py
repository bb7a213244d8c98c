"""`data-platform test`, and what pytest makes of tests.yaml: lines, tables, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories import PIPELINE, Project
from screen import lines_on_screen, too_wide

from data_platform.terminal.unit_test_tables import failure_text, print_judgement
from data_platform.unit_tests.comparing import RowDifference, TableDifference
from data_platform.unit_tests.judging import Judgement

BODY = "analytics:\n  sums:\n    query: SELECT SUM(a) AS total FROM raw.orders\n"
PASSES = """tests:
  - name: adds_up
    asset: analytics.sums
    given:
      raw.orders: [{a: 1}, {a: 2}]
    expect:
      rows: [{total: 3}]
"""
FAILS = PASSES.removeprefix("tests:\n").replace("adds_up", "is_wrong").replace("3", "4")
ASSETS = '''
import dagster as dg
import pandas as pd


@dg.asset(key_prefix="analytics", ins={"orders": dg.AssetIn(key=["raw", "orders"])})
def doubled(context: dg.AssetExecutionContext, orders: pd.DataFrame) -> pd.DataFrame:
    """Twice."""
    if (orders["a"] < 0).any():
        raise ValueError("negative")
    context.log.info("doubled")
    return orders.assign(a=orders["a"] * 2)


class Settings(dg.Config):
    factor: int = 3


@dg.asset(key_prefix="analytics", ins={"orders": dg.AssetIn(key=["raw", "orders"])})
def scaled(config: Settings, orders: pd.DataFrame) -> pd.DataFrame:
    """Some times."""
    return orders.assign(a=orders["a"] * config.factor)
'''


@pytest.fixture
def shop(project: Project) -> Path:
    return project.declare(BODY).parent


def test_a_line_a_test_and_a_table_of_what_differs(command, shop: Path):
    (shop / "tests.yaml").write_text(PASSES + FAILS)
    result = command("test", PIPELINE)
    assert result.exit_code == 1
    told = result.stdout.splitlines()
    assert told[0].startswith("✓ shop/adds_up ")
    assert told[0].endswith(" ms  analytics.sums")
    assert told[1].startswith("✗ shop/is_wrong")
    assert "  rows: 1 expected, 1 published (- is missing, + wasn't expected)" in told
    assert any(line.split() == ["-", "4"] for line in told)
    assert any(line.split() == ["+", "3"] for line in told)
    assert f"  {shop}/tests.yaml:8:5" in told
    assert told[-1].startswith("1 passed, 1 failed in ")


def test_all_that_pass_end_with_zero(command, shop: Path):
    (shop / "tests.yaml").write_text(PASSES)
    assert command("test").exit_code == 0


def test_words_select_tests(command, shop: Path):
    (shop / "tests.yaml").write_text(PASSES + FAILS)
    result = command("test", "-k", "SUMS adds", "-v")
    assert result.exit_code == 0
    assert "is_wrong" not in result.stdout
    assert '    FROM "shop.raw.orders"' in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test"], "there are no unit tests: they stand in tests.yaml beside pipeline.yaml"),
        (["test", PIPELINE], "pipeline shop has no unit tests"),
    ],
)
def test_nothing_to_run_is_wrong_usage(command, shop: Path, arguments, message):
    result = command(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_an_empty_selection_is_wrong_usage(command, shop: Path):
    (shop / "tests.yaml").write_text(PASSES)
    result = command("test", "-k", "nonesuch")
    assert result.exit_code == 2
    assert "there are no unit tests with 'nonesuch'" in result.stderr


def test_mistakes_fail_and_hide_no_other_test(command, shop: Path):
    (shop / "tests.yaml").write_text(PASSES + FAILS.replace("analytics.sums", "analytics.sum"))
    result = command("test")
    assert result.exit_code == 1
    assert "✓ shop/adds_up" in result.stdout
    assert "tests.yaml:9:5: there is no asset analytics.sum; did you mean" in result.stdout
    (shop / "tests.yaml").write_text(f"test: []\n{PASSES}")
    result = command("test")
    assert result.exit_code == 1
    assert "unknown key 'test'" in result.stderr


def test_check_finds_mistakes_in_tests(command, shop: Path):
    (shop / "tests.yaml").write_text(PASSES.replace("analytics.sums", "analytics.sum"))
    for scope in ([], [str(shop)], [str(shop / "tests.yaml")]):
        result = command("check", *scope)
        assert result.exit_code == 1
        assert "tests.yaml:3:5: there is no asset analytics.sum;" in result.stdout


def test_programs_get_json(command, shop: Path):
    (shop / "tests.yaml").write_text(PASSES + FAILS)
    result = command("test", "--format", "json")
    assert result.exit_code == 1
    passed, failed = json.loads(result.stdout)
    assert (passed["test"], passed["passed"], passed["differences"]) == ("adds_up", True, [])
    assert failed["differences"][0]["rows"] == [
        {"kind": "missing", "expected": {"total": "4"}, "found": None, "wrong": []},
        {"kind": "surplus", "expected": None, "found": {"total": "3"}, "wrong": []},
    ]


def test_functions_of_assets_py_are_called_with_frames(command, shop: Path):
    (shop / "assets.py").write_text(ASSETS)
    test = (
        "  - name: {0}\n    asset: analytics.{1}\n    given: {{raw.orders: [{{a: {2}}}]}}\n"
        "    expect: {3}\n"
    )
    (shop / "tests.yaml").write_text(
        "tests:\n"
        + test.format("twice", "doubled", 2, "{rows: [{a: 4}]}")
        + test.format("raises", "doubled", -2, '{error: "ValueError: negative"}')
        + test.format("config", "scaled", 2, "{rows: [{a: 6}]}")
    )
    result = command("test")
    assert "✓ shop/twice" in result.stdout
    assert "✓ shop/raises" in result.stdout
    assert "takes a configuration, which a unit test can't give it" in result.stdout


def difference(columns: int, rows: int = 1) -> TableDifference:
    names = tuple(f"column_number_{number}" for number in range(columns))
    row = tuple(f"value {number}" for number in range(columns))
    other = (*row[:-1], "another value")
    wrong = RowDifference("differs", row, other, (columns - 1,))
    return TableDifference("rows", names, (wrong,) * rows, rows, rows)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_what_differs_is_in_sight_however_narrow_it_is(width: int):
    judgement = Judgement(tables=(difference(12),))
    lines = lines_on_screen(width, lambda console: print_judgement(console, judgement))
    assert not too_wide(lines, width)
    assert any("value 11 ≠ another value" in line for line in lines)
    assert not too_wide(failure_text(judgement, width).splitlines(), width)


def test_many_rows_are_cut_with_their_number():
    assert "and 80 more rows differ" in failure_text(Judgement(tables=(difference(2, 100),)), 80)


# Pytest ---------------------------------------------------------------------------------------


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env=environ, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def test_pytest_runs_them_and_tells_mistakes_where_it_collects(project: Project, shop: Path):
    (shop / "tests.yaml").write_text(PASSES + FAILS)
    broken = project.declare(BODY, name="broken").with_name("tests.yaml")
    broken.write_text("tests: []\n")
    result = run_pytest(project.folder, "-q", "--continue-on-collection-errors")
    assert "1 failed, 1 passed, 1 error" in result.stdout, result.stdout
    assert "rows: 1 expected, 1 published" in result.stdout
    assert f"pipelines/{PIPELINE}/tests.yaml::is_wrong" in result.stdout
    assert "tests.yaml:1:1: needs at least one entry" in result.stdout
    assert "Traceback" not in result.stdout


def test_pytest_leaves_files_of_others_alone(tmp_path: Path):
    (tmp_path / "tests.yaml").write_text("- anything\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tests.yaml").write_text("- anything\n")
    (tmp_path / "other" / "pipeline.yaml").write_text("stages: []\n")
    (tmp_path / "test_imports.py").write_text(
        "import sys\n\n\ndef test_nothing_is_imported():\n"
        "    ours = {n for n in sys.modules if n.startswith('data_platform.')}\n"
        "    assert ours == {'data_platform.pytest_plugin'}\n"
        "    assert not {'dagster', 'duckdb', 'pyarrow'} & set(sys.modules)\n"
    )
    result = run_pytest(tmp_path, "-q")
    assert "1 passed" in result.stdout, result.stdout
