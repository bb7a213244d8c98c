"""What changes the rows of the lake's tables: back to an earlier version, or without a person's.

Added to `lake` by `commands.lake`.
"""

from typing import TYPE_CHECKING

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    fail,
    format_option,
    load_all,
    print_json,
    settings_of_machine,
)
from data_platform.commands.options import by_option, dry_run_option, yes_option
from data_platform.errors import PermanentError
from data_platform.settings import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster import DagsterInstance

    from data_platform.keeping.erasure import Found
    from data_platform.keeping.rollback import Rollback
    from data_platform.plan.nodes import LakeNode, Node
    from data_platform.storage.lake import Lake


@click.command(epilog="Example: data-platform lake rollback raw/retail/transactions --to 3")
@click.argument("key", shell_complete=completion.assets)
@click.option("--to", type=int, required=True, metavar="VERSION", help="As history shows it.")
@click.option(
    "--partition", "partitions", multiple=True, metavar="KEY",
    help="Only this partition; may be given again.",
)  # fmt: skip
@dry_run_option
@yes_option
@by_option
@format_option
def rollback(
    key: str,
    to: int,
    partitions: tuple[str, ...],
    *,
    dry_run: bool,
    yes: bool,
    by: str | None,
    style: str,
) -> None:
    """Make an earlier version of an asset current again.

    A new version with the rows of the old one; a table that grows by batches reads on from where
    it was then. Partitions that weren't there then are no longer published, unless --partition
    says which go back. Quarantine goes back with its asset; decisions about its rows stay.

    Dagster records it, so what lies below is out of date and runs as its automation says.
    """
    from data_platform.instance.audit_trail import note  # noqa: PLC0415
    from data_platform.keeping.naming import lake_node, user_name  # noqa: PLC0415
    from data_platform.keeping.rollback import plan_rollback, roll_back  # noqa: PLC0415
    from data_platform.terminal.console import make_console, say  # noqa: PLC0415
    from data_platform.terminal.tables import GOOD  # noqa: PLC0415
    from data_platform.terminal.version_tables import (  # noqa: PLC0415
        print_rollback,
        rollback_json,
    )

    if style == "json" and not (yes or dry_run):
        raise click.UsageError("--format json asks nothing: say --yes or --dry-run")
    loaded = load_all()
    node, tables = lake_node(loaded.plan, key), loaded.workbench().lake
    planned = plan_rollback(tables, node.key, to, partitions)
    console = make_console(environment())
    if not planned.files:
        if style == "json":
            print_json(rollback_json(planned, version=None))
        else:
            say(console, f"{node.key}: version {to} has the same rows: nothing to do")
        return
    if style == "text":
        print_rollback(console, planned)
    version = None
    if not dry_run:
        if not (yes or click.confirm("Go on?")):
            return
        who = by or user_name()
        with dagster_instance(settings_of_machine()) as instance:
            version = roll_back(tables, planned, who)
            some = f" of {', '.join(partitions)}" if partitions else ""
            note(instance, "lake rollback", [str(node.key)], f"to version {to}{some}", by)
            _record_rollback(instance, tables, node, planned, version, who)
    if style == "json":
        print_json(rollback_json(planned, version=version))
    elif version is not None:
        say(console, f"{node.key}: version {version} holds what version {to} held", GOOD)
        if planned.gone:
            say(console, "Dagster still shows those that aren't published: run them to have them")
    else:
        console.print("nothing is changed: run it without --dry-run")


def _record_rollback(
    instance: "DagsterInstance",
    tables: "Lake",
    node: "LakeNode",
    planned: "Rollback",
    version: int,
    who: str,
) -> None:
    from data_platform.keeping.recording import Event, record  # noqa: PLC0415
    from data_platform.keeping.rollback import roll_back_beside  # noqa: PLC0415

    said = {
        "rolled_back_to": f"{planned.to}",
        "delta_version": f"{version}",
        "data_platform/by": who,
    }
    beside = roll_back_beside(tables, planned, node.quarantine_key, who) if _held(node) else {}
    whole = next(iter(planned.runs.values()), None)
    events = {
        key: Event(one.data_version, one.rows, planned.runs.get(key) or whole, said)
        for key, one in planned.restored.items()
    }
    record(instance, node.key, events, f"rolled back to version {planned.to} by {who}")
    held = {key: Event(version, rows, None, said) for key, (version, rows) in beside.items()}
    if held:
        text = f"rolled back with {node.key} by {who}"
        record(instance, node.quarantine_key, held, text)


