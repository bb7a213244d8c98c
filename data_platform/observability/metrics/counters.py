"""Counters in Dagster's database, which outlive the process that counts, and what changed of them.

Called by `counting`. Written in the transaction in which the position in the log is kept; only the
series that a batch touches are written, and only those that changed are read again. Each code
location has its own, told by the metric's name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from data_platform.instance.location_names import named
from data_platform.instance.own_tables import Tables
from data_platform.observability.metrics.catalogue import METRICS, NO_PIPELINE
from data_platform.observability.metrics.folding import CHECK, Folded, Series, labels_of
from data_platform.observability.metrics.known import Known

_CREATE = """
CREATE TABLE data_platform_metrics (
    metric text NOT NULL,
    labels text[] NOT NULL,
    counts double precision[] NOT NULL,
    batch bigint NOT NULL,
    PRIMARY KEY (metric, labels)
)
"""
_INDEX = "CREATE INDEX data_platform_metrics_batch ON data_platform_metrics (batch)"
_CHANGED_AT = (
    "ALTER TABLE data_platform_metrics ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now()"
)
TABLES = Tables("metrics", (_CREATE, _INDEX, _CHANGED_AT))

GONE_AFTER = "30 days"
"""Without a change: what is of an asset or pipeline that isn't there is forgotten then."""

_INSERT = """
INSERT INTO data_platform_metrics AS kept (metric, labels, counts, batch)
SELECT metric, labels, counts, :batch
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS given (metric text, labels text[], counts double precision[])
ON CONFLICT (metric, labels) DO UPDATE
SET batch = excluded.batch, changed_at = clock_timestamp(), counts =
"""
# A histogram whose buckets another version has begins anew, as Prometheus expects of a counter.
_ADD = sa.text(
    _INSERT + " CASE WHEN cardinality(kept.counts) <> cardinality(excluded.counts)"
    " THEN excluded.counts ELSE (SELECT array_agg(one + other ORDER BY place)"
    " FROM unnest(kept.counts, excluded.counts) WITH ORDINALITY AS both_ (one, other, place)) END"
)
_TELL = sa.text(_INSERT + " excluded.counts WHERE excluded.counts[1] >= kept.counts[1]")
_CHANGED = sa.text(
    "SELECT split_part(metric, '@', 1), labels, counts, batch FROM data_platform_metrics"
    " WHERE batch > :seen AND split_part(metric, '@', 2) = :location"
)
_FORGET = sa.text(
    "DELETE FROM data_platform_metrics WHERE changed_at < now() - CAST(:age AS interval)"
    " AND split_part(metric, '@', 2) = :location"
    " AND (split_part(metric, '@', 1) = ANY(:of_assets)"
    " AND NOT array_to_string(labels[1:3], '/') = ANY(:assets)"
    " OR split_part(metric, '@', 1) = ANY(:of_pipelines) AND NOT labels[1] = ANY(:pipelines))"
    " RETURNING split_part(metric, '@', 1), labels"
)
_OF_ASSETS = [CHECK, *(one.name for one in METRICS if one.of_assets)]
_OF_PIPELINES = [
    one.name for one in METRICS if one.labels[:1] == ("pipeline",) and not one.of_assets
]


@dataclass
class Counters:
    """All series, as they were read last.

    Attributes:
        counts: by series, as `Folded.added` has them; of what is so now the event and the value.
        seen: the newest batch among them.
    """

    counts: dict[Series, tuple[float, ...]] = field(default_factory=dict[Series, tuple[float, ...]])
    seen: int = 0

    def read(self, connection: Connection) -> None:
        """What changed since it was read last, by whatever process."""
        asked = {"seen": self.seen, "location": _location()}
        found = connection.execute(_CHANGED, asked).all()
        if found:
            changed = {
                (metric, tuple(labels)): tuple(counts) for metric, labels, counts, _ in found
            }
            # Anew, since a scrape may go through what there is.
            self.counts = {**self.counts, **changed}
            self.seen = max(batch for *_, batch in found)

    def forget(self, connection: Connection, known: Known) -> None:
        """Remove what is of assets and pipelines that aren't there any more, a while after.

        What comes back begins anew, as Prometheus expects of a counter. While a pipeline has
        mistakes nothing goes: nobody knows what it has.

        Args:
            connection: of a transaction.
            known: the assets.
        """
        if known.broken or known.unreadable:
            return
        asked = {
            "age": GONE_AFTER,
            "location": _location(),
            "of_assets": _OF_ASSETS,
            "assets": ["/".join(labels_of(node.key)) for node in known.nodes],
            "of_pipelines": _OF_PIPELINES,
            "pipelines": [NO_PIPELINE, *known.pipelines],
        }
        gone = {(name, tuple(labels)) for name, labels in connection.execute(_FORGET, asked)}
        if gone:
            self.counts = {one: counts for one, counts in self.counts.items() if one not in gone}


def _location() -> str:
    """The code location, as it stands behind names."""
    return named("").partition("@")[2]


def write(connection: Connection, folded: Folded, batch: int) -> None:
    """Add what a batch comes to.

    Args:
        connection: of the batch's transaction.
        folded: what it comes to.
        batch: its number, higher than those of batches before.
    """
    _put(connection, _ADD, folded.added, batch)
    _put(connection, _TELL, folded.latest, batch)


def _put(
    connection: Connection,
    statement: sa.TextClause,
    series: Mapping[Series, list[float] | tuple[int, float]],
    batch: int,
) -> None:
    if series:
        rows = [
            {"metric": named(metric), "labels": [*labels], "counts": [*counts]}
            for (metric, labels), counts in series.items()
        ]
        connection.execute(statement, {"rows": json.dumps(rows), "batch": batch})
