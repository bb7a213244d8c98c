"""2,190 materializations, 365 partitions of 6 assets, into Dagster's PostgreSQL storage.

    .venv/bin/python benchmarks/dagster_events.py [--rounds 3] [--only NAME] [--write-docs]

Each contestant is one run in process on an empty storage. All must end with a materialization of
every partition; whether each has a data version of its own, as one would record that says which
partitions changed, is a column of the table. All but the platform take so long that they run once.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import psycopg2
from ground import YEAR_DAYS, Ground, Options, carry_out
from measuring import Contestant, Results, contestant_program
from tables import Column, cpu_seconds, process_seconds, ratio, seconds, table

NAME = "dagster_events"
PLATFORM = "platform, record_materializations"
ASSETS = 6
SLOW_ROUNDS = 1
DATABASE = "dagster_events"
VERSIONS = "data versions"
MODES = {
    PLATFORM: "batches",
    "one MaterializeResult a range, Dagster's own storage": "range_plain",
    "log_event each, the platform's storage": "log_event",
    "log_event each, Dagster's own storage": "log_event_plain",
}
_FOUND = """
SELECT count(DISTINCT (event.asset_key, event.partition)), count(*), count(DISTINCT tag.value)
FROM event_logs AS event
LEFT JOIN asset_event_tags AS tag ON tag.event_id = event.id AND tag.key = 'dagster/data_version'
WHERE event.dagster_event_type = 'ASSET_MATERIALIZATION'
"""


def contestants(ground: Ground, partitions: int) -> list[Contestant]:
    """The four ways."""
    folder = ground.root / "instance"
    return [
        Contestant(
            name,
            contestant_program(
                "record_events", mode, ground.url(DATABASE), folder, ASSETS, partitions
            ),
            _results(ground),
            lambda: _prepare(ground),
            most_rounds=None if name == PLATFORM else SLOW_ROUNDS,
        )
        for name, mode in MODES.items()
    ]


def _prepare(ground: Ground) -> None:
    ground.folder("instance")
    ground.empty(DATABASE)


def _results(ground: Ground) -> Callable[[Mapping[str, Any]], Results]:
    def results(facts: Mapping[str, Any]) -> Results:
        url = ground.url(DATABASE)
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(_FOUND)
            partitions, events, versions = cursor.fetchone()
        return {
            "materialized partitions": partitions,
            "events": events,
            "run": facts["success"],
            VERSIONS: versions,
        }

    return results


def _versions() -> Column:
    return VERSIONS, lambda runs: str(runs[0].results[VERSIONS])


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the table."""
    count = ASSETS * chosen.days
    known = {"materialized partitions": count, "events": count, "run": True}
    runs, _ = chosen.compete(contestants(ground, chosen.days), known, [VERSIONS])
    columns = [
        seconds(),
        *ratio(runs, PLATFORM, "times the platform"),
        process_seconds(),
        cpu_seconds(),
        _versions(),
    ]
    what = f"{count:,} materializations, {chosen.days} partitions of {ASSETS} assets"
    return f"{what}:\n\n{table(runs, columns)}"


if __name__ == "__main__":
    carry_out(NAME, __doc__, run, YEAR_DAYS - 1)
