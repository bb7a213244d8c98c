"""The server that takes webhooks.

Added to the command by `cli`.
"""

import click

from data_platform.commands.opened import dagster_instance, load_all, settings_of_machine
from data_platform.errors import PermanentError
from data_platform.settings import environment


@click.command(epilog="Example: data-platform webhooks --port 8790")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8790, show_default=True, help="To listen on."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True,
    help="To listen on; 0.0.0.0 listens to the network, behind something that speaks TLS.",
)  # fmt: skip
def webhooks(port: int, host: str) -> None:
    """Take signed news of external assets.

    `POST /assets/<key>` with the headers X-Timestamp and X-Signature; the secret and the assets are
    in platform.yaml. What follows such an asset runs by its automation.
    """
    from data_platform.secrets.stores import expand_secret  # noqa: PLC0415
    from data_platform.webhooks.reporting import Reporter  # noqa: PLC0415
    from data_platform.webhooks.serving import serve, webhooks_app  # noqa: PLC0415
    from data_platform.webhooks.signing import SHORTEST_SECRET  # noqa: PLC0415

    platform = load_all().workspace.platform
    if platform.webhooks is None:
        raise PermanentError(
            "platform.yaml has no `webhooks`: add them with their `secret`, such as "
            "${WEBHOOK_SECRET}"
        )
    secret = expand_secret(platform.webhooks.secret, environment())
    if len(secret) < SHORTEST_SECRET:
        raise PermanentError(
            f"the secret of `webhooks` is shorter than {SHORTEST_SECRET} characters: it could be "
            "guessed"
        )
    if not platform.external_assets:
        raise PermanentError("platform.yaml has no `external_assets` that webhooks could tell of")
    with dagster_instance(settings_of_machine()) as instance:
        app = webhooks_app(Reporter(instance, platform.external_assets), secret)
        click.echo(f"taking webhooks at http://{host}:{port}/assets/ until Ctrl-C")
        serve(app, host, port)
