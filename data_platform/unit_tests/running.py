"""Runs one test: the asset's own stage over the rows that are given, and nothing else.

Called by the command's `test` and by the plugin of pytest. What runs is what a run of the pipeline
runs: the statement, functions, contract, rules, quarantine and the count of rows. Only the lake is
another one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from data_platform.analytics.computing import compute as compute_analytics
from data_platform.errors import PlatformError
from data_platform.plan.nodes import AnalyticsNode, PythonNode, StagingNode
from data_platform.quality.gate import Passage
from data_platform.staging.computing import compute as compute_staging
from data_platform.unit_tests.judging import Judgement, judge, judge_error
from data_platform.unit_tests.lake import MASKING_KEY, TestLake, TestWorkbench
from data_platform.unit_tests.planning import PlannedTest

RUN_ID = "unit-test"

ComputeFunction = Callable[[PythonNode, Sequence[str], TestWorkbench], Passage]
"""Computes an asset that a person's function makes; knows Dagster, which such a function needs."""


@dataclass(frozen=True)
class Ran:
    """A test that ran.

    Attributes:
        test: as planned.
        judgement: what is wrong.
        seconds: that it took.
    """

    test: PlannedTest
    judgement: Judgement
    seconds: float


def run_test(test: PlannedTest, compute_function: ComputeFunction) -> Ran:
    """Run a test.

    Args:
        test: planned.
        compute_function: for hand-written assets.
    """
    began = time.perf_counter()
    lake = TestLake(test.given)
    workbench = TestWorkbench(
        lake, threads=1, given=test.parameters, masking_key=lambda: MASKING_KEY, now=test.now
    )
    try:
        passage = _compute(test, workbench, compute_function)
    except PlatformError as error:
        judgement = judge_error(test, str(error))
    except duckdb.Error as error:
        judgement = judge_error(test, " ".join(str(error).split("\n\n")[0].split()))
    else:
        judgement = judge(test, passage, lake)
    return Ran(test, judgement, time.perf_counter() - began)


def statement(test: PlannedTest) -> str | None:
    """The SQL that a test runs; None where a function computes its asset."""
    match test.node:
        case StagingNode() as node:
            return node.sql
        case AnalyticsNode() as node:
            return node.range_sql if node.range_sql and len(test.keys) > 1 else node.sql
        case PythonNode():
            return None


def _compute(
    test: PlannedTest, workbench: TestWorkbench, compute_function: ComputeFunction
) -> Passage:
    metadata = {"run_id": RUN_ID}
    match test.node:
        case StagingNode() as node:
            return compute_staging(node, test.keys, workbench, metadata)
        case AnalyticsNode() as node:
            return compute_analytics(node, test.keys, workbench, metadata)
        case PythonNode() as node:
            return compute_function(node, test.keys, workbench)
