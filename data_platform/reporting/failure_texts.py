"""Why a step failed, in words: what, why, what stands instead, and what to do.

Called by `reporting.events` for the failure that Dagster shows and the command prints, and by
`observability` to say one in a line.
"""

import re
import shlex
from collections.abc import Mapping

from data_platform.plan.destinations.kinds import FileTarget
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode, Node

MAX_NAMED = 10
"""Failed partitions that a failure names with their reasons."""
LONGEST_LINE = 160
"""Characters of a failure in a line; its run has all of it."""
_NOT_PUBLISHED = re.compile(r"\S+: (?P<count>\d+) partitions? w\w+ not published \([^)]*\):")


def failure_text(
    node: Node,
    failed: Mapping[str, str],
    standing: Mapping[str, str] | None = None,
    *,
    rows_shown: bool = False,
) -> str:
    """The text of a failure.

    Args:
        node: the asset.
        failed: why a partition wasn't published, by partition.
        standing: the data version that stands instead, by partition; None where that isn't known.
        rows_shown: whether a check found rows that break its rule, and so shows some.
    """
    stands = _stands(failed, standing)
    if list(failed) == [WHOLE]:
        text = f"{node.key} was not published ({stands}): {failed[WHOLE]}"
    else:
        were = "1 partition was" if len(failed) == 1 else f"{len(failed)} partitions were"
        lines = [f"{node.key}: {were} not published ({stands}):"]
        lines += [f"  {key}: {reason}" for key, reason in sorted(failed.items())[:MAX_NAMED]]
        if len(failed) > MAX_NAMED:
            lines.append(f"  and {len(failed) - MAX_NAMED} more")
        text = "\n".join(lines)
    return f"{text}\n{_next_step(node, failed, rows_shown=rows_shown)}"


def rollback_text(
    node: Node, broken: Mapping[str, str], undone: int, standing: Mapping[str, str]
) -> str:
    """The text of a load that was rolled back by its rules.

    Args:
        node: the destination.
        broken: which rule a partition broke, by partition.
        undone: how many partitions broke none, but were loaded in the same transaction.
        standing: the data version that the table still has, by partition.
    """
    if list(broken) == [WHOLE]:
        text = f"{node.key} was rolled back ({_stands(broken, standing)}): {broken[WHOLE]}"
    else:
        whole = len(broken) + undone
        loads = "1 partition" if whole == 1 else f"{whole} partitions"
        which = "it" if whole == 1 else f"{len(broken)} of them"
        lines = [f"{node.key}: the load of {loads} was rolled back, since {which} broke a rule:"]
        lines += [f"  {key}: {reason}" for key, reason in sorted(broken.items())[:MAX_NAMED]]
        if len(broken) > MAX_NAMED:
            lines.append(f"  and {len(broken) - MAX_NAMED} more")
        lines.append(_as_before(node))
        text = "\n".join(lines)
    return f"{text}\n{_next_step(node, broken, rows_shown=True)}"


def in_a_line(text: str) -> str | None:
    """A failure in a line: the first one that says something, and what it announces.

    Args:
        text: of a failure, this module's or another's.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    line, announced = lines[0], lines[1] if len(lines) > 1 else ""
    if found := _NOT_PUBLISHED.fullmatch(line):
        count = int(found["count"])
        line = announced if count == 1 else f"{count} partitions: {announced}"
    elif line.endswith(":"):
        line = f"{line} {announced}".strip()
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"


def _as_before(node: Node) -> str:
    if isinstance(node, DestinationNode) and isinstance(node.target, FileTarget):
        return "No file was put: those of before stand."
    return "The table and its ledger are as they were before."


def _stands(failed: Mapping[str, str], standing: Mapping[str, str] | None) -> str:
    if standing is None:
        return "what was there before stands"
    stand = sum(key in standing for key in failed)
    if stand == 0:
        return "nothing is published yet"
    if stand < len(failed):
        return f"the last good version of {stand} stands, the others were never published"
    return "the last good version stands"


def _next_step(node: Node, failed: Mapping[str, str], *, rows_shown: bool) -> str:
    """The command that tries it again."""
    look = "Its checks show offending rows. " if rows_shown else ""
    if len(failed) > 1:
        command = f"backfill {node.key.pipeline} --failed-only"
    elif list(failed) == [WHOLE]:
        command = f"run {node.key.pipeline}"
    else:
        command = f"run {node.key.pipeline} --partition {shlex.quote(min(failed))}"
    return f"{look}Mend what is named, then: data-platform {command}"
