"""What the retail pipeline computes in pandas."""

import dagster as dg
import pandas as pd

MONEY = "decimal(18,2)"


@dg.asset(
    key_prefix="analytics",
    ins={
        "transactions": dg.AssetIn(
            key=["staging", "transactions"],
            metadata={"columns": ["household_id", "basket_id", "sales_value"]},
        ),
        "demographics": dg.AssetIn(
            key=["staging", "demographics"], metadata={"columns": ["household_id", "income"]}
        ),
    },
    metadata={
        "columns": {
            "income": {
                "type": "varchar",
                "nullable": False,
                "unique": True,
                "description": "Yearly income, in bands of thousand dollars.",
            },
            "households": {"type": "bigint", "description": "How many of them bought."},
            "baskets": {"type": "bigint", "description": "Visits to a store."},
            "spend": {"type": MONEY, "min": 0, "description": "What they paid, in dollars."},
            "mean_basket": {"type": MONEY, "description": "Spend of a visit, in dollars."},
        },
        "freshness": {"warn_after": "1d", "fail_after": "2d"},
    },
)
def customer_metrics(transactions: pd.DataFrame, demographics: pd.DataFrame) -> pd.DataFrame:
    """Households, baskets and spend of each income band over all days."""
    sold = transactions.merge(demographics, on="household_id", how="left")
    sold["income"] = sold["income"].fillna("unknown")
    metrics = sold.groupby("income").agg(
        households=("household_id", "nunique"),
        baskets=("basket_id", "nunique"),
        spend=("sales_value", "sum"),
    )
    mean = metrics["spend"].astype("float64") / metrics["baskets"]
    return metrics.assign(mean_basket=mean.round(2))
