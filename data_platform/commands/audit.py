"""Who started, changed or discarded what, and when.

Added to the command by `cli`.
"""

from datetime import UTC, datetime, timedelta

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    format_option,
    limit_option,
    load_all,
    print_json,
    settings_of_machine,
)
from data_platform.settings import environment


@click.command(epilog="Example: data-platform audit --pipeline retail --since 7d")
@click.option(
    "--pipeline", shell_complete=completion.pipelines, help="Only what was done to a pipeline."
)
@click.option(
    "--key", shell_complete=completion.selectable, metavar="KEY",
    help="Only what was done to an asset, such as staging/retail/transactions.",
)  # fmt: skip
@click.option("--since", metavar="MOMENT", help="A date, a moment, or a duration back: 7d.")
@click.option("--until", metavar="MOMENT", help="Until then, itself not included.")
@click.option("--who", metavar="TEXT", help="Only by those whose name has this in it.")
@limit_option
@format_option
def audit(
    pipeline: str | None,
    key: str | None,
    since: str | None,
    until: str | None,
    who: str | None,
    limit: int,
    style: str,
) -> None:
    """Show who started, changed or discarded what, the newest first.

    Runs and backfills, what commands changed in quarantine, in the lake and in Dagster, and what
    was stopped, deleted, wiped or told by hand in Dagster's UI. Times are this machine's.
    """
    from data_platform.observability.audit.deeds import Span  # noqa: PLC0415
    from data_platform.observability.audit.reading import Wanted, deeds_of  # noqa: PLC0415
    from data_platform.plan.finding import find_asset  # noqa: PLC0415
    from data_platform.terminal.audit_tables import deeds_json, print_deeds  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    now = datetime.now(UTC)
    span = Span(_moment("--since", since, now), _moment("--until", until, now))
    loaded = load_all() if pipeline or key else None
    if loaded and pipeline:
        loaded.pipeline(pipeline)
    asset = str(find_asset(loaded.plan, key).key) if loaded and key else None
    with dagster_instance(settings_of_machine()) as instance:
        found = deeds_of(instance, Wanted(span, pipeline, asset, who, limit or None))
    if style == "json":
        print_json(deeds_json(found))
    else:
        print_deeds(make_console(environment()), found)


def _moment(option: str, text: str | None, now: datetime) -> datetime | None:
    """A moment that somebody wrote; one without a zone is of this machine's clock."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from data_platform.spec.times import Duration  # noqa: PLC0415

    if text is None:
        return None
    try:
        return now - TypeAdapter[timedelta](Duration).validate_python(text)
    except ValidationError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.UsageError(
            f"{option}: {text!r} is no moment: a date such as 2026-01-31, a moment such as "
            "2026-01-31T06:30, or a duration back such as 7d"
        ) from None
