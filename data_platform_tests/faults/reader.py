"""Somebody who reads the lake and the warehouse all the time while others write."""

import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Self

import duckdb
import psycopg2
from retail_platform import LAKE_ASSETS, RetailPlatform, query

State = Mapping[str, Mapping[str, str]]
"""The data version of each partition of each asset."""
LOADED = (
    "SELECT day::text, count(*), sum(revenue) FROM analytics.daily_revenue GROUP BY 1 ORDER BY 1"
)


SHORT_PAUSE = 0.03


class Reader:
    """Polls in a thread of its own; use it in a `with` statement.

    What it sees of a table must be one of the states that a run may leave, whole: never a part of a
    commit, never a file that isn't there or has other rows than promised.

    Args:
        platform: to look at.
        states: of the lake that may be seen, besides nothing at all.
        loads: of the warehouse's table that may be seen, besides nothing at all.
        pause: in seconds between two looks, which take time from what is being looked at.
    """

    def __init__(
        self,
        platform: RetailPlatform,
        states: Sequence[State],
        loads: Sequence[list[Any]],
        pause: float = SHORT_PAUSE,
    ) -> None:
        self._platform = platform
        self._states = states
        self._loads = loads
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.looks = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _watch(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                self._look_at_lake()
                self._look_at_warehouse()
            except Exception:  # noqa: BLE001 -- whatever a reader meets is a finding
                self.wrong.append(traceback.format_exc())
            self.looks += 1

    def _look_at_lake(self) -> None:
        for asset in LAKE_ASSETS:
            snapshot = self._platform.snapshot(asset)
            if snapshot is None:
                continue
            seen = {key: part.data_version for key, part in snapshot.partitions.items()}
            if seen not in [state.get(asset) for state in self._states]:
                self.wrong.append(f"{asset}: {seen}")
            promised = sum(part.rows for part in snapshot.partitions.values())
            paths = list(snapshot.files(snapshot.partitions).paths)
            with duckdb.connect(config={"threads": "1"}) as connection:
                [rows] = connection.execute(
                    "SELECT count(*) FROM read_parquet($1, union_by_name = true)", [paths]
                ).fetchall()
            if rows[0] != promised:
                self.wrong.append(f"{asset}: {rows[0]} rows, {promised} promised")

    def _look_at_warehouse(self) -> None:
        try:
            seen = query(self._platform.warehouse_url, LOADED)
        except psycopg2.errors.UndefinedTable:
            return
        if seen and seen not in self._loads:
            self.wrong.append(f"analytics.daily_revenue: {seen}")
