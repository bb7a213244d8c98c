"""The first days of the year as it is usually written with pandas.

    year_in_pandas.py SOURCE_URL WAREHOUSE_URL FILES LAKE DAYS

Pages of LIMIT and OFFSET, Parquet files by day, masks and groupby, `to_sql`. It makes the layers
and the tables that the pipeline `retail` makes, with the same rules; nothing becomes visible at
once, so a reader may see half of it.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import sqlalchemy
from moving import moving

PAGE = 50_000
FIRST = date(2017, 1, 1)
KEYS = ["household_id", "store_id", "basket_id", "product_id"]
_QUERY = """
SELECT * FROM transactions WHERE transaction_timestamp >= :first AND transaction_timestamp < :end
ORDER BY transaction_timestamp, basket_id, product_id LIMIT :page OFFSET :offset
"""


def read(url: str, end: date) -> pd.DataFrame:
    pages: list[pd.DataFrame] = []
    with sqlalchemy.create_engine(url).connect() as connection:
        while not pages or len(pages[-1]) == PAGE:
            given = {"first": FIRST, "end": end, "page": PAGE, "offset": len(pages) * PAGE}
            pages.append(pd.read_sql(sqlalchemy.text(_QUERY), connection, params=given))
    return pd.concat(pages, ignore_index=True)


def write_by_day(rows: pd.DataFrame, folder: Path) -> None:
    for day, of_day in rows.groupby(rows.transaction_timestamp.dt.date):
        (folder / f"partition={day}").mkdir(parents=True)
        of_day.to_parquet(folder / f"partition={day}" / "data.parquet", compression="zstd")


def staged(rows: pd.DataFrame, products: pd.DataFrame, lake: Path) -> pd.DataFrame:
    rows = rows.drop(columns="week")
    rows["discount"] = (rows.retail_disc + rows.coupon_disc).round(2)
    broken = rows[[*KEYS, "transaction_timestamp"]].isna().any(axis=1)
    broken |= ~(rows.quantity >= 1) | ~(rows.sales_value >= 0)
    write_by_day(rows[broken], lake / "quarantine" / "transactions")
    sound = rows[~broken]
    if sound.duplicated(["basket_id", "product_id"]).any():
        raise SystemExit("duplicates")
    unknown = ~sound.product_id.isin(products.product_id)
    print(f"{unknown.sum()} lines of unknown products")
    write_by_day(sound, lake / "staging" / "transactions")
    return sound


def by_department(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(["day", "department"], as_index=False).agg(
        revenue=("sales_value", "sum"),
        units=("quantity", "sum"),
        baskets=("basket_id", "nunique"),
        households=("household_id", "nunique"),
    )


def weekly(rows: pd.DataFrame, days: list[date]) -> pd.DataFrame:
    windows = []
    for day in days:
        within = rows[(rows.day > day - timedelta(days=7)) & (rows.day <= day)]
        windows.append(by_department(within.assign(day=day)))
    return pd.concat(windows, ignore_index=True)


def customers(rows: pd.DataFrame, demographics: pd.DataFrame) -> pd.DataFrame:
    known = rows.merge(demographics[["household_id", "income"]], "left", "household_id")
    known["income"] = known.income.fillna("unknown")
    found = known.groupby("income", as_index=False).agg(
        households=("household_id", "nunique"),
        baskets=("basket_id", "nunique"),
        spend=("sales_value", "sum"),
    )
    return found.assign(mean_basket=(found.spend / found.baskets).round(2))


def main() -> None:
    source, warehouse, files, lake, days = sys.argv[1:]
    end = FIRST + timedelta(days=int(days))
    with moving():
        rows = read(source, end)
        write_by_day(rows, Path(lake) / "raw" / "transactions")
        parts = [pd.read_parquet(file) for file in sorted(Path(files).glob("products*.parquet"))]
        products = pd.concat(parts, ignore_index=True)
        demographics = pd.read_csv(Path(files) / "demographics.csv")
        sound = staged(rows, products, Path(lake))
        sound = sound.merge(products[["product_id", "department"]], "left", "product_id")
        sound["department"] = sound.department.fillna("UNKNOWN")
        sound["day"] = sound.transaction_timestamp.dt.date
        every = [FIRST + timedelta(days=number) for number in range(int(days))]
        results = {
            "daily_revenue": by_department(sound),
            "weekly_revenue": weekly(sound, every),
            "customer_metrics": customers(sound, demographics),
        }
        engine = sqlalchemy.create_engine(warehouse)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE SCHEMA IF NOT EXISTS analytics"))
        for name, result in results.items():
            result.to_parquet(Path(lake) / f"{name}.parquet", compression="zstd")
            result.to_sql(
                name, engine, schema="analytics", index=False, if_exists="replace", method="multi"
            )


if __name__ == "__main__":
    main()
