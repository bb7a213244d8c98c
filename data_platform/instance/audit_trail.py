"""Who changed what, where Dagster's own log doesn't tell it: a table that only grows.

Written by commands, and by `audited` for what is done in Dagster's UI; read by `observability`.
Nobody's rows or secrets are in it: what was changed, not what stood there.
"""

import getpass
import socket
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from dagster import DagsterInstance

from data_platform.instance.own_tables import Tables, has_tables, transaction
from data_platform.instance.users import user_of_request
from data_platform.secrets.masker import mask
from data_platform.settings import environment

USER_VARIABLE = "DATA_PLATFORM_USER"
"""Who is at work, where the machine's user is a robot: a name or an address of mail."""
_CREATE = """
CREATE TABLE data_platform_audit (
    number bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL,
    account text NOT NULL,
    action text NOT NULL,
    about text[] NOT NULL,
    detail text NOT NULL
);
CREATE INDEX data_platform_audit_at ON data_platform_audit (at);
CREATE FUNCTION data_platform_audit_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was noted in data_platform_audit is never changed';
END $$;
CREATE TRIGGER data_platform_audit_grows
    BEFORE UPDATE OR DELETE OR TRUNCATE ON data_platform_audit
    FOR EACH STATEMENT EXECUTE FUNCTION data_platform_audit_grows();
"""
AUDIT = Tables("audit", (_CREATE,))
_silent: ContextVar[bool] = ContextVar("silent", default=False)


@dataclass(frozen=True)
class Actor:
    """Whoever is at work in this process.

    Attributes:
        name: as people know them.
        account: of the machine, `user@host`.
    """

    name: str
    account: str


def actor(by: str | None = None) -> Actor:
    """Whoever is at work.

    Args:
        by: who says they are; None means whom the request is from that is answered here, or
            whoever the environment or the machine knows.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    account = f"{user}@{socket.gethostname()}"
    known = by or user_of_request() or environment().get(USER_VARIABLE, "").strip()
    return Actor(known or account, account)


def note(
    instance: DagsterInstance,
    action: str,
    about: Iterable[str],
    detail: str = "",
    by: str | None = None,
    at: datetime | None = None,
) -> None:
    """Note what was done.

    Args:
        instance: Dagster's.
        action: in two or three words, such as `quarantine discard`.
        about: keys of assets, or names of what else it was done to.
        detail: how much of it, or why.
        by: who did it; whoever is at work, left out.
        at: when, aware: of the event in Dagster's log that tells of it too; None means now.
    """
    if _silent.get() or not has_tables(instance):
        return
    at_work = actor(by)
    with transaction(instance, AUDIT) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO data_platform_audit (at, who, account, action, about, detail)"
                " VALUES (coalesce(CAST(:at AS timestamptz), clock_timestamp()), :who, :account,"
                " :action, :about, :detail)"
            ),
            {
                "at": at,
                "who": mask(at_work.name),
                "account": at_work.account,
                "action": action,
                "about": [mask(one) for one in about],
                "detail": mask(detail),
            },
        )


@contextmanager
def noted_together() -> Generator[None]:
    """What is done inside is noted by whoever does it all, once."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)
