"""Rows that were held back, and files that couldn't be read: look at them, mend them, give them up.

Added to the command by `cli`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    fail,
    format_option,
    limit_option,
    load_all,
    nodes_of,
    print_answer,
    print_json,
    settings_of_machine,
)
from data_platform.commands.options import by_option, dry_run_option, yes_option
from data_platform.commands.replays import Desk
from data_platform.settings import environment

if TYPE_CHECKING:
    from data_platform.correcting.exporting import Format

_asset = click.argument("key", metavar="PIPELINE.ASSET", shell_complete=completion.held_assets)
_partition = click.option(
    "--partition", metavar="KEY", shell_complete=completion.partitions, help="Only this partition."
)
_id = click.option(
    "--id", "identities", multiple=True, metavar="ID",
    help="This row, by its _row_id; may be given again.",
)  # fmt: skip


@click.group()
def quarantine() -> None:
    """Look at rows that were held back, and mend them."""


@quarantine.command("list", epilog="Example: data-platform quarantine list retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@click.option("--discarded", is_flag=True, help="Count rows that were discarded too.")
@format_option
def list_rows(pipeline: str | None, *, discarded: bool, style: str) -> None:
    """Show which partitions have rows in quarantine, and why."""
    from data_platform.observability.quarantine import held_rows  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.quarantine_tables import held_json, print_held  # noqa: PLC0415

    loaded = load_all()
    nodes = [node for node in nodes_of(loaded, pipeline) if isinstance(node, LakeNode)]
    held = held_rows(nodes, loaded.workbench())
    if style == "json":
        print_json(held_json(held, discarded=discarded))
    else:
        print_held(make_console(environment()), held, discarded=discarded)


@quarantine.command(
    "show", epilog="Example: data-platform quarantine show staging/retail/transactions --limit 5"
)
@click.argument("key", shell_complete=completion.held_assets)
@_partition
@click.option("--discarded", is_flag=True, help="Show rows that were discarded instead.")
@click.option(
    "--format", "style", type=click.Choice(["table", "json", "csv"]), default="table",
    show_default=True, help="For people, or for programs.",
)  # fmt: skip
@limit_option
def show(key: str, partition: str | None, *, discarded: bool, style: str, limit: int) -> None:
    """Show rows of an asset that were held back, and why."""
    from data_platform.observability.quarantine import held_examples  # noqa: PLC0415
    from data_platform.plan.finding import find_asset  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415

    loaded = load_all()
    node = find_asset(loaded.plan, key)
    if not isinstance(node, LakeNode):
        raise click.UsageError(f"{node.key} has no quarantine: nothing is held back there")
    found = held_examples(node, loaded.workbench(), partition, limit or None, discarded=discarded)
    print_answer(found, style)


@quarantine.command("files", epilog="Example: data-platform quarantine files retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@format_option
def files(pipeline: str | None, style: str) -> None:
    """Show files of sources that couldn't be read, and why."""
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


@quarantine.command(
    epilog="Example: data-platform quarantine export retail.transactions -o held.csv"
)
@_asset
@_partition
@click.option("--reason", metavar="RULE", help="Only rows that broke this rule.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl", "parquet"]),
    help="By the file's ending, left out; csv where there is no file.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Where to; the terminal, left out.",
)  # fmt: skip
def export(
    key: str,
    partition: str | None,
    reason: str | None,
    form: "Format | None",
    output: Path | None,
) -> None:
    r"""Write rows that were held back into a file, to be mended.

    The edited file is taken back in by replay.

    In CSV \N is no value, and what a spreadsheet would change by itself stands behind an
    apostrophe: leave both as they are in cells that you don't edit.
    """
    Desk(load_all(), key).export(partition, reason, form, output)


@quarantine.command(epilog="Example: data-platform quarantine replay retail.transactions held.csv")
@_asset
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_partition
@dry_run_option
@yes_option
@by_option
def replay(
    key: str,
    file: Path | None,
    partition: str | None,
    *,
    dry_run: bool,
    yes: bool,
    by: str | None,
) -> None:
    """Take rows back in, as a file corrects them or as they are.

    Without FILE the rows are judged anew as they are, after a rule has changed.

    FILE is what export wrote, edited. Only cells that were edited count. Runs the partitions
    concerned, and what lies below them in all pipelines.
    """
    desk = Desk(load_all(), key, by)
    prepared = desk.prepare_replay(file, partition)
    if prepared is None or dry_run or not (yes or click.confirm("Go on?")):
        return
    with dagster_instance(settings_of_machine()) as instance:
        if not desk.replay(instance, prepared):
            fail()


@quarantine.command(
    epilog='Example: data-platform quarantine discard retail.transactions --all --because "a test"'
)
@_asset
@_id
@_partition
@click.option("--reason", metavar="RULE", help="Rows that broke this rule.")
@click.option("--all", "everything", is_flag=True, help="All rows that wait.")
@click.option("--because", required=True, metavar="TEXT", help="Why; it is kept.")
@yes_option
@by_option
def discard(
    key: str,
    identities: tuple[str, ...],
    partition: str | None,
    reason: str | None,
    *,
    everything: bool,
    because: str,
    yes: bool,
    by: str | None,
) -> None:
    """Give rows up, with a reason.

    They stay in quarantine, and count as open no more.

    Says who did it, when and why; restore takes it back.
    """
    if sum(map(bool, (identities, partition or reason, everything))) != 1:
        raise click.UsageError("say which rows: --id, --partition, --reason, or --all alone")
    if not because.strip():
        raise click.UsageError("--because is empty: say why")
    desk = Desk(load_all(), key, by)
    rows = desk.rows_to_discard(identities, partition, reason)
    if not rows or not (yes or click.confirm("Discard them?")):
        return
    with dagster_instance(settings_of_machine()) as instance:
        desk.discard(instance, rows, because.strip())


@quarantine.command(epilog="Example: data-platform quarantine restore retail.transactions --all")
@_asset
@_id
@_partition
@click.option("--all", "everything", is_flag=True, help="All rows that were decided about.")
@yes_option
@by_option
def restore(
    key: str,
    identities: tuple[str, ...],
    partition: str | None,
    *,
    everything: bool,
    yes: bool,
    by: str | None,
) -> None:
    """Take back what was decided about rows.

    Those that were corrected or discarded are as they came again.

    Runs the partitions in which rows were corrected, and what lies below them.
    """
    if sum(map(bool, (identities, partition, everything))) != 1:
        raise click.UsageError("say which rows: --id, --partition, or --all")
    desk = Desk(load_all(), key, by)
    prepared = desk.prepare_restore(identities, partition)
    if prepared is None or not (yes or click.confirm("Go on?")):
        return
    with dagster_instance(settings_of_machine()) as instance:
        if not desk.restore(instance, prepared):
            fail()
