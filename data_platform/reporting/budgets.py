"""Whether an asset's steps stay within their budget, as a check that holds nothing back.

Called by `lake_steps`, `destinations.assets` and `handwritten.assets` when all else of a step is
told. What steps took is kept in a table of the platform's own, since a materialization knows its
partition and no step; for the budget of its pipeline it is noted with the run too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from data_platform.asset_specs import asset_key
from data_platform.instance.own_tables import Tables, has_tables, transaction
from data_platform.plan.naming import BUDGET
from data_platform.plan.nodes import Node
from data_platform.reporting.run_spans import note_step
from data_platform.reporting.taken import Taken
from data_platform.spec.limits import Budget, amount

RUNS = 10
"""The newest steps of an asset, whose average is held to its budget."""
KEPT = 50
FEWEST = 5
"""Steps before this one without which nobody knows what is slow."""
ERROR_FROM = 1.5
"""Times the budget; from there on it is an error."""
SHORT = 1.0
"""Seconds below which no step is called slow: that is the machine's own unrest."""

_CREATE = """
CREATE TABLE data_platform_taken (
    asset text NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    run_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    partitions integer NOT NULL,
    seconds double precision NOT NULL,
    cpu_seconds double precision NOT NULL,
    peak_bytes bigint NOT NULL,
    PRIMARY KEY (asset, number)
)
"""
_TABLES = Tables("taken", (_CREATE,))
_NEWEST = sa.text(
    "SELECT seconds / partitions, peak_bytes FROM data_platform_taken"
    " WHERE asset = :asset ORDER BY number DESC LIMIT :limit"
)
_ADD = sa.text(
    "INSERT INTO data_platform_taken (asset, run_id, partitions, seconds, cpu_seconds, peak_bytes)"
    " VALUES (:asset, :run_id, :partitions, :seconds, :cpu_seconds, :peak_bytes)"
)
_FORGET = sa.text(
    "DELETE FROM data_platform_taken WHERE asset = :asset AND number <="
    " (SELECT number FROM data_platform_taken WHERE asset = :asset"
    " ORDER BY number DESC OFFSET :kept LIMIT 1)"
)


@dataclass(frozen=True)
class Step:
    """What a step took for each of its partitions.

    Attributes:
        seconds: of one partition.
        peak_bytes: of its process.
    """

    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Excess:
    """What was more than it may be.

    Attributes:
        text: in words.
        severity: how bad it is.
    """

    text: str
    severity: dg.AssetCheckSeverity


def budget_result(
    context: dg.AssetExecutionContext, node: Node, taken: Taken, partitions: int
) -> Iterator[dg.AssetCheckResult]:
    """The result of the check of a budget; nothing where the asset has none.

    What the step took is noted for the budget of its pipeline's runs besides.

    Args:
        context: of the step.
        node: the asset.
        taken: by the step.
        partitions: that it computed; with 0 it had nothing to do, and only those before count.
    """
    if node.run_budget is not None and partitions and has_tables(context.instance):
        note_step(context.instance, node, context.run.run_id, taken.seconds, partitions)
    if node.budget is None:
        return
    steps = _steps(context, node, taken, partitions)
    found = list(excesses(node.budget, steps))
    bad = any(one.severity == dg.AssetCheckSeverity.ERROR for one in found)
    yield dg.AssetCheckResult(
        asset_key=asset_key(node.key),
        check_name=BUDGET,
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if bad else dg.AssetCheckSeverity.WARN,
        metadata={
            **_figures(steps),
            **({"detail": "; ".join(o.text for o in found)} if found else {}),
        },
    )


def excesses(budget: Budget, steps: Sequence[Step]) -> Iterator[Excess]:
    """What of a budget is exceeded.

    Args:
        budget: of the asset.
        steps: the newest first.
    """
    last = steps[:RUNS]
    if not last:
        return
    if budget.max_duration is not None:
        average, most = fmean(one.seconds for one in last), budget.max_duration.total_seconds()
        if average > most:
            text = f"{_mean(last)} takes {average:,.1f} s a partition, {most:,.0f} s are allowed"
            yield Excess(text, _severity(average / most))
    if budget.max_memory is not None:
        held, most = fmean(one.peak_bytes for one in last), amount(budget.max_memory)
        if held > most:
            text = f"{_mean(last)} holds {held / 2**20:,.0f} MiB, {budget.max_memory} are allowed"
            yield Excess(text, _severity(held / most))
    before = [one.seconds for one in steps[1 : RUNS + 1]]
    if len(before) >= FEWEST and steps[0].seconds > max(
        SHORT, budget.max_slowdown * median(before)
    ):
        text = f"{steps[0].seconds:,.1f} s a partition, where {median(before):,.1f} s are usual"
        yield Excess(text, dg.AssetCheckSeverity.WARN)


def _mean(steps: Sequence[Step]) -> str:
    return f"the average of {len(steps)} steps" if len(steps) > 1 else "the step"


def _severity(times: float) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if times > ERROR_FROM else dg.AssetCheckSeverity.WARN


def _figures(steps: Sequence[Step]) -> dict[str, float | int]:
    last = steps[:RUNS]
    if not last:
        return {}
    return {
        "seconds": round(steps[0].seconds, 3),
        "average_seconds": round(fmean(one.seconds for one in last), 3),
        "peak_memory_bytes": steps[0].peak_bytes,
        "average_memory_bytes": round(fmean(one.peak_bytes for one in last)),
        "steps": len(last),
    }


def _steps(
    context: dg.AssetExecutionContext, node: Node, taken: Taken, partitions: int
) -> list[Step]:
    """The newest steps of an asset, this one first if it computed something."""
    if not has_tables(context.instance):
        return [Step(taken.seconds / partitions, taken.peak_bytes)] if partitions else []
    asset = str(node.key)
    with transaction(context.instance, _TABLES) as connection:
        if partitions:
            _add(connection, asset, context.run.run_id, taken, partitions)
        newest = connection.execute(_NEWEST, {"asset": asset, "limit": RUNS + 1})
        return [Step(seconds, held) for seconds, held in newest]


def _add(connection: Connection, asset: str, run_id: str, taken: Taken, partitions: int) -> None:
    row = {
        "asset": asset,
        "run_id": run_id,
        "partitions": partitions,
        "seconds": taken.seconds,
        "cpu_seconds": taken.cpu_seconds,
        "peak_bytes": taken.peak_bytes,
    }
    connection.execute(_ADD, row)
    connection.execute(_FORGET, {"asset": asset, "kept": KEPT})
