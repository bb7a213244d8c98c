"""Ten rules over many partitions.

    audit_rules.py platform|rule|partition|files

`platform` is what a staging asset does: rows are flagged and kept, then audited by `quality`.
`rule` asks one query a rule, grouped by partition; `partition` one a rule and partition. These two
keep the rows in a table of DuckDB first, too; `files` is `rule` with each query over the files. All
three count what breaks a rule, no more: the platform finds five examples of each broken rule
besides.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import deltalake  # noqa: F401 -- imported by the first snapshot otherwise
from contestants.moving import moving
from ground import load_pipelines

from data_platform.engine.inputs import show_inputs
from data_platform.engine.session import Session
from data_platform.plan.keys import Key
from data_platform.plan.nodes import RawNode
from data_platform.plan.sql.expressions import literal, quoted
from data_platform.quality.gate import Gate
from data_platform.storage.snapshots import snapshots_of

ROWS = "_rows"
Counts = dict[str, dict[str, int]]
BREAKS = {
    "keys_present": "household_id IS NULL OR store_id IS NULL OR basket_id IS NULL "
    "OR product_id IS NULL",
    "time_present": "transaction_timestamp IS NULL",
    "sold_something": "quantity < 1",
    "price_not_negative": "sales_value < 0",
    "small_price": "sales_value > 100",
    "week_of_year": "week NOT BETWEEN 1 AND 53",
    "discount_within_price": "(retail_disc <= sales_value) IS NOT TRUE",
    "no_coupon": "(coupon_disc + coupon_match_disc = 0) IS NOT TRUE",
    "known_product": "product_id IS NOT NULL "
    "AND product_id NOT IN (SELECT product_id FROM products)",
}
_REPEATED = """
SELECT _partition, sum(copies - 1) FROM (
    SELECT _partition, basket_id, product_id, count(*) AS copies FROM kept
    WHERE basket_id IS NOT NULL AND product_id IS NOT NULL {within}
    GROUP BY ALL HAVING copies > 1
) GROUP BY 1"""


def queries(within: str) -> dict[str, str]:
    """One a rule, over the rows that `within` leaves."""
    by_row = {
        rule: f"SELECT _partition, count(*) FROM kept WHERE ({breaks}) {within} GROUP BY 1"
        for rule, breaks in BREAKS.items()
    }
    return {**by_row, "one_line_a_product": _REPEATED.format(within=within)}


def by_query(session: Session, keys: list[str], mode: str) -> Counts:
    kind = "VIEW" if mode == "files" else "TABLE"
    session.run(f"CREATE TEMP {kind} kept AS SELECT * FROM {ROWS}")
    products = quoted(Key("staging", "bench", "products").relation)
    session.run(f"CREATE TEMP VIEW products AS SELECT * FROM {products}")
    counts: Counts = {rule: {} for rule in queries("")}
    each = [f"AND _partition = {literal(key)}" for key in keys]
    for within in each if mode == "partition" else [""]:
        for rule, query in queries(within).items():
            counts[rule].update({str(key): int(n) for key, n in session.rows(query)})
    return counts


def by_platform(gate: Gate) -> Counts:
    gate.make_candidate(ROWS, stored=True)
    outcomes = {outcome.check.name: outcome for outcome in gate.audit().outcomes}
    return {
        rule: {key: found.offending for key, found in outcomes[rule].findings.items()}
        for rule in queries("")
    }


def main() -> None:
    (mode,) = sys.argv[1:]
    loaded = load_pipelines(dict(os.environ))
    node = loaded.plan[Key("raw", "bench", "audited")]
    assert isinstance(node, RawNode)
    workbench = loaded.workbench()
    rows = workbench.lake.table(Key("raw", "bench", "daily")).snapshot()
    assert rows is not None
    keys = list(rows.partitions)
    with moving() as facts:
        with workbench.open() as (session, scratch):
            show_inputs(session, node, keys, snapshots_of(node, workbench.lake))
            session.show(ROWS, rows.files(keys))
            if mode == "platform":
                table = workbench.lake.table(node.key)
                gate = Gate(session, node, table, scratch, keys, {})
                counts = by_platform(gate)
            else:
                counts = by_query(session, keys, mode)
        facts["partitions"] = len(keys)
        facts["broken"] = {
            rule: {key: n for key, n in sorted(found.items()) if n}
            for rule, found in counts.items()
        }


if __name__ == "__main__":
    main()
