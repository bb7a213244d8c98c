"""Whether the runs of pipelines stay within their budgets.

Asked by `overview`, `alerts.watching` and `metrics.exporter`. `verdict_of` is pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from dagster import DagsterInstance

from data_platform.instance.own_tables import has_tables
from data_platform.plan.keys import Key
from data_platform.plan.nodes import Node
from data_platform.reporting.budgets import ERROR_FROM, FEWEST, RUNS, SHORT
from data_platform.reporting.run_spans import Span, spans_of
from data_platform.spec.limits import RunBudget

Grade = Literal["pass", "warn", "fail"]
_ORDER: Sequence[Grade] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Verdict:
    """What is said of the runs of a pipeline.

    Attributes:
        grade: of them; the worst where some of them made other assets than others.
        seconds: the average of the last runs that are alike, of one partition.
        allowed: seconds; None where the budget names none.
        run_id: the newest of them.
        text: what is too much, in words; empty where nothing is.
    """

    grade: Grade
    seconds: float
    allowed: float | None
    run_id: str
    text: str = ""


def verdicts(instance: DagsterInstance, nodes: Iterable[Node]) -> dict[str, Verdict]:
    """What is said of the pipelines of some assets, by name; of those whose runs are known.

    Args:
        instance: Dagster's.
        nodes: all assets of the pipelines.
    """
    budgets: dict[str, RunBudget] = {}
    keys: dict[str, set[Key]] = {}
    for node in nodes:
        if node.run_budget is not None:
            budgets[node.key.pipeline] = node.run_budget
            keys.setdefault(node.key.pipeline, set()).add(node.key)
    if not budgets or not has_tables(instance):
        return {}
    judged = {
        name: verdict_of(budgets[name], spans, keys[name])
        for name, spans in spans_of(instance, budgets).items()
    }
    return {name: verdict for name, verdict in judged.items() if verdict is not None}


def verdict_of(budget: RunBudget, spans: Sequence[Span], keys: AbstractSet[Key]) -> Verdict | None:
    """What is said of runs; None where there is none.

    Runs are held to those that made the same: one that made a part only is no fast one. A run
    counts no more where a later one of another kind made all that it made.

    Args:
        budget: of the pipeline.
        spans: of runs that succeeded, the newest first.
        keys: of the pipeline's assets as they are now.
    """
    found = [_judged(budget, alike) for alike in _kinds(spans, keys).values()]
    return max(found, key=lambda one: (_ORDER.index(one.grade), one.seconds), default=None)


def _kinds(
    spans: Sequence[Span], keys: AbstractSet[Key]
) -> Mapping[tuple[frozenset[Key], int], list[Span]]:
    """Runs by what they made."""
    found: dict[tuple[frozenset[Key], int], list[Span]] = {}
    for span in spans:
        made = span.assets & keys
        kind = made, span.partitions
        if kind in found:
            found[kind].append(span)
        elif made and not any(made <= later for later, _ in found):
            found[kind] = [span]
    return found


def _judged(budget: RunBudget, alike: Sequence[Span]) -> Verdict:
    seconds = [one.seconds / one.partitions for one in alike]
    average = fmean(seconds[:RUNS])
    said = list(_said(budget, seconds, alike[0].partitions))
    grades: list[Grade] = ["pass", *(grade for grade, _ in said)]
    allowed = budget.max_duration.total_seconds() if budget.max_duration else None
    text = "; ".join(text for _, text in said)
    return Verdict(max(grades, key=_ORDER.index), average, allowed, alike[0].run_id, text)


def _said(
    budget: RunBudget, seconds: Sequence[float], partitions: int
) -> Iterator[tuple[Grade, str]]:
    """What is too much.

    Args:
        budget: of the pipeline.
        seconds: of runs that are alike, the newest first.
        partitions: of each of them.
    """
    last = seconds[:RUNS]
    each = " a partition" if partitions > 1 else ""
    if budget.max_duration is not None:
        average, most = fmean(last), budget.max_duration.total_seconds()
        if average > most:
            who = f"the last {len(last)} runs take" if len(last) > 1 else "the last run takes"
            mean = " on average" if len(last) > 1 else ""
            text = f"{who} {average:,.1f} s{each}{mean}, {most:,.0f} s are allowed"
            yield ("fail" if average / most > ERROR_FROM else "warn"), text
    before = seconds[1 : RUNS + 1]
    if len(before) >= FEWEST and seconds[0] > max(SHORT, budget.max_slowdown * median(before)):
        usual = f"{median(before):,.1f} s are usual"
        yield "warn", f"the last run took {seconds[0]:,.1f} s{each}, where {usual}"
