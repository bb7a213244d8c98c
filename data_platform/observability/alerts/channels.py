"""Sends a message to one channel, as that channel likes it, by Apprise.

Called by `delivering` and by the command. An address is a secret: it is in no error and no log.

What makes a message known again goes along where a channel has a place for it: PagerDuty's key of
deduplication, headers of mails (their Message-ID is Apprise's own), values of JSON.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, NotifyType, OverflowMode
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.pagerduty import NotifyPagerDuty
from apprise.plugins.slack import NotifySlack

from data_platform.errors import PlatformError
from data_platform.observability.alerts.messages import Message
from data_platform.secrets.masker import know_address, mask
from data_platform.spec.alerts import Channel, Severity
from data_platform.spec.references import VariableError

SECONDS = 15
"""That one message has."""
ANSWER_SECONDS = 10.0
"""That a server has for its answer: one that is ended too early has taken the message."""
_TYPES: Mapping[Severity, NotifyType] = {
    "info": NotifyType.INFO,
    "warning": NotifyType.WARNING,
    "error": NotifyType.FAILURE,
    "critical": NotifyType.FAILURE,
}
_ASSET = AppriseAsset(
    app_id="data-platform",
    app_desc="data-platform",
    app_url="",
    secure_logging=True,
    plugin_paths=[],
)
# What Apprise says is in its results; nowhere else it is masked.
logging.getLogger("apprise").propagate = False


@dataclass(frozen=True)
class State:
    """How a channel is.

    Attributes:
        name: of it.
        state: `off` where its address is empty; `wrong` where it is none, or can't be resolved.
        why: it isn't on, in words without the address.
    """

    name: str
    state: Literal["on", "off", "wrong"]
    why: str = ""


class ChannelError(PlatformError):
    """A channel didn't take a message, or has no address that it could be sent to."""


def state_of(name: str, channel: Channel, expand: Callable[[str], str]) -> State:
    """How a channel is.

    Args:
        name: of it.
        channel: as written.
        expand: a text with the values of its variables.
    """
    try:
        _plugin(_address(channel, expand))
    except _Off:
        return State(name, "off", f"{channel.url} is empty")
    except ChannelError as error:
        return State(name, "wrong", str(error))
    return State(name, "on")


def is_off(channel: Channel, expand: Callable[[str], str]) -> bool:
    """Whether a channel has an empty address, so that nothing is to be sent to it."""
    try:
        _address(channel, expand)
    except _Off:
        return True
    except ChannelError:
        pass
    return False


def send(channel: Channel, message: Message, expand: Callable[[str], str]) -> None:
    """Send a message.

    Args:
        channel: as written.
        message: of which everything is masked.
        expand: a text with the values of its variables.

    Raises:
        ChannelError: it wasn't taken.
    """
    plugin = _plugin(_address(channel, expand))
    body = _fitted(plugin, message)
    sender = Apprise(asset=_ASSET)
    sender.add(plugin)
    result = sender.notify(
        body=body,
        title=message.title if plugin.title_maxlen else "",
        notify_type=NotifyType.SUCCESS if message.is_good else _TYPES[message.severity],
        body_format=NotifyFormat.MARKDOWN,
        timeout=SECONDS,
    )
    if not result:
        said = [entry.message for entry in result.logs()]
        raise ChannelError(mask("; ".join(dict.fromkeys(said))[:300]) or "it didn't take it")


class _Off(ChannelError):
    """An address is empty."""


def _address(channel: Channel, expand: Callable[[str], str]) -> str:
    try:
        address = expand(channel.url).strip()
    except VariableError as error:
        raise ChannelError(f"its address can't be resolved: {error}") from error
    except PlatformError as error:
        raise ChannelError(f"its address can't be asked for: {error}") from error
    if not address:
        raise _Off("its address is empty")
    know_address(address)
    return address


def _plugin(address: str) -> NotifyBase:
    plugin = Apprise.instantiate(address, asset=_ASSET)
    if plugin is None:
        scheme = address.partition("://")[0] if "://" in address else ""
        known = f" of {scheme}://" if scheme.isalnum() else ""
        raise ChannelError(
            f"its address is no address{known} that Apprise knows: see "
            "https://appriseit.com/services for how one is written"
        )
    if plugin.overflow_mode == NotifyBase.overflow_mode:
        # What is too long for a channel is cut: it would be refused for ever.
        plugin.overflow_mode = OverflowMode.TRUNCATE
    plugin.socket_read_timeout = max(plugin.socket_read_timeout, ANSWER_SECONDS)
    return plugin


def _fitted(plugin: NotifyBase, message: Message) -> str:
    """The body for a channel, which gets what it needs besides."""
    match plugin:
        case NotifyPagerDuty():
            plugin.action, plugin.dedup = "map", message.subject
            plugin.severity = message.severity
            plugin.source, plugin.component = "data-platform", str(message.values.get("name", ""))
            plugin.click, plugin.include_image = message.link, False
            plugin.details = {**_flat(message.values), "text": message.body}
            return message.title
        case NotifyEmail():
            plugin.headers |= {
                "X-Data-Platform-Message": message.id,
                "X-Data-Platform-Incident": message.subject,
                "References": f"<{message.subject}@data-platform>",
            }
        case NotifyJSON():
            plugin.payload_extras |= {
                "id": message.id,
                "subject": message.subject,
                "turn": message.turn,
                "severity": message.severity,
                **message.values,
            }
        case NotifySlack():
            plugin.include_image = False
        case _:
            pass
    return message.body


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is known, without what is empty."""
    return {name: value for name, value in values.items() if value not in (None, [], {})}
