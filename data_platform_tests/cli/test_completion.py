"""What Tab offers: from files alone, fast, and silent where anything is wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from factories import Project

from data_platform.cli import main
from data_platform.completion import INSTALLING, MAX_OFFERED, SHELLS
from data_platform.settings import environment_with

PROGRAM = str(Path(sys.executable).with_name("data-platform"))
YEARS = """partitions: {every: day, start: 2020-02-27, end: 2024-01-01}
sources:
  orders: {type: database, connection: shop, table: orders, cursor: at}
staging:
  orders:
    from: raw.orders
    parameters: {least: {type: int, default: 1}}
analytics:
  revenue:
    parameters:
      least: {type: int, default: 1}
      since: {type: date, default: 2024-01-01}
    query: SELECT 1 AS one FROM staging.orders
"""
Offered = Callable[[str], list[str]]


@pytest.fixture
def offered(project: Project, monkeypatch: pytest.MonkeyPatch):
    """Call it with a line up to the cursor: what is offered for its last word."""
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(project.folder))
    monkeypatch.setenv("DATA_PLATFORM_PIPELINES", str(project.pipelines))
    project.declare("staging:\n  orders:\n    from: raw.orders\n")
    (project.pipelines / "sales").mkdir()
    (project.pipelines / "sales/pipeline.yaml").write_text(
        f"version: 1\npipeline: sales\nowner: team:sales\n{YEARS}"
    )

    def ask(line: str) -> list[str]:
        *before, typed = line.split(" ")
        complete = ShellComplete(main, {}, "data-platform", "_DATA_PLATFORM_COMPLETE")
        with environment_with({}):
            return [item.value for item in complete.get_completions(before, typed)]

    return ask


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("ru", ["run"]),
        ("run ", ["sales", "shop"]),
        ("run s", ["sales", "shop"]),
        ("run sa", ["sales"]),
        ("run x", []),
        ("status sh", ["shop"]),
        ("explain sal", ["sales"]),
        ("quarantine list ", ["sales", "shop"]),
        ("run sales --fr", ["--from"]),
        ("run sales --select st", ["staging/orders"]),
        ("run sales --select staging/orders --select a", ["analytics/revenue"]),
        ("run sales --set ", ["least=", "since=", "staging/orders.least=",
                              "analytics/revenue.least=", "analytics/revenue.since="]),
        ("run sales --set an", ["analytics/revenue.least=", "analytics/revenue.since="]),
        ("run sales --set least=", ["least="]),
        ("run shop --set ", []),
        ("explain sales --asset ", ["raw/sales/orders", "staging/sales/orders",
                                    "analytics/sales/revenue"]),
        ("explain --asset staging/s", ["staging/sales/orders", "staging/shop/orders"]),
        ("quarantine show ", ["staging/sales/orders", "staging/shop/orders"]),
        ("query --format ", ["table", "json", "csv"]),
        ("completion ", list(SHELLS)),
        ("schema p", ["pipeline", "platform"]),
        ("discover s", ["shop"]),
    ],
)  # fmt: skip
def test_words(offered: Offered, line: str, values: list[str]) -> None:
    assert offered(line) == values


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("run sales --partition 2023-12-3", ["2023-12-31", "2023-12-30"]),
        ("run sales --to 2024", ["2024-01-01"]),
        ("run sales --to 2020-02", ["2020-02-29", "2020-02-28"]),
        ("run sales --from 2020-0", [
            "2020-09-01", "2020-08-01", "2020-07-01", "2020-06-01", "2020-05-01", "2020-04-01",
            "2020-03-01", "2020-02-27",
        ]),
        ("run sales --partition ", [
            "2023-01-01", "2022-01-01", "2021-01-01", "2020-02-27",
        ]),
        ("quarantine show staging/sales/orders --partition 2023-12-31", ["2023-12-31"]),
        ("run sales --partition 2030", []),
        ("run sales --partition x", []),
        ("run shop --partition ", []),
        ("run nothing --partition ", []),
        ("run --partition ", []),
    ],
)  # fmt: skip
def test_partitions_are_thinned_to_what_can_be_read(
    offered: Offered, line: str, values: list[str]
) -> None:
    found = offered(line)
    assert found == values
    assert len(found) <= MAX_OFFERED


@pytest.mark.parametrize(
    ("partitions", "line", "values"),
    [
        (
            "{every: hour, start: 2020-03-29, end: 2020-03-30, timezone: Europe/Berlin}",
            "--partition 2020-03-29-0",
            [f"2020-03-29-{hour:02}:00" for hour in (9, 8, 7, 6, 5, 4, 3, 1, 0)],
        ),
        ("{every: hour, start: 2020-03-01, end: 2020-03-04}", "--partition ", [
            "2020-03-03-00:00", "2020-03-02-00:00", "2020-03-01-00:00",
        ]),
        (
            "{every: week, start: 2020-02-27, end: 2020-03-12}", "--to ",
            ["2020-03-12", "2020-03-05"],
        ),
        ("{every: month, start: 2020-02-01, end: 2020-04-01}", "--from ", [
            "2020-03-01", "2020-02-01",
        ]),
        ("{by: {shop: {values: [eu, us]}}}", "--partition e", ["eu"]),
        ("{by: {shop: {values: [eu, us]}}}", "--from ", []),
        (
            "{every: month, start: 2020-02-01, end: 2020-03-01, by: {shop: {values: [eu, us]}}}",
            "--partition ",
            ["2020-02-01|us", "2020-02-01|eu"],
        ),
        ("{dynamic: shops}", "--partition ", []),
    ],
)  # fmt: skip
def test_partitions_of_every_kind(
    offered: Offered, project: Project, partitions: str, line: str, values: list[str]
) -> None:
    file = project.pipelines / "sales/pipeline.yaml"
    body = YEARS[YEARS.index("sources") :]
    file.write_text(
        f"version: 1\npipeline: sales\nowner: team:sales\npartitions: {partitions}\n{body}"
    )
    assert offered(f"run sales {line}") == values


def test_a_broken_pipeline_is_offered_by_its_lines(offered: Offered, project: Project) -> None:
    file = project.pipelines / "sales/pipeline.yaml"
    file.write_text(file.read_text() + "  broken: [\n")
    assert offered("run sa") == ["sales"]
    assert offered("run sales --select st") == ["staging/orders"]
    assert offered("run sales --partition ") == []


def test_a_section_in_one_line_is_read_too(offered: Offered, project: Project) -> None:
    file = project.pipelines / "sales/pipeline.yaml"
    file.write_text("pipeline: sales\nsources: {orders: {type: file, path: a.csv}}\n")
    assert offered("run sales --select ") == ["raw/orders"]


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"", b"staging: 1", b"- a\n- b", b"partitions: 3"]
)
def test_what_cannot_be_read_offers_nothing(
    offered: Offered, project: Project, content: bytes
) -> None:
    (project.pipelines / "sales/pipeline.yaml").write_bytes(content)
    assert offered("run sales --select ") == []
    assert offered("run sales --partition ") == []


def test_wrong_settings_offer_nothing(offered: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PLATFORM_THREADS", "many")
    assert offered("run ") == []


def test_the_env_file_counts(
    offered: Offered, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "other/only").mkdir(parents=True)
    (project.folder / "other/only/pipeline.yaml").touch()
    (project.folder / ".env").write_text("DATA_PLATFORM_PIPELINES=other\n")
    assert offered("run ") == ["only"]


def test_nothing_heavy_is_imported(offered: Offered) -> None:
    code = (
        "import sys\n"
        "from click.shell_completion import ShellComplete\n"
        "from data_platform.cli import main\n"
        "complete = ShellComplete(main, {}, 'data-platform', 'X')\n"
        "assert complete.get_completions(['run'], '')\n"
        "assert complete.get_completions(['explain', '--asset'], '')\n"
        "assert complete.get_completions(['run', 'sales', '--partition'], '')\n"
        "heavy = ('dagster', 'duckdb', 'pyarrow', 'deltalake', 'sqlglot', 'rich', 'psycopg2')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# Scripts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_says_how_to_install_it(command, shell: str) -> None:
    result = command("completion", shell)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(line.startswith("#   ") and f"completion {shell}" in line for line in lines[:3])
    assert f"_DATA_PLATFORM_COMPLETE={shell}_complete" in result.stdout


def test_zsh_loads_the_script_by_its_first_line(command) -> None:
    assert command("completion", "zsh").stdout.splitlines()[0] == "#compdef data-platform"


def test_another_shell_is_refused(command) -> None:
    result = command("completion", "tcsh")
    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


def test_bash_completes(offered: Offered, tmp_path: Path) -> None:
    """As it is installed: by the line that the script names, in a shell of its own."""
    home = tmp_path / "home"
    home.mkdir()
    script = (
        f"{INSTALLING['bash'].format(program='data-platform')}\n"
        "source ~/.bashrc\n"
        'tab() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=();'
        " $(complete -p data-platform | sed 's/.*-F \\([^ ]*\\) .*/\\1/') data-platform;"
        ' echo "${COMPREPLY[*]}"; }\n'
        "tab data-platform ru\n"
        "tab data-platform run sa\n"
        "tab data-platform run sales --partition 2023-12-3\n"
        "tab data-platform run nothing --partition ''\n"
    )
    path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "HOME": str(home), "PATH": path},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["run", "sales", "2023-12-31 2023-12-30", ""]


def test_every_parameter_that_names_something_is_completed() -> None:
    """A command that takes a pipeline or an asset offers them."""
    wanting = [
        f"{command.name} {parameter.name}"
        for command in commands(main)
        for parameter in command.params
        if parameter.name in {"pipeline", "asset", "key", "partition", "first", "end", "select"}
        and parameter._custom_shell_complete is None
    ]
    assert wanting == []


def commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for command in group.commands.values():
        found += commands(command) if isinstance(command, click.Group) else [command]
    return found
