"""What commands print and what is raised is masked; rows that somebody asks for are not."""

import sys

import click
import pytest
from rich.console import Console

from data_platform.errors import PermanentError
from data_platform.logs.output import masked_errors, masked_output
from data_platform.secrets import masker
from data_platform.terminal.commands import Commands
from data_platform.terminal.console import steady_console

SECRET = "s3cr3t-of-output"


@pytest.fixture(autouse=True)
def _known_secret() -> None:
    masker.know(SECRET)


@pytest.fixture
def group() -> click.Group:
    """A command that says a secret, one that fails with it, and one that gives rows."""

    @click.group(cls=Commands)
    def main() -> None:
        pass

    @main.command()
    def say() -> None:
        click.echo(f"said {SECRET}")
        click.echo(f"warned {SECRET}", err=True)
        Console().print(f"in colour {SECRET}")

    @main.command()
    def fail() -> None:
        raise PermanentError(f"refused {SECRET}")

    @main.command()
    def query() -> None:
        click.echo(f"row {SECRET}")

    return main


def run(group: click.Group, name: str) -> object:
    """Run a command; both outputs are as before at its end."""
    before = sys.stdout, sys.stderr
    ended = group.main([name], standalone_mode=False)
    assert (sys.stdout, sys.stderr) == before
    return ended


def test_all_ways_to_print_are_masked(
    group: click.Group, capsys: pytest.CaptureFixture[str]
) -> None:
    run(group, "say")

    out, err = capsys.readouterr()
    assert out == "said ***\nin colour ***\n"
    assert err == "warned ***\n"


def test_an_error_is_masked_and_gives_its_exit_code(
    group: click.Group, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(group, "fail") == 1

    assert capsys.readouterr().err == "Error: refused ***\n"


def test_rows_are_what_they_are(group: click.Group, capsys: pytest.CaptureFixture[str]) -> None:
    run(group, "query")

    assert capsys.readouterr().out == f"row {SECRET}\n"


def test_what_is_shown_while_a_step_runs_is_masked(capfd: pytest.CaptureFixture[str]) -> None:
    with masked_output(), steady_console(Console()) as console:
        console.print(f"failed: {SECRET}")

    assert capfd.readouterr().out == "failed: ***\n"


def test_an_error_that_quotes_a_secret_is_told_masked_with_its_cause() -> None:
    def connect() -> None:
        with masked_errors():
            try:
                int(SECRET)
            except ValueError as error:
                raise RuntimeError("can't load") from error

    with pytest.raises(PermanentError, match=r"ValueError.*'\*\*\*'(.|\n)*can't load") as caught:
        connect()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_another_error_stays_as_it_is() -> None:
    def load() -> None:
        with masked_errors():
            raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        load()
