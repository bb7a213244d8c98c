"""A place to work in: `init` and `completion`.

Added to the command by `cli`.
"""

from pathlib import Path

import click

from data_platform import completion
from data_platform.settings import environment


@click.command(epilog="Example: data-platform init sales-platform")
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


@click.command("completion", epilog="Example: data-platform completion bash")
@click.argument("shell", type=click.Choice(completion.SHELLS))
@click.pass_context
def print_completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes words at Tab.

    Of commands, options, pipelines, assets and partitions. Its first lines say how to install it.
    """
    click.echo(completion.completion_script(shell, ctx.find_root().command), nl=False)
