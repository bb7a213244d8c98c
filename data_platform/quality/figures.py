"""Figures of partitions, and what is kept of them with the versions that are published.

Called by `quality.drift`, which compares them, and by the gate, which keeps them with its commit.
So a later run reads no rows of the past; a version of before the rule is measured from its rows.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.engine.session import Session
from data_platform.plan.checks.value_kinds import DriftCheck
from data_platform.plan.naming import PARTITION
from data_platform.plan.sql.expressions import quoted
from data_platform.storage.lake import LakeTable
from data_platform.storage.versions import PartitionVersion, Snapshot

KEPT = "figures"
"""In the metadata of a commit: `{figure: {partition: [[data version, value], ...]}}` as JSON."""
EARLIER = "_earlier"

Values = Mapping[str, float | None]
"""By partition; None where there is nothing to measure."""
_Kept = Mapping[str, Mapping[str, list[tuple[str, float | None]]]]
"""By figure and partition, each value after the data version that it is of."""


@dataclass
class Figures:
    """What was measured in one audit.

    Attributes:
        own: of the candidate, by figure and partition.
        earlier: of versions that stood without, by figure and partition.
        secret: figures that tell of a person, which aren't kept.
    """

    own: Mapping[str, Values]
    earlier: dict[str, dict[str, tuple[str, float | None]]] = field(
        default_factory=dict[str, dict[str, tuple[str, float | None]]]
    )
    secret: Collection[str] = ()

    def kept(self, versions: Mapping[str, PartitionVersion]) -> dict[str, str]:
        """What the commit of these versions keeps."""
        told: dict[str, dict[str, list[tuple[str, float | None]]]] = {}
        for figure, values in self.own.items():
            if figure in self.secret:
                continue
            by_key = {key: [one] for key, one in self.earlier.get(figure, {}).items()}
            for key, version in versions.items():
                one = (version.data_version, values.get(key))
                by_key[key] = [*(old for old in by_key.get(key, []) if old[0] != one[0]), one]
            told[figure] = by_key
        return {KEPT: json.dumps(told)} if told else {}


def measured(
    session: Session, relation: str, checks: Sequence[DriftCheck], keys: Iterable[str]
) -> dict[str, Values]:
    """The figures of partitions, in one scan.

    Args:
        session: in which the rows are.
        relation: with `_partition`.
        checks: whose figures are asked for.
        keys: the partitions, those without rows included.
    """
    figures = {check.figure: _sql(check) for check in checks}
    asked = ", ".join(figures.values())
    rows = session.rows(f"SELECT {PARTITION}, {asked} FROM {relation} GROUP BY 1")
    found = {str(key): values for key, *values in rows}
    nothing = [0 if figure == "row_count" else None for figure in figures]
    by_key = {key: found.get(key, nothing) for key in keys}
    return {
        figure: {
            key: None if values[number] is None else float(values[number])
            for key, values in by_key.items()
        }
        for number, figure in enumerate(figures)
    }


class History:
    """The figures of what is published.

    Args:
        session: in which rows of the past are read, where it must be.
        table: of the asset.
        checks: whose figures are asked for.
    """

    def __init__(self, session: Session, table: LakeTable, checks: Sequence[DriftCheck]) -> None:
        self._session, self._checks = session, checks
        self._snapshot: Snapshot | None = table.snapshot()
        self._known: dict[str, dict[str, float | None]] = {c.figure: {} for c in checks}
        self._history = table.history(self._snapshot)
        self._kept: list[_Kept] = []
        self.computed: dict[str, dict[str, tuple[str, float | None]]] = {}
        """Measured from rows just now, with the data version."""

    @property
    def partitions(self) -> list[str]:
        """The keys of what is published, in order."""
        return sorted(self._snapshot.partitions) if self._snapshot else []

    def look_up(self, keys: Collection[str]) -> None:
        """Know the figures of these partitions: as they were kept, else from their rows."""
        snapshot = self._snapshot
        wanted = [k for k in keys if snapshot and k in snapshot.partitions]
        asked = {
            c.figure: [k for k in wanted if k not in self._known[c.figure]] for c in self._checks
        }
        if snapshot is None or not any(asked.values()):
            return
        missing: set[str] = set()
        for figure, unknown in asked.items():
            kept = self._kept_of(figure, unknown, snapshot)
            self._known[figure] |= kept
            missing |= set(unknown) - kept.keys()
        if missing:
            self._measure(sorted(missing), snapshot)

    def value(self, figure: str, key: str) -> float | None:
        """Of a partition that is published."""
        if key not in self._known[figure]:
            self.look_up([key])
        return self._known[figure].get(key)

    def versions(self, figure: str, key: str, most: int) -> list[float | None]:
        """Of the last published versions of a partition, the newest last."""
        snapshot = self._snapshot
        if snapshot is None or key not in snapshot.partitions:
            return []
        found: list[tuple[str, float | None]] = []
        for commit in self._commits():
            for version, value in reversed(commit.get(figure, {}).get(key, [])):
                # One that was measured late stands in its own commit or in that of the next.
                if not found or found[-1][0] != version:
                    found.append((version, value))
            if len(found) >= most:
                break
        standing = snapshot.partitions[key].data_version
        if (not found or found[0][0] != standing) and snapshot.batches is None:
            # Of a table that grows by batches only a batch could be compared with a batch.
            self._measure([key], snapshot)
            found = [(standing, self._known[figure][key]), *found]
        return [value for _, value in reversed(found[:most])]

    def _kept_of(
        self, figure: str, keys: Sequence[str], snapshot: Snapshot
    ) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for commit in self._commits():
            for key in keys:
                if key in found:
                    continue
                standing = snapshot.partitions[key].data_version
                for version, value in commit.get(figure, {}).get(key, []):
                    if version == standing:
                        found[key] = value
            if len(found) == len(keys):
                break
        return found

    def _commits(self) -> Iterator[_Kept]:
        """What commits kept, the newest first; none is read twice."""
        yield from self._kept
        for commit in self._history:
            if KEPT in commit:
                self._kept.append(json.loads(str(commit[KEPT])))
                yield self._kept[-1]

    def _measure(self, keys: Sequence[str], snapshot: Snapshot) -> None:
        """From rows; a column that wasn't there yet has no figure."""
        known = set(snapshot.schema.names)
        checks = [c for c in self._checks if c.column is None or c.column in known]
        for check in self._checks:
            self._known[check.figure] |= dict.fromkeys(keys)
        if not checks:
            return
        self._session.show(EARLIER, snapshot.files(keys))
        for figure, values in measured(self._session, EARLIER, checks, keys).items():
            self._known[figure] |= values
            versions = {key: snapshot.partitions[key].data_version for key in keys}
            told = {key: (versions[key], value) for key, value in values.items()}
            self.computed.setdefault(figure, {}).update(told)


def _sql(check: DriftCheck) -> str:
    column = quoted(check.column or "")
    number = f"CAST({column} AS DOUBLE)"
    match check.metric:
        case "mean":
            return f"AVG({number}) FILTER (ISFINITE({number}))"
        case "stddev":
            return f"STDDEV_SAMP({number}) FILTER (ISFINITE({number}))"
        case "null_percentage":
            return f"100.0 * COUNT_IF({column} IS NULL) / COUNT(*)"
        case "distinct":
            return f"COUNT(DISTINCT {column})"
        case "row_count":
            return "COUNT(*)"
