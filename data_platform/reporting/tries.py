"""What Dagster does when a step fails: try it again after a while, or let it be.

Called by the stages' `assets.py`. The delay of each try is computed here, since Dagster's policies
know no cap and no list; without a policy of Dagster's, a step that somebody ends stays ended.
"""

import functools
import os
import random
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

import dagster as dg
from dagster._core.errors import raise_execution_interrupts
from dagster._core.execution.plan.active import ActiveExecution

from data_platform.engine.calls import passes
from data_platform.engine.discretion import discreet_error, unreached
from data_platform.engine.work import Moved, Work, ended_after, ended_by_signals
from data_platform.errors import UNSAID, PermanentError, PlatformError, SecretsUnavailable, TimedOut
from data_platform.instance.worker import RunWorker, end_dead_run
from data_platform.plan.nodes import Node
from data_platform.plan.retrying import delay_before, in_words, tries_after_the_first
from data_platform.reporting.events import asks_for_end, failure_of
from data_platform.reporting.progress import Telling
from data_platform.secrets.stores import changed
from data_platform.spec.asset import Retries


def is_last_try(context: dg.AssetExecutionContext, retries: Retries | None) -> bool:
    """Whether a failure of this try is the step's."""
    return context.retry_number >= tries_after_the_first(retries)


@contextmanager
def trying(context: dg.AssetExecutionContext, node: Node) -> Generator[Work]:
    """The work of a step: ended after its time limit, and tried again as its asset says.

    Args:
        context: of the step.
        node: its asset.

    Raises:
        as `give_up` does.
    """
    try:
        kill = functools.partial(_kill, context.instance, context.run.run_id)
        with limited(node, Telling(node.key, context.log.info), kill) as work:
            yield work
    except Exception as error:  # noqa: BLE001 -- judged by its type
        give_up(context, node.retries, _told(node, error))


@contextmanager
def discreetly(node: Node) -> Generator[None]:
    """What is raised in here, without words and causes that may name a person.

    Args:
        node: the asset; where it isn't discreet, everything is raised as it is.
    """
    try:
        yield
    except Exception as error:
        told = _told(node, error)
        if told is error:
            raise
        raise told from None


def _told(node: Node, error: Exception) -> Exception:
    if not node.discreet or asks_for_end(error):
        return error
    match error:
        case dg.RetryRequested():
            return dg.RetryRequested(error.max_retries, error.seconds_to_wait)
        case dg.Failure():
            text = f"{node.key}: the function raised a Failure: {UNSAID}"
            return dg.Failure(text, allow_retries=error.allow_retries)
        case _ if not isinstance(error, PlatformError) and passes(error):
            return unreached(node)
        case _:
            return discreet_error(node, error)


@contextmanager
def limited(
    node: Node,
    tell: Callable[[Moved], None] | None = None,
    last_resort: Callable[[PlatformError], object] | None = None,
) -> Generator[Work]:
    """The work of a step, ended after its asset's time limit.

    Args:
        node: the asset.
        tell: called with how far it is.
        last_resort: called where the work doesn't end.

    Raises:
        TimedOut: it took longer.
    """
    work = Work(tell)
    limit = node.timeout.total_seconds() if node.timeout else None
    reason = functools.partial(_timed_out, node)
    with (
        ended_by_signals(work),
        ended_after(work, limit, reason, last_resort=last_resort),
    ):
        yield work


def _kill(instance: dg.DagsterInstance, run_id: str, error: PlatformError) -> None:
    """Fail the run, and kill its process where it is of this run alone."""
    run = instance.get_run_by_id(run_id)
    worker = RunWorker.of(run) if run else None
    if worker and worker.is_this_process:
        try:
            end_dead_run(instance, run_id, f"{error}. Its process didn't listen, and was killed")
        finally:
            os.kill(os.getpid(), signal.SIGKILL)


def _timed_out(node: Node, moved: Moved) -> TimedOut:
    limit = in_words(node.timeout.total_seconds()) if node.timeout else ""
    came = f"{moved.rows:,} rows had been moved" if moved.rows else "no row had been moved yet"
    return TimedOut(
        f"{node.key}: not done within its timeout of {limit}, and ended; {came}. "
        "Nothing of this try was published. See what it waits for, or raise `timeout`"
    )


def give_up(
    context: dg.AssetExecutionContext,
    retries: Retries | None,
    error: Exception,
    chance: Callable[[], float] = random.random,
) -> NoReturn:
    """Raise what Dagster is to do about an error of a step.

    Args:
        context: of the step.
        retries: of its asset.
        error: that ended this try.
        chance: from 0 to 1, for delays that vary.

    Raises:
        dagster.RetryRequested: it may pass by itself, and a try is left.
        dagster.Failure: it doesn't pass, or no try is left.
        KeyboardInterrupt: somebody ended the run.
    """
    if isinstance(error, dg.RetryRequested):
        raise error
    failure = error if isinstance(error, dg.Failure) else failure_of(_or_changed_secret(error))
    most = tries_after_the_first(retries)
    if isinstance(failure, KeyboardInterrupt) or not failure.allow_retries:
        raise failure from error
    if retries is None or not most:
        raise failure from error
    tries = context.retry_number + 1
    if tries > most:
        over = in_words(time.time() - _began(context))
        text = f"{failure.description}\nIt was tried {tries} times within {over}."
        raise dg.Failure(text, failure.metadata, allow_retries=False) from error
    delay = delay_before(retries, tries, chance())
    next_one = f"Try {tries} of {most + 1}; the next one is in {in_words(delay)}."
    told = dg.Failure(f"{failure.description}\n{next_one}", failure.metadata)
    told.__cause__ = error
    raise dg.RetryRequested(most, delay) from told


def _or_changed_secret(error: Exception) -> Exception:
    """An error that doesn't pass, as one that does where a secret was changed under the step."""
    if isinstance(error, PlatformError) and not isinstance(error, PermanentError):
        return error
    names = changed()
    if not names:
        return error
    some = ", ".join(names)
    text = f"{error}\n{some} was changed meanwhile; the next try has the new one"
    return SecretsUnavailable(text)


def _began(context: dg.AssetExecutionContext) -> float:
    """When the first try began, as seconds since 1970; now, where nobody knows."""
    [step] = context.instance.get_run_step_stats(
        context.run.run_id, [context.get_step_execution_context().step.key]
    ) or [None]
    return step.start_time if step and step.start_time else time.time()


def make_waiting_endable() -> None:
    """Let Ctrl-C and a termination end Dagster's wait for the next try or for a pool's slot.

    Dagster 1.13 keeps a signal until the next step begins, and sleeps on: a run that nobody wants
    would stay for as long as its delay is.
    """
    if getattr(ActiveExecution.sleep_til_ready, "endable", False):
        return
    original = ActiveExecution.sleep_til_ready

    def endable(self: ActiveExecution) -> None:
        with raise_execution_interrupts():
            original(self)

    endable.endable = True  # type: ignore[attr-defined]
    ActiveExecution.sleep_til_ready = endable  # type: ignore[method-assign]
