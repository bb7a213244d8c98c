"""What goes wrong on a first day, each with what to do; and what a run shows while it goes on."""

import os
import sys
from pathlib import Path

import pytest
from factories import Project
from forked_command import run_command
from screen import Session, command_on_terminal, on_terminal, too_wide

from data_platform.new_project import make_project

PROGRAM = str(Path(sys.executable).with_name("data-platform"))
CURSOR = "\x1b[?25"
"""How a spinner begins and ends."""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["chek"], "'check'"),
        (["stats"], "Did you mean 'status'?"),
        (["quarantine", "shw"], "Did you mean 'show'?"),
        (["run", "shop", "--form", "2024"], "'--from'"),
        (["check", "--conect"], "Did you mean '--connect'?"),
        (["run"], "Missing argument 'PIPELINE'"),
        (["check", "nowhere"], "Path 'nowhere' does not exist"),
    ],
)
def test_what_is_misspelt_is_told_with_what_was_meant(command, words: list[str], told: str) -> None:
    result = command(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "--help' for help" in result.stderr


def test_a_misspelt_pipeline_is_told_with_what_was_meant(command, project: Project) -> None:
    project.declare("staging:\n  orders:\n    from: raw.orders\n")
    result = command("run", "shp")
    assert (result.exit_code, result.stderr) == (
        1, "Error: there is no pipeline 'shp'; did you mean shop?\n",
    )  # fmt: skip


def test_running_a_broken_pipeline_tells_its_mistakes(command, project: Project) -> None:
    project.declare("staging: 1\n")
    result = command("run", "shop")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("pipelines/shop/pipeline.yaml:6:1: ")


@pytest.mark.parametrize("words", [["run", "shop"], ["status"], ["query", "SELECT 1"]])
def test_a_missing_pipelines_folder(command, environ: dict[str, str], words: list[str]) -> None:
    environ["DATA_PLATFORM_PIPELINES"] = "/nowhere:/nor/here"
    result = command(*words)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: DATA_PLATFORM_PIPELINES names no folder that there is: /nowhere, /nor/here; "
        "correct it, or unset it and make a project with `data-platform init DIR`\n"
    )


def test_a_database_that_is_not_there(command, project: Project, environ: dict[str, str]) -> None:
    project.declare("staging:\n  orders:\n    from: raw.orders\n")
    environ["DATA_PLATFORM_STORAGE_URL"] = "postgresql://me:secret@127.0.0.1:1/x"
    result = command("status")
    assert result.exit_code == 1
    assert "Dagster's storage can't be reached" in result.stderr
    assert "is that server up, and DATA_PLATFORM_STORAGE_URL right?" in result.stderr
    assert "secret" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_database_of_another_kind(command, environ: dict[str, str]) -> None:
    environ["DATA_PLATFORM_STORAGE_URL"] = "mysql://me:secret@host/x"
    result = command("check")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: DATA_PLATFORM_STORAGE_URL must be postgresql://user@host/database, or "
        "embedded://database\n"
    )


def test_a_wrong_amount_of_memory(command, environ: dict[str, str]) -> None:
    environ["DATA_PLATFORM_MEMORY_LIMIT"] = "lots"
    result = command("check")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: DATA_PLATFORM_MEMORY_LIMIT is 'lots': it must be an")


def test_a_file_where_the_data_folder_must_be(
    command, project: Project, environ: dict[str, str], dagster_url: str
) -> None:
    project.declare("staging:\n  orders:\n    from: raw.orders\n")
    (project.folder / "data").touch()
    environ |= {"DATA_PLATFORM_DATA_DIR": "data", "DATA_PLATFORM_STORAGE_URL": dagster_url}
    result = command("status")
    assert result.exit_code == 1
    assert "a file is where a folder must be: move it away" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_env_file_that_is_no_text(command, project: Project) -> None:
    (project.folder / ".env").write_bytes(b"\xff\xfe")
    result = command("check")
    assert result.exit_code == 1
    assert ".env can't be read" in result.stderr


# On a terminal --------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path, dagster_url: str) -> tuple[Path, dict[str, str]]:
    """A project, and the environment in which its commands run."""
    make_project(tmp_path / "sales")
    unwanted = {"COLUMNS", "NO_COLOR", "FORCE_COLOR", "DAGSTER_HOME"}
    environ = {name: value for name, value in os.environ.items() if name not in unwanted}
    return tmp_path / "sales", {
        **environ, "TERM": "xterm-256color", "DATA_PLATFORM_STORAGE_URL": dagster_url,
    }  # fmt: skip


def see(made: tuple[Path, dict[str, str]], width: int, *words: str, **environ: str) -> Session:
    folder, given = made
    return command_on_terminal(words, width, {**given, **environ}, folder)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_holds_at_any_width(made: tuple[Path, dict[str, str]], width: int) -> None:
    seen = see(made, width, "--help")
    assert seen.code == 0
    assert too_wide(seen.lines, width) == []
    if width >= 80:
        assert "..." not in seen.raw.replace("[ARGS]...", "")


def test_an_error_is_folded_between_words(made: tuple[Path, dict[str, str]]) -> None:
    seen = see(made, 60, "run", "sales", DATA_PLATFORM_STORAGE_URL="postgresql://127.0.0.1:1/x")
    assert seen.code == 1
    assert too_wide(seen.lines, 60) == []
    assert "DATA_PLATFORM_STORAGE_URL" in seen.raw


def test_a_mistake_stays_in_one_line(made: tuple[Path, dict[str, str]]) -> None:
    file = made[0] / "pipelines/sales/pipeline.yaml"
    file.write_text(file.read_text().replace("description: The shop", "descripton: The shop"))
    seen = see(made, 60, "check")
    assert seen.lines[0].startswith("pipelines/sales/pipeline.yaml:")
    assert "did you mean 'description'?" in seen.lines[0]


def test_a_run_is_watched_on_a_terminal(made: tuple[Path, dict[str, str]]) -> None:
    folder, environ = made
    seen = on_terminal([PROGRAM, "run", "sales"], 60, environ, folder)
    assert seen.code == 0, seen.raw
    assert CURSOR in seen.raw
    assert "\x1b[32m✓" in seen.raw
    steps = [line for line in seen.lines if line.startswith("✓")]
    assert [line.split()[1] for line in steps] == [
        "raw/orders", "staging/orders", "analytics/daily_revenue",
    ]  # fmt: skip
    assert too_wide(seen.lines, 60) == []
    logs = list((made[0] / ".data/compute_logs").rglob("*.out"))
    assert not [log for log in logs if "✓" in log.read_text()]


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_plain_terminal_gets_plain_lines(
    made: tuple[Path, dict[str, str]], environ: dict[str, str]
) -> None:
    seen = see(made, 80, "run", "sales", **environ)
    assert seen.code == 0, seen.raw
    assert "\x1b" not in seen.raw
    assert len([line for line in seen.lines if line.startswith("✓")]) == 3


def test_force_color_does_not_make_a_log_move(made: tuple[Path, dict[str, str]]) -> None:
    folder, environ = made
    done = run_command(["data-platform", "run", "sales"], folder, {**environ, "FORCE_COLOR": "1"})
    assert done.returncode == 0, done.stdout
    assert "\x1b[32m✓" in done.stdout
    assert CURSOR not in done.stdout
    assert "\r" not in done.stdout
