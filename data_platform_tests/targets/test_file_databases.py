"""Tables in files of SQLite and of DuckDB: the same ways to write as in PostgreSQL."""

from pathlib import Path

import pytest
import test_table_modes as modes
from file_loads import KINDS, FileLoads, loads_in
from table_loads import DAY, Loads

from data_platform.errors import StorageError


@pytest.fixture(params=KINDS)
def loads(request: pytest.FixtureRequest, tmp_path: Path) -> FileLoads:
    return loads_in(request.param, tmp_path)


class TestMerge(modes.TestMerge):
    def test_a_timestamp_tells_the_partition_by_its_day(self, loads: Loads) -> None:
        daily = loads.daily("merge", keys=("id",), partition_column="at")
        row = "SELECT 1 AS id, TIMESTAMP '{}' AS at"
        daily.bring({DAY: row.format(f"{DAY} 10:00:00")})
        daily.bring({DAY: row.format(f"{DAY} 09:00:00")})
        found = daily.ask('SELECT substr(CAST("at" AS TEXT), 1, 19) FROM shop.orders')
        assert found == [(f"{DAY} 09:00:00",)]


class TestAppend(modes.TestAppend):
    pass


class TestCreate(modes.TestCreate):
    def test_a_table_of_somebody_else_is_refused_and_left_alone(self, loads: Loads) -> None:
        loads.execute("CREATE SCHEMA shop", "CREATE TABLE shop.orders (id integer)")
        with pytest.raises(StorageError, match=r"orders is there already, and `create`"):
            loads.given("create").bring(modes.ONE)
        assert loads.form() == [("id", "integer", False)]


class TestOwnPartitionColumns(modes.TestOwnPartitionColumns):
    pass
