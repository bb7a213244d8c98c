"""Backfills: history in runs that can be killed and gone on with.

Added to the command by `cli`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from data_platform import completion
from data_platform.commands.opened import dagster_instance, fail, load_all, settings_of_machine
from data_platform.commands.options import (
    dry_run_option,
    end_option,
    first_option,
    force_option,
    partition_option,
    require_one_way,
    select_option,
    settings_option,
    yes_option,
)
from data_platform.errors import PermanentError
from data_platform.settings import environment

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from data_platform.backfills.choosing import Which
    from data_platform.backfills.commanding import Ground, Limits, Result
    from data_platform.loading import Loaded
    from data_platform.running import Request
    from data_platform.terminal.backfill_tables import BackfillTicker

_ACTIONS = "--list, --resume and --cancel go without a pipeline and its options"


@click.command(
    epilog="Example: data-platform backfill retail --from 2017-01-01 --to 2018-01-01 --batch 30"
)
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@partition_option
@first_option
@end_option
@select_option
@click.option("--failed-only", "which", flag_value="failed", help="Only where the last run failed.")
@click.option("--missing-only", "which", flag_value="missing", help="Only what isn't published.")
@click.option(
    "--stale", "which", flag_value="stale",
    help="Only what other code or other inputs than stand now made, and what is below.",
)  # fmt: skip
@click.option(
    "--batch", type=click.IntRange(min=1), metavar="N",
    help="Partitions of a run at most; what `backfill: {partitions_per_run}` says, left out.",
)  # fmt: skip
@click.option(
    "--throttle", type=click.IntRange(min=1), metavar="N",
    help="Let N runs at most run at once, through Dagster's queue, which needs its daemon and "
    "whose own limits hold too. Left out: one after the other, in this process.",
)  # fmt: skip
@click.option(
    "--max-failures", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
    help="Stop after N runs that failed.",
)  # fmt: skip
@settings_option
@force_option
@yes_option
@dry_run_option
@click.option("--list", "listed", is_flag=True, help="Show the backfills that there are.")
@click.option("--resume", metavar="ID", help="Go on with one; what failed is tried again.")
@click.option("--cancel", metavar="ID", help="End one and its runs; what they published stays.")
@click.option(
    "--allow-new-code", is_flag=True,
    help="Go on though the pipeline's code isn't what it was when the backfill began.",
)  # fmt: skip
def backfill(  # noqa: PLR0913, PLR0917 -- one argument an option
    pipeline: str | None,
    partition: str | None,
    first: str | None,
    end: str | None,
    select: tuple[str, ...],
    which: "Which | None",
    batch: int | None,
    throttle: int | None,
    max_failures: int,
    settings: tuple[str, ...],
    resume: str | None,
    cancel: str | None,
    *,
    force: bool,
    yes: bool,
    dry_run: bool,
    listed: bool,
    allow_new_code: bool,
) -> None:
    """Fill a pipeline's history, in runs of a number of partitions.

    Without partition and range it fills all that is due. Shows first what it will do, and asks. All
    runs read the inputs that they don't make as these stood when it began. Killed at any moment it
    goes on by --resume. Exits with 1 if anything failed or is left.
    """
    from data_platform.backfills.commanding import Limits  # noqa: PLC0415
    from data_platform.running import Request  # noqa: PLC0415

    actions = [listed, resume is not None, cancel is not None]
    if sum(actions) + (pipeline is not None) != 1:
        raise click.UsageError(f"name a pipeline, or say what is to be done; {_ACTIONS}")
    require_one_way(partition, first, end)
    if listed:
        _list()
    elif cancel is not None:
        _cancel(cancel)
    elif resume is not None:
        _resume(resume, allow_new_code=allow_new_code)
    elif pipeline is not None:
        request = Request(pipeline, partition, first, end, select, settings, force=force)
        limits = Limits(batch, throttle, max_failures)
        _begin(request, which, limits, yes=yes, dry_run=dry_run, allow_new_code=allow_new_code)


def _begin(
    request: "Request",
    which: "Which | None",
    limits: "Limits",
    *,
    yes: bool,
    dry_run: bool,
    allow_new_code: bool,
) -> None:
    from data_platform.backfills.commanding import begin, plan_backfill  # noqa: PLC0415
    from data_platform.terminal.backfill_tables import print_plan  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    loaded = load_all()
    loaded.pipeline(request.pipeline)
    now = datetime.now(UTC)
    with dagster_instance(settings_of_machine()) as instance:
        planned = plan_backfill(loaded, instance, request, which, limits, now)
        if planned is None:
            click.echo(f"nothing is {which}: there is nothing to do")
            return
        print_plan(make_console(environment()), planned)
        if dry_run or not _may_begin(yes=yes):
            return
        click.echo(f"backfill {planned.backfill.backfill_id}")
        ground = _ground(loaded, instance, now)
        queued = limits.at_once is not None
        with _ticking(queued=queued) as ticker:
            result = begin(planned, ground, ticker, allow_new_code=allow_new_code)
        _close(result, planned.backfill.backfill_id)


def _resume(backfill_id: str, *, allow_new_code: bool) -> None:
    from data_platform.backfills.commanding import resume  # noqa: PLC0415
    from data_platform.backfills.records import find  # noqa: PLC0415
    from data_platform.instance.audit_trail import note  # noqa: PLC0415

    loaded = load_all()
    with dagster_instance(settings_of_machine()) as instance:
        found = find(instance, backfill_id).backfill
        loaded.pipeline(found.pipeline)
        note(instance, "backfill resumed", [found.pipeline], found.backfill_id)
        ground = _ground(loaded, instance, datetime.now(UTC))
        with _ticking(queued=found.at_once is not None) as ticker:
            result = resume(found.backfill_id, ground, ticker, allow_new_code=allow_new_code)
        _close(result, found.backfill_id)


def _list() -> None:
    from data_platform.backfills.records import recorded  # noqa: PLC0415
    from data_platform.terminal.backfill_tables import print_recorded  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    with dagster_instance(settings_of_machine()) as instance:
        print_recorded(make_console(environment()), recorded(instance))


def _cancel(backfill_id: str) -> None:
    from data_platform.backfills.commanding import cancel  # noqa: PLC0415
    from data_platform.backfills.records import find  # noqa: PLC0415
    from data_platform.instance.audit_trail import note  # noqa: PLC0415

    with dagster_instance(settings_of_machine()) as instance:
        pipeline = find(instance, backfill_id).backfill.pipeline
        cancelled = cancel(instance, backfill_id)
        note(instance, "backfill cancelled", [pipeline], cancelled)
        click.echo(f"backfill {cancelled} is cancelled")


def _may_begin(*, yes: bool) -> bool:
    if not yes and not sys.stdin.isatty():
        raise PermanentError("nobody is there to be asked: say --yes, or --dry-run to look only")
    return yes or click.confirm("Begin?")


def _ground(loaded: "Loaded", instance: "DagsterInstance", now: datetime) -> "Ground":
    from data_platform.backfills.commanding import Ground  # noqa: PLC0415
    from data_platform.definitions import definitions_of  # noqa: PLC0415
    from data_platform.loading import load  # noqa: PLC0415

    settings = settings_of_machine()
    return Ground(
        loaded,
        definitions_of(loaded, now),
        instance,
        settings.home,
        lambda: load(settings, environment()).plan,
    )


@contextmanager
def _ticking(*, queued: bool) -> "Iterator[BackfillTicker]":
    """Shows how it goes on; leaves the terminal as it was."""
    from data_platform.terminal.backfill_tables import BackfillTicker  # noqa: PLC0415
    from data_platform.terminal.console import make_console, steady_console  # noqa: PLC0415

    with steady_console(make_console(environment())) as steady:
        ticker = BackfillTicker(steady, queued=queued)
        try:
            yield ticker
        finally:
            ticker.stop()


def _close(result: "Result", backfill_id: str) -> None:
    from data_platform.terminal.backfill_tables import print_result  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    print_result(make_console(environment()), result, backfill_id)
    if not result.succeeded:
        fail()
