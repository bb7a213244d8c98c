"""Benchmarks run, at tiny sizes, and report nothing of contestants that disagree.

What isn't installed, the packages of others, is left out. Times are not looked at.
"""

# ruff: noqa: E402 -- benchmarks are scripts, found once their folder is on the path

import os
import py_compile
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import audit
import dagster_events
import destinations
import ground as grounds
import measuring
import parquet_to_postgres
import postgres_to_parquet
import run_all
import tables
import year
from ground import Ground, Options, run_sql
from measuring import Contestant, Run, require_agreement
from others import HOW_TO_INSTALL, python_of_others

DATABASES = (
    "shop",
    "warehouse",
    "dagster",
    dagster_events.DATABASE,
    "warehouse_by_hand",
    "warehouse_platform",
    "warehouse_pandas",
)
DAYS = 2
ROWS = "7,175 rows"
"""Of the first two days."""


@pytest.fixture
def ground(data_dir: Path, public_folder: Path, postgres_admin_url: str) -> Iterator[Ground]:
    """Databases of the test's own on the shared server."""
    prefix = f"bench_{uuid.uuid4().hex[:8]}_"
    yield Ground(public_folder, data_dir, prefix)
    for name in DATABASES:
        run_sql(postgres_admin_url, f"DROP DATABASE IF EXISTS {prefix}{name} WITH (FORCE)")


def options(*only: str, days: int = DAYS) -> Options:
    return Options(rounds=1, days=days, only=only, docs=False, load=0)


def rows_of(text: str) -> list[str]:
    """The contestants of all tables in a text."""
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    return [cell for cell in cells if cell]


def program(text: str, **further: object) -> Contestant:
    """A contestant that is a few lines of Python."""
    head = f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})\n"
    head += "from contestants.moving import moving\n"
    command = [sys.executable, "-c", head + text]
    results: Callable[..., measuring.Results] = lambda facts: {"rows": facts["rows"]}  # noqa: E731
    return Contestant("tried", command, results, **further)  # type: ignore[arg-type]


# The scripts ------------------------------------------------------------------------------------


def test_postgres_to_parquet_moves_the_rows_and_ten_times_as_many(ground: Ground) -> None:
    daily = "platform, a raw asset of daily partitions"
    found = postgres_to_parquet.run(ground, options(daily))
    assert ROWS in found
    assert rows_of(found) == [daily, daily]


@pytest.mark.campaign
def test_parquet_to_postgres_loads_the_rows(ground: Ground) -> None:
    daily, text = "platform, daily partitions", "psycopg COPY as CSV by pyarrow"
    found = parquet_to_postgres.run(ground, options(daily, text))
    assert ROWS in found
    assert rows_of(found) == [daily, text]


@pytest.mark.campaign
def test_destinations_write_the_rows_into_nothing_over_all_and_ten_times(ground: Ground) -> None:
    merge = "platform, merge"
    found = destinations.run(ground, options(merge, days=1))
    assert rows_of(found) == [merge] * 3
    assert "into an empty database, one round" in found


@pytest.mark.campaign
def test_the_audit_counts_what_one_query_a_rule_counts(ground: Ground) -> None:
    others = ["one query a rule", "pandera, polars"]
    found = audit.run(ground, options(audit.PLATFORM, *others))
    assert rows_of(found) == [audit.PLATFORM, *others]
    assert '"price_not_negative": 0' in found


@pytest.mark.campaign
def test_events_of_a_range_are_all_there_and_the_platform_versions_each(ground: Ground) -> None:
    plain = "one MaterializeResult a range, Dagster's own storage"
    found = dagster_events.run(ground, options(dagster_events.PLATFORM, plain))
    versions = [line.rsplit("|", 2)[1].strip() for line in found.splitlines() if "|" in line][2:]
    assert versions == [str(DAYS * dagster_events.ASSETS), str(dagster_events.ASSETS)]


def test_the_year_by_hand_and_by_the_platform_give_the_same_tables(ground: Ground) -> None:
    found = year.run(ground, options(year.BY_HAND, year.PLATFORM))
    assert rows_of(found) == [year.BY_HAND, year.PLATFORM]


@pytest.mark.parametrize("name", run_all.SCRIPTS)
def test_every_benchmark_has_a_table_in_the_docs(name: str) -> None:
    assert f"<!-- table: {name} -->" in tables.DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", sorted(BENCHMARKS.rglob("*.py")), ids=lambda file: file.stem)
def test_every_program_compiles(file: Path, tmp_path: Path) -> None:
    py_compile.compile(str(file), str(tmp_path / "compiled"), doraise=True)


# Measuring --------------------------------------------------------------------------------------


def test_results_that_differ_are_refused() -> None:
    runs = {name: [Run(1, 1, 1, 1, 1, {}, {"rows": rows})] for name, rows in (("a", 1), ("b", 2))}
    with pytest.raises(SystemExit, match=r"differ in 'rows'.*\n  a: 1\n  b: 2"):
        require_agreement(runs, {})


