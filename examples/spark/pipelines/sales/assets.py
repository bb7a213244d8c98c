"""Products that are bought together: more pairs than one machine holds, so Spark counts them."""

import os
import sys
from pathlib import Path

import dagster as dg
import pyarrow.dataset as ds

from data_platform.resources import LakeResource

JOB = Path(__file__).parent / "spark" / "bought_together.py"
SPARK = os.environ.get("SPARK_PYTHON", sys.executable)
"""A Python with pyspark: it needs nothing of the platform's but dagster-pipes."""


@dg.asset(
    deps=[["staging", "lines"]],
    metadata={
        "columns": {
            "product": {"type": "varchar", "nullable": False},
            "other": {"type": "varchar", "nullable": False},
            "baskets": {"type": "bigint", "nullable": False, "min": 1},
        },
        "quality": [{"row_count": {"min_rows": 1}}],
    },
)
def bought_together(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    """In how many baskets two products are together."""
    lines, result = lake.files("sales.staging.lines"), lake.scratch() / "pairs"
    told = dg.PipesSubprocessClient().run(
        context=context,
        command=[SPARK, str(JOB)],
        extras={"lines": list(lines.paths), "result": str(result)},
    )
    # Read file by file while the rules judge it, and published only if they pass.
    pairs = ds.dataset(result, format="parquet").scanner().to_reader()
    return dg.MaterializeResult(value=pairs, metadata=told.get_materialize_result().metadata)
