"""A function hands files of the lake to a program outside, and publishes what that gives."""

import pyarrow.parquet as pq
import pytest
from factories import Project
from handwritten_sales import DAYS, Sales

from data_platform.errors import PermanentError
from data_platform.resources import LakeResource

JOB = """\
import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from dagster_pipes import open_dagster_pipes

with open_dagster_pipes() as pipes:
    assert pipes.asset_key == "analytics/countries", pipes.asset_key
    orders = ds.dataset(pipes.get_extra("orders"), format="parquet").to_table()
    result = Path(pipes.get_extra("result"))
    result.mkdir()
    pq.write_table(orders.group_by("country").aggregate([("id", "count")]), result / "one.parquet")
    pipes.report_asset_materialization(metadata={"read": orders.num_rows})
    if pipes.get_extra("fails"):
        sys.exit("the cluster is full")
"""
CODE = """
    import sys
    import pyarrow.dataset as ds
    from data_platform.resources import LakeResource

    @dg.asset(
        key_prefix="analytics", deps=[["staging", "orders"]],
        metadata={{"quality": [{{"row_count": {{"max_rows": {rows}}}}}]}},
    )
    def countries(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        orders, result = lake.files("sales.staging.orders"), lake.scratch() / "countries"
        told = dg.PipesSubprocessClient().run(
            context=context,
            command=[sys.executable, "{job}"],
            extras={{"orders": list(orders.paths), "result": str(result), "fails": {fails}}},
        )
        return dg.MaterializeResult(
            value=ds.dataset(result, format="parquet").scanner().to_reader(),
            metadata=told.get_materialize_result().metadata,
        )
"""


@pytest.fixture
def engine(sales: Sales, lake_place: str):
    """Writes the asset; the program is beside the pipeline."""
    if lake_place != "folder":
        pytest.skip("the program reads files")
    job = sales.folder / "job.py"
    job.write_text(JOB)

    def write(*, rows: int = 3, fails: bool = False) -> None:
        sales.write(CODE.format(job=job, rows=rows, fails=fails))

    write()
    assert sales.run(DAYS, ["raw/orders", "staging/orders"]).success
    return write


def scratch(sales: Sales) -> list[str]:
    root = sales.load().lake().scratch_root
    return [folder.name for folder in root.iterdir()] if root.is_dir() else []


def test_what_a_program_outside_gives_is_audited_and_published(sales: Sales, engine) -> None:
    assert sales.run([], ["analytics/countries"]).success
    rows = sales.rows("SELECT country, id_count FROM sales.analytics.countries ORDER BY ALL")
    assert rows == [("DE", 3), ("FR", 1), (None, 1)]
    assert sales.materialization("analytics/countries").metadata["read"].value == 5
    assert scratch(sales) == []

    engine(rows=2)
    assert not sales.run([], ["analytics/countries"]).success
    assert sales.rows("SELECT count(*) FROM sales.analytics.countries") == [(3,)]
    assert scratch(sales) == []


def test_a_program_that_fails_publishes_nothing(sales: Sales, engine) -> None:
    engine(fails=True)
    result = sales.run([], ["analytics/countries"])
    assert not result.success
    assert sales.versions("analytics/countries") == {}
    assert scratch(sales) == []


def test_files_of_partitions_are_named(project: Project) -> None:
    rows = {day: f"SELECT {number} AS id" for number, day in enumerate(DAYS)}
    project.land_all("staging/sales/orders", rows)
    lake = LakeResource(root=str(project.workbench.lake.root))
    files = lake.files("sales.staging.orders", partitions=DAYS[:2])
    assert files.columns == ("id",)
    assert [path.split("/partition=")[0] for path in files.paths] == [files.root] * 2
    ids = [pq.ParquetFile(path).read()["id"].to_pylist() for path in files.paths]
    assert sorted(ids) == [[0], [1]]
    with pytest.raises(PermanentError, match="no published partition 2030-01-01"):
        lake.files("sales.staging.orders", partitions=["2030-01-01"])
    with pytest.raises(PermanentError, match="has never been published"):
        lake.files("sales.staging.refunds")
