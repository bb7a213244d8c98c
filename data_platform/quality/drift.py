"""Drift: whether a figure of a partition is near to those of the partitions before it.

Called by `quality.audit` when all else is judged: a partition that fails is none that the next is
compared with; then its last good version is, if there is one.
"""

import math
from collections.abc import Collection, Sequence
from statistics import fmean, stdev

from data_platform.plan.checks.value_kinds import DriftCheck
from data_platform.plan.lineage.masking import MASKED
from data_platform.quality.candidates import Candidate
from data_platform.quality.figures import Figures, History, Values, measured
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.spec.set_rules import FEWEST_EARLIER
from data_platform.storage.lake import LakeTable

SAME = 1e-12
"""The share by which figures may differ and are the same, as of computed doubles in a version."""
_COUNTS = frozenset({"null_percentage", "distinct", "row_count"})
"""What is counted tells of no person."""


def judge_drifts(
    candidate: Candidate,
    checks: Sequence[DriftCheck],
    table: LakeTable | None,
    failed: Collection[str],
) -> tuple[list[Outcome], Figures | None]:
    """The drift of each figure, and the figures.

    Args:
        candidate: what would be published.
        checks: the rules.
        table: of the asset, with what was published before; None means that nothing was.
        failed: partitions that aren't published, for other reasons.
    """
    if not checks:
        return [], None
    own = measured(candidate.session, candidate.good, checks, candidate.keys)
    history = History(candidate.session, table, checks) if table else None
    lost = set(failed)
    outcomes: list[Outcome] = []
    for check in checks:
        judge = _Judge(candidate, check, history, own[check.figure])
        outcome = Outcome(check, judge.findings(lost))
        outcomes.append(outcome)
        lost |= {key for key, finding in outcome.findings.items() if finding.verdict == "fail"}
    secret = {c.figure for c in checks if c.masked and c.metric not in _COUNTS}
    return outcomes, Figures(own, history.computed if history else {}, secret)


class _Judge:
    """One check over all partitions of a run."""

    def __init__(
        self,
        candidate: Candidate,
        check: DriftCheck,
        history: History | None,
        own: Values,
    ) -> None:
        self._candidate, self._check = candidate, check
        self._history, self._own = history, own
        self._masked = check.masked and check.metric not in _COUNTS

    def findings(self, lost: Collection[str]) -> dict[str, Finding]:
        """By partition, in order: each may be compared with those before it in the same run."""
        partitions = self._check.partitions
        if partitions is None or partitions.time is None:
            return {key: self._finding(key, self._versions(key)) for key in self._candidate.keys}
        self._look_up()
        gone = set(lost)
        found: dict[str, Finding] = {}
        for key in sorted(self._candidate.keys):
            found[key] = self._finding(key, self._before(key, gone))
            if found[key].verdict == "fail":
                gone.add(key)
        return {key: found[key] for key in self._candidate.keys}

    def _look_up(self) -> None:
        """Know at once what is published before the partitions of this run."""
        if self._history is None:
            return
        own = set(self._candidate.keys)
        others = [key for key in self._history.partitions if key not in own]
        needed: set[str] = set()
        for key in own:
            needed.update(self._last(others, key))
        self._history.look_up(needed)

    def _before(self, key: str, gone: Collection[str]) -> list[float | None]:
        """The figures of the last partitions before one, as they are or would be published."""
        published = set(self._history.partitions) if self._history else set[str]()
        built = {past for past in self._candidate.keys if past not in gone}
        return [
            self._own[past]
            if past in built or self._history is None
            else self._history.value(self._check.figure, past)
            for past in self._last(sorted(published | built), key)
        ]

    def _last(self, keys: Sequence[str], key: str) -> Sequence[str]:
        """Of keys in order the last ones before one, with the same named values."""
        named = self._named(key)
        before = [past for past in keys if past < key and self._named(past) == named]
        return before[-self._check.against :]

    def _named(self, key: str) -> dict[str, str]:
        partitions = self._check.partitions
        return partitions.named_values(key) if partitions else {}

    def _versions(self, key: str) -> list[float | None]:
        """The figures of the last versions of a partition that has none before it."""
        if self._history is None:
            return []
        return self._history.versions(self._check.figure, key, self._check.against)

    def _finding(self, key: str, earlier: Sequence[float | None]) -> Finding:
        check, rows, value = self._check, self._candidate.left(key), self._own[key]
        if not rows and check.metric != "row_count":
            return Finding(0, 0, check.on_empty)
        told = MASKED if self._masked else "no value" if value is None else f"{value:,.6g}"
        known = [one for one in earlier if one is not None and math.isfinite(one)]
        if len(known) < FEWEST_EARLIER:
            return Finding(rows, 0, "pass", None, told)
        mean = fmean(known)
        moved = self._moved(value, mean, known)
        if moved is None:
            return Finding(rows, 0, "pass", None, told)
        usual = MASKED if self._masked else f"{mean:,.6g}"
        detail = f"{told}, and {usual} on average of {len(known)} before: {moved}"
        return Finding(rows, 0, check.effect, detail, told)

    def _moved(self, value: float | None, mean: float, known: Sequence[float]) -> str | None:
        """By how much a figure is too far from the mean, in words; None where it isn't."""
        check = self._check
        # The mean of equal figures may differ from them in its last digit.
        if value is not None and math.isclose(value, mean, rel_tol=SAME, abs_tol=0.0):
            return None
        distance = abs(value - mean) if value is not None else math.inf
        if check.max_change_percentage is not None:
            unit, spread, most = " %", abs(mean) / 100, check.max_change_percentage
        else:
            unit, spread, most = " standard deviations", stdev(known), check.max_z_score or 0
        far = distance / spread if spread else math.inf
        # What is exactly on the bound may be computed to lie a last digit beyond it.
        if far <= most or math.isclose(far, most, rel_tol=SAME):
            return None
        by = f"{far:,.3g}{unit} off" if math.isfinite(far) else "off without measure"
        return f"{by}, at most {most:g}{unit} is allowed"
