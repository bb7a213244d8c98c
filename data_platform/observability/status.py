"""How an asset stands: what is published of what is due, how fresh it is, what its checks found.

Called by the command's `status` with facts from `observability.facts`. Pure: decides, and asks
nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from data_platform.observability.failures import Cause, Failure, Level
from data_platform.observability.late_files import late_file, late_keys
from data_platform.plan.freshness import Judgement, judge_freshness, published_of
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import AnyNode
from data_platform.plan.partitions import Partitions
from data_platform.spec.automation import Schedule


@dataclass(frozen=True)
class Facts:
    """What is known of an asset at a moment.

    Attributes:
        rows: published, by partition; an asset without partitions has `WHOLE`.
        published_at: the last publication, changed or not.
        failed_checks: whose latest evaluation is an error.
        warned_checks: whose latest evaluation is a warning.
        quarantined: rows held back beside what is published.
        unknown: why the rest isn't known, such as a database that can't be reached.
        position: how far an incremental source was read, as it was committed.
        registered: the keys of partitions that are registered as they come.
        changed_at: the last publication that brought other rows.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    published_at: datetime | None = None
    failed_checks: tuple[str, ...] = ()
    warned_checks: tuple[str, ...] = ()
    quarantined: int = 0
    unknown: str | None = None
    position: Mapping[str, Any] | None = None
    registered: tuple[str, ...] = ()
    changed_at: datetime | None = None


@dataclass(frozen=True)
class AssetStatus:
    """How an asset stands.

    Attributes:
        key: of the asset.
        partitioned: whether it has partitions.
        newest: its newest published partition, the last good one; its time, where there are named
            values besides; None where partitions have no time.
        published: how many of the due partitions are published; 0 or 1 without partitions.
        due: how many should be by now; of those that are registered as they come, all.
        rows: published, in all partitions.
        age: since the last publication; None where there was none.
        freshness: against what was promised.
        facts: what this was told from.
        enabled: whether anything starts it.
        failure: its last try, where it failed and nothing was built since.
        cause: what holds it up, itself included.
        circuit: that the system which it asks is left alone for now, since it failed.
        late: partitions of a source of files that aren't published a deadline after their end.
        late_since: of one without partitions: since when new files are missing; aware.
        lacks: how many due partitions aren't published, but for those of the newest time while
            there are others: these are just being built.
        early: partitions that are published and aren't over: built by a clock that was ahead.
    """

    key: Key
    partitioned: bool
    newest: str | None
    published: int
    due: int
    rows: int
    age: timedelta | None
    freshness: Judgement
    facts: Facts
    enabled: bool = True
    failure: Failure | None = None
    cause: Cause | None = None
    circuit: str | None = None
    late: tuple[str, ...] = ()
    late_since: datetime | None = None
    lacks: int = 0
    early: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """How bad it is by itself, whatever it waits for."""
        facts, fresh = self.facts, self.freshness.state
        own = self.failure is not None and self.failure.own
        if not (self.enabled or own):
            return "off"
        if own or facts.unknown or facts.failed_checks or fresh == "fail":
            return "red"
        late = self.late or self.late_since
        doubts = (facts.warned_checks, late, self.early, self.circuit, self.failure)
        return "yellow" if any(doubts) or self.lacks or fresh == "warn" else "green"

    @property
    def waits(self) -> bool:
        """Whether another asset holds it up."""
        return self.cause is not None and self.cause.key != self.key


def status_of(
    node: AnyNode, facts: Facts, now: datetime, schedule: Schedule | None = None
) -> AssetStatus:
    """Judge an asset.

    Args:
        node: the asset.
        facts: what is known of it.
        now: an aware moment.
        schedule: of its pipeline, which tells when files are due.
    """
    partitions = node.partitions
    early: tuple[str, ...] = ()
    if partitions is None:
        newest, due = None, 1
        published = int(WHOLE in facts.rows)
        lacks = 1 - published
        rows = facts.rows.get(WHOLE, 0)
    else:
        # A table may hold partitions from before the pipeline's start was moved.
        own = {key: count for key, count in facts.rows.items() if partitions.is_key(key)}
        newest = max(map(partitions.time_key, own), default=None) if partitions.time else None
        all_due = partitions.due(now, facts.registered)
        missing = [key for key in all_due if key not in own]
        due, published = len(all_due), len(all_due) - len(missing)
        lacks = len(missing) - (_just_due(partitions, missing, now) if published else 0)
        rows = sum(own.values())
        if partitions.time:
            early = tuple(sorted(key for key in own if partitions.window(key)[1] > now))
    built = facts.published_at if published or rows or newest else None
    policy = node.freshness if node.enabled else None
    judged = judge_freshness(policy, partitions, published_of(partitions, facts.rows, built), now)
    if facts.unknown and judged.state != "none":
        judged = Judgement("none", facts.unknown)
    age = now - built if built else None
    return AssetStatus(
        node.key,
        partitions is not None,
        newest,
        published,
        due,
        rows,
        age,
        judged,
        facts,
        node.enabled,
        late=late_keys(node, facts.rows, now),
        late_since=late_file(node, facts.changed_at, schedule, now),
        lacks=lacks,
        early=early,
    )


def _just_due(partitions: Partitions, missing: Sequence[str], now: datetime) -> int:
    """How many of some due partitions are of the newest time, which has just ended."""
    time = partitions.time
    newest = time.newest_due(now) if time else None
    if time is None or newest is None:
        return 0
    begin, end = time.window(newest)
    if now - end > end - begin:  # no newer one will come
        return 0
    return sum(partitions.time_key(key) == newest for key in missing)


def as_json(status: AssetStatus) -> dict[str, Any]:
    """The status as plain values."""
    facts = status.facts
    return {
        "key": str(status.key),
        "level": status.level,
        "partitioned": status.partitioned,
        "enabled": status.enabled,
        "last_good_partition": status.newest,
        "partitions_published": status.published,
        "partitions_due": status.due,
        "rows": status.rows,
        "published_at": facts.published_at.isoformat() if facts.published_at else None,
        "age_seconds": int(status.age.total_seconds()) if status.age is not None else None,
        "freshness": status.freshness.state,
        "freshness_reason": status.freshness.reason,
        "failed_checks": list(facts.failed_checks),
        "warned_checks": list(facts.warned_checks),
        "quarantined_rows": facts.quarantined,
        "unknown": facts.unknown,
        "position": dict(facts.position) if facts.position else None,
        "circuit": status.circuit,
        "late": list(status.late),
        "early": list(status.early),
        "late_since": status.late_since.isoformat() if status.late_since else None,
        "failure": _failure(status.failure) if status.failure else None,
        "cause": _cause(status.cause) if status.cause else None,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "run": failure.run_id,
        "at": failure.at.isoformat(),
        "reason": failure.reason,
        "own": failure.own,
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "key": str(cause.key),
        "text": cause.text,
        "run": cause.run_id,
        "waiting": len(cause.waiting),
    }