def test_results_that_differ_from_what_is_known_are_refused() -> None:
    runs = {"a": [Run(1, 1, 1, 1, 1, {}, {"rows": 1})]}
    with pytest.raises(SystemExit, match=r"expected: 2\n  a: 1"):
        require_agreement(runs, {"rows": 2})


def test_a_round_that_differs_from_another_one_is_refused() -> None:
    runs = {"a": [Run(1, 1, 1, 1, 1, {}, {"rows": rows}) for rows in (1, 2)]}
    with pytest.raises(SystemExit, match="nothing is reported"):
        require_agreement(runs, {})


def test_results_that_only_one_tells_and_those_that_may_differ_are_let_through() -> None:
    runs = {
        name: [Run(1, 1, 1, 1, 1, {}, {"versions": rows, name: rows})]
        for name, rows in (("a", 1), ("b", 2))
    }
    require_agreement(runs, {}, ["versions"])


def test_a_contestant_that_fails_ends_the_benchmark_with_its_output() -> None:
    with pytest.raises(SystemExit, match=r"tried failed \(1\)[\s\S]*no such table"):
        measuring.measure(program("sys.exit('no such table')"))


def test_memory_counts_from_where_the_work_begins() -> None:
    before = "held = bytearray(80 << 20)\n"
    work = "import time\nwith moving() as facts:\n  more = bytearray(40 << 20); time.sleep(0.5)\n"
    run = measuring.measure(program(before + work + "  facts['rows'] = 1\n"))
    assert 40 <= run.above_mib < 60
    assert run.peak_mib >= 120
    assert run.results == {"rows": 1}


def test_a_share_is_scaled_and_the_start_of_its_process_is_not() -> None:
    work = (
        "import time\ntime.sleep(0.3)\nwith moving() as facts: facts['rows'] = 1; time.sleep(0.2)"
    )
    run = measuring.measure(program(work, share=0.1))
    assert run.seconds >= 2
    assert run.process_seconds - run.seconds >= 0.3
    assert run.process_seconds - run.seconds < run.seconds


def test_contestants_take_turns_in_going_first() -> None:
    order: list[str] = []

    def contestant(name: str) -> Contestant:
        return Contestant(
            name, [sys.executable, "-c", ""], lambda _: {}, lambda: order.append(name),
            most_rounds=1 if name == "slow" else None,
        )  # fmt: skip

    runs = measuring.compete([contestant("slow"), contestant("a"), contestant("b")], 2, {})
    assert order == ["slow", "a", "b", "a", "b"]
    assert {name: len(several) for name, several in runs.items()} == {"slow": 1, "a": 2, "b": 2}


def test_contestants_whose_packages_are_missing_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grounds, "installed", lambda: False)
    theirs = Contestant("dlt", [str(python_of_others()), "-c", ""], lambda _: {})
    ours = Contestant("ours", [sys.executable, "-c", ""], lambda _: {})
    runs, absent = options().compete([theirs, ours], {})
    assert (list(runs), absent) == (["ours"], ("dlt",))
    assert f"not installed: dlt; run {HOW_TO_INSTALL}" in capsys.readouterr().err


# Tables -----------------------------------------------------------------------------------------


def test_tables_of_the_docs_are_replaced_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- table: one -->\nold\n<!-- end -->\nbetween\n<!-- table: two -->\nold\n"
        "<!-- end -->\nafter\n"
    )
    (tmp_path / "one.md").write_text("| new \\1 |\n")
    monkeypatch.setattr(tables, "DOCS", page)
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert tables.write_docs() == ["two"]
    assert page.read_text() == (
        "before\n<!-- table: one -->\n| new \\1 |\n<!-- end -->\nbetween\n"
        "<!-- table: two -->\nold\n<!-- end -->\nafter\n"
    )


def test_a_table_names_who_is_not_installed() -> None:
    runs = {"a": [Run(2, 3, 4, 5, 6, {}, {}), Run(1, 3, 4, 5, 7, {}, {})]}
    columns = [tables.seconds("s"), *tables.ratio(runs, "a", "times a"), tables.above()]
    assert tables.table(runs, columns, ["dlt"]).splitlines() == [
        "| | s | times a | MiB above start, worst |",
        "|---|---|---|---|",
        "| a | 1.50 (1.00 to 2.00) | 1.00 | 7 |",
        "| dlt | not installed | | |",
    ]


def test_the_machine_is_told_with_its_versions() -> None:
    text = tables.machine()
    assert f"{os.cpu_count()} |" in text
    assert "dagster 1." in text


def test_what_a_script_without_a_table_prints_is_kept_and_a_failed_one_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_all, "FOLDER", tmp_path)
    monkeypatch.setattr(run_all, "RESULTS", tmp_path)
    (tmp_path / "printing.py").write_text("print('up in 6.2 s')")
    (tmp_path / "failing.py").write_text("print('up in'); raise SystemExit(1)")
    (tmp_path / "failing.md").write_text("figures of yesterday")
    assert run_all.run("printing")
    assert not run_all.run("failing")
    kept = (tmp_path / "printing.md").read_text()
    assert kept.startswith("```text\nup in 6.2 s\n```\n\n`python benchmarks/printing.py`, 2")
    assert not (tmp_path / "failing.md").exists()
