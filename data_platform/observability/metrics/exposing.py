"""From counters and gauges to what Prometheus reads: which series there are, in its own types.

Called at each scrape. Only assets and pipelines that there are have series, and no more than the
limit of assets, so that their number is bounded whatever was once counted.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import assert_never

from prometheus_client import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import METRICS, NO_PIPELINE, Metric, Sample
from data_platform.observability.metrics.exporter import Exporter
from data_platform.observability.metrics.folding import (
    BROKEN,
    CHECK,
    ENDS,
    STEP_ENDS,
    WARNED,
    Series,
    labels_of,
)
from data_platform.observability.metrics.known import Known
from data_platform.plan.keys import Key
from data_platform.plan.nodes import LakeNode

_METRICS = {metric.name: metric for metric in METRICS}
_SEVERITIES = {WARNED: "warning", BROKEN: "error"}


class Exposition(Collector):
    """All series of an exporter.

    Args:
        exporter: that looks.
        host: looks at this machine.
    """

    def __init__(self, exporter: Exporter, host: Callable[[], Iterable[Sample]]) -> None:
        self._exporter = exporter
        self._host = host

    def describe(self) -> Iterable[Family]:
        """Nothing: what there is isn't known before a look."""
        return ()

    def collect(self) -> Iterator[Family]:
        """The families that have a series."""
        now = time.time()
        exporter = self._exporter
        families: dict[str, Family] = {}
        gauges = exporter.seen.gauges if exporter.is_up(now) else ()
        for sample in (*exporter.own_gauges(now), *self._host(), *gauges):
            _add(families, sample.metric, sample.labels, (sample.value,))
        known = exporter.plans.known
        counts = {**_zeros(known), **exporter.counters.counts}
        for (name, labels), values in counts.items():
            metric = _METRICS.get(name)
            if metric and _is_whole(metric, labels, values) and _is_shown(metric, labels, known):
                _add(families, metric, labels, values)
        for labels, count in _failing(counts, known).items():
            _add(families, catalogue.CHECKS_FAILING, labels, (count,))
        for metric in METRICS:
            if metric.name in families:
                yield families[metric.name]


def _zeros(known: Known) -> dict[Series, tuple[float, ...]]:
    """Counters by which alerts go, of what never happened: a rise from nothing would be unseen."""
    found: dict[Series, tuple[float, ...]] = {
        (catalogue.RUNS_ENDED.name, (status,)): (0.0,) for status in ENDS
    }
    for node in known.shown:
        labels = labels_of(node.key)
        found[catalogue.RETRIES.name, labels] = (0.0,)
        for status in STEP_ENDS:
            found[catalogue.STEPS.name, (*labels, status)] = (0.0,)
        if isinstance(node, LakeNode) and node.has_quarantine:
            found[catalogue.QUARANTINED.name, labels] = (0.0,)
    return found


def _failing(
    counts: Mapping[Series, tuple[float, ...]], known: Known
) -> Mapping[tuple[str, ...], int]:
    """How many checks of an asset found something last; 0 of those that have checks."""
    found: Counter[tuple[str, ...]] = Counter()
    for (name, labels), values in counts.items():
        if name != CHECK:
            continue
        pipeline, layer, asset, check = labels
        if (Key(layer, pipeline, asset), check) in known.checks:
            for result, severity in _SEVERITIES.items():
                found[pipeline, layer, asset, severity] += values[1] == result
    return found


def _is_whole(metric: Metric, labels: tuple[str, ...], values: tuple[float, ...]) -> bool:
    """Whether a series is as this version keeps it: another one had other labels or buckets."""
    parts = len(metric.buckets) + 2 if metric.kind == "histogram" else len(values)
    return (len(labels), len(values)) == (len(metric.labels), parts)


def _is_shown(metric: Metric, labels: tuple[str, ...], known: Known) -> bool:
    if metric.of_assets:
        pipeline, layer, asset = labels[:3]
        return Key(layer, pipeline, asset) in known.shown_keys
    if "pipeline" in metric.labels:
        return labels[0] in known.pipelines or labels[0] == NO_PIPELINE
    return True


def _add(
    families: dict[str, Family],
    metric: Metric,
    labels: tuple[str, ...],
    values: tuple[float, ...],
) -> None:
    """Add a series, in the family of its metric."""
    family = families.setdefault(metric.name, Family(metric.name, metric.text, metric.kind))
    named = dict(zip(metric.labels, labels, strict=True))
    match metric.kind:
        case "counter":
            family.add_sample(metric.shown, named, values[0])
        case "gauge":
            # Of what was kept with the number of its event, the value is the last.
            family.add_sample(metric.name, named, values[-1])
        case "histogram":
            *counts, total = values
            bounds = [*map(floatToGoString, metric.buckets), "+Inf"]
            for bound, count in zip(bounds, accumulate(counts), strict=True):
                family.add_sample(f"{metric.name}_bucket", {**named, "le": bound}, count)
            family.add_sample(f"{metric.name}_count", named, sum(counts))
            family.add_sample(f"{metric.name}_sum", named, total)
        case _:
            assert_never(metric.kind)
