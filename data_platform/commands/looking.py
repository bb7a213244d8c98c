"""What is there: rows of the lake, and how assets stand.

Added to the command by `cli`.
"""

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    format_option,
    limit_option,
    load_all,
    nodes_of,
    print_answer,
    print_json,
    settings_of_machine,
)
from data_platform.settings import environment


@click.command(
    epilog='Example: data-platform query "SELECT count(*) FROM retail.staging.transactions"'
)
@click.argument("sql")
@click.option(
    "--format", "style", type=click.Choice(["table", "json", "csv"]), default="table",
    show_default=True, help="For people, or for programs.",
)  # fmt: skip
@limit_option
def query(sql: str, style: str, limit: int) -> None:
    """Ask the lake, with a SELECT.

    Tables are named layer.name, or pipeline.layer.name; rows that were held back are in
    pipeline.quarantine.name. Where a query names _source_file, _source_checksum, _source_bytes or
    _source_modified, raw tables of files have these columns.
    """
    from data_platform.observability.querying import ask  # noqa: PLC0415

    loaded = load_all()
    print_answer(ask(sql, loaded.plan, loaded.workbench(), limit or None), style)


@click.command(epilog="Example: data-platform status retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@click.option("--all", "every", is_flag=True, help="Each asset that waits for another, too.")
@format_option
def status(pipeline: str | None, *, every: bool, style: str) -> None:
    """Show how assets stand.

    Their last good partition, what is published of what is due, age and freshness, checks whose
    latest evaluation failed, and rows held back. What waits for an asset that failed is told once,
    with that asset.
    """
    from dataclasses import replace  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.observability.causes import causes_of, with_causes  # noqa: PLC0415
    from data_platform.observability.event_log import read_event_log  # noqa: PLC0415
    from data_platform.observability.facts import gather_facts  # noqa: PLC0415
    from data_platform.observability.failures import last_failures  # noqa: PLC0415
    from data_platform.observability.outages import outages  # noqa: PLC0415
    from data_platform.observability.status import as_json, status_of  # noqa: PLC0415
    from data_platform.secrets.stores import expand  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.status_tables import print_status  # noqa: PLC0415

    loaded = load_all()
    nodes = nodes_of(loaded, pipeline)
    with dagster_instance(settings_of_machine()) as instance:
        logged = read_event_log(instance, nodes)
        down = outages(instance, nodes, lambda text: expand(text, environment()))
        failures = last_failures(instance, loaded.plan.nodes)
    facts = gather_facts(nodes, loaded.workbench(), loaded.outside(), logged)
    now = datetime.now(UTC)
    schedules = {one.name: one.schedule for one in loaded.plan.pipelines}
    statuses = [
        replace(
            status_of(node, facts[node.key], now, schedules[node.key.pipeline]),
            circuit=down.get(node.key),
        )
        for node in nodes
    ]
    causes = causes_of(loaded.plan, statuses, failures, now)
    statuses = with_causes(statuses, causes, failures)
    if style == "json":
        print_json([as_json(one) for one in statuses])
    else:
        outages_told = sorted(set(down.values()))
        print_status(make_console(environment()), statuses, outages_told, every=every)
