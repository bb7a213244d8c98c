"""Dynamic partitions: keys come from a column or from names of files, and new ones run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from arriving_files import Shop, asked, why_not

SENSOR = "shop_keys"
PIPELINE = """
dynamic:
  customers: {from: raw.customers, column: id}
sources:
  customers: {type: file, path: in/customers.csv, settle: 0s}
  orders:
    type: file
    path: in/orders-{partition_key}.csv
    settle: 0s
    arrival: none
    partitions: {dynamic: customers}
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def shop(tmp_path: Path, instance: dg.DagsterInstance) -> Shop:
    return Shop(tmp_path, instance)


def land(shop: Shop, definitions: dg.Definitions, name: str, partition: str | None = None) -> bool:
    key = dg.AssetKey(["raw", "shop", name])
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection={key})
    return job.execute_in_process(
        instance=shop.instance, partition_key=partition, raise_on_error=False
    ).success


def register(shop: Shop, result: dg.SensorResult) -> None:
    """What Dagster does with the requests of a tick."""
    for request in result.dynamic_partitions_requests or ():
        assert isinstance(request, dg.AddDynamicPartitionsRequest)
        shop.instance.add_dynamic_partitions(
            request.partitions_def_name, list(request.partition_keys)
        )


def test_new_values_of_a_column_are_registered_and_run_once(shop: Shop) -> None:
    shop.declare(PIPELINE)
    definitions = shop.definitions()
    assert "raw/shop/customers isn't published yet" in why_not(shop.tick(SENSOR, definitions))
    shop.put("customers.csv", "id,name\nÄda,x\nBen,y\n,z\nBen,q\n")
    assert land(shop, definitions, "customers")
    assert "2 keys, 2 new: they run with the next look" in why_not(shop.tick(SENSOR, definitions))
    result = shop.tick(SENSOR, definitions)
    assert asked(result) == {
        "orders Ben": "new customers: Ben",
        "orders Äda": "new customers: Äda",
    }
    register(shop, result)
    assert sorted(shop.instance.get_dynamic_partitions("customers")) == ["Ben", "Äda"]
    assert "is as it was" in why_not(shop.tick(SENSOR, definitions))
    shop.put("orders-Ben.csv", "id\n1\n")
    assert land(shop, definitions, "orders", "Ben")
    shop.put("customers.csv", "id,name\nBen,y\nCy,z\n")
    assert land(shop, definitions, "customers")
    assert "2 keys, 1 new" in why_not(shop.tick(SENSOR, definitions))
    again = shop.tick(SENSOR, definitions)
    assert asked(again) == {"orders Cy": "new customers: Cy"}


def test_keys_that_a_lost_tick_registered_run_all_the_same(shop: Shop) -> None:
    shop.declare(PIPELINE)
    definitions = shop.definitions()
    shop.put("customers.csv", "id\nBen\n")
    assert land(shop, definitions, "customers")
    shop.tick(SENSOR, definitions)
    lost = shop.tick_that_is_lost(SENSOR, definitions)
    register(shop, lost)
    kept = shop.tick(SENSOR, definitions)
    assert [r.run_key for r in kept.run_requests or ()] == [
        r.run_key for r in lost.run_requests or ()
    ]


def test_more_keys_than_one_tick_takes_come_with_the_next(shop: Shop) -> None:
    shop.declare(PIPELINE)
    definitions = shop.definitions()
    shop.put("customers.csv", "id\n" + "".join(f"c{number:03}\n" for number in range(130)))
    assert land(shop, definitions, "customers")
    counts = []
    for _ in range(4):
        result = shop.tick(SENSOR, definitions)
        register(shop, result)
        counts.append(len(asked(result)))
    assert counts == [0, 100, 30, 0]
    assert len(shop.instance.get_dynamic_partitions("customers")) == 130


def test_values_that_tell_of_a_person_are_no_keys(shop: Shop) -> None:
    pii = "settle: 0s, columns: {id: {pii: true}}}"
    shop.declare(PIPELINE.replace("settle: 0s}", pii, 1))
    assert "tells of a person" in why_not(shop.tick(SENSOR))


def test_names_of_files_are_keys(shop: Shop) -> None:
    shop.declare(
        "sources:\n  orders:\n    type: file\n    path: in/{partition_key}/orders*.csv\n"
        "    settle: 0s\n    partitions: {dynamic: customers}\n"
    )
    shop.put("Ben/orders-1.csv")
    shop.put("Cy/orders-1.csv")
    definitions = shop.definitions()
    result = shop.tick(definitions=definitions)
    assert asked(result) == {
        "orders Ben": "file landed: orders-1.csv",
        "orders Cy": "file landed: orders-1.csv",
    }
    register(shop, result)
    assert land(shop, definitions, "orders", "Ben")
    shop.put("Ben/orders-2.csv")
    assert list(asked(shop.tick(definitions=definitions))) == ["orders Ben"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "customers: {from: raw.custmers, column: id}",
            "no asset 'raw.custmers'; did you mean raw.customers",
        ),
        (
            "custmers: {from: raw.customers, column: id}",
            "no asset has the partitions {dynamic: custmers}",
        ),
        ("customers: {from: raw.orders, column: id}", "has these partitions itself"),
    ],
)
def test_what_cannot_be_registered_is_a_mistake(shop: Shop, written: str, message: str) -> None:
    shop.declare(PIPELINE.replace("customers: {from: raw.customers, column: id}", written))
    with pytest.raises(AssertionError) as caught:
        shop.loaded()
    assert message in str(caught.value)
