"""The command as a process: exit codes, colours, what it imports, how it is interrupted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories import Project
from screen import command_on_terminal

from data_platform import checking
from data_platform.errors import PermanentError

PROGRAM = str(Path(sys.executable).parent / "data-platform")
ESCAPE = "\x1b["
HEAVY = ("dagster", "pyarrow", "deltalake", "rich", "pandas", "numpy", "psycopg2")
IMPORTED = """
import sys
from data_platform.cli import main
try:
    main({arguments})
except SystemExit as end:
    assert end.code == 0, end.code
print("imported:", *(name for name in {heavy} if name in sys.modules))
"""


@pytest.fixture
def surroundings(project: Project, environ: dict[str, str]) -> dict[str, str]:
    """The environment of a process, with a sound pipeline and a published table."""
    project.declare("staging:\n  orders:\n    from: raw.orders\n")
    project.land("staging/orders", "SELECT 1 AS id, 'x' AS name")
    return {**os.environ, **environ}


def run(surroundings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return process(surroundings, PROGRAM, *arguments)


def process(surroundings: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=surroundings, capture_output=True, text=True, timeout=60, check=False
    )


def on_a_terminal(surroundings: dict[str, str], *arguments: str) -> str:
    """What the command writes when somebody looks."""
    ended = command_on_terminal(arguments, 80, surroundings, Path.cwd())
    assert ended.code == 0
    return ended.raw


def test_exit_codes(project: Project, surroundings: dict[str, str]):
    assert run(surroundings, "check").returncode == 0
    assert run(surroundings, "check", "--nonsense").returncode == 2
    assert run(surroundings).returncode == 2
    project.declare("staging: 1\n", name="wrong")
    assert run(surroundings, "check").returncode == 1


def test_an_error_is_a_line_without_traceback(surroundings: dict[str, str]):
    ended = run(surroundings, "query", "select * from staging.nothing")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_a_terminal_gets_styles_and_a_pipe_none(surroundings: dict[str, str]):
    question = ("query", "select id, name from staging.orders")
    styled = {**surroundings, "TERM": "xterm-256color"}
    assert ESCAPE in on_a_terminal(styled, *question)
    assert ESCAPE not in on_a_terminal({**styled, "NO_COLOR": "1"}, *question)
    assert "\x1b" not in run(styled, *question).stdout


@pytest.mark.parametrize("arguments", [["--help"], ["check"], ["check", "--help"], ["explain"]])
def test_what_only_reads_text_starts_without_the_heavy_libraries(
    surroundings: dict[str, str], arguments: list[str]
):
    code = IMPORTED.format(arguments=arguments, heavy=HEAVY)
    ended = process(surroundings, sys.executable, "-c", code)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "imported:"


def test_definitions_load_without_pandas(surroundings: dict[str, str]):
    code = "import data_platform.definitions, sys; sys.exit('pandas' in sys.modules)"
    assert process(surroundings, sys.executable, "-c", code).returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ["check"], ["schema"], ["explain"], ["query"], ["status"],
        ["quarantine", "list"], ["quarantine", "show"],
    ],
)  # fmt: skip
def test_help_of_each_command_has_an_example(command, words: list[str]):
    result = command(*words, "--help")
    assert result.exit_code == 0
    assert f"Example: data-platform {' '.join(words)}" in result.stdout


def test_ctrl_c_ends_with_130(command, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "check", interrupted)
    result = command("check")
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize("threads", ["many", "0", "-1"])
def test_a_wrong_setting_is_told_by_its_name(command, environ: dict[str, str], threads: str):
    environ["DATA_PLATFORM_THREADS"] = threads
    result = command("check")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: DATA_PLATFORM_THREADS is {threads!r}")


def test_an_error_of_several_lines_is_told_whole(command, monkeypatch: pytest.MonkeyPatch):
    def failing(*_: object, **__: object) -> None:
        raise PermanentError("one\ntwo")

    monkeypatch.setattr(checking, "check", failing)
    result = command("check")
    assert (result.exit_code, result.stderr) == (1, "Error: one\ntwo\n")


def test_a_bug_is_not_hidden(command, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(checking, "check", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        command("check")


def test_completion_knows_the_commands(surroundings: dict[str, str]):
    asked = {
        "_DATA_PLATFORM_COMPLETE": "bash_complete",
        "COMP_WORDS": "data-platform qu",
        "COMP_CWORD": "1",
    }
    assert run({**surroundings, **asked}).stdout.split() == ["plain,quarantine", "plain,query"]
