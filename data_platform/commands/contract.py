"""What assets promise: two revisions of contracts, compared for people and for CI.

Added to the command by `cli`.
"""

import tempfile
from pathlib import Path

import click

from data_platform.commands.opened import format_option, print_json, settings_of_machine
from data_platform.errors import PlatformError
from data_platform.settings import environment
from data_platform.terminal.commands import complain
from data_platform.terminal.problem_lines import error_lines

NOT_COMPARED = 2
"""The exit code where nothing could be compared, or not all of it."""


@click.group()
def contract() -> None:
    """Look at what assets promise their readers."""


@contract.command("diff", epilog="Example: data-platform contract diff origin/main")
@click.argument("old")
@click.argument("new", required=False)
@format_option
def contract_diff(old: str, new: str | None, style: str) -> None:
    """Show what changed in contracts, and whether that is breaking.

    OLD and NEW are each a file, a folder, a git reference, or reference:path. NEW left out is the
    working tree.

    Exits with 0 where nothing breaks, or a new major number of contract_version says so; with 1
    where something breaks; with 2 where something couldn't be compared.
    """
    from data_platform.contract_diff import compare_revisions  # noqa: PLC0415
    from data_platform.loading import load  # noqa: PLC0415
    from data_platform.revisions import two_revisions  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.contract_tables import (  # noqa: PLC0415
        compared_json,
        print_compared,
    )

    try:
        settings = settings_of_machine()
        with tempfile.TemporaryDirectory(prefix="data-platform-") as scratch:
            before, after = two_revisions(
                old, new, settings.pipelines_dirs, Path(scratch).resolve()
            )
            compared = compare_revisions(
                before, after, environment(), settings.home, lambda: load(settings, environment())
            )
            if style == "json":
                print_json(compared_json(compared, Path.cwd()))
            else:
                print_compared(make_console(environment()), compared, Path.cwd())
    except PlatformError as error:
        for line in error_lines(error, Path.cwd()):
            complain(line)
        click.get_current_context().exit(NOT_COMPARED)
    if compared.exit_code:
        click.get_current_context().exit(compared.exit_code)
