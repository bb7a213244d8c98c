"""Freshness limits of the language as Dagster's policies.

Called by `definitions`. An asset whose partitions have come to their end gets none: nothing more of
it is due. Nor does one that is disabled.
"""

from datetime import datetime

import dagster as dg

from data_platform.plan.nodes import Node


def policy_of(node: Node, now: datetime) -> dg.FreshnessPolicy | None:
    """The policy of a node.

    Args:
        node: the asset.
        now: aware; decides whether its partitions have ended.
    """
    limits = node.freshness
    if not node.enabled or limits is None or (node.partitions and node.partitions.has_ended(now)):
        return None
    if limits.deadline is not None and limits.within is not None:
        return dg.FreshnessPolicy.cron(limits.deadline, limits.within, limits.timezone)
    if limits.fail_after is None:
        return None
    return dg.FreshnessPolicy.time_window(
        fail_window=limits.fail_after, warn_window=limits.warn_after
    )
