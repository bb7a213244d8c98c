"""The clock of Dagster's database, which all machines share.

Called by the command's `status`, whose instance is open anyway; `doctor` asks every server.
"""

import time
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from dagster import DagsterInstance

from data_platform.instance.own_tables import has_tables, transaction


@dataclass(frozen=True)
class Told:
    """What time it is there.

    Attributes:
        at: by its clock; aware.
        before, after: seconds since 1970 by this machine's clock, when it was asked and had
            answered.
    """

    at: datetime
    before: float
    after: float


def ask_clock(instance: DagsterInstance) -> Told | None:
    """Ask it; None where the storage is in no PostgreSQL.

    Args:
        instance: Dagster's.
    """
    if not has_tables(instance):
        return None
    with transaction(instance) as connection:
        before = time.time()
        at = connection.scalar(sa.text("SELECT clock_timestamp()"))
        return Told(at, before, time.time()) if at is not None else None
