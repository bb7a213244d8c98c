"""Runs that wait for a lock that somebody forgot, and one whose process was killed besides."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.context import ForkServerProcess

import dagster as dg
import psycopg2
import pytest
from dagster_dev import wait_until
from dagster_history import History
from factories import Project
from forked_command import start_command
from handbook import Chapter, Operator, rehearses

PLATFORM = "connections:\n  shop: {type: database, url: '${SHOP_URL}'}\n"
BODY = """sources:
  products: {type: database, connection: shop, table: products, partitions: none}
  shops: {type: database, connection: shop, table: shops, partitions: none}
staging:
  products: {from: raw.products}
  shops: {from: raw.shops}
"""
WHY = "data-platform why raw/retail/products"
RUNS = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])


class Shop:
    """A database, and a session that may forget its transaction.

    Args:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.sql("CREATE TABLE products (id int, name text)")
        self.sql("CREATE TABLE shops (id int)")
        self.sql("INSERT INTO products VALUES (1, 'milk')")
        self.sql("INSERT INTO shops VALUES (1)")
        self.session = psycopg2.connect(url)

    def sql(self, statement: str) -> None:
        with closing(psycopg2.connect(self.url)) as connection, connection:
            connection.cursor().execute(statement)

    def forget(self) -> None:
        """Begin to change a table, and go home."""
        self.session.cursor().execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")

    def waiting(self) -> bool:
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_class ON relation = pg_class.oid"
                " WHERE relname = 'products' AND NOT granted"
            )
            row = cursor.fetchone()
        return row is not None and row[0] > 0


@pytest.fixture
def shop(project: Project, operator: Operator, postgres_url: str) -> Iterator[Shop]:
    """It was read once; then a product came, and somebody forgot a lock."""
    one = Shop(postgres_url)
    operator.environ |= {"SHOP_URL": postgres_url, "SHOP_ADMIN_URL": postgres_url}
    project.platform(PLATFORM)
    project.declare(BODY, name="retail")
    operator.does("data-platform run retail")
    operator.is_green()
    one.sql("INSERT INTO products VALUES (2, 'rye bread')")
    one.forget()
    yield one
    one.session.close()


@pytest.fixture
def stuck(
    operator: Operator, shop: Shop, instance: dg.DagsterInstance
) -> Iterator[ForkServerProcess]:
    """The process of a run that waits."""
    command = ["data-platform", "run", "retail"]
    output = operator.folder / f"{uuid.uuid4().hex}.txt"
    process = start_command(command, operator.folder, operator.environ, output)
    try:
        wait_until(lambda: not process.is_alive() or shop.waiting(), 60)
        assert process.is_alive(), output.read_text()
        yield process
    finally:
        if process.is_alive():
            process.kill()
        process.join()


def interrupt(process: ForkServerProcess) -> None:
    """Ctrl-C where it was started."""
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130


def kill(process: ForkServerProcess) -> None:
    """As the kernel does where there is no memory left."""
    process.kill()
    process.join()


@rehearses("a-run-is-stuck")
@pytest.mark.parametrize("gone", [False, True], ids=["waits", "killed"])
def test_a_run_that_waits_for_a_lock_is_ended_and_made_up_for(
    chapter: Chapter,
    operator: Operator,
    project: Project,
    shop: Shop,
    stuck: ForkServerProcess,
    instance: dg.DagsterInstance,
    gone: bool,
) -> None:
    if gone:
        kill(stuck)
    History(operator.environ["DATA_PLATFORM_STORAGE_URL"]).sql(
        "UPDATE runs SET start_time = start_time - 7500 WHERE status = 'STARTED'"
    )
    page = operator.sees(chapter)
    assert ("its process is gone" in page) == gone
    looked = operator.looks(chapter)
    assert "It is in run " in looked[WHY]
    sessions = next(printed for command, printed in looked.items() if command.startswith("psql"))
    holder = str(shop.session.info.backend_pid)
    # It says who waits, for whom, and with what.
    assert holder in sessions
    assert "products" in sessions

    end: Callable[[], object] = (lambda: None) if gone else (lambda: interrupt(stuck))
    operator.mends(chapter, end)
    assert "4 green of 4 assets" in operator.is_green()
    assert project.column("staging/retail/products", "name") == ["milk", "rye bread"]
    assert instance.get_runs(RUNS) == []
    assert not shop.waiting()
