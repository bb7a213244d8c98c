"""Dagster's storages of events and of schedules, over one pool of connections.

Made by `storage`. What the three storages have in common is `Pooled`, also used by `run_storage`.
"""

from collections.abc import Callable, Sequence
from functools import partial

from dagster._utils.concurrency import ConcurrencyClaimStatus
from sqlalchemy.engine import Connection, Engine

from data_platform.instance.audited import AuditedEvents, AuditedSchedules
from data_platform.instance.database import limit_statements
from data_platform.instance.evaluations import BriefSchedules
from data_platform.instance.event_log import BriefEventLog
from data_platform.instance.future_ticks import TimelySchedules
from data_platform.instance.pool_slots import claim


class Pooled:
    """What the three storages have in common: one pool of connections, in the webserver too."""

    _engine: Engine

    def _is_there(self, what: str, look: Callable[[], bool]) -> bool:
        """Look for a table or a column until it is there, and no more: none goes away again.

        Dagster looks whenever it is asked for assets or stores an event, which was a third of all
        statements of a run.
        """
        known: set[str] = self.__dict__.setdefault("_known", set())
        if what not in known and look():
            known.add(what)
        return what in known

    def optimize_for_webserver(
        self,
        statement_timeout: int,
        pool_recycle: int,  # noqa: ARG002 -- Dagster's signature
        max_overflow: int,  # noqa: ARG002
    ) -> None:
        """Keep the pool, which outlives a restart of the server; Dagster's would replace it."""
        limit_statements(self._engine, statement_timeout)


class PlatformEventLogStorage(Pooled, AuditedEvents, BriefEventLog):
    """Events, over the pooled connections."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine

    def has_table(self, table_name: str) -> bool:
        """Asked until it is there."""
        return self._is_there(table_name, partial(super().has_table, table_name))

    def has_asset_key_col(self, column_name: str) -> bool:
        """Asked until it is there."""
        column = f"asset_keys.{column_name}"
        return self._is_there(column, partial(super().has_asset_key_col, column_name))

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        """Claim the slots of a step, several where it says so. Called while it waits, too."""
        step = (run_id, step_key)
        with self.index_transaction() as connection:
            return claim(connection, self._instance, concurrency_key, step, priority or 0)

    def assign_pending_steps(self, concurrency_keys: Sequence[str]) -> None:
        """Nothing is kept for those that wait: they take slots by themselves, in their order."""


class PlatformScheduleStorage(Pooled, AuditedSchedules, TimelySchedules, BriefSchedules):
    """Schedules and sensors, over the pooled connections."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url, should_autocreate_tables=False)
        self._engine = engine

    def has_instigators_table(self) -> bool:
        """Asked until it is there."""
        return self._is_there("instigators", super().has_instigators_table)

    def _has_instigators_table(self, conn: Connection) -> bool:
        return self._is_there("instigators", partial(super()._has_instigators_table, conn))

    def _has_asset_daemon_asset_evaluations_table(self, conn: Connection) -> bool:
        look = super()._has_asset_daemon_asset_evaluations_table
        return self._is_there("evaluations", partial(look, conn))

    def has_built_index(self, migration_name: str) -> bool:
        """Asked until it is built."""
        return self._is_there(migration_name, partial(super().has_built_index, migration_name))
