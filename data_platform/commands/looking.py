"""What is there: rows of the lake, rows and files that were held back, how assets stand.

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


@click.group()
def quarantine() -> None:
    """Look at rows that were held back."""


@quarantine.command("list", epilog="Example: data-platform quarantine list retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@format_option
def quarantine_list(pipeline: str | None, style: str) -> None:
    """Show which partitions have rows in quarantine, with the reasons."""
    from data_platform.observability.quarantine import held_rows  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.quarantine_tables import held_json, print_held  # noqa: PLC0415

    loaded = load_all()
    nodes = [node for node in nodes_of(loaded, pipeline) if isinstance(node, LakeNode)]
    held = held_rows(nodes, loaded.workbench())
    if style == "json":
        print_json(held_json(held))
    else:
        print_held(make_console(environment()), held)


@quarantine.command(
    "show", epilog="Example: data-platform quarantine show staging/retail/transactions --limit 5"
)
@click.argument("key", shell_complete=completion.held_assets)
@click.option(
    "--partition", metavar="KEY", shell_complete=completion.partitions, help="Only this partition."
)
@click.option(
    "--format", "style", type=click.Choice(["table", "json", "csv"]), default="table",
    show_default=True, help="For people, or for programs.",
)  # fmt: skip
@limit_option
def quarantine_show(key: str, partition: str | None, style: str, limit: int) -> None:
    """Show rows of an asset that were held back, as they came, with the reasons."""
    from data_platform.observability.quarantine import held_examples  # noqa: PLC0415
    from data_platform.plan.finding import find_asset  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415

    loaded = load_all()
    node = find_asset(loaded.plan, key)
    if not isinstance(node, LakeNode):
        raise click.UsageError(f"{node.key} has no quarantine: nothing is held back there")
    print_answer(held_examples(node, loaded.workbench(), partition, limit or None), style)


@quarantine.command("files", epilog="Example: data-platform quarantine files retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@format_option
def quarantine_files(pipeline: str | None, style: str) -> None:
    """Show files of sources that couldn't be read, why, and where they are kept."""
    from data_platform.observability.bad_files import bad_files  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415
    from data_platform.terminal.bad_file_tables import (  # noqa: PLC0415
        bad_files_json,
        print_bad_files,
    )
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    loaded = load_all()
    nodes = [node for node in nodes_of(loaded, pipeline) if isinstance(node, LakeNode)]
    found = bad_files(nodes, loaded.workbench().lake)
    if style == "json":
        print_json(bad_files_json(found))
    else:
        print_bad_files(make_console(environment()), found)


@click.command(epilog="Example: data-platform status retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@format_option
def status(pipeline: str | None, style: str) -> None:
    """Show how assets stand.

    Their last good partition, what is published of what is due, age and freshness, checks whose
    latest evaluation failed, and rows held back.
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.observability.event_log import read_event_log  # noqa: PLC0415
    from data_platform.observability.facts import gather_facts  # noqa: PLC0415
    from data_platform.observability.outages import outages  # noqa: PLC0415
    from data_platform.observability.status import as_json, status_of  # noqa: PLC0415
    from data_platform.spec.variables import expand  # noqa: PLC0415
    from data_platform.terminal.console import make_console, say  # noqa: PLC0415
    from data_platform.terminal.status_tables import print_status  # noqa: PLC0415
    from data_platform.terminal.tables import BAD  # noqa: PLC0415

    loaded = load_all()
    nodes = nodes_of(loaded, pipeline)
    with dagster_instance(settings_of_machine()) as instance:
        logged = read_event_log(instance, nodes)
        down = outages(instance, nodes, lambda text: expand(text, environment()))
    facts = gather_facts(nodes, loaded.workbench(), loaded.connection_url, logged)
    now = datetime.now(UTC)
    statuses = [status_of(node, facts[node.key], now) for node in nodes]
    if style == "json":
        print_json([as_json(one) for one in statuses])
    else:
        console = make_console(environment())
        print_status(console, statuses)
        for line in down:
            say(console, line, BAD)
