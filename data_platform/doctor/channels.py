"""Whether channels of alerts have addresses that messages could be sent to; none is sent.

Called by `planning`. `data-platform alerts test` sends some.
"""

from collections.abc import Callable, Iterator

from data_platform.doctor.findings import Finding
from data_platform.spec.alerts import Channel

AREA = "alerts"


def channel(name: str, written: Channel, expand: Callable[[str], str]) -> Iterator[Finding]:
    """How a channel is; nothing of its address is told.

    Args:
        name: of it.
        written: as platform.yaml has it.
        expand: a text with the values of its variables.
    """
    # Apprise is for those who have channels.
    from data_platform.observability.alerts.channels import state_of  # noqa: PLC0415

    state = state_of(name, written, expand)
    what = f"channel {name}"
    match state.state:
        case "on":
            yield Finding(AREA, what, "ok", "has an address")
        case "off":
            yield Finding(AREA, what, "ok", f"off: {state.why}")
        case "wrong":
            advice = f"correct it, then: data-platform alerts test {name}"
            yield Finding(AREA, what, "fail", state.why, advice)
