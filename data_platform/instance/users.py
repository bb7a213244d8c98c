"""Whom a request of Dagster's UI is from, where a proxy in front of it says so.

Set by `webserver` for as long as it answers a request; asked by `audit_trail`, `audited` and
`coordinator`. Threads that answer a request know it too: Dagster's and Starlette's take the
context with them.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from dagster._core.storage.tags import USER_TAG as SHOWN_USER_TAG

USER_TAG = "data_platform/user"
"""Who started a run or backfill: a name, or `user@host` of a command."""
NOBODY_KNOWN = "somebody in Dagster's UI"

_user: ContextVar[str | None] = ContextVar("user", default=None)


def user_of_request() -> str | None:
    """Whom the request is from that is answered here; None where nobody says so."""
    return _user.get()


@contextmanager
def request_of(user: str | None) -> Generator[None]:
    """Answer a request of a user.

    Args:
        user: as the proxy says; None means that nobody says who it is.
    """
    token = _user.set(user)
    try:
        yield
    finally:
        _user.reset(token)


def user_tags(user: str) -> dict[str, str]:
    """The tags of what a user starts: ours, and the one that Dagster's UI shows."""
    return {USER_TAG: user, SHOWN_USER_TAG: user}
