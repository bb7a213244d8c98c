"""What a step did to a range of partitions, in Markdown for Dagster's UI.

Called by `lake_steps` and `destinations.assets` when a step over several partitions has ended,
sound or not. It only words what was found; every list is cut, so that a report stays small.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.quality.outcomes import Outcome
from data_platform.reporting.markdown import escaped, table

MAX_FAILED, MAX_WORST, MAX_CHECKS, MAX_STEPS = 10, 5, 10, 5
REASON = 160
"""Characters of a reason that are shown; the failure itself has all of them."""
MAX_LENGTH = 4_000
"""Characters of a report: a section that would go beyond it is left out."""


@dataclass(frozen=True)
class RangeFacts:
    """What a report tells.

    Attributes:
        rows_out: of every partition that is published now.
        changed: how many of them have other rows than before.
        failed: why a partition keeps its last version.
        rows_in, quarantined: rows by partition, of those that were read.
        outcomes: of the checks.
        phases: seconds of the parts of the step.
        ended: seconds of the other steps of the run that have ended by now.
        step: the name of this one.
    """

    rows_out: Mapping[str, int]
    changed: int
    failed: Mapping[str, str]
    rows_in: Mapping[str, int]
    quarantined: Mapping[str, int] = field(default_factory=dict[str, int])
    outcomes: Sequence[Outcome] = ()
    phases: Mapping[str, float] = field(default_factory=dict[str, float])
    ended: Mapping[str, float] = field(default_factory=dict[str, float])
    step: str = ""


def range_report(facts: RangeFacts) -> str:
    """The report of one step over a range."""
    kept: list[str] = []
    for section in _sections(facts):
        if sum(map(len, kept)) + len(section) <= MAX_LENGTH:
            kept.append(section)
    return "\n\n".join(kept)


def quarantine_percentage(rows_in: int, quarantined: int) -> float:
    """Of the rows that came in; 0 where none came."""
    return round(100 * quarantined / rows_in, 4) if rows_in else 0.0


def _sections(facts: RangeFacts) -> Iterator[str]:
    yield _headline(facts)
    yield _rows(facts)
    if facts.failed:
        yield _failed(facts.failed)
    yield from _quarantine(facts)
    yield from _checks(facts.outcomes)
    yield from _times(facts)


def _headline(facts: RangeFacts) -> str:
    published, failed = len(facts.rows_out), len(facts.failed)
    unchanged = published - facts.changed
    text = (
        f"**{published:,} of {published + failed:,} partitions published**: "
        f"{facts.changed:,} changed, {unchanged:,} unchanged"
    )
    return f"{text}, **{failed:,} failed**." if failed else f"{text}, none failed."


def _rows(facts: RangeFacts) -> str:
    came, held = sum(facts.rows_in.values()), sum(facts.quarantined.values())
    headers, cells = ["rows in", "rows out"], [f"{came:,}", f"{sum(facts.rows_out.values()):,}"]
    if facts.quarantined:
        headers.append("quarantined")
        cells.append(f"{held:,} ({quarantine_percentage(came, held):.2f}%)")
    return table(headers, [cells], [True] * len(headers))


def _failed(failed: Mapping[str, str]) -> str:
    lines = [
        f"- {escaped(key)}: {escaped(reason, REASON)}"
        for key, reason in sorted(failed.items())[:MAX_FAILED]
    ]
    if len(failed) > MAX_FAILED:
        lines.append(f"- and {len(failed) - MAX_FAILED:,} more")
    return "\n".join(["**Failed**: where there was a last good version, it stands.\n", *lines])


def _quarantine(facts: RangeFacts) -> Iterator[str]:
    shares = {
        key: quarantine_percentage(facts.rows_in.get(key, 0), held)
        for key, held in facts.quarantined.items()
        if held
    }
    worst = sorted(shares, key=lambda key: (-shares[key], key))[:MAX_WORST]
    if worst:
        rows = [
            [
                escaped(key),
                f"{facts.rows_in.get(key, 0):,}",
                f"{facts.quarantined[key]:,}",
                f"{shares[key]:.2f}%",
            ]
            for key in worst
        ]
        headers = ["most quarantined", "rows in", "quarantined", "share"]
        yield table(headers, rows, [False, True, True, True])


def _checks(outcomes: Sequence[Outcome]) -> Iterator[str]:
    broken = [outcome for outcome in outcomes if outcome.verdict != "pass"]
    if not outcomes:
        return
    if not broken:
        yield f"All {len(outcomes)} checks passed." if len(outcomes) > 1 else "The check passed."
        return
    lines = [_check(outcome) for outcome in broken[:MAX_CHECKS]]
    if len(broken) > MAX_CHECKS:
        lines.append(f"- and {len(broken) - MAX_CHECKS} more")
    passed = len(outcomes) - len(broken)
    yield "\n".join([f"**Checks that didn't pass** ({passed} passed):\n", *lines])


def _check(outcome: Outcome) -> str:
    partitions = sum(finding.verdict != "pass" for finding in outcome.findings.values())
    worst, finding = outcome.worst(1)[0]
    about = f"- {escaped(outcome.check.name)}, {outcome.verdict}: "
    if outcome.offending and outcome.rows:
        about += f"{outcome.offending:,} of {outcome.rows:,} rows, "
    if len(outcome.findings) > 1:
        about += f"in {partitions:,} of {len(outcome.findings):,} partitions, worst "
    detail = f": {escaped(finding.detail, REASON)}" if finding.detail else ""
    return f"{about}{escaped(worst)}{detail}"


def _times(facts: RangeFacts) -> Iterator[str]:
    phases = sorted(facts.phases.items(), key=lambda item: -item[1])
    if phases:
        parts = ", ".join(f"{name} {_seconds(spent)}" for name, spent in phases)
        whole = _seconds(sum(facts.phases.values()))
        slowest = f", the slowest part first: {parts}" if len(phases) > 1 else ""
        yield f"**Took {whole}**{slowest}."
    if facts.ended:
        steps = sorted(
            {**facts.ended, facts.step: sum(facts.phases.values())}.items(),
            key=lambda item: -item[1],
        )[:MAX_STEPS]
        listed = ", ".join(
            f"{escaped(name)} {_seconds(spent)}{' (this one)' if name == facts.step else ''}"
            for name, spent in steps
        )
        yield f"Slowest steps of the run so far: {listed}."


def _seconds(spent: float) -> str:
    return f"{spent:.1f} s" if spent >= 1 else f"{spent:.2f} s"
