"""Whether the runs of pipelines stay within their budgets.

Called by `exporter` each minute; a question for all pipelines, which reads the newest runs of each.
"""

from collections.abc import Iterable, Iterator, Mapping

from dagster import DagsterInstance

from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import Sample
from data_platform.observability.run_budgets import Grade, verdicts
from data_platform.plan.nodes import AnyNode

_STATES: Mapping[Grade, int] = {"pass": 0, "warn": 1, "fail": 2}


def look_at_runs(instance: DagsterInstance, nodes: Iterable[AnyNode]) -> Iterator[Sample]:
    """The gauges of pipelines that have a budget and whose runs are known.

    Args:
        instance: Dagster's.
        nodes: the assets of all pipelines.
    """
    for name, verdict in verdicts(instance, nodes).items():
        yield Sample(catalogue.RUN_AVERAGE, (name,), verdict.seconds)
        yield Sample(catalogue.RUN_BUDGET, (name,), _STATES[verdict.grade])
        if verdict.allowed is not None:
            yield Sample(catalogue.RUN_ALLOWED, (name,), verdict.allowed)
