"""What is old goes: runs, events, ticks, logs, quarantine, as platform.yaml says.

Added to the command by `cli`.
"""

import click

from data_platform.commands.opened import (
    dagster_instance,
    fail,
    format_option,
    load_all,
    print_json,
    settings_of_machine,
)
from data_platform.commands.options import by_option, dry_run_option
from data_platform.errors import PermanentError
from data_platform.settings import environment


@click.command(epilog="Example: data-platform retention --dry-run")
@dry_run_option
@by_option
@format_option
def retention(*, dry_run: bool, by: str | None, style: str) -> None:
    """Remove what platform.yaml doesn't keep any longer.

    Runs, events, ticks, logs and quarantine older than `retention` says. Dagster does the same once
    a day. What Dagster needs stays: the latest build of each partition, the latest result of each
    check, what isn't over. In small steps; whoever stops it has removed what it had come to.
    """
    from data_platform.instance.audit_trail import actor, note  # noqa: PLC0415
    from data_platform.observability.retention.kinds import (  # noqa: PLC0415
        is_declared,
        longer_words,
        remove_old,
        words,
    )
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.retention_tables import (  # noqa: PLC0415
        print_swept,
        swept_json,
    )

    loaded = load_all()
    if not is_declared(loaded):
        raise PermanentError(
            "platform.yaml keeps all for ever: say what goes, such as `retention: {runs: 90d}`"
        )
    with dagster_instance(settings_of_machine()) as instance:
        swept = remove_old(loaded, instance, actor(by).name, dry=dry_run)
        if swept is None:
            raise PermanentError("somebody else removes what is old now: wait until they have")
        longer = longer_words(loaded, instance)
        if not dry_run and any(gone.count for gone in swept.gone.values()):
            note(instance, "retention", [], words(swept), by)
    if style == "json":
        print_json(swept_json(swept, dry_run=dry_run))
    else:
        print_swept(make_console(environment()), swept, dry_run=dry_run)
        if longer:
            click.echo(longer)
    if not swept.ended:
        fail()
