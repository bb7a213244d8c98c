"""A pool bounds how many steps of sources ask at once, over all runs."""

import threading
import time

import dagster as dg
from dagster_steps import assets_of, run_assets
from factories import Project

from data_platform.instance.pool_limits import apply_limits

OTHER_RUN = "00000000-0000-4000-8000-000000000000"


def test_a_source_waits_while_another_run_has_the_pools_only_slot(
    project: Project, instance: dg.DagsterInstance
) -> None:
    path = project.declare(
        "sources:\n  orders: {type: python, function: 'quick:fetch', pool: database}\n"
    )
    calls = path.with_name("calls")
    path.with_name("quick.py").write_text(
        "import pathlib\n\ndef fetch():\n"
        f"    pathlib.Path({str(calls)!r}).touch()\n    return [{{'id': 1}}]\n"
    )
    apply_limits(instance, {"database": 1}, "lake")
    storage = instance.event_log_storage
    assert storage.claim_concurrency_slot("database", OTHER_RUN, "other").is_claimed
    results: list[dg.ExecuteInProcessResult] = []
    thread = threading.Thread(
        target=lambda: results.append(run_assets(project, instance, "raw/orders"))
    )
    thread.start()
    deadline = time.monotonic() + 60
    while not storage.get_concurrency_info("database").pending_step_count:
        assert time.monotonic() < deadline, "nobody waits for the slot"
        time.sleep(0.05)
    assert not calls.exists()
    storage.free_concurrency_slots_for_run(OTHER_RUN)
    thread.join(200)
    assert results[0].success
    assert calls.exists()
    assert storage.get_concurrency_info("database").active_slot_count == 0


def test_steps_of_a_connection_are_in_the_pool_of_its_name(project: Project) -> None:
    project.platform(
        "connections:\n  shop: {type: database, url: postgresql://nowhere}\n"
        "  other: {type: database, url: postgresql://nowhere}\npools: {shop: 2, heavy: 1}\n"
    )
    project.declare(
        "sources:\n"
        "  orders: {type: database, connection: shop, table: a, partitions: none}\n"
        "  large: {type: database, connection: shop, table: b, partitions: none, pool: heavy}\n"
        "  free: {type: database, connection: other, table: c, partitions: none}\n"
        "staging:\n  orders: {from: raw.orders, columns: {id: {type: bigint}}}\n"
        "destinations:\n"
        "  out: {from: staging.orders, type: database, connection: shop, table: out}\n"
    )
    nodes = project.build().plan.nodes
    assert {node.key.name: node.pool for node in nodes if node.key.layer != "staging"} == {
        "orders": "shop",
        "large": "heavy",
        "free": None,
        "out": "shop",
    }
    [asset] = assets_of(project, "destinations/out")
    assert asset.op.pool == "shop"
