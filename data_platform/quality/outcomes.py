"""What an audit found: one outcome a check, with the partitions that broke it.

Made by `quality.audit`; read by the stages, which report it, and by nobody who decides again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from data_platform.plan.checks.kinds import Check
from data_platform.quality.figures import Figures

Verdict = Literal["pass", "warn", "quarantine", "fail"]
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """What a check found in one partition.

    Attributes:
        rows: that were judged.
        offending: of them, or rows beyond the first of a key.
        verdict: what follows.
        detail: figures in words, where counts don't say it.
        found: the value that was judged, where it is one.
    """

    rows: int
    offending: int
    verdict: Verdict
    detail: str | None = None
    found: str | None = None

    @property
    def percentage(self) -> float:
        """Of offending rows; 0 where there are none to judge."""
        return 100 * self.offending / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Outcome:
    """What a check found in all partitions of a run.

    Attributes:
        check: the check.
        findings: by partition.
        examples: at most five offending rows, as `{column: text}`.
    """

    check: Check
    findings: Mapping[str, Finding]
    examples: Sequence[Mapping[str, str]] = ()

    @property
    def verdict(self) -> Verdict:
        """The gravest of all partitions."""
        grave: tuple[Verdict, ...] = ("fail", "quarantine", "warn")
        found = {finding.verdict for finding in self.findings.values()}
        for verdict in grave:
            if verdict in found:
                return verdict
        return "pass"

    @property
    def rows(self) -> int:
        """Judged, in all partitions."""
        return sum(finding.rows for finding in self.findings.values())

    @property
    def offending(self) -> int:
        """In all partitions."""
        return sum(finding.offending for finding in self.findings.values())

    def worst(self, most: int = 10) -> list[tuple[str, Finding]]:
        """The partitions that didn't pass, those with most offending rows first."""
        broken = [
            (key, finding) for key, finding in self.findings.items() if finding.verdict != "pass"
        ]
        return sorted(broken, key=lambda item: (-item[1].offending, item[0]))[:most]


@dataclass(frozen=True)
class Audit:
    """Everything that was judged before publication.

    Attributes:
        outcomes: one a check, in the order of the checks.
        rows: that came in, by partition.
        quarantined: rows held back, by partition.
        held_back: a condition over the audited relation, true on rows that are held back.
        failed: why a partition isn't published, by partition.
        conditions: true on rows that break a row-level check, by its name.
        figures: what was measured, for a commit to keep; None where no rule asks for any.
    """

    outcomes: tuple[Outcome, ...]
    rows: Mapping[str, int]
    quarantined: Mapping[str, int]
    held_back: str
    failed: Mapping[str, str]
    conditions: Mapping[str, str] = field(default_factory=dict[str, str])
    figures: Figures | None = None
