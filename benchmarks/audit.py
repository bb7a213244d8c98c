"""The audit of ten rules over 365 partitions, 1,468,773 rows.

    .venv/bin/python benchmarks/audit.py [--rounds 3] [--only NAME] [--write-docs]

The rows are 365 files of the lake, and all contestants use the platform's DuckDB session. The
platform reads the rows into it once, counts all row-level rules in one scan grouped by partition
and looks for examples; the others only count, with one query a rule or one a rule and partition.
The counts of each rule in each partition must be the same.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ground import YEAR_DAYS, Ground, Options, carry_out
from lakes import land, stage
from measuring import Contestant, Results, contestant_program
from tables import above, cpu_seconds, ratio, seconds, table

NAME = "audit"
PLATFORM = "platform"
MODES = {
    PLATFORM: "platform",
    "one query a rule": "rule",
    "one query a rule, over the files": "files",
    "one query a rule and partition": "partition",
}


def contestants(ground: Ground, lake: Path) -> list[Contestant]:
    """The four ways."""
    return [
        Contestant(
            name,
            contestant_program("audit_rules", mode),
            _results,
            environment=ground.environment(lake),
        )
        for name, mode in MODES.items()
    ]


def _results(facts: Mapping[str, Any]) -> Results:
    broken = facts["broken"]
    return {
        "rules": len(broken),
        "partitions": facts["partitions"],
        "rows that break a rule": {rule: sum(found.values()) for rule, found in broken.items()},
        "rows by rule and partition": hashlib.sha256(json.dumps(broken).encode()).hexdigest(),
    }


def run(ground: Ground, chosen: Options) -> str:
    """Measure, and give the table."""
    ground.load_shop(chosen.days)
    lake = ground.folder("lake")
    loaded = ground.load(lake)
    rows = land(loaded, "daily", chosen.days)
    land(loaded, "products", chosen.days)
    stage(loaded, "products")
    runs, _ = chosen.compete(contestants(ground, lake), {"rules": 10, "partitions": chosen.days})
    if not runs:
        return ""
    columns = [seconds(), *ratio(runs, PLATFORM, "times the platform"), cpu_seconds(), above()]
    broken = next(iter(runs.values()))[0].results["rows that break a rule"]
    return (
        f"{rows:,} rows, {chosen.days} partitions, 10 rules:\n\n{table(runs, columns)}\n\n"
        f"Rows that break them, the same for all: {json.dumps(broken)}."
    )


if __name__ == "__main__":
    carry_out(NAME, __doc__, run, YEAR_DAYS - 1)
