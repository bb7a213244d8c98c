"""What an asset promises of its age, in short words.

Used by `status_page` and `impact_tables`.
"""

import re

from data_platform.plan.nodes import AnyNode
from data_platform.spec.times import duration_words

_DAILY = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* \*")


def limit_words(node: AnyNode | None) -> str:
    """`within 8h`, `by 06:00 UTC`, `by 0 6 * * 1 UTC`; empty where it promises nothing."""
    promised = node.freshness if node else None
    if promised is None:
        return ""
    if promised.deadline is not None:
        daily = _DAILY.fullmatch(promised.deadline)
        at = f"{int(daily[2]):02}:{int(daily[1]):02}" if daily else promised.deadline
        return f"by {at} {promised.timezone}"
    return f"within {duration_words(promised.fail_after)}" if promised.fail_after else ""
