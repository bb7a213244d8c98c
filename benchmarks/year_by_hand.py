"""A year of retail by hand: what the platform's run is measured against.

PostgreSQL to raw, staging and analytics Delta tables to PostgreSQL, as somebody writes it who
knows ADBC, DuckDB and delta-rs and has this one year to carry. No Dagster, nothing imported from
data_platform. `benchmarks/year.py` runs it; by itself:

    python benchmarks/year_by_hand.py --source-url URL --warehouse-url URL --lake DIR --files DIR

It does the work that `pipelines/retail/pipeline.yaml` declares: the same layers, transactions
partitioned by day, unsound lines kept in quarantine, each table checked before the commit that
shows it, each load a DELETE and a COPY in one transaction. It takes the short cuts that one knows
who sees the whole year at once: one statement for all days, lines summed up once for all three
results (a receipt is of one household and one day), and one file instead of 364 for a result of
8,000 rows. It does nothing of what only a platform does: no record of runs, no day that fails
alone, no data version of a day, no lineage.
"""

import argparse
import json
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

START = "2017-01-01"
QUEUE_BATCHES = 4
UNSOUND = """(household_id is null or store_id is null or basket_id is null or product_id is null
    or transaction_timestamp is null or coalesce(quantity < 1, true)
    or coalesce(sales_value < 0, true))"""


@dataclass(frozen=True)
class Written:
    """Data files of a table that nobody sees yet."""

    folder: Path
    schema: pa.Schema
    partition_by: list[str]
    files: list[AddAction]

    @property
    def scan(self) -> str:
        """The files as a table of DuckDB."""
        return scan([str(self.folder / file.path) for file in self.files])


def scan(files: list[str]) -> str:
    if any("/partition=" in file for file in files):
        return f"read_parquet({files}, hive_types = {{'partition': varchar}})"
    return f"read_parquet({files}, hive_partitioning = false)"


