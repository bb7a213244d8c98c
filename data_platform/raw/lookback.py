"""Partitions before a run's own that are read again, since rows of theirs come late.

Wraps `raw.extraction`. Whatever becomes of them, they don't keep a run's own partitions back; one
that has no other rows than before isn't told, so that nothing below is built again for it.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Concatenate, ParamSpec

from data_platform.plan.checks.notices import notice_check
from data_platform.plan.naming import LOOKBACK
from data_platform.plan.nodes import RawNode
from data_platform.quality.gate import Passage
from data_platform.quality.outcomes import Finding, Outcome

MAX_NAMED = 3
Rest = ParamSpec("Rest")
Extract = Callable[Concatenate[RawNode, Sequence[str], Rest], Passage]


def looking_back(extract: Extract[Rest]) -> Extract[Rest]:
    """Land the partitions before those of a run with them, as far as the source's lookback goes."""

    @functools.wraps(extract)
    def wider(
        node: RawNode, keys: Sequence[str], *arguments: Rest.args, **named: Rest.kwargs
    ) -> Passage:
        before = partitions_before(node, keys)
        passage = extract(node, [*before, *keys], *arguments, **named)
        return settled(passage, node, keys, before) if node.lookback else passage

    return wider


def partitions_before(node: RawNode, keys: Sequence[str]) -> list[str]:
    """The partitions within the lookback before those of a run, cut at the first that exists."""
    partitions = node.partitions
    if node.lookback is None or partitions is None or partitions.time is None:
        return []
    first = min(partitions.time_key(key) for key in keys)
    start, _ = partitions.time.window(first)
    count = len(partitions.time.overlapping(start - node.lookback, start))
    firsts = [key for key in keys if partitions.time_key(key) == first]
    return sorted(one for key in firsts for one in partitions.trailing(key, count + 1)[:-1])


def settled(passage: Passage, node: RawNode, keys: Sequence[str], before: Sequence[str]) -> Passage:
    """What came of a run's own partitions, with warnings of those before them.

    Args:
        passage: of all.
        node: the raw asset.
        keys: of the run.
        before: that were read again.
    """
    again = set(before)
    troubles = {key: why for key, why in passage.failed.items() if key in again}
    publication = passage.publication
    if publication is not None:
        told = {
            key: version
            for key, version in publication.versions.items()
            if key not in again or key in publication.changed
        }
        publication = replace(publication, versions=told) if told else None
    return replace(
        passage,
        publication=publication,
        failed={key: why for key, why in passage.failed.items() if key not in again},
        skipped={key: why for key, why in passage.skipped.items() if key not in again},
        outcomes=[
            *(_only_warning(outcome, again) for outcome in passage.outcomes),
            _notice(node, keys[-1], troubles),
        ],
    )


def _only_warning(outcome: Outcome, again: set[str]) -> Outcome:
    """An outcome in which partitions that were read again fail nothing."""
    findings = {
        key: replace(finding, verdict="warn")
        if key in again and finding.verdict == "fail"
        else finding
        for key, finding in outcome.findings.items()
    }
    return replace(outcome, findings=findings)


def _notice(node: RawNode, key: str, troubles: Mapping[str, str]) -> Outcome:
    named = [f"{partition}: {troubles[partition]}" for partition in sorted(troubles)]
    more = f"; and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    detail = f"{'; '.join(named[:MAX_NAMED])}{more}; what was published of them stands"
    finding = Finding(
        0, len(troubles), "warn" if troubles else "pass", detail if troubles else None
    )
    return Outcome(notice_check(LOOKBACK, node.location), {key: finding})
