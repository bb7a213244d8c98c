"""The demo: a year of real grocery transactions, from the shop's database to a warehouse.

Called by `cli`. Lays the data down, runs the pipeline `retail` over the year, and reconciles what
the shop sold with what the warehouse shows, to the cent.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from data_platform.engine.postgres import connected
from data_platform.errors import PermanentError
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources import Files
from data_platform.retail_data import lay_files, load_shop
from data_platform.running import Request

PIPELINE = "retail"
YEAR = Request(PIPELINE, first="2017-01-01", end="2018-01-01")
_SOLD = """
SELECT count(*), sum(round(sales_value::numeric, 2)) FROM transactions
WHERE transaction_timestamp >= '2017-01-01' AND transaction_timestamp < '2018-01-01'
"""


@dataclass(frozen=True)
class Reconciliation:
    """What the shop sold in the year, and where it is now; money in dollars.

    Attributes:
        source_rows, source: lines of receipts in the shop's database, and their value.
        published: revenue in the warehouse.
        quarantined_rows, quarantined: lines held back, and their value.
    """

    source_rows: int
    source: Decimal
    published: Decimal
    quarantined_rows: int
    quarantined: Decimal

    @property
    def agrees(self) -> bool:
        """Whether every cent is in one place or the other."""
        return self.source == self.published + self.quarantined


def lay_down_data(loaded: Loaded) -> tuple[int, Path]:
    """Load the shop's database and lay the files where the pipeline reads them; done once.

    Returns:
        The lines of receipts in the shop, and the folder of the files.

    Raises:
        PermanentError: the pipeline `retail` isn't the one that ships.
    """
    node = loaded.plan.get(Key("raw", PIPELINE, "products"))
    if not isinstance(node, RawNode) or not isinstance(node.source, Files):
        raise PermanentError(
            "the demo is the pipeline `retail` that ships: call it in a folder without pipelines "
            "of its own, and without DATA_PLATFORM_PIPELINES"
        )
    folder = Path(node.source.path).parent
    lay_files(folder)
    return load_shop(loaded.connection_url("shop")), folder


def reconcile(loaded: Loaded) -> Reconciliation:
    """Compare the shop's database, the warehouse and quarantine."""
    rows, sold = _ask(loaded.connection_url("shop"), _SOLD)
    _, published = _ask(
        loaded.connection_url("warehouse"),
        "SELECT count(*), sum(revenue) FROM analytics.daily_revenue",
    )
    held_rows, held = _quarantined(loaded)
    return Reconciliation(int(rows), Decimal(sold), Decimal(published or 0), held_rows, held)


def _quarantined(loaded: Loaded) -> tuple[int, Decimal]:
    workbench = loaded.workbench()
    snapshot = workbench.lake.table(Key("quarantine", PIPELINE, "transactions")).snapshot()
    if snapshot is None:
        return 0, Decimal(0)
    with workbench.open() as (session, _):
        session.show("held", snapshot.files(snapshot.partitions))
        value = "COALESCE(SUM(CAST(sales_value AS DECIMAL(12,2))), 0)"
        ((rows, total),) = session.rows(f"SELECT COUNT({PARTITION}), {value} FROM held")
    return int(rows), Decimal(total)


def _ask(url: str, query: str) -> tuple[int, str | Decimal]:
    with connected(url, autocommit=True) as (_, cursor):
        cursor.execute(query)
        row = cursor.fetchone()
    if row is None:
        raise PermanentError(f"no answer to {query.strip()}")
    return row[0], row[1]
