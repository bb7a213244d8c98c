"""`timeout`: what a step does outside really ends, nothing half-written stays, and it is told."""

import os
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import closing

import dagster as dg
import psycopg2
import pytest
from dagster._core.test_utils import create_run_for_test
from dagster_steps import failure_of, materialized, retries_of, run_assets
from factories import Project

from data_platform.errors import TimedOut
from data_platform.instance.worker import RunWorker
from data_platform.reporting import tries

SLEEPING = "SELECT 1 AS id, pg_sleep(600)::text AS slept"


@pytest.fixture
def shop(postgres_url: str, project: Project) -> Generator[psycopg2.extensions.cursor]:
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    with closing(psycopg2.connect(postgres_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def working(shop: psycopg2.extensions.cursor) -> int:
    """Statements that the server is still at, besides this one."""
    shop.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    row = shop.fetchone()
    return row[0] if row else -1


def test_a_query_of_a_database_is_gone_after_the_limit(
    project: Project, instance: dg.DagsterInstance, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute(f"CREATE VIEW slow AS {SLEEPING}")
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: slow, timeout: 1s,"
        " retries: {attempts: 0}}\n"
    )
    result = run_assets(project, instance, "raw/orders")
    text = failure_of(result)
    assert "raw/shop/orders: not done within its timeout of 1 s" in text
    assert "no row had been moved yet" in text
    assert working(shop) == 0
    assert project.table("raw/orders").snapshot() is None
    assert not materialized(instance, project, "raw/orders")


def test_a_timeout_is_tried_again_as_retries_say(
    project: Project, instance: dg.DagsterInstance, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute(f"CREATE VIEW slow AS {SLEEPING}")
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: slow, timeout: 1s,"
        " retries: {delays: [0s]}}\n"
    )
    result = run_assets(project, instance, "raw/orders")
    assert len(retries_of(result)) == 1
    assert "It was tried 2 times within " in failure_of(result)


def test_a_step_within_its_limit_is_let_be(
    project: Project, instance: dg.DagsterInstance, shop: psycopg2.extensions.cursor
) -> None:
    shop.execute("CREATE TABLE quick AS SELECT 1 AS id")
    project.declare(
        "sources:\n  orders: {type: database, connection: shop, table: quick, timeout: 1h}\n"
    )
    assert run_assets(project, instance, "raw/orders").success
    assert project.rows("raw/orders")


def test_sql_over_the_lake_is_ended(project: Project, instance: dg.DagsterInstance) -> None:
    project.declare(
        "analytics:\n  totals:\n    timeout: 1s\n"
        "    query: SELECT sum(a.range * b.range) AS n "
        "FROM raw.orders, range(10000000) a, range(10000000) b\n"
    )
    project.land("raw/orders", [{"id": 1}])
    result = run_assets(project, instance, "analytics/totals")
    assert "analytics/shop/totals: not done within its timeout of 1 s" in failure_of(result)
    assert not list(project.workbench.lake.scratch_root.glob("*"))


@pytest.mark.parametrize("workers", ["", ", num_workers: 1"])
def test_a_function_is_ended_wherever_it_runs(
    project: Project, instance: dg.DagsterInstance, workers: str
) -> None:
    path = project.declare(
        "staging:\n  orders:\n    from: raw.orders\n    timeout: 2s\n    transformations:\n"
        f"      - python: {{function: 'slow:rows', chunk_size: 10{workers}}}\n"
    )
    path.with_name("slow.py").write_text(
        "import time\n\ndef rows(frame):\n    time.sleep(600)\n    return frame\n"
    )
    project.know(orders={"id": "BIGINT"})
    project.land("raw/orders", [{"id": 1}])
    result = run_assets(project, instance, "staging/orders")
    assert "staging/shop/orders: not done within its timeout of 2 s" in failure_of(result)
    assert project.table("staging/orders").snapshot() is None


@pytest.mark.parametrize("own", [True, False])
def test_a_process_of_one_run_that_does_not_listen_is_killed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(tries.os, "kill", lambda *told: killed.append(told))
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    storage = instance.event_log_storage
    storage.set_concurrency_slots("pool", 1)
    storage.claim_concurrency_slot("pool", run.run_id, "step")
    worker = RunWorker.on_this_machine(run.run_id, os.getpid() if own else os.getppid())
    instance.add_run_tags(run.run_id, worker.tags())
    tries._kill(instance, run.run_id, TimedOut("not done within its timeout of 30 min"))
    assert killed == ([(os.getpid(), signal.SIGKILL)] if own else [])
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.is_finished == own
    assert storage.get_concurrency_info("pool").active_slot_count == (0 if own else 1)
    if own:
        text = instance.all_logs(run.run_id)[-1].message
        assert "within its timeout of 30 min. Its process didn't listen, and was killed" in text


def test_a_load_that_waits_is_rolled_back(
    project: Project,
    instance: dg.DagsterInstance,
    shop: psycopg2.extensions.cursor,
    postgres_url: str,
) -> None:
    project.declare(
        "staging:\n  orders: {from: raw.orders}\n"
        "destinations:\n  orders: {from: staging.orders, type: database, connection: shop,"
        " table: orders, timeout: 2s, retries: {attempts: 0}}\n"
    )
    project.land("staging/orders", [{"id": 1}])
    assert run_assets(project, instance, "destinations/orders").success
    project.land("staging/orders", [{"id": 2}])
    with closing(psycopg2.connect(postgres_url)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE orders")  # a reader who stays
        result = run_assets(project, instance, "destinations/orders")
        assert "not done within its timeout of 2 s" in failure_of(result)
    assert working(shop) == 0
    shop.execute("SELECT id FROM orders")
    assert shop.fetchall() == [(1,)]
    assert run_assets(project, instance, "destinations/orders").success
    shop.execute("SELECT id FROM orders")
    assert shop.fetchall() == [(2,)]


def test_a_server_that_does_not_answer_is_hung_up_on(
    project: Project, instance: dg.DagsterInstance
) -> None:
    ended = threading.Event()

    def never_answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while connection.recv(65536):
                pass  # until the other side closes
            ended.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=never_answer, args=(server,), daemon=True)
        thread.start()
        project.declare(
            "sources:\n  orders:\n    type: api\n"
            f"    url: http://127.0.0.1:{server.getsockname()[1]}/orders\n"
            "    request_timeout: 10m\n    timeout: 1s\n    retries: {attempts: 0}\n"
        )
        result = run_assets(project, instance, "raw/orders")
        assert "raw/shop/orders: not done within its timeout of 1 s" in failure_of(result)
        assert ended.wait(60)
