"""What hangs on an asset: who reads it, who owns that, and how fresh it is promised to be.

Added to the command by `cli`.
"""

import click

from data_platform import completion
from data_platform.commands.opened import format_option, load_all, print_json
from data_platform.settings import environment


@click.command(epilog="Example: data-platform impact staging/transactions --column sales_value")
@click.argument("key", shell_complete=completion.selectable)
@click.option("--column", metavar="NAME", help="Only what a change of this column touches.")
@format_option
def impact(key: str, column: str | None, style: str) -> None:
    """Show what depends on an asset, and whom to tell.

    KEY is layer/name, or layer/pipeline/name. Over all pipelines: readers first, then readers of
    these, then tables and files outside; with owners, what they promise of freshness, and how
    critical they are. `lineage` shows a column's way through them.
    """
    from data_platform.plan.finding import find_asset  # noqa: PLC0415
    from data_platform.plan.lineage.assets import Lineage  # noqa: PLC0415
    from data_platform.plan.lineage.impact import impact_of  # noqa: PLC0415
    from data_platform.plan.lineage.readers import readers_of  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.impact_tables import (  # noqa: PLC0415
        print_readers,
        readers_json,
        touched_by,
    )

    lineage = Lineage(load_all().plan)
    node = find_asset(lineage.plan, key)
    readers, touched = readers_of(lineage, node.key), None
    if column is not None:
        touched = touched_by(impact_of(lineage, lineage.find(f"{node.key}.{column}")))
        readers = [one for one in readers if one.node.key in touched]
    if style == "json":
        print_json(readers_json(node, column, readers, touched))
    else:
        print_readers(make_console(environment()), node, readers, touched)
