"""The `data-platform` command: all that it can be told.

Installed as the entry point `data_platform.cli:main`. What each command does is in `commands`.
"""

from pathlib import Path

import click

from data_platform.commands import (
    alerts,
    audit,
    backfill,
    before_runs,
    beginning,
    contract,
    doctor,
    impact,
    lake,
    looking,
    metrics,
    migrating,
    plan,
    quarantine,
    retention,
    runs,
    status,
    testing,
    trigger,
    webhooks,
    webserver,
    why,
)
from data_platform.errors import PermanentError
from data_platform.logs.setting_up import set_up
from data_platform.secrets.masker import know_environment
from data_platform.settings import environment, log_settings, read_env_file
from data_platform.terminal.commands import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="data-platform")
def main() -> None:
    """Pipelines in YAML and SQL: check them, look at them, run them, see how they stand."""
    try:
        read_env_file(Path.cwd())
        know_environment(environment())
        set_up(*log_settings(environment()))
    except ValueError as error:
        raise PermanentError(str(error)) from error


for _command in (
    beginning.init,
    beginning.print_completion,
    before_runs.check,
    before_runs.discover,
    before_runs.schema,
    testing.run_unit_tests,
    before_runs.explain,
    before_runs.lineage,
    impact.impact,
    contract.contract,
    plan.plan,
    runs.run,
    backfill.backfill,
    trigger.trigger,
    webhooks.webhooks,
    runs.demo,
    looking.query,
    quarantine.quarantine,
    lake.lake,
    retention.retention,
    migrating.migrate,
    status.status,
    alerts.alerts,
    audit.audit,
    metrics.metrics,
    webserver.webserver,
    why.why,
    doctor.doctor,
):
    main.add_command(_command)
