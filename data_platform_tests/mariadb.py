"""A MariaDB of the tests' own: data in a folder, a port of 127.0.0.1, gone when the tests are.

Used by the fixture `mariadb`. Debian's package mariadb-server brings
what it needs.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pymysql

REQUIRED = "DATA_PLATFORM_TESTS_REQUIRE_MARIADB"
"""Set by `.ci/run`: then a test that would be skipped fails."""
START_SECONDS = 60


def program() -> str | None:
    """The server's program, where it is installed."""
    return shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


class MariaDB:
    """A server; `url` names its database `shop`.

    Args:
        folder: empty, of its own.
    """

    def __init__(self, folder: Path) -> None:
        found = program()
        assert found, "mariadbd isn't installed"
        user = ["--user=root"] if os.getuid() == 0 else []
        data = folder / "data"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", *user,
             "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True, capture_output=True,
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [found, "--no-defaults", f"--datadir={data}", f"--socket={folder / 's'}", *user,
                 f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-log-bin",
                 "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
                 "--performance-schema=off", "--default-time-zone=+02:00"],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.url = f"mysql+pymysql://root:@127.0.0.1:{self.port}/shop"
        self._wait()

    def execute(self, *statements: str) -> None:
        """Run statements in the database `shop`, as its owner."""
        with self.connect("shop") as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def connect(self, database: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A connection that commits each statement."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True,
            charset="utf8mb4",
        )  # fmt: skip

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def make_database(self) -> None:
        """Make the database `shop` anew."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS shop")
            cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.connect():
                    return
            except pymysql.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(self.log.read_text()) from None
                time.sleep(0.1)
