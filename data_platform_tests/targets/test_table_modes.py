"""The five ways to write a table in PostgreSQL, whatever is in it already."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from table_loads import DAY, NEXT_DAY, THIRD_DAY, Loads, Rows

from data_platform.engine.session import open_session
from data_platform.errors import StorageError
from data_platform.plan.schemas import Masking
from data_platform.targets.deliveries import LoadedRows

ONE = "SELECT 1 AS id, 'x' AS name"
TWO = "SELECT 2 AS id, 'y' AS name"
ONE_CHANGED = "SELECT 1 AS id, 'z' AS name"
NOBODY = "SELECT 1 AS id, 'x' AS name LIMIT 0"


class TestMerge:
    @pytest.fixture
    def merged(self, loads: Loads) -> Loads:
        return loads.given("merge", keys=("id",))

    @pytest.fixture
    def daily(self, loads: Loads) -> Loads:
        return loads.daily("merge", keys=("id",))

    def test_new_rows_are_added_and_known_ones_changed(self, merged: Loads) -> None:
        merged.bring(f"{ONE} UNION ALL {TWO}")
        merged.bring(f"{ONE_CHANGED} UNION ALL SELECT 3, NULL")
        assert merged.ask() == [(1, "z"), (2, "y"), (3, None)]

    def test_the_same_version_is_no_load(self, merged: Loads) -> None:
        assert merged.bring(ONE) == [""]
        assert merged.bring(ONE) == []

    def test_the_latest_partition_stands_in_whatever_order_they_come(self, daily: Loads) -> None:
        daily.bring({NEXT_DAY: ONE_CHANGED})
        daily.bring({DAY: f"{ONE} UNION ALL {TWO}"})
        assert daily.ask() == [(1, "z", NEXT_DAY), (2, "y", DAY)]
        assert daily.held() == {NEXT_DAY: 1, DAY: 2}

    def test_partitions_of_one_load_may_have_the_same_keys(self, daily: Loads) -> None:
        daily.bring({NEXT_DAY: ONE_CHANGED, DAY: ONE, THIRD_DAY: TWO})
        assert daily.ask() == [(1, "z", NEXT_DAY), (2, "y", THIRD_DAY)]

    def test_a_row_that_left_its_partition_stays(self, daily: Loads) -> None:
        daily.bring({DAY: f"{ONE} UNION ALL {TWO}"})
        daily.bring({DAY: TWO})
        assert daily.ask() == [(1, "x", DAY), (2, "y", DAY)]

    def test_an_empty_partition_changes_nothing_and_is_noted(self, daily: Loads) -> None:
        daily.bring({DAY: ONE})
        assert daily.bring({NEXT_DAY: NOBODY}) == [NEXT_DAY]
        assert daily.held() == {DAY: 1, NEXT_DAY: 0}

    def test_the_same_keys_twice_in_a_partition_are_refused_with_an_example(
        self, daily: Loads
    ) -> None:
        daily.bring({DAY: ONE})
        with pytest.raises(StorageError, match="2 rows of one partition have the keys id = 2, "):
            daily.bring({NEXT_DAY: f"{TWO} UNION ALL {TWO}"})
        assert daily.ask() == [(1, "x", DAY)]
        assert daily.held() == {DAY: 1}

    def test_an_example_tells_nothing_of_a_person(self, merged: Loads) -> None:
        merged.masking = Masking(frozenset({"id"}))
        with pytest.raises(StorageError, match=r"have the keys id = \(hidden\), "):
            merged.bring(f"{TWO} UNION ALL {TWO}")

    def test_rows_without_keys_are_refused(self, merged: Loads) -> None:
        with pytest.raises(StorageError, match="1 rows have no value of id"):
            merged.bring("SELECT NULL::INTEGER AS id, 'x' AS name")

    def test_all_columns_may_be_keys(self, loads: Loads) -> None:
        merged = loads.given("merge", keys=("id", "name"))
        merged.bring(ONE)
        merged.bring(f"{ONE} UNION ALL {ONE_CHANGED}")
        assert merged.ask("SELECT * FROM shop.orders ORDER BY 2") == [(1, "x"), (1, "z")]

    def test_a_table_that_is_there_gets_a_unique_index_once(self, loads: Loads) -> None:
        loads.bring(ONE)
        merged = loads.given("merge", keys=("id",))
        merged.bring(ONE_CHANGED)
        assert merged.said == ["made a unique index on id"]
        merged.bring(TWO)
        assert merged.said == ["made a unique index on id"]
        assert merged.ask() == [(1, "z"), (2, "y")]

    def test_a_table_with_the_same_key_twice_is_refused(self, loads: Loads) -> None:
        loads.bring(f"{ONE} UNION ALL {ONE_CHANGED}")
        with pytest.raises(StorageError, match=r"rows with the same keys, 2 of id = 1: `merge`"):
            loads.given("merge", keys=("id",)).bring(TWO)

    def test_keys_that_the_rows_lack_are_refused(self, loads: Loads) -> None:
        with pytest.raises(StorageError, match="the rows have no column number"):
            loads.given("merge", keys=("number",)).bring(ONE)

    def test_a_timestamp_tells_the_partition_by_its_day(self, loads: Loads) -> None:
        daily = loads.daily("merge", keys=("id",), partition_column="at")
        row = "SELECT 1 AS id, TIMESTAMP '{}' AS at"
        daily.bring({DAY: row.format(f"{DAY} 10:00:00")})
        daily.bring({DAY: row.format(f"{DAY} 09:00:00")})
        assert daily.ask("SELECT at::text FROM shop.orders") == [(f"{DAY} 09:00:00",)]


class TestAppend:
    def test_each_partition_is_added_once(self, loads: Loads) -> None:
        daily = loads.daily("append")
        assert daily.bring({DAY: ONE}) == [DAY]
        assert daily.bring({DAY: ONE, NEXT_DAY: TWO}) == [NEXT_DAY]
        assert daily.ask() == [(1, "x", DAY), (2, "y", NEXT_DAY)]

    def test_rows_of_others_stay(self, loads: Loads) -> None:
        loads.execute("CREATE SCHEMA shop", "CREATE TABLE shop.orders (id int, name text)")
        loads.execute("INSERT INTO shop.orders VALUES (7, 'theirs')")
        loads.given("append").bring(ONE)
        assert loads.ask() == [(1, "x"), (7, "theirs")]

    def test_a_changed_partition_is_refused_with_advice_that_works(self, loads: Loads) -> None:
        daily = loads.daily("append")
        daily.bring({DAY: ONE, NEXT_DAY: TWO})
        with pytest.raises(StorageError, match=f"partition {DAY} was added before") as caught:
            daily.bring({DAY: ONE_CHANGED, THIRD_DAY: TWO})
        assert daily.ask() == [(1, "x", DAY), (2, "y", NEXT_DAY)]
        daily.execute(*str(caught.value).partition("run: ")[2].split("; "))
        assert daily.bring({DAY: ONE_CHANGED, THIRD_DAY: TWO}) == [DAY, THIRD_DAY]
        assert daily.ask("SELECT name FROM shop.orders WHERE id = 1") == [("z",)]

    def test_an_asset_without_partitions_is_added_once(self, loads: Loads) -> None:
        added = loads.given("append")
        added.bring(ONE)
        assert added.bring(ONE) == []
        with pytest.raises(StorageError, match=r"its rows were added before.*`write: replace`"):
            added.bring(ONE_CHANGED)


class TestCreate:
    def test_it_makes_its_table_and_the_same_version_is_no_load(self, loads: Loads) -> None:
        made = loads.given("create")
        assert made.bring(ONE) == [""]
        assert made.bring(ONE) == []
        assert made.ask() == [(1, "x")]

    def test_a_table_of_somebody_else_is_refused_and_left_alone(self, loads: Loads) -> None:
        loads.execute("CREATE SCHEMA shop", "CREATE TABLE shop.orders (id int)")
        with pytest.raises(StorageError, match=r"shop\.orders is there already, and `create`"):
            loads.given("create").bring(ONE)
        assert loads.form() == [("id", "integer", False)]

    def test_a_changed_version_is_refused(self, loads: Loads) -> None:
        made = loads.given("create")
        made.bring(ONE)
        with pytest.raises(StorageError, match="`create` adds each once"):
            made.bring(ONE_CHANGED)
        assert made.ask() == [(1, "x")]

    def test_further_partitions_are_added(self, loads: Loads) -> None:
        daily = loads.daily("create")
        daily.bring({DAY: ONE})
        daily.bring({NEXT_DAY: TWO})
        assert daily.ask() == [(1, "x", DAY), (2, "y", NEXT_DAY)]


class Reading:
    """Judges that all is well, and keeps what it was shown."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.found: Rows = []
        self.others: Rows = []

    def __call__(self, rows: LoadedRows, keys: Sequence[str]) -> bool:
        with open_session(self._scratch, [], "100MB") as session:
            rows.keep(session, "held", keys, {"name"})
            self.found = session.rows("SELECT name, _partition FROM held ORDER BY 1")
            if rows.keep_others(session, "others", keys, {"id"}):
                self.others = session.rows("SELECT id, _partition FROM others ORDER BY 1")
        return True


