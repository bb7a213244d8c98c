"""When the steps of a pipeline's runs began and ended, and what they made.

Noted by `reporting.budgets` where a pipeline has a budget; read by `observability.run_budgets`.
Dagster's own record of a run doesn't tell which steps had nothing to do, nor which of several
pipelines a run has spent its time on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from dagster import DagsterInstance, DagsterRunStatus

from data_platform.instance.own_tables import Tables, transaction
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Node

KEPT = 50
"""The newest runs of a pipeline; those that failed are among them."""

_CREATE = """
CREATE TABLE data_platform_run_spans (
    pipeline text NOT NULL,
    run_id text NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    assets text[] NOT NULL,
    partitions integer NOT NULL,
    PRIMARY KEY (pipeline, run_id)
)
"""
SPANS = Tables("run_spans", (_CREATE,))
_NOTE = sa.text(
    "INSERT INTO data_platform_run_spans AS kept"
    " (pipeline, run_id, began_at, ended_at, assets, partitions)"
    " SELECT :pipeline, :run_id, at - make_interval(secs => :seconds), at,"
    " ARRAY[CAST(:asset AS text)], :partitions FROM clock_timestamp() AS at"
    " ON CONFLICT (pipeline, run_id) DO UPDATE SET"
    " began_at = least(kept.began_at, excluded.began_at),"
    " ended_at = greatest(kept.ended_at, excluded.ended_at),"
    " assets = array_remove(kept.assets, excluded.assets[1]) || excluded.assets,"
    " partitions = greatest(kept.partitions, excluded.partitions)"
)
_FORGET = sa.text(
    "DELETE FROM data_platform_run_spans WHERE pipeline = :pipeline AND ended_at <="
    " (SELECT ended_at FROM data_platform_run_spans WHERE pipeline = :pipeline"
    " ORDER BY ended_at DESC OFFSET :kept LIMIT 1)"
)
_SUCCEEDED = sa.text(
    "SELECT pipeline, run_id, began_at, ended_at, assets, partitions"
    " FROM data_platform_run_spans JOIN runs USING (run_id)"
    " WHERE pipeline = ANY(:pipelines) AND status = :status ORDER BY ended_at DESC"
)


@dataclass(frozen=True)
class Span:
    """What a run of a pipeline took.

    Attributes:
        run_id: of the run.
        ended_at: when its last step ended.
        seconds: from the begin of the first step to the end of the last one.
        assets: that were computed; those that had nothing to do aren't among them.
        partitions: the most that it made of an asset.
    """

    run_id: str
    ended_at: datetime
    seconds: float
    assets: frozenset[Key]
    partitions: int


def note_step(
    instance: DagsterInstance, node: Node, run_id: str, seconds: float, partitions: int
) -> None:
    """Note a step that has just ended.

    Args:
        instance: Dagster's, on PostgreSQL.
        node: the asset.
        run_id: of the run.
        seconds: that the step took.
        partitions: that it made.
    """
    row = {
        "pipeline": node.key.pipeline,
        "run_id": run_id,
        "seconds": seconds,
        "asset": str(node.key),
        "partitions": partitions,
    }
    with transaction(instance, SPANS) as connection:
        connection.execute(_NOTE, row)
        connection.execute(_FORGET, {"pipeline": node.key.pipeline, "kept": KEPT})


def spans_of(instance: DagsterInstance, pipelines: Iterable[str]) -> dict[str, list[Span]]:
    """The newest runs of pipelines that succeeded, the newest first.

    Args:
        instance: Dagster's, on PostgreSQL.
        pipelines: by name.
    """
    asked = {"pipelines": list(pipelines), "status": DagsterRunStatus.SUCCESS.value}
    found: dict[str, list[Span]] = {name: [] for name in asked["pipelines"]}
    with transaction(instance, SPANS) as connection:
        for name, run_id, began, ended, assets, partitions in connection.execute(_SUCCEEDED, asked):
            seconds = (ended - began).total_seconds()
            keys = frozenset(map(Key.parse, assets))
            found[name].append(Span(run_id, ended, seconds, keys, partitions))
    return found
