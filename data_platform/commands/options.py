"""Arguments and options that several commands have: one spelling, one help, one completion.

What a key and a range mean is decided in `running.asked`.
"""

import click

from data_platform import completion

pipeline_argument = click.argument("pipeline", shell_complete=completion.pipelines)
partition_option = click.option(
    "--partition", metavar="KEY", shell_complete=completion.partitions, help="One partition."
)
first_option = click.option(
    "--from", "first", metavar="KEY", shell_complete=completion.starts,
    help="The first partition of a range of time.",
)  # fmt: skip
end_option = click.option(
    "--to", "end", metavar="KEY", shell_complete=completion.ends,
    help="The end of the range, itself not included.",
)  # fmt: skip
select_option = click.option(
    "--select", multiple=True, metavar="KEY", shell_complete=completion.selectable,
    help="Only this asset, such as staging/transactions; may be given again.",
)  # fmt: skip
settings_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", shell_complete=completion.parameters,
    help="The value of a parameter, for all assets that have it, or of one asset: "
    "layer/name.parameter=value; may be given again.",
)  # fmt: skip
yes_option = click.option("--yes", is_flag=True, help="Don't ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would happen, and end.")
by_option = click.option(
    "--by", metavar="NAME", help="Who does it; whoever is logged in, left out."
)
force_option = click.option("--force", is_flag=True, help="Compute though nothing changed.")


def require_one_way(partition: str | None, first: str | None, end: str | None) -> None:
    """A key and a range don't go together.

    Raises:
        click.UsageError: they stand together.
    """
    if partition and (first or end):
        raise click.UsageError("--partition goes without --from and --to")
