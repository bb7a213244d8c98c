"""Why an asset ran last, or why it doesn't.

Added to the command by `cli`.
"""

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    format_option,
    load_all,
    print_json,
    settings_of_machine,
)
from data_platform.settings import environment


@click.command(epilog="Example: data-platform why staging/transactions 2017-03-01")
@click.argument("key", shell_complete=completion.selectable)
@click.argument("partition", required=False, shell_complete=completion.partitions)
@format_option
def why(key: str, partition: str | None, style: str) -> None:
    """Say why an asset ran last, or why it doesn't.

    KEY is layer/name, or layer/pipeline/name. PARTITION left out is the newest one that is due. The
    first line is the answer; the facts behind it and what to do are below it.
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.observability.reasons.question import Records  # noqa: PLC0415
    from data_platform.observability.reasons.why import why as why_of  # noqa: PLC0415
    from data_platform.plan.finding import check_partition, find_asset  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.why_text import print_why, why_json  # noqa: PLC0415

    loaded = load_all()
    node = find_asset(loaded.plan, key)
    now = datetime.now(UTC)
    with dagster_instance(settings_of_machine()) as instance:
        if partition is not None:
            dynamic = node.partitions.dynamic if node.partitions else None
            keys = instance.get_dynamic_partitions(dynamic) if dynamic else ()
            check_partition(node, partition, keys, now)
        records = Records(loaded.plan, instance, loaded.lake(), now)
        found = why_of(records, node, partition)
    if style == "json":
        print_json(why_json(found))
    else:
        print_why(make_console(environment()), found)
