"""Stops the embedded PostgreSQL when nobody uses it any more.

A program of its own, started by `embedded.server` as `python -I -S keeper.py FOLDER PG_CTL
USER IDLE_SECONDS`, so it imports the standard library only. It sleeps in the kernel, on an
exclusive lock of the file that every user of the server holds a shared lock on: the kernel gives
those up however a user dies. Who comes while the server is being stopped waits for its lock and
starts it again.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

IDLE_SECONDS = 20
"""So that one command after another finds the server running."""


def keep(folder: Path, pg_ctl: str, user: str | None, idle_seconds: float) -> None:
    """Wait until the server of `folder` has been idle so long, then stop it."""
    users = (folder / "users.lock").open("a")
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(idle_seconds)
        if not _is_still(folder / "users.lock", users.fileno()):
            return  # the folder was deleted: PostgreSQL sees that by itself
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        command = [pg_ctl, "-D", str(folder / "data"), "-w", "-m", "fast", "stop"]
        subprocess.run(command, check=False, user=user, cwd="/")  # noqa: S603 -- our own program
        return


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def main() -> None:
    """Become a background process, unless the server has a keeper already."""
    folder, pg_ctl, user = Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None
    keeper = (folder / "keeper.lock").open("a")
    try:
        fcntl.flock(keeper, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if os.fork():
        os._exit(0)
    os.setsid()
    keep(folder, pg_ctl, user, float(sys.argv[4]))


if __name__ == "__main__":
    main()
