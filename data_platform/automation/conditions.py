"""When an asset runs by itself: the presets of the language as Dagster's automation conditions.

Called by `definitions`. What is published has passed its audit, so none of them asks for checks.

Each preset is what starts a run, held until all that it waits for is true. The labels are what
people read in Dagster's UI and in `data-platform why`: each says what must be so. Functions say
what can change their answers.
"""

from functools import cache
from typing import Any

from dagster import AssetSelection, AutomationCondition
from dagster._core.definitions.declarative_automation.automation_condition import (
    BuiltinAutomationCondition,
)

from data_platform.asset_specs import asset_key
from data_platform.automation.operands import Asked, BeforeLastTick, Busy, NotOver, Stale
from data_platform.automation.operators import Oldest, Others, Wanted
from data_platform.plan.automating import AT_ONCE, RETRY_CRON, automation_of
from data_platform.plan.nodes import AnyNode, RawNode
from data_platform.spec.automation import AutomationBlock, Schedule

_Condition = BuiltinAutomationCondition[Any]
_is = AutomationCondition


def condition_of(node: AnyNode, schedule: Schedule | None = None) -> AutomationCondition | None:
    """The condition of a node; None means that nothing but a schedule or a person starts it.

    Args:
        node: the asset.
        schedule: of its pipeline.
    """
    block = automation_of(node)
    if block is None:
        return _of_schedule(node, schedule)
    condition = _preset(node, block)
    if block.catchup:
        asked = block.when or "cron"
        condition = condition.with_label(asked) | history(node)
    if block.depends_on_past and node.partitions:
        condition = condition & (~after_past(node)).with_label("the past is there")
    if block.canary and node.partitions:
        condition = condition & (~behind_canary(node, block)).with_label("the canary has passed")
    if block.catchup and node.partitions:
        condition = Oldest(operand=condition, partitions=node.partitions, at_most=_at_once(node))
    return condition.with_label(_label(block))


def _preset(node: AnyNode, block: AutomationBlock) -> _Condition:
    match block.when:
        case "eager":
            return eager(node, block)
        case "on_missing":
            return on_missing(node)
        case "freshness":
            return when_stale(node)
        case None:
            return at_ticks(node, block)


def eager(node: AnyNode, block: AutomationBlock) -> _Condition:
    """An input has other rows than before, or the own newest due partition is missing.

    An input that reads several partitions has other rows when any of them has. Waits until no due
    partition of an input is missing or in progress. A partition that was wanted stays so, also when
    a newer one is due, until it is requested or built. Where canaries go first, other code builds
    the newest partitions anew, too.

    Changes with: events, runs and requests of itself and of its inputs; a partition that begins to
    be due; its code version.
    """
    return _wanted(node, block) & ready(node)


def on_missing(node: AnyNode) -> _Condition:
    """The own newest due partition is missing, and is there for all inputs; each is tried once.

    Changes with: as `eager`, without what other rows of inputs are.
    """
    missing = _newly_missing(partitioned=node.partitions is not None)
    return Wanted(trigger=missing).with_label("wanted") & ready(node)


def at_ticks(node: AnyNode, block: AutomationBlock) -> _Condition:
    """A tick of the cron has passed, and the inputs have been updated since.

    Changes with: the ticks of the cron; events, runs and requests of itself and of its inputs; a
    partition that begins to be due.
    """
    ticked = _is.on_cron(block.cron or "", block.timezone)
    return ticked & _not_over(node) if _ends(node) else ticked


def when_stale(node: AnyNode) -> _Condition:
    """Stale, never built, or soon to be there: once an episode, again at `RETRY_CRON` meanwhile.

    Dagster looks at freshness by itself; an asset that was built since isn't stale any more here,
    whatever Dagster's last look found. Waits for inputs as `eager`.

    Changes with: its freshness in Dagster; its own events, runs and requests; those of its inputs;
    ticks of `RETRY_CRON`; where there is a deadline, the moment of `deadline` minus `within`.
    """
    if node.freshness is None:
        raise AssertionError(node)
    stale = Stale(policy=node.freshness, partitions=node.partitions).with_label("stale")
    moments: _Condition = stale.newly_true() | _is.cron_tick_passed(RETRY_CRON)
    moments = moments.with_label("newly stale, or a quarter of an hour later")
    ruled = moments.since_last_handled().with_label("not tried since") & stale & ready(node)
    return ruled & _not_over(node) if _ends(node) else ruled


def history(node: AnyNode) -> _Condition:
    """A due partition before the newest is missing, and is there for all inputs; each tried once.

    Changes with: as `on_missing`.
    """
    missing = _is.missing() & ~_is.in_latest_time_window()
    return (Wanted(trigger=missing.newly_true()) & missing & ready(node)).with_label("catchup")


