"""What other orchestrators call: a run, launched where Dagster's daemon takes it up.

Added to the command by `cli`.
"""

from typing import TYPE_CHECKING

import click

from data_platform.commands.opened import dagster_instance, fail, load_all, settings_of_machine
from data_platform.commands.options import (
    force_option,
    partition_option,
    pipeline_argument,
    select_option,
)

if TYPE_CHECKING:
    from data_platform.triggering.asked import Asked, Launcher


@click.command(
    epilog='Example: data-platform trigger retail --key "$DAG_RUN_ID" --cause "airflow: nightly"'
)
@pipeline_argument
@partition_option
@select_option
@force_option
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until the run has ended.")
@click.option("--cause", default="", metavar="TEXT", help="Why, for whoever looks at the run.")
@click.option(
    "--key", "once", metavar="TEXT",
    help="Launch once for all calls with the same text; the others find that run.",
)  # fmt: skip
@click.option(
    "--url", metavar="URL", help="Of Dagster's webserver; left out, Dagster's storage is asked."
)
def trigger(
    pipeline: str,
    partition: str | None,
    select: tuple[str, ...],
    cause: str,
    once: str | None,
    url: str | None,
    *,
    force: bool,
    wait: bool,
) -> None:
    """Let Dagster run a pipeline, and wait for the end.

    For other orchestrators. Without a partition it runs the newest that is due. The run is launched
    where Dagster's daemon takes it up, like one of a schedule. Exits with 1 if it doesn't succeed.
    Whoever stops waiting doesn't stop the run.
    """
    from data_platform.triggering.asked import Asked  # noqa: PLC0415

    asked = Asked(pipeline, select, partition, cause or "by command", once, force=force)
    if url is not None:
        from data_platform.triggering.over_http import OverHttp  # noqa: PLC0415

        _launch(OverHttp(url), asked, wait=wait)
        return
    _launch_in_instance(asked, wait=wait)


def _launch_in_instance(asked: "Asked", *, wait: bool) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.definitions import definitions_of  # noqa: PLC0415
    from data_platform.triggering.in_instance import InInstance  # noqa: PLC0415

    loaded = load_all()
    loaded.pipeline(asked.pipeline)
    now = datetime.now(UTC)
    with dagster_instance(settings_of_machine()) as instance:
        launcher = InInstance(definitions_of(loaded, now), loaded, instance, now)
        if not launcher.daemon_is_alive():
            click.echo("no daemon of Dagster's is alive: the run waits until one is", err=True)
        _launch(launcher, asked, wait=wait)


def _launch(launcher: "Launcher", asked: "Asked", *, wait: bool) -> None:
    from data_platform.triggering.asked import SUCCESS, wait_for_end  # noqa: PLC0415

    launched = launcher.launch(asked)
    known = "" if launched.is_new else ", launched before with this key"
    click.echo(f"run {launched.run_id} {launched.link}{known}")
    if not wait:
        return
    status = wait_for_end(launcher, launched.run_id)
    click.echo(f"run {launched.run_id[:8]} ended: {status.lower()}")
    if status != SUCCESS:
        fail()
