"""Runs as sensors ask for them: of ranges where they can be, each with why it was started.

Called by the sensors beside it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode
from data_platform.plan.partitions import Partitions
from data_platform.range_runs.tags import partition_tags
from data_platform.run_tags import CAUSE_TAG

_LONGEST = 200


@dataclass(frozen=True)
class Wanted:
    """Partitions of a source that are to run.

    Attributes:
        node: the source.
        keys: which one run covers: one, or a contiguous range; `WHOLE` where there are none.
        cause: why, in words.
        version: of what is new, such that the same is asked for once.
    """

    node: RawNode
    keys: Sequence[str]
    cause: str
    version: str


def ranges_of(node: RawNode, keys: Iterable[str]) -> list[Sequence[str]]:
    """Partitions as runs can cover them."""
    return node.partitions.contiguous(keys) if node.partitions else [[WHOLE]]


def run_requests(wanted: Iterable[Wanted]) -> list[dg.RunRequest]:
    """One request for each range; sources of the same one are in one run."""
    together: dict[tuple[Partitions | None, str, str], list[Wanted]] = {}
    for one in wanted:
        of = (one.node.partitions, one.keys[0], one.keys[-1])
        together.setdefault(of, []).append(one)
    return [_request(first, last, group) for (_, first, last), group in together.items()]


def _request(first: str, last: str, group: Sequence[Wanted]) -> dg.RunRequest:
    text = "\n".join(f"{one.node.key}|{first}|{last}|{one.version}" for one in group)
    causes = "; ".join(dict.fromkeys(one.cause for one in group))
    one = group[0]
    return dg.RunRequest(
        run_key=hashlib.sha256(text.encode()).hexdigest()[:24],
        asset_selection=[asset_key(one.node.key) for one in group],
        tags={CAUSE_TAG: causes[:_LONGEST], **partition_tags(one.node.partitions, one.keys)},
    )
