"""What is there: rows of the lake.

Added to the command by `cli`.
"""

import click

from data_platform.commands.opened import limit_option, load_all, print_answer


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
