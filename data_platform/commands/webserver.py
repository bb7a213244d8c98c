"""Dagster's UI, for those who may change something and for those who may look.

Added to the command by `cli`.
"""

import re
from pathlib import Path

import click

from data_platform.commands.opened import dagster_instance, settings_of_machine

DEFAULT_PORT = 3000
DEFAULT_GRACE = 20
_ORIGIN = re.compile(r"https?://[^/\s]+")
_PREFIX = re.compile(r"(/[A-Za-z0-9_.~-]+)+")


def _origins(_: click.Context, __: click.Parameter, said: tuple[str, ...]) -> frozenset[str]:
    for one in said:
        if not _ORIGIN.fullmatch(one):
            raise click.BadParameter(
                f"{one!r} is no origin: it is https://, a host and nothing behind it"
            )
    return frozenset(said)


def _prefix(_: click.Context, __: click.Parameter, said: str) -> str:
    if said and not _PREFIX.fullmatch(said):
        raise click.BadParameter(f"{said!r} must begin with a slash and not end with one")
    return said


@click.command(epilog="Example: data-platform webserver --read-only --port 3001")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    help="To listen on.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="To listen on; 0.0.0.0 listens to the network, behind something that knows who asks.",
)
@click.option(
    "--workspace",
    "workspaces",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Where code locations are; left out, workspace.yaml here, or else this project's own.",
)
@click.option("--read-only", is_flag=True, help="Refuse whatever would change or start something.")
@click.option(
    "--user-header",
    metavar="NAME",
    help="The header in which a proxy says who asks. Anybody who can reach the server without the "
    "proxy can forge it.",
)
@click.option(
    "--origin",
    "origins",
    metavar="URL",
    multiple=True,
    callback=_origins,
    help="Take changes from pages of this origin too, such as https://dagster.example.com.",
)
@click.option(
    "--path-prefix",
    "prefix",
    metavar="PATH",
    default="",
    callback=_prefix,
    help="Of all its addresses, such as /dagster.",
)
@click.option(
    "--grace", type=click.IntRange(0, 3600), default=DEFAULT_GRACE, show_default=True,
    metavar="SECONDS", help="In which open requests may end after SIGTERM.",
)  # fmt: skip
def webserver(
    *,
    port: int,
    host: str,
    workspaces: tuple[Path, ...],
    read_only: bool,
    user_header: str | None,
    origins: frozenset[str],
    prefix: str,
    grace: int,
) -> None:
    """Serve Dagster's UI.

    With --read-only the server itself refuses each change, by whichever way it comes. With
    --user-header what is changed is noted with who did it: data-platform audit. See docs/access.md.
    """
    from data_platform.webserver.gate import Rules  # noqa: PLC0415
    from data_platform.webserver.serving import Served, serve  # noqa: PLC0415

    here = Path("workspace.yaml")
    files = workspaces or ((here,) if here.exists() else ())
    rules = Rules(read_only, user_header, origins, prefix)
    with dagster_instance(settings_of_machine()) as instance:
        kind = " for reading" if read_only else ""
        click.echo(f"Dagster's UI{kind} is at http://{host}:{port}{prefix} until Ctrl-C")
        serve(instance, files, rules, Served(host, port, grace))