class Lake:
    """Delta tables under one folder, written by DuckDB."""

    def __init__(self, root: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.root = root
        self.connection = connection

    def write(self, table: str, query: str, *, by_day: bool = False) -> Written:
        """Write the rows of a query where no reader of the table looks."""
        folder = self.root / table
        folder.mkdir(parents=True, exist_ok=True)
        schema = self.connection.sql(f"from ({query}) limit 0").to_arrow_table().schema
        return self._copy(folder, query, schema, ["partition"] if by_day else [])

    def write_stream(self, table: str, batches: pa.RecordBatchReader, day: str) -> Written:
        """Write rows as they come, partitioned by the day of the timestamp in the column `day`."""
        # The schema is the reader's: asking DuckDB for it would use up the reader.
        folder = self.root / table
        folder.mkdir(parents=True, exist_ok=True)
        self.connection.register("stream", batches)
        query = f"select *, strftime({day}, '%Y-%m-%d') as partition from stream"
        schema = batches.schema.append(pa.field("partition", pa.string()))
        return self._copy(folder, query, schema, ["partition"])

    def _copy(
        self, folder: Path, query: str, schema: pa.Schema, partition_by: list[str]
    ) -> Written:
        options = "format parquet, compression zstd, return_stats true"
        name = uuid.uuid4().hex
        target = folder
        if partition_by:
            options += f", partition_by ({partition_by[0]}), overwrite_or_ignore true"
            options += f", filename_pattern '{name}-{{i}}'"
        else:
            target = folder / f"{name}.parquet"
        self.connection.execute(f"copy ({query}) to '{target}' ({options})")
        now = int(time.time() * 1000)
        files = []
        for filename, rows, size, _, _, keys, _ in self.connection.fetchall():
            path = str(Path(filename).relative_to(folder))
            stats = json.dumps({"numRecords": rows})
            files.append(AddAction(path, size, dict(keys or {}), now, True, stats))  # noqa: FBT003
        return Written(folder, schema, partition_by, files)

    def publish(self, written: Written) -> None:
        """Make the files the table's content, in one commit."""
        uri, schema = str(written.folder), Schema.from_arrow(written.schema)
        if DeltaTable.is_deltatable(uri):
            DeltaTable(uri).create_write_transaction(
                written.files, "overwrite", schema, written.partition_by
            )
        else:
            create_table_with_add_actions(
                uri, schema, written.files, partition_by=written.partition_by
            )

    def read(self, table: str) -> str:
        """The published files of a table, as a table of DuckDB."""
        return scan(DeltaTable(str(self.root / table)).file_uris())


def read_source(url: str, end: str) -> Iterator[pa.RecordBatch | pa.Schema]:
    """The schema, then the batches of the year, read ahead by a thread of its own."""
    ahead: queue.Queue[pa.RecordBatch | pa.Schema | BaseException | None]
    ahead = queue.Queue(QUEUE_BATCHES)

    def read() -> None:
        try:
            with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
                # No bound parameters: with them ADBC can't COPY, and libpq holds the whole year.
                cursor.execute(
                    f"""select * from public.transactions
                        where transaction_timestamp >= timestamp '{START}'
                        and transaction_timestamp < timestamp '{end}'"""
                )
                reader = cursor.fetch_record_batch()
                ahead.put(reader.schema)
                for batch in reader:
                    ahead.put(batch)
            ahead.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again by the other thread
            ahead.put(error)

    threading.Thread(target=read, daemon=True).start()
    while (item := ahead.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item


def raw_transactions(lake: Lake, source_url: str, end: str) -> int:
    items = read_source(source_url, end)
    batches = pa.RecordBatchReader.from_batches(next(items), items)
    written = lake.write_stream("raw/transactions", batches, "transaction_timestamp")
    lake.publish(written)
    return sum(json.loads(file.stats)["numRecords"] for file in written.files)


def raw_and_staging_files(lake: Lake, files: Path) -> None:
    for table, query, key, required in (
        ("products", f"from '{files}/products*.parquet'", "product_id", "department"),
        ("demographics", f"from '{files}/demographics.csv'", "household_id", "income"),
    ):
        lake.publish(lake.write(f"raw/{table}", query))
        staged = lake.write(f"staging/{table}", f"from {lake.read(f'raw/{table}')}")
        refuse_if(
            lake,
            f"""select {key}, {required} from {staged.scan} group by all
                having count(*) > 1 or {key} is null or {required} is null""",
        )
        lake.publish(staged)


def staging_transactions(lake: Lake) -> dict[str, int]:
    raw = lake.read("raw/transactions")
    staged = lake.write(
        "staging/transactions",
        f"""select * exclude (week) replace (
                cast(sales_value as decimal(12, 2)) as sales_value,
                cast(retail_disc as decimal(12, 2)) as retail_disc,
                cast(coupon_disc as decimal(12, 2)) as coupon_disc,
                cast(coupon_match_disc as decimal(12, 2)) as coupon_match_disc
            ),
            cast(
                cast(retail_disc as decimal(12, 2)) + cast(coupon_disc as decimal(12, 2))
                as decimal(13, 2)
            ) as discount
        from {raw} where not {UNSOUND}""",
        by_day=True,
    )
    quarantined = lake.write("quarantine/transactions", f"from {raw} where {UNSOUND}")
    refuse_if(
        lake,
        f"""select partition, basket_id, product_id from {staged.scan}
            group by all having count(*) > 1""",
    )
    unknown = lake.connection.execute(
        f"""select count(*) from {staged.scan}
            where product_id not in (select product_id from {lake.read("staging/products")})"""
    ).fetchone()
    sound, unsound = rows_of(staged), rows_of(quarantined)
    if unsound > 0.03 * (sound + unsound):
        raise SystemExit(f"{unsound} of {sound + unsound} rows are unsound")
    lake.publish(quarantined)
    lake.publish(staged)
    return {"staging": sound, "quarantined": unsound, "unknown_product": unknown[0]}


def analytics(lake: Lake, end: str) -> None:
    # A receipt is of one household and one day, so its sums by department serve all three tables.
    lake.connection.execute(
        f"""create temp table receipts as
        select cast(t.partition as date) as day, coalesce(p.department, 'UNKNOWN') as department,
            t.basket_id, t.household_id,
            cast(sum(t.sales_value) as decimal(18, 2)) as revenue,
            cast(sum(t.quantity) as bigint) as units
        from {lake.read("staging/transactions")} t
        left join {lake.read("staging/products")} p on p.product_id = t.product_id
        group by all"""
    )
    daily = """select day, department, cast(sum(revenue) as decimal(18, 2)) as revenue,
            cast(sum(units) as bigint) as units, count(distinct basket_id) as baskets,
            count(distinct household_id) as households
        from receipts group by all"""
    weekly = f"""select cast(day + days.after as date) as day, department,
            cast(sum(revenue) as decimal(18, 2)) as revenue, cast(sum(units) as bigint) as units,
            cast(sum(baskets) as bigint) as baskets, count(distinct household_id) as households
        from (select day, department, household_id, sum(revenue) as revenue, sum(units) as units,
                count(*) as baskets from receipts group by all),
            (select cast(unnest(range(7)) as integer) as after) as days
        where day + days.after < date '{end}' group by all"""
    customers = f"""select coalesce(d.income, 'unknown') as income,
            count(distinct household_id) as households, count(distinct basket_id) as baskets,
            cast(sum(revenue) as decimal(18, 2)) as spend,
            cast(round(sum(revenue) / count(distinct basket_id), 2) as decimal(18, 2))
                as mean_basket
        from receipts left join {lake.read("staging/demographics")} d using (household_id)
        group by all"""
    publish_result(lake, "daily_revenue", daily, "day, department")
    publish_result(lake, "weekly_revenue", weekly, "day, department")
    publish_result(lake, "customer_metrics", customers, "income")


def publish_result(lake: Lake, name: str, query: str, key: str) -> None:
    written = lake.write(f"analytics/{name}", query)
    refuse_if(lake, f"select {key} from {written.scan} group by all having count(*) > 1")
    if name == "daily_revenue":
        refuse_if(
            lake,
            f"""select * from (select day, sum(revenue) as got from {written.scan} group by 1)
                full join (select cast(partition as date) as day, sum(sales_value) as expected
                    from {lake.read("staging/transactions")} group by 1) using (day)
                where got is distinct from expected""",
        )
    lake.publish(written)


def load_warehouse(lake: Lake, url: str) -> None:
    counts = {"baskets": "bigint", "households": "bigint"}
    revenue = {"day": "date", "department": "text", "revenue": "numeric(18, 2)", "units": "bigint"}
    money = {"spend": "numeric(18, 2)", "mean_basket": "numeric(18, 2)"}
    tables = {
        "daily_revenue": revenue | counts,
        "weekly_revenue": revenue | counts,
        "customer_metrics": {"income": "text"} | counts | money,
    }
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists analytics")
        for name, columns in tables.items():
            ddl = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            cursor.execute(f"create table if not exists analytics.{name} ({ddl})")
            cursor.execute(f"delete from analytics.{name}")
            rows = lake.connection.sql(
                f"select {', '.join(columns)} from {lake.read(f'analytics/{name}')}"
            ).to_arrow_reader()
            cursor.adbc_ingest(name, rows, mode="append", db_schema_name="analytics")
            connection.commit()


def refuse_if(lake: Lake, query: str) -> None:
    found = lake.connection.execute(f"from ({query}) limit 5").fetchall()
    if found:
        raise SystemExit(f"Not published, rows that break a rule: {found}")


def rows_of(written: Written) -> int:
    return sum(json.loads(file.stats)["numRecords"] for file in written.files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source-url", required=True)
    parser.add_argument("--warehouse-url", required=True)
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--end", default="2018-01-01", help="the day after the last one")
    arguments = parser.parse_args()

    seconds: dict[str, float] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - start, 3)

    connection = duckdb.connect(config={"memory_limit": "1GB"})
    lake = Lake(arguments.lake.absolute(), connection)
    rows: dict[str, int] = {}
    with phase("raw_transactions"):
        rows["raw"] = raw_transactions(lake, arguments.source_url, arguments.end)
    with phase("raw_and_staging_files"):
        raw_and_staging_files(lake, arguments.files)
    with phase("staging_transactions"):
        rows |= staging_transactions(lake)
    with phase("analytics"):
        analytics(lake, arguments.end)
    with phase("load"):
        load_warehouse(lake, arguments.warehouse_url)
    revenue = connection.execute(
        f"select sum(revenue) from {lake.read('analytics/daily_revenue')}"
    ).fetchone()
    print(json.dumps({"rows": rows, "revenue": str(revenue[0]), "seconds": seconds}))


if __name__ == "__main__":
    main()
