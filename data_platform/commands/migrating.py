"""The tables of Dagster's storage, made or changed before a new version starts.

Added to the command by `cli`; the job of the chart's hook runs it.
"""

from importlib import import_module

import click

from data_platform.commands.opened import format_option, print_json, settings_of_machine

WITH_TABLES = (
    "data_platform.instance.audit_trail",
    "data_platform.instance.locations",
    "data_platform.observability.alerts.outbox",
    "data_platform.observability.following.follower",
    "data_platform.observability.incidents.keeping",
    "data_platform.observability.metrics.counters",
    "data_platform.observability.openlineage.outbox",
    "data_platform.observability.retention.ground",
    "data_platform.reporting.budgets",
    "data_platform.reporting.run_spans",
)
"""Modules that have tables of their own in Dagster's database."""


@click.command(epilog="Example: data-platform migrate --wait 300")
@click.option(
    "--wait", "seconds", type=click.FloatRange(min=0), default=60.0, show_default=True,
    metavar="SECONDS", help="For the database to answer.",
)  # fmt: skip
@format_option
def migrate(seconds: float, style: str) -> None:
    """Make or change the tables of Dagster's storage.

    In the database of DATA_PLATFORM_STORAGE_URL: Dagster's tables and the platform's own. It may be
    run twice, and by two at once. A deployment runs it before its new version starts.

    Exits with 1 where the database doesn't answer in time, or where a newer version made its
    tables.
    """
    from data_platform.embedded.server import resolve_url  # noqa: PLC0415
    from data_platform.instance.migrating import migrate, wait_for_database  # noqa: PLC0415
    from data_platform.instance.storage import EMBEDDED_URL  # noqa: PLC0415

    settings = settings_of_machine()
    for name in WITH_TABLES:
        import_module(name)
    url = resolve_url(settings.storage_url or EMBEDDED_URL, settings.data_dir)
    wait_for_database(url, seconds, lambda reason: click.echo(f"waiting: {reason}", err=True))
    done = migrate(url)
    steps = {"dagster": done.dagster, **{f"platform: {n}": step for n, step in done.own.items()}}
    if style == "json":
        tables = {n: {"before": step.before, "after": step.after} for n, step in steps.items()}
        print_json({"changed": done.changed, "tables": tables})
        return
    for name, step in steps.items():
        if step.changed:
            click.echo(f"{name}: {_words(step.before)} -> {step.after}")
    if not done.changed:
        click.echo(f"nothing to do: Dagster's tables are of migration {done.dagster.after}")


def _words(version: str | None) -> str:
    return "none" if version is None else version
