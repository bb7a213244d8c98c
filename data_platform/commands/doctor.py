"""What the platform leans on: connections, storage, lake, disks, clocks, secrets, packages.

Added to the command by `cli`.
"""

import click

from data_platform import completion
from data_platform.commands.opened import fail, format_option, print_json, settings_of_machine
from data_platform.settings import Settings, environment

_EMBEDDED = "embedded"


@click.command(epilog="Example: data-platform doctor --connection warehouse")
@click.option(
    "--connection", metavar="NAME", help="Only this one of platform.yaml.",
    shell_complete=completion.connections,
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=15.0, show_default=True,
    metavar="SECONDS", help="What doesn't answer within them has failed.",
)  # fmt: skip
@format_option
def doctor(connection: str | None, timeout: float, style: str) -> None:
    """Look at everything that the platform leans on.

    Every connection of platform.yaml, Dagster's storage and daemon, the lake (a probe is written,
    read and removed), disks, clocks, and what must be set and installed. Tells what to do about
    what isn't well.

    Exits with 1 where something fails; warnings don't count.
    """
    from data_platform.doctor.examining import examine  # noqa: PLC0415
    from data_platform.doctor.planning import Machine, examinations  # noqa: PLC0415
    from data_platform.loading import unplanned  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.doctor_tables import (  # noqa: PLC0415
        findings_json,
        print_findings,
    )

    settings = settings_of_machine()
    loaded = unplanned(settings, environment())
    machine = Machine(
        workspace=loaded.workspace,
        outside=loaded.outside(),
        lake=loaded.lake,
        storage_url=lambda: _storage_url(settings),
        storage_scheme=(settings.storage_url or _EMBEDDED).partition(":")[0],
        migrations=_newest_migration,
        location=settings.location,
        data_dir=settings.data_dir,
        environ=environment(),
    )
    findings = examine(examinations(machine, connection), timeout)
    if style == "json":
        print_json(findings_json(findings))
    else:
        print_findings(make_console(environment()), findings)
    if any(finding.level == "fail" for finding in findings):
        fail()


def _storage_url(settings: Settings) -> str:
    from data_platform.embedded.server import resolve_url  # noqa: PLC0415
    from data_platform.instance.storage import EMBEDDED_URL  # noqa: PLC0415

    return resolve_url(settings.storage_url or EMBEDDED_URL, settings.data_dir)


def _newest_migration() -> str:
    from data_platform.instance.database import newest_migration  # noqa: PLC0415

    return newest_migration()
