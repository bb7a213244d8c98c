"""Column lineage as Dagster keeps it: with the newest materialization of each step."""

import dagster as dg
import pytest
from dagster_records import key_of, materializations
from retail_platform import RetailPlatform, days

from data_platform.run_reports import RunReport

Built = tuple[RetailPlatform, RunReport]
LINEAGE = "dagster/column_lineage"
FOLLOWED = ["staging/transactions", "staging/products", "analytics/daily_revenue",
            "analytics/weekly_revenue", "destinations/daily_revenue"]  # fmt: skip


def lineage(platform: RetailPlatform, asset: str) -> dict[str, set[tuple[str, str]]]:
    """The columns of upstreams, by column."""
    recorded = materializations(platform, asset)
    [newest] = recorded[max(recorded)]
    value = newest.metadata[LINEAGE].value
    assert isinstance(value, dg.TableColumnLineage)
    return {
        name: {(each.asset_key.to_user_string(), each.column_name) for each in found}
        for name, found in value.deps_by_column.items()
    }


def test_lineage_names_columns_of_upstreams(built: Built) -> None:
    platform, _ = built
    assert lineage(platform, "analytics/daily_revenue") == {
        "day": set(),
        "department": {("staging/retail/products", "department")},
        "revenue": {("staging/retail/transactions", "sales_value")},
        "units": {("staging/retail/transactions", "quantity")},
        "baskets": {("staging/retail/transactions", "basket_id")},
        "households": {("staging/retail/transactions", "household_id")},
    }
    staging = lineage(platform, "staging/transactions")
    assert staging["discount"] == {
        ("raw/retail/transactions", "retail_disc"),
        ("raw/retail/transactions", "coupon_disc"),
    }
    assert lineage(platform, "destinations/daily_revenue")["revenue"] == {
        ("analytics/retail/daily_revenue", "revenue")
    }


def test_columns_that_no_contract_names_are_known_after_a_run(built: Built) -> None:
    platform, _ = built
    assert lineage(platform, "staging/products")["brand"] == {("raw/retail/products", "brand")}


@pytest.mark.parametrize("asset", FOLLOWED)
def test_every_column_of_it_is_one_that_was_read(built: Built, asset: str) -> None:
    platform, _ = built
    for found in lineage(platform, asset).values():
        for key, column in found:
            layer, _, name = key.split("/")
            snapshot = platform.snapshot(f"{layer}/{name}")
            assert snapshot is not None
            assert column in snapshot.schema.names


@pytest.mark.parametrize("asset", FOLLOWED)
def test_columns_are_those_that_were_written(built: Built, asset: str) -> None:
    platform, _ = built
    snapshot = platform.snapshot(asset.replace("destinations", "analytics"))
    assert snapshot is not None
    assert sorted(lineage(platform, asset)) == sorted(snapshot.schema.names)


def test_a_range_says_it_once(built: Built) -> None:
    platform, _ = built
    for key, [found] in materializations(platform, "analytics/daily_revenue").items():
        assert (LINEAGE in found.metadata) == (key == days()[-1])


def test_people_see_it_as_a_table(built: Built) -> None:
    platform, _ = built
    [found] = materializations(platform, "analytics/daily_revenue")[days()[-1]]
    text = str(found.metadata["lineage"].value)
    assert "| revenue | staging/retail/transactions.sales_value |" in text
    assert "- group key: staging/retail/products.department" in text
    assert "- join key: staging/retail/products.product_id" in text


def test_raw_has_no_upstream_to_name(built: Built) -> None:
    platform, _ = built
    [found] = materializations(platform, "raw/transactions")[days()[-1]]
    assert LINEAGE not in found.metadata
    assert (
        key_of("raw/transactions")
        in platform.definitions.resolve_asset_graph().get_all_asset_keys()
    )
