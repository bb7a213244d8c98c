"""Which module delivers to which kind of target.

Called by `destinations.loading` and by `observability.facts`; each kind's module is imported when
it is asked, since drivers take their time.
"""

# ruff: noqa: PLC0415 -- as said above

from typing import assert_never

from data_platform.engine.outside import Outside
from data_platform.plan.destinations.kinds import FileTarget, RedshiftTarget, TableTarget
from data_platform.plan.nodes import DestinationNode
from data_platform.targets.deliveries import Delivery, Version


def deliver(delivery: Delivery) -> list[str]:
    """Bring versions of partitions to their target, those that are there already left out.

    Returns:
        The partitions that were loaded: all that were due, or none.

    Raises:
        StorageUnavailable: the target can't be reached, or broke off.
        StorageError: the rows don't fit, or the target refuses.
    """
    target = delivery.node.target
    match target:
        case TableTarget():
            from data_platform.targets.databases.loading import deliver as to_database

            return to_database(delivery, target)
        case FileTarget():
            from data_platform.targets.files.delivering import deliver as to_files

            return to_files(delivery, target)
        case RedshiftTarget():
            from data_platform.targets.redshift.loading import deliver as to_redshift

            return to_redshift(delivery, target)
        case _:
            assert_never(target)


def held(node: DestinationNode, outside: Outside) -> dict[str, Version]:
    """What a target holds, as its ledger says; empty where there is none.

    Raises:
        StorageUnavailable: the target can't be reached.
    """
    target = node.target
    match target:
        case TableTarget():
            from data_platform.targets.databases.loading import held as in_database

            return in_database(target, outside)
        case FileTarget():
            from data_platform.targets.files.delivering import held as in_files

            return in_files(node, target, outside)
        case RedshiftTarget():
            from data_platform.targets.redshift.loading import held as in_redshift

            return in_redshift(target, outside)
        case _:
            assert_never(target)