def after_past(node: AnyNode) -> _Condition:
    """The partition before isn't published, or is in progress; the first one has none before it.

    Changes with: events and runs of itself.
    """
    if node.partitions is None:
        raise AssertionError(node)
    unfinished = _is.missing() | Busy()
    return Others(operand=unfinished, partitions=node.partitions)


def behind_canary(node: AnyNode, block: AutomationBlock) -> _Condition:
    """A canary that belongs to the partition isn't published, or is about to be built anew.

    A canary that failed holds up the others until it is mended.

    Changes with: what `eager` does, of itself.
    """
    if node.partitions is None:
        raise AssertionError(node)
    unproved = _is.missing() | Asked() | Busy()
    if block.when == "eager":
        unproved = unproved | _wanted(node, block)
    return Others(operand=unproved, partitions=node.partitions, canary=tuple(block.canary))


def changed_inputs() -> _Condition:
    """An input has other rows than before, from a run that doesn't build what reads them, too."""
    others = _is.data_version_changed() & ~_is.executed_with_root_target()
    others = others.with_label("has other rows, from another run")
    return _is.any_deps_match(others).with_label("an input has other rows")


def ready(node: AnyNode) -> _Condition:
    """No input lacks a due partition, none is in progress, and neither is the asset itself.

    Changes with: events, runs and requests of itself and of its inputs.
    """
    # An input that reads all published partitions isn't held up by history that isn't there.
    histories = [
        asset_key(given.key) for given in (*node.inputs, *node.after) if given.reads == "all"
    ]
    missing = _is.any_deps_missing()
    if histories:
        missing = missing.ignore(AssetSelection.assets(*histories))
    busy = _is.any_deps_match(Busy())
    return (
        (~missing).with_label("inputs are there")
        & (~busy).with_label("inputs are at rest")
        & (~Busy()).with_label("at rest")
    )


def _of_schedule(node: AnyNode, schedule: Schedule | None) -> _Condition | None:
    """What a schedule with `catchup` fills of a source: history before its last tick.

    Changes with: ticks of the schedule; events, runs and requests of the source.
    """
    if schedule is None or not schedule.catchup or not isinstance(node, RawNode):
        return None
    partitions = node.partitions
    if not node.enabled or node.automation is not None or not (partitions and partitions.time):
        return None
    past = BeforeLastTick(partitions=partitions, schedule=schedule)
    missing = _is.missing()
    wanted = Wanted(trigger=missing.newly_true()) & missing & past & ~Busy()
    filled = Oldest(operand=wanted, partitions=partitions, at_most=_at_once(node))
    return filled.with_label("catchup of the schedule")


def _wanted(node: AnyNode, block: AutomationBlock) -> _Condition:
    """What `eager` wants; the same wherever it stands in a condition, so it is remembered once."""
    return _wanted_of(partitioned=node.partitions is not None, canary=bool(block.canary))


@cache
def _wanted_of(*, partitioned: bool, canary: bool) -> _Condition:
    changed = changed_inputs()
    if partitioned:
        # What was asked for in vain gets another chance with its input, also when it is old.
        meant = _is.in_latest_time_window() | Asked()
        changed = meant.with_label("the newest, or asked for in vain") & changed
        changed = changed.with_label("its inputs have changed")
    triggers = changed | _newly_missing(partitioned=partitioned)
    if canary:
        other_code = _newest(_is.code_version_changed(), partitioned=partitioned)
        triggers = triggers | other_code.with_label("it has other code")
    return Wanted(trigger=triggers.with_label("a reason to build it")).with_label("wanted")


@cache
def _newly_missing(*, partitioned: bool) -> _Condition:
    missing = _newest(_is.missing(), partitioned=partitioned)
    return missing.with_label("it is missing").newly_true().with_label("it is newly missing")


def _newest(condition: _Condition, *, partitioned: bool) -> _Condition:
    return _is.in_latest_time_window() & condition if partitioned else condition


def _ends(node: AnyNode) -> bool:
    return bool(node.partitions and node.partitions.time and node.partitions.time.end)


def _not_over(node: AnyNode) -> _Condition:
    if node.partitions is None:
        raise AssertionError(node)
    return NotOver(time=node.partitions.timed)


def _at_once(node: AnyNode) -> int:
    """How many partitions are filled at once."""
    return node.partitions_per_run or AT_ONCE


def _label(block: AutomationBlock) -> str:
    words = block.when or f"cron {block.cron}"
    options = [name for name in ("catchup", "depends_on_past") if getattr(block, name)]
    if block.canary:
        options.append(f"canary {', '.join(block.canary)}")
    return f"{words} ({'; '.join(options)})" if options else words