def _held(node: "LakeNode") -> bool:
    from data_platform.plan.nodes import StagingNode  # noqa: PLC0415

    return isinstance(node, StagingNode)


@click.command(
    epilog="Example: data-platform lake erase raw/retail/transactions "
    'staging/retail/transactions --where "household_id = 18"'
)
@click.argument("keys", nargs=-1, required=True, metavar="KEY...", shell_complete=completion.assets)
@click.option(
    "--where", required=True, metavar="SQL", help="True of the rows that go, over their columns."
)
@click.option("--apply", is_flag=True, help="Erase them; without it nothing is.")
@by_option
@format_option
def erase(keys: tuple[str, ...], where: str, *, apply: bool, by: str | None, style: str) -> None:
    """Erase rows of a person from assets, in all their versions.

    From the tables, their quarantine, and what was decided about rows of it. Without --apply it
    only counts. It can't be undone: files that hold such a row are removed, so older versions of
    these partitions can't be read any more.

    The report names what isn't reached from here: sources, destinations, what is built from the
    assets unless it is named too, previews of rows in Dagster.
    """
    from data_platform.instance.audit_trail import note  # noqa: PLC0415
    from data_platform.keeping.beyond import beyond, downstream  # noqa: PLC0415
    from data_platform.keeping.conditions import read_condition  # noqa: PLC0415
    from data_platform.keeping.erasure import Erasure  # noqa: PLC0415
    from data_platform.keeping.naming import lake_node, user_name  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.lake_tables import erasure_json, print_erasure  # noqa: PLC0415

    condition = read_condition(where)
    loaded = load_all()
    nodes = list(
        {node.key: node for node in (lake_node(loaded.plan, key) for key in keys)}.values()
    )
    workbench, who = loaded.workbench(), by or user_name()
    with workbench.open() as (session, scratch):
        erasure = Erasure(session, scratch, workbench.lake, loaded.plan, condition)
        found = erasure.find(nodes)
        besides = beyond(loaded.plan, workbench.lake, nodes, found, condition.columns)
        if apply and any(one.any for one in found):
            with dagster_instance(settings_of_machine()) as instance:
                below = downstream(loaded.plan, [node.key for node in nodes])
                _require_idle(instance, [*nodes, *below])
                found = erasure.erase(nodes, who)
                # The columns, not the values: what was erased must not stand here.
                detail = f"rows by {', '.join(sorted(condition.columns))}"
                note(instance, "lake erase", [str(node.key) for node in nodes], detail, by)
                _record_erasure(instance, found, who)
    if style == "json":
        print_json(erasure_json(found, besides, applied=apply))
    else:
        print_erasure(make_console(environment()), found, besides, applied=apply)
    if any(one.erased and one.erased.back for one in found):
        fail()


def _require_idle(instance: "DagsterInstance", nodes: "Sequence[Node]") -> None:
    """Whoever is at work may read the files that go, and write the rows again."""
    from data_platform.keeping.at_work import at_work  # noqa: PLC0415

    keys = [node.key for node in nodes]
    busy = [one.name for one in at_work(instance) if one.concerns(keys)]
    if busy:
        named = ", ".join(busy[:5])
        raise PermanentError(
            f"in progress: {named}{' and more' if len(busy) > 5 else ''}: they may be reading "  # noqa: PLR2004
            "these rows, or write them again: wait for them, or cancel them"
        )


def _record_erasure(instance: "DagsterInstance", found: "Sequence[Found]", who: str) -> None:
    from data_platform.keeping.recording import Event, record  # noqa: PLC0415

    for one in found:
        if one.erased is None or not one.erased.versions or one.part.kind == "corrections":
            continue
        said = {
            "rows_erased": one.rows,
            "delta_version": f"{one.erased.version}",
            "data_platform/by": who,
        }
        events = {
            key: Event(version, rows, None, said)
            for key, (version, rows) in one.erased.versions.items()
        }
        record(instance, one.part.key, events, f"rows erased by {who}")
