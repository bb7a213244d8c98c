"""The audit of ten rules over 365 partitions, 1,468,773 rows.

    .venv/bin/python benchmarks/audit.py [--rounds 3] [--only NAME] [--write-docs]

The rows are 365 files of the lake. The platform reads them once, counts all row-level rules in one
scan grouped by partition and looks for examples. Others use the platform's DuckDB session and only
count, with one query a rule or one a rule and partition. pandera reads all rows into a frame of
pandas or polars and lists the values that fail. The counts of each rule in each partition must be
the same.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ground import YEAR_DAYS, Ground, Options, carry_out
from lakes import land, stage
from measuring import Contestant, Results, contestant_program
from others import python_of_others
from tables import above, cpu_seconds, peak, ratio, seconds, table

NAME = "audit"
PLATFORM = "platform"
MODES = {
    PLATFORM: "platform",
    "one query a rule": "rule",
    "one query a rule, over the files": "files",
    "one query a rule and partition": "partition",
}
FRAMES = {"pandera, polars": "polars", "pandera, pandas": "pandas"}


def contestants(ground: Ground, lake: Path) -> list[Contestant]:
    """The four ways in DuckDB, and two of pandera."""
    in_duckdb = [
        Contestant(
            name,
            contestant_program("audit_rules", mode),
            _results,
            environment=ground.environment(lake),
        )
        for name, mode in MODES.items()
    ]
    by_pandera = [
        Contestant(
            name,
            contestant_program("audit_pandera", backend, lake, python=python_of_others()),
            _results,
        )
        for name, backend in FRAMES.items()
    ]
    return [*in_duckdb, *by_pandera]


def _results(facts: Mapping[str, Any]) -> Results:
    broken = facts["broken"]
    return {
        "rules": len(broken),
        "partitions": facts["partitions"],
        "rows that break a rule": {rule: sum(found.values()) for rule, found in broken.items()},
        "rows by rule and partition": hashlib.sha256(
            json.dumps(broken, sort_keys=True).encode()
        ).hexdigest(),
    }


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the table."""
    ground.load_shop(chosen.days)
    lake = ground.folder("lake")
    loaded = ground.load(lake)
    rows = land(loaded, "daily", chosen.days)
    land(loaded, "products", chosen.days)
    stage(loaded, "products")
    runs, absent = chosen.compete(
        contestants(ground, lake), {"rules": 10, "partitions": chosen.days}
    )
    if not runs:
        return ""
    columns = [
        seconds(),
        *ratio(runs, PLATFORM, "times the platform"),
        cpu_seconds(),
        above(),
        peak(),
    ]
    broken = next(iter(runs.values()))[0].results["rows that break a rule"]
    return (
        f"{rows:,} rows, {chosen.days} partitions, 10 rules:\n\n{table(runs, columns, absent)}\n\n"
        f"Rows that break them, the same for all: {json.dumps(broken)}."
    )


if __name__ == "__main__":
    carry_out(NAME, __doc__, run, YEAR_DAYS - 1)
