"""What several commands share: options, the pipelines as they are, Dagster's instance, answers.

Used by the modules of this package only. Everything heavy is imported when it is asked for.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from data_platform.errors import PermanentError, StorageUnavailable
from data_platform.settings import Settings, environment, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from data_platform.engine.answers import Answer
    from data_platform.loading import Loaded
    from data_platform.plan.nodes import AnyNode

DEFAULT_LIMIT = 20

format_option = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="For people, or for programs.",
)  # fmt: skip
limit_option = click.option(
    "--limit", type=click.IntRange(min=0), default=DEFAULT_LIMIT, show_default=True, metavar="N",
    help="Show at most N rows; 0 shows all.",
)  # fmt: skip


def settings_of_machine() -> Settings:
    """What this machine or deployment decides; that one can't be read is a message."""
    try:
        return load_settings()
    except ValueError as error:
        raise PermanentError(str(error)) from error


def load_all() -> "Loaded":
    """All pipelines; a broken one is named, and hides none of the others."""
    from data_platform.loading import load  # noqa: PLC0415

    settings = settings_of_machine()
    if not any(folder.is_dir() for folder in settings.pipelines_dirs):
        folders = ", ".join(map(str, settings.pipelines_dirs)) or "none"
        raise PermanentError(
            f"DATA_PLATFORM_PIPELINES names no folder that there is: {folders}; correct it, or "
            "unset it and make a project with `data-platform init DIR`"
        )
    loaded = load(settings, environment())
    if loaded.unreadable:
        line = "platform.yaml has mistakes: data-platform check shows them; connections, channels "
        click.echo(f"{line}and limits are unknown until then", err=True)
    for name in loaded.broken:
        line = f"pipeline {name} has mistakes and is left out: data-platform check shows them"
        click.echo(line, err=True)
    return loaded


def nodes_of(
    loaded: "Loaded", pipeline: str | None, asset: str | None = None
) -> Sequence["AnyNode"]:
    """The assets that a command is about."""
    from data_platform.plan.finding import find_asset  # noqa: PLC0415

    nodes = loaded.pipeline(pipeline).nodes if pipeline else loaded.plan.nodes
    if asset is None:
        return nodes
    found = find_asset(loaded.plan, asset)
    if found not in nodes:
        raise click.UsageError(f"{found.key} isn't in pipeline {pipeline}")
    return [found]


@contextmanager
def dagster_instance(settings: Settings) -> "Iterator[DagsterInstance]":
    """Dagster's instance; that its storage can't be reached is a message."""
    from psycopg2 import OperationalError  # noqa: PLC0415
    from sqlalchemy.exc import OperationalError as EngineError  # noqa: PLC0415

    from data_platform.instance.storage import open_instance  # noqa: PLC0415

    try:
        with open_instance(settings) as instance:
            yield instance
    except (OperationalError, EngineError) as error:
        first = str(error).strip().splitlines()[0]
        advice = (
            "; is that server up, and DATA_PLATFORM_STORAGE_URL right?"
            if settings.storage_url
            else ""
        )
        raise StorageUnavailable(f"Dagster's storage can't be reached: {first}{advice}") from error


def print_answer(answer: "Answer", style: str) -> None:
    """Rows, as a table with a closing line or for programs."""
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.tables import closing_line as rows_line  # noqa: PLC0415
    from data_platform.terminal.tables import print_answer  # noqa: PLC0415
    from data_platform.terminal.values import csv_text, json_lines  # noqa: PLC0415

    match style:
        case "json":
            click.echo("\n".join(json_lines(answer)))
        case "csv":
            click.echo(csv_text(answer), nl=False)
        case _:
            print_answer(make_console(environment()), answer)
            click.echo(rows_line(answer))
    if style != "table" and answer.more:
        click.echo(rows_line(answer), err=True)


def print_json(value: object) -> None:
    """For programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def fail() -> NoReturn:
    """End with the exit code of what went wrong and was told."""
    click.get_current_context().exit(1)