class TestOwnPartitionColumns:
    """Rows of a partition are found by a column of the rows themselves, of any type."""

    @pytest.mark.parametrize(
        ("write", "value", "timezone"),
        [
            ("replace_partition", "DATE '{}'", "UTC"),
            ("replace_partition", "'{}'", "UTC"),
            ("replace_partition", "TIMESTAMP '{} 13:45:00'", "UTC"),
            ("replace_partition", "TIMESTAMP '{} 23:59:59.999999'", "Europe/Berlin"),
            ("replace_partition", "TIMESTAMPTZ '{} 00:30:00+01'", "Europe/Berlin"),
            ("merge", "DATE '{}'", "UTC"),
            ("merge", "TIMESTAMPTZ '{} 00:30:00+01'", "Europe/Berlin"),
            ("append", "TIMESTAMP '{} 13:45:00'", "UTC"),
        ],
    )
    def test_only_rows_of_the_partition_are_touched_and_judged(
        self, loads: Loads, value: str, timezone: str, write: str, tmp_path: Path
    ) -> None:
        loads.timezone = timezone
        keys = {"keys": ("id",)} if write == "merge" else {}
        daily = loads.daily(write, partition_column="day", **keys)

        def row(number: int, day: str, name: str) -> str:
            return f"SELECT {number} AS id, '{name}' AS name, {value.format(day)} AS day"

        days = {DAY: row(1, DAY, "x"), NEXT_DAY: row(2, NEXT_DAY, "y")}
        assert daily.bring(days) == [DAY, NEXT_DAY]
        judge = Reading(tmp_path)
        if write == "append":
            assert daily.bring(days) == []
        else:
            changed = {**days, NEXT_DAY: row(2, NEXT_DAY, "z")}
            assert daily.bring(changed, judge) == [NEXT_DAY]
            assert judge.found == [("z", NEXT_DAY)]
            assert judge.others == [(1, DAY)]
        names = ["x", "y" if write == "append" else "z"]
        found = daily.ask("SELECT name FROM shop.orders ORDER BY id")
        assert found == [(name,) for name in names]

    def test_a_key_may_go_into_a_column_of_dates_that_is_there(self, loads: Loads) -> None:
        loads.execute("CREATE SCHEMA shop", "CREATE TABLE shop.orders (id int, _partition date)")
        daily = loads.daily()
        daily.bring({DAY: "SELECT 1 AS id", NEXT_DAY: "SELECT 2 AS id"})
        daily.bring({DAY: "SELECT 3 AS id"})
        found = daily.ask("SELECT id, _partition::text FROM shop.orders ORDER BY 1")
        assert found == [(2, NEXT_DAY), (3, DAY)]
