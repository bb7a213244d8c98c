"""The lake's tables kept in order: their versions, small files, files that nobody needs.

Added to the command by `cli`. What changes rows, a rollback and an erasure, is in
`commands.lake_rows`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from data_platform import completion
from data_platform.commands.lake_rows import erase, rollback
from data_platform.commands.opened import (
    dagster_instance,
    format_option,
    limit_option,
    load_all,
    print_json,
    settings_of_machine,
)
from data_platform.commands.options import by_option, dry_run_option
from data_platform.errors import PermanentError
from data_platform.settings import environment

if TYPE_CHECKING:
    from data_platform.keeping.compaction import Compaction
    from data_platform.loading import Loaded
    from data_platform.plan.keys import Key


@click.group()
def lake() -> None:
    """Keep the tables of the lake in order."""


lake.add_command(rollback)
lake.add_command(erase)


@lake.command(epilog="Example: data-platform lake history staging/retail/transactions --limit 5")
@click.argument("key", shell_complete=completion.assets)
@limit_option
@format_option
def history(key: str, limit: int, style: str) -> None:
    """Show the versions of an asset's table, the newest first.

    What each changed, which run made it, how many of its files stand now, and whether it can be
    restored: a version can be as long as all its files are there.
    """
    from data_platform.keeping.history import history_of  # noqa: PLC0415
    from data_platform.keeping.naming import table_key  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.version_tables import history_json, print_history  # noqa: PLC0415

    loaded = load_all()
    found = history_of(loaded.workbench().lake, table_key(loaded.plan, key), limit or None)
    if style == "json":
        print_json(history_json(found))
    else:
        print_history(make_console(environment()), found)


@lake.command(epilog="Example: data-platform lake optimize raw/retail/transactions")
@click.argument("key", required=False, shell_complete=completion.assets)
@dry_run_option
@by_option
@format_option
def optimize(key: str | None, *, dry_run: bool, by: str | None, style: str) -> None:
    """Put small files together, of one asset or of all.

    Partitions of several files, and batches of incremental sources and of corrections. Rows, their
    order and data versions stay the same, so nothing runs again.
    """
    from data_platform.keeping.compaction import compact, plan_compaction  # noqa: PLC0415
    from data_platform.keeping.naming import user_name  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.lake_tables import (  # noqa: PLC0415
        compaction_json,
        print_compactions,
    )

    loaded = load_all()
    workbench = loaded.workbench()
    done: list[tuple[Compaction, int | None]] = []
    for one in _tables(loaded, key):
        with workbench.open() as (session, scratch):
            planned = plan_compaction(session, workbench.lake, one)
            size = None
            if planned.groups and not dry_run:
                made = compact(session, scratch, workbench.lake, planned, by or user_name())
                planned, size = made.planned, made.bytes
            done.append((planned, size))
    if style == "json":
        print_json([compaction_json(one, size) for one, size in done])
    else:
        print_compactions(make_console(environment()), done, dry_run=dry_run)


@lake.command(epilog="Example: data-platform lake vacuum --retention 30d --apply")
@click.argument("key", required=False, shell_complete=completion.assets)
@click.option(
    "--retention", metavar="DURATION",
    help="How long versions are kept, such as 30d; what platform.yaml says, left out.",
)  # fmt: skip
@click.option("--apply", is_flag=True, help="Remove them; without it nothing is.")
@by_option
@format_option
def vacuum(
    key: str | None, retention: str | None, *, apply: bool, by: str | None, style: str
) -> None:
    """Remove files that no version within the retention needs, of one asset or of all.

    Files that no version ever named are removed too, none that is younger than a day. What was
    current since the oldest run or backfill in progress began stays, and so do versions that one
    of them pinned. Older versions can't be restored any more.
    """
    from data_platform.instance.audit_trail import note  # noqa: PLC0415
    from data_platform.keeping import vacuum as vacuuming  # noqa: PLC0415
    from data_platform.keeping.at_work import at_work, kept_for  # noqa: PLC0415
    from data_platform.keeping.naming import user_name  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.lake_tables import print_vacuums, vacuum_json  # noqa: PLC0415

    loaded = load_all()
    kept = _duration(retention) if retention else loaded.workspace.platform.lake.retention
    tables = loaded.workbench().lake
    with dagster_instance(settings_of_machine()) as instance:
        working = at_work(instance)
        if apply:
            note(instance, "lake vacuum", [key or "all tables"], by=by)
    keep, now = kept_for(working), datetime.now(UTC)
    found: list[vacuuming.Vacuum] = []
    for one in _tables(loaded, key):
        planned = vacuuming.plan_vacuum(tables, one, kept, now, keep)
        if planned is not None and apply and (planned.files or planned.log):
            planned = vacuuming.vacuum(tables, planned, kept, now, keep, by or user_name())
        if planned is not None:
            found.append(planned)
    if style == "json":
        print_json([vacuum_json(one) for one in found])
        return
    console = make_console(environment())
    print_vacuums(console, found, applied=apply)
    if working and keep.since is not None and keep.since < now - kept:
        first = working[0]
        console.print(f"kept longer for {first.name}, of {first.since:%Y-%m-%d %H:%M} UTC")


def _tables(loaded: "Loaded", key: str | None) -> "Iterator[Key]":
    """The tables of an asset, or of all that were ever published."""
    from data_platform.keeping.naming import lake_node, tables_of  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415

    nodes = [lake_node(loaded.plan, key)] if key else loaded.plan.nodes
    tables = loaded.workbench().lake
    for node in (one for one in nodes if isinstance(one, LakeNode)):
        there = [one for one in tables_of(node) if tables.table(one).delta.opened() is not None]
        if key and node.key not in there:
            raise PermanentError(f"{node.key} has never been published")
        yield from there


def _duration(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from data_platform.spec.times import Duration  # noqa: PLC0415

    try:
        return TypeAdapter[timedelta](Duration).validate_python(text)
    except ValidationError as error:
        about = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"--retention: {about}") from None
