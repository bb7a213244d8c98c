"""What a change means before it is made: for assets, for readers, and for what is published.

Added to the command by `cli`.
"""

import tempfile
from pathlib import Path

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    format_option,
    load_all,
    print_json,
    settings_of_machine,
)
from data_platform.settings import environment


@click.command(epilog="Example: data-platform plan --against origin/main")
@click.argument("pipelines", nargs=-1, shell_complete=completion.pipelines)
@click.option(
    "--against", metavar="REF", help="A git reference; left out, what is published is compared."
)
@format_option
def plan(pipelines: tuple[str, ...], against: str | None, style: str) -> None:
    """Show what a change of pipelines means, and write nothing.

    Which assets are added, changed or removed; what of them changes, and for whom that breaks;
    which published partitions would be built anew, what is below them, and how long that takes.
    Beside it, what is stale by newer inputs.

    Exits with 0 where nothing breaks, and with 2 where something does.
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.changes.before import before_of  # noqa: PLC0415
    from data_platform.changes.planned import planned  # noqa: PLC0415
    from data_platform.terminal.change_tables import (  # noqa: PLC0415
        exit_code,
        planned_json,
        print_planned,
    )
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    loaded, settings = load_all(), settings_of_machine()
    for name in pipelines:
        loaded.pipeline(name)
    with (
        tempfile.TemporaryDirectory(prefix="data-platform-") as scratch,
        dagster_instance(settings) as instance,
    ):
        folder = Path(scratch).resolve()
        dirs, home = settings.pipelines_dirs, settings.home
        before = before_of(against, loaded, dirs, home, environment(), folder) if against else None
        found = planned(loaded, instance, loaded.lake(), before, datetime.now(UTC), pipelines)
    if style == "json":
        print_json(planned_json(found))
    else:
        print_planned(make_console(environment()), found)
    if exit_code(found):
        click.get_current_context().exit(exit_code(found))
