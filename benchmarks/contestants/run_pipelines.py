"""Pipelines over a range of days, one after the other, as `data-platform run` runs them.

run_pipelines.py FROM TO PIPELINE...
"""

import sys
from datetime import UTC, datetime

from moving import moving

from data_platform.commands.opened import dagster_instance, load_all, settings_of_machine
from data_platform.definitions import definitions_of
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport
from data_platform.running import Request, run_pipeline


class Unseen:
    """Nobody watches."""

    def started(self, key: Key, partitions: int) -> None:
        """Not shown."""

    def finished(self, report: AssetReport) -> None:
        """Not shown."""


def main(first: str, end: str, pipelines: list[str]) -> None:
    loaded, now = load_all(), datetime.now(UTC)
    definitions = definitions_of(loaded, now)
    with dagster_instance(settings_of_machine()) as instance, moving() as facts:
        reports = [
            run_pipeline(
                definitions, loaded, instance, Request(name, first=first, end=end), Unseen(), now
            )
            for name in pipelines
        ]
        facts["success"] = all(report.succeeded for report in reports)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
