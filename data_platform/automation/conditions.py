"""When an asset runs by itself: the presets of the language as Dagster's automation conditions.

Called by `definitions`. What is published has passed its audit, so none of them asks for checks.
"""

from typing import Any, assert_never

from dagster import AssetSelection, AutomationCondition
from dagster._core.definitions.declarative_automation.automation_condition import (
    BuiltinAutomationCondition,
)

from data_platform.asset_specs import asset_key
from data_platform.plan.nodes import AnyNode, RawNode
from data_platform.spec.automation import AutomationBlock as CronAutomation

_Condition = BuiltinAutomationCondition[Any]

RETRY_CRON = "*/15 * * * *"
"""How often a stale asset whose rebuild failed is tried again."""


def condition_of(node: AnyNode) -> AutomationCondition | None:
    """The condition of a node; None means that nothing but a schedule or a person starts it."""
    match node.automation:
        case None:
            return None if isinstance(node, RawNode) else eager(node)
        case "eager":
            return eager(node)
        case "manual":
            return None
        case "freshness":
            return when_stale(node)
        case CronAutomation() as automation:
            return at_ticks(automation)
        case _:
            assert_never(node.automation)


def eager(node: AnyNode) -> AutomationCondition:
    """An upstream has other rows than before, or the own due partition is missing."""
    condition = AutomationCondition
    wanted = (
        condition.any_deps_match(condition.data_version_changed())
        | condition.missing().newly_true()
    )
    # An input that reads all published partitions isn't held up by history that isn't there.
    histories = [
        asset_key(given.key) for given in (*node.inputs, *node.after) if given.reads == "all"
    ]
    missing = condition.any_deps_missing()
    if histories:
        missing = missing.ignore(AssetSelection.assets(*histories))
    ready = ~missing & ~condition.any_deps_in_progress() & ~condition.in_progress()
    ruled = wanted.since(condition.newly_requested() | condition.newly_updated()) & ready
    return _in_latest(node, ruled).with_label("eager")


def at_ticks(automation: CronAutomation) -> AutomationCondition:
    """A tick of the cron has passed and the upstreams have been updated since."""
    return AutomationCondition.on_cron(automation.cron, automation.timezone).with_label(
        f"cron {automation.cron}"
    )


def when_stale(node: AnyNode) -> AutomationCondition:
    """Stale or never built: once for each episode, again at `RETRY_CRON` while it lasts."""
    condition = AutomationCondition
    stale = condition.freshness_failed() | condition.freshness_warned() | condition.missing()
    moments: _Condition = stale.newly_true() | condition.cron_tick_passed(RETRY_CRON)
    ruled = moments.since_last_handled() & stale & ~condition.in_progress()
    return _in_latest(node, ruled).with_label("freshness")


def _in_latest(node: AnyNode, condition: _Condition) -> _Condition:
    return AutomationCondition.in_latest_time_window() & condition if node.partitions else condition
