"""A pool bounds how many steps of sources ask at once, over all runs."""

import threading
import time

import dagster as dg
from dagster_steps import run_assets
from factories import Project

from data_platform.automation.pools import apply_limits

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
    apply_limits(instance, {"database": 1})
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
    thread.join(60)
    assert results[0].success
    assert calls.exists()
    assert storage.get_concurrency_info("database").active_slot_count == 0
