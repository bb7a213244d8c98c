"""The process in which `on_finish` runs: told by its input, ended with 1 where that raises.

Started by `calling` alone.
"""

import json
import sys
import traceback

from data_platform.endings.calling import folder_of
from data_platform.endings.facts import RunFacts
from data_platform.plan.functions import UserFunction


def main() -> None:
    """Call the function once."""
    told = json.load(sys.stdin)
    function = UserFunction(
        written=told["function"],
        fingerprint="",
        takes_partition=False,
        takes_arrow=False,
        pipeline=told["pipeline"],
        folder=folder_of(told["folder"]),
        partitions=None,
        place="",
    )
    try:
        function.load()(RunFacts.from_json(told["facts"]))
    except BaseException as error:  # noqa: BLE001 -- a person's code may raise anything
        traceback.print_exception(error, limit=-5)
        sys.exit(1)
