"""Rules about the age of an asset's rows and the share of them that is right.

Called by `quality.audit`. Each age is one grouping; a score is counted already.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from data_platform.plan.checks.value_kinds import FreshnessCheck, ScoreCheck
from data_platform.plan.lineage.masking import MASKED
from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import quoted
from data_platform.quality.candidates import Candidate
from data_platform.quality.outcomes import Finding, Outcome
from data_platform.spec.times import duration_words

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- on the clock of where the partitions are
_SECOND = 1_000_000


def judge_freshness(candidate: Candidate, check: FreshnessCheck) -> Outcome:
    """How old the newest value of each partition is.

    Args:
        candidate: what would be published.
        check: the rule.
    """
    session, column = candidate.session, quoted(check.column)
    kind = session.columns(f"SELECT {column} FROM {candidate.relation}")[check.column]
    if not kind.startswith(("DATE", "TIMESTAMP")):
        text = f"{check.column} is {kind}, and dates or times are needed"
        return _all(candidate, Finding(0, 0, check.effect, text), check)
    # Infinity is no moment. Times without a zone count as if theirs were UTC's.
    newest = f"EPOCH_US(MAX({column}) FILTER (ISFINITE({column})))"
    query = f"SELECT {PARTITION}, {newest} FROM {candidate.good} GROUP BY 1"
    found = {str(key): value for key, value in session.rows(query)}
    now = int(session.rows("SELECT EPOCH_US(NOW())")[0][0])
    findings: dict[str, Finding] = {}
    for key in candidate.keys:
        rows, value = candidate.left(key), found.get(key)
        if not rows:
            findings[key] = Finding(0, 0, check.on_empty)
            continue
        latest = _latest(check, key, now, zoned="ZONE" in kind)
        findings[key] = _aged(rows, value, latest, check)
    return Outcome(check, findings)


def judge_score(
    candidate: Candidate, check: ScoreCheck, broken: Mapping[str, Mapping[str, int]]
) -> Outcome:
    """The share of pairs of a row that came in and a rule that are right.

    Args:
        candidate: what would be published.
        check: the rule.
        broken: offending rows by the name of a rule, and by partition.
    """
    findings: dict[str, Finding] = {}
    for key in candidate.keys:
        rows = candidate.rows[key]
        if not rows:
            findings[key] = Finding(0, 0, check.on_empty)
            continue
        pairs = rows * len(check.rules)
        wrong = sum(broken[name][key] for name in check.rules)
        score = (pairs - wrong) / pairs
        # In whole numbers: 0.95 of 20 pairs is 19 of them, whatever a float makes of it.
        holds = round((pairs - wrong) * 10**9) >= round(check.min_score * 10**9) * pairs
        told = f"{score:.6f}".rstrip("0").rstrip(".")
        detail = f"{told}: {wrong:,} of {pairs:,} pairs are wrong, wanted >= {check.min_score:g}"
        findings[key] = Finding(
            rows, 0, "pass" if holds else check.effect, None if holds else detail, told
        )
    return Outcome(check, findings)


def _latest(check: FreshnessCheck, key: str, now: int, *, zoned: bool) -> int:
    """Now, or the end of the partition where that is earlier: in microseconds, as values are."""
    zone = ZoneInfo(check.partitions.timezone if check.partitions else "UTC")
    moment = datetime.fromtimestamp(now / _SECOND, UTC)
    moments = [moment if zoned else moment.astimezone(zone).replace(tzinfo=None)]
    if check.partitions is not None and check.partitions.time is not None:
        windows = check.partitions.window(key), check.partitions.local_window(key)
        moments.append(windows[0 if zoned else 1][1])
    return min(_microseconds(one) for one in moments)


def _microseconds(moment: datetime) -> int:
    plain = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return (plain - _EPOCH) // timedelta(microseconds=1)


def _aged(rows: int, value: int | None, latest: int, check: FreshnessCheck) -> Finding:
    wanted = f"at most {duration_words(check.max_age)} is allowed"
    if value is None:
        return Finding(rows, 0, check.effect, f"no value in {check.column}; {wanted}", "no value")
    age = timedelta(microseconds=latest - value)
    holds = age <= check.max_age
    told = MASKED if check.masked else _rounded(age)
    detail = None if holds else f"the newest {check.column} is {told} old, {wanted}"
    return Finding(rows, 0, "pass" if holds else check.effect, detail, told)


def _rounded(age: timedelta) -> str:
    """An age in its two greatest units."""
    seconds = max(int(age.total_seconds()), 0)
    parts = [(seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min")]
    told = [f"{count} {unit}" for count, unit in parts if count][:2]
    return " ".join(told) or f"{seconds} s"


def _all(candidate: Candidate, finding: Finding, check: FreshnessCheck) -> Outcome:
    return Outcome(check, dict.fromkeys(candidate.keys, finding))
