"""A message to each channel, so that somebody sees whether they are right before they are needed.

Called by the command. Nothing is kept: what isn't taken is told here, and not tried again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from data_platform.observability.alerts.channels import ChannelError, send, state_of
from data_platform.observability.alerts.messages import Message
from data_platform.spec.alerts import Channel


@dataclass(frozen=True)
class Tested:
    """What became of a channel's message.

    Attributes:
        channel: its name.
        outcome: `off` where its address is empty.
        why: it wasn't sent, without the address.
    """

    channel: str
    outcome: Literal["sent", "off", "failed"]
    why: str = ""


def send_to_each(
    channels: Mapping[str, Channel], expand: Callable[[str], str], now: datetime, by: str
) -> Iterator[Tested]:
    """Send a message to each channel; to a pager, one that closes itself at once.

    Args:
        channels: by name.
        expand: a text with the values of its variables.
        now: aware.
        by: who asks.
    """
    for name, channel in channels.items():
        state = state_of(name, channel, expand)
        if state.state != "on":
            yield Tested(name, "off" if state.state == "off" else "failed", state.why)
            continue
        try:
            for turn in ("test", "recovered"):
                if turn == "test" or channel_pages(channel, expand):
                    send(channel, _message(name, turn, now, by), expand)
        except ChannelError as error:
            yield Tested(name, "failed", str(error))
        else:
            yield Tested(name, "sent")


def channel_pages(channel: Channel, expand: Callable[[str], str]) -> bool:
    """Whether somebody is called until it is told that all is well."""
    return expand(channel.url).strip().startswith("pagerduty://")


def _message(name: str, turn: Literal["test", "recovered"], now: datetime, by: str) -> Message:
    moment = f"{now:%Y-%m-%d %H:%M %Z}"
    return Message(
        f"test-{name}-{now:%Y%m%d%H%M%S}-{turn}",
        f"test-{name}",
        turn,
        "info",
        f"[test] channel {name} of data-platform",
        f"This is a test of the channel **{name}**, sent by {by} at {moment}. Nothing is wrong.",
        values={"event": "test", "name": name},
    ).masked()
