"""Before a run: what is wrong, what will exist, what a change touches.

Added to the command by `cli`.
"""

from pathlib import Path

import click

from data_platform import completion
from data_platform.commands.opened import (
    fail,
    format_option,
    load_all,
    nodes_of,
    print_json,
    settings_of_machine,
)
from data_platform.settings import environment
from data_platform.terminal.problem_lines import closing_line, problem_line


@click.command(epilog="Example: data-platform check data_platform/pipelines/retail")
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--connect", is_flag=True, help="Ask the databases for their columns too.")
def check(path: Path | None, *, connect: bool) -> None:
    """Find every mistake before anything runs.

    PATH is a pipelines folder, a pipeline's folder or a file; left out, all pipelines are checked.
    Exits with 1 where there is a mistake; a warning is none.
    """
    from data_platform.checking import check as find_mistakes  # noqa: PLC0415

    found = find_mistakes(settings_of_machine(), environment(), path, connect=connect)
    for problem in found.problems:
        click.echo(problem_line(problem, Path.cwd()))
    click.echo(closing_line(found.pipelines, found.problems))
    if not found.sound:
        fail()


@click.command(epilog="Example: data-platform discover shop public.transactions")
@click.argument("connection", shell_complete=completion.connections)
@click.argument("table", required=False)
@format_option
def discover(connection: str, table: str | None, style: str) -> None:
    """Show a database's tables, or write a source for one.

    CONNECTION is one of platform.yaml. With TABLE it prints YAML that stands below `sources:` of a
    pipeline.yaml: columns with their types, comments, and a column that may be the cursor.
    """
    from data_platform.discovering import source_block  # noqa: PLC0415
    from data_platform.sources.database.catalogue import found_tables  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.discovered_tables import found_json, print_found  # noqa: PLC0415

    url = load_all().connection_url(connection)
    if table is not None:
        click.echo(source_block(url, connection, table), nl=False)
    elif style == "json":
        print_json(found_json(found_tables(url)))
    else:
        print_found(make_console(environment()), connection, found_tables(url))


@click.command(epilog="Example: data-platform schema pipeline > pipeline.schema.json")
@click.argument("of", default="pipeline", type=click.Choice(["pipeline", "platform", "tests"]))
def schema(of: str) -> None:
    """Print the JSON Schema of the language.

    For editors: of pipeline.yaml, of platform.yaml, or of tests.yaml.
    """
    from data_platform.spec import json_schema  # noqa: PLC0415

    schemas = {
        "pipeline": json_schema.pipeline_schema,
        "platform": json_schema.platform_schema,
        "tests": json_schema.tests_schema,
    }
    print_json(schemas[of]())


@click.command(epilog="Example: data-platform explain retail --asset staging/retail/transactions")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@click.option(
    "--asset", metavar="KEY", shell_complete=completion.assets,
    help="Only this asset: layer/pipeline/name.",
)  # fmt: skip
@format_option
def explain(pipeline: str | None, asset: str | None, style: str) -> None:
    """Show assets, the SQL that runs, and checks.

    What is shown is what runs: with inputs, columns, and where each rule acts.
    """
    from data_platform.plan.explaining import explain_json, explain_text  # noqa: PLC0415

    loaded = load_all()
    keys = [node.key for node in nodes_of(loaded, pipeline, asset)]
    if style == "json":
        print_json(explain_json(loaded.plan, keys, Path.cwd()))
    else:
        click.echo(explain_text(loaded.plan, keys, Path.cwd()), nl=False)


@click.command(epilog="Example: data-platform lineage staging.transactions.sales_value --down")
@click.argument("column")
@click.option("--up", is_flag=True, help="Only what it is made of, up to the source.")
@click.option("--down", is_flag=True, help="Only what a change of it touches.")
@format_option
def lineage(column: str, *, up: bool, down: bool, style: str) -> None:
    """Show what a column is made of, and what breaks if it changes.

    COLUMN is layer.name.column, pipeline.layer.name.column, or connection.table.column of a
    source: over all pipelines, with filters, join keys, checks and contracts.
    """
    from data_platform.plan.lineage.assets import Lineage  # noqa: PLC0415
    from data_platform.plan.lineage.impact import ancestry_of, impact_of  # noqa: PLC0415
    from data_platform.terminal.console import make_console  # noqa: PLC0415
    from data_platform.terminal.lineage_json import lineage_json  # noqa: PLC0415
    from data_platform.terminal.lineage_trees import LineageTrees  # noqa: PLC0415

    told = Lineage(load_all().plan)
    start = told.find(column)
    impact = impact_of(told, start) if down or not up else None
    ancestry = ancestry_of(told, start) if up or not down else None
    if style == "json":
        print_json(lineage_json(told, start, impact, ancestry))
        return
    trees = LineageTrees(make_console(environment()), told, Path.cwd())
    trees.print_note(start)
    if ancestry is not None:
        trees.print_ancestry(ancestry)
    if impact is not None:
        trees.print_impact(impact)
