"""What a backfill will cost, by the figures of what ran last.

Called by the command, which shows it before anything runs. An asset that never ran has no figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnyNode
from data_platform.range_runs.parts import Wanted
from data_platform.reporting.figures import rows_label

SAMPLE = 50
"""Materializations of an asset, the newest, whose figures are taken."""


@dataclass(frozen=True)
class Estimate:
    """What an asset will take.

    Attributes:
        key: of the asset.
        partitions: that are to be made; 1 where it has none.
        first, last: of them; empty where it has none.
        rows: of all of them together; None where it never ran.
        seconds: of the work; None where it never ran.
    """

    key: Key
    partitions: int
    first: str
    last: str
    rows: int | None
    seconds: float | None


def estimates(
    nodes: Sequence[AnyNode], wanted: Wanted, instance: dg.DagsterInstance
) -> list[Estimate]:
    """What each asset will take, by its newest materializations that were no repetition."""
    found: list[Estimate] = []
    for node in nodes:
        keys = sorted(wanted.get(node.key, ()))
        if not keys:
            continue
        rows, seconds = _per_partition(node, instance)
        found.append(
            Estimate(
                node.key,
                len(keys),
                keys[0],
                keys[-1],
                None if rows is None else round(rows * len(keys)),
                None if seconds is None else seconds * len(keys),
            )
        )
    return found


def _per_partition(
    node: AnyNode, instance: dg.DagsterInstance
) -> tuple[float | None, float | None]:
    """Rows and seconds, on the average."""
    records = instance.fetch_materializations(asset_key(node.key), limit=SAMPLE).records
    told = [one.asset_materialization.metadata for one in records if one.asset_materialization]
    rows = _numbers(told, rows_label(node))
    # What was left as it was took no time that says anything.
    seconds = _numbers([one for one in told if "unchanged" not in one], "seconds")
    return _mean(rows), _mean(seconds)


def _numbers(told: Sequence[Mapping[str, dg.MetadataValue[Any]]], name: str) -> list[float]:
    values = (one[name].value for one in told if name in one)
    return [float(value) for value in values if isinstance(value, int | float)]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
