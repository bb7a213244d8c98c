"""Sends what is in the outbox: each channel by itself, so that none waits for one that is down.

Called by `watching`, outside of the transaction in which messages are made. Two processes that do
it at once send each message once.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from dagster import DagsterInstance

from data_platform.observability.alerts import outbox
from data_platform.observability.alerts.channels import ChannelError, send
from data_platform.spec.alerts import Channel

AT_ONCE = 4
"""Channels."""


@dataclass(frozen=True)
class Delivered:
    """What became of it.

    Attributes:
        sent: messages that were taken.
        failed: why the others weren't, by channel.
    """

    sent: int
    failed: Mapping[str, str]


def deliver(
    instance: DagsterInstance,
    channels: Mapping[str, Channel],
    expand: Callable[[str], str],
    clock: Callable[[], datetime],
    seconds: float,
) -> Delivered:
    """Send what waits, oldest first.

    Args:
        instance: Dagster's.
        channels: of platform.yaml.
        expand: a text with the values of its variables.
        clock: the time, aware.
        seconds: after which no further message is begun.
    """
    names = [name for name in outbox.waiting_channels(instance, clock()) if name in channels]
    if not names:
        return Delivered(0, {})
    until = time.monotonic() + seconds

    def empty(name: str) -> tuple[int, str | None]:
        return _empty(instance, name, channels[name], expand, clock, until)

    with ThreadPoolExecutor(AT_ONCE, "alerts") as threads:
        found = dict(zip(names, threads.map(empty, names), strict=True))
    return Delivered(
        sum(count for count, _ in found.values()),
        {name: error for name, (_, error) in found.items() if error is not None},
    )


def _empty(
    instance: DagsterInstance,
    name: str,
    channel: Channel,
    expand: Callable[[str], str],
    clock: Callable[[], datetime],
    until: float,
) -> tuple[int, str | None]:
    """Send what waits for a channel until one isn't taken: how many were, and why one wasn't."""
    count = 0
    while time.monotonic() < until:
        claimed = outbox.claim(instance, name, clock())
        if claimed is None:
            break
        try:
            send(channel, claimed.message, expand)
        except ChannelError as error:
            return count, _failed(instance, claimed, str(error), clock())
        except Exception as error:  # noqa: BLE001 -- one channel must not keep others from theirs
            return count, _failed(instance, claimed, type(error).__name__, clock())
        outbox.sent(instance, name, claimed.number, clock())
        count += 1
    return count, None


def _failed(instance: DagsterInstance, claimed: outbox.Claimed, error: str, now: datetime) -> str:
    outbox.failed(instance, claimed, error, now)
    return error
