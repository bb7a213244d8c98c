"""What is wrong and who was told, and a test of the channels.

Added to the command by `cli`.
"""

from typing import TYPE_CHECKING

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    fail,
    format_option,
    load_all,
    print_json,
    settings_of_machine,
)
from data_platform.errors import PermanentError
from data_platform.settings import environment

if TYPE_CHECKING:
    from data_platform.loading import Loaded


@click.group(invoke_without_command=True, epilog="Example: data-platform alerts")
@format_option
@click.pass_context
def alerts(ctx: click.Context, style: str) -> None:
    """Show what is wrong now, since when, and whose it is.

    Channels and routes are `alerts` of platform.yaml.
    """
    if ctx.invoked_subcommand is None:
        _show(style)


@alerts.command("test", epilog="Example: data-platform alerts test mail")
@click.argument("channel", required=False, shell_complete=completion.channels)
def send_tests(channel: str | None) -> None:
    """Send a message to CHANNEL, or to each, and tell what became of it.

    Exits with 1 where one wasn't taken; a channel whose address is empty is off, which is right.
    """
    from datetime import UTC, datetime  # noqa: PLC0415
    from getpass import getuser  # noqa: PLC0415

    from data_platform.observability.alerts.testing import send_to_each  # noqa: PLC0415

    loaded = load_all()
    loaded.require_platform()
    channels = loaded.workspace.platform.alerts.channels
    if not channels:
        raise PermanentError("platform.yaml has no `alerts: channels:` that could be told")
    if channel is not None and channel not in channels:
        known = ", ".join(channels)
        raise PermanentError(
            f"there is no channel {channel!r} in platform.yaml; there are: {known}"
        )
    asked = {channel: channels[channel]} if channel else channels
    failed = False
    for one in send_to_each(asked, loaded.outside().expand, datetime.now(UTC), getuser()):
        click.echo(f"{one.channel}: {one.outcome}{f' ({one.why})' if one.why else ''}")
        failed = failed or one.outcome == "failed"
    if failed:
        fail()


def _show(style: str) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.observability.alerts.channels import state_of  # noqa: PLC0415
    from data_platform.observability.alerts.outbox import undelivered  # noqa: PLC0415
    from data_platform.observability.incidents.keeping import (  # noqa: PLC0415
        looked_at,
        open_incidents,
    )
    from data_platform.terminal.alert_tables import (  # noqa: PLC0415
        Known,
        alerts_json,
        print_alerts,
    )
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    loaded: Loaded = load_all()
    now = datetime.now(UTC)
    expand = loaded.outside().expand
    channels = loaded.workspace.platform.alerts.channels
    states = [state_of(name, channel, expand) for name, channel in channels.items()]
    with dagster_instance(settings_of_machine()) as instance:
        known = Known(
            open_incidents(instance), states, undelivered(instance, now), looked_at(instance)
        )
    if style == "json":
        print_json(alerts_json(known, loaded.plan))
    else:
        print_alerts(make_console(environment()), known, loaded.plan, now)
