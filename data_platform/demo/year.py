"""The demo: a year of real grocery transactions, from the shop's systems to a warehouse.

Called by `cli`. Lays the data down, serves what the marketing system knows, runs the
pipelines over the year, and reconciles what the shop sold with what the warehouse shows, to the
cent.
"""

import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from data_platform.demo.retail_api import HOST, PORT, RetailApi, serving
from data_platform.demo.retail_data import lay_files, lay_targets, load_shop
from data_platform.engine.postgres import connected
from data_platform.errors import PermanentError
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.naming import PARTITION
from data_platform.plan.nodes import RawNode
from data_platform.plan.sources.kinds import Files
from data_platform.running import Request

PIPELINE, MARKETING = "retail", "marketing"
API_VARIABLE = "CAMPAIGN_API"
"""By which the pipeline finds the marketing system."""
WORKSPACE = "workspace.yaml"
YEAR = tuple(Request(name, first="2017-01-01", end="2018-01-01") for name in (PIPELINE, MARKETING))
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
    """Load the shop's database and lay the files where the pipelines read them; done once.

    Returns:
        The lines of receipts in the shop, and the folder of the files.

    Raises:
        PermanentError: the pipelines aren't those that ship.
    """
    folder = _folder_of(loaded, Key("raw", PIPELINE, "products"))
    lay_files(folder)
    lay_targets(_folder_of(loaded, Key("raw", MARKETING, "targets")))
    return load_shop(loaded.connection_url("shop")), folder


def _folder_of(loaded: Loaded, key: Key) -> Path:
    """The folder where a source's files are."""
    node = loaded.plan.get(key)
    if not isinstance(node, RawNode) or not isinstance(node.source, Files):
        raise PermanentError(
            "the demo is the pipelines that ship: call it in a folder without pipelines of its "
            "own, and without DATA_PLATFORM_PIPELINES"
        )
    return Path(node.source.path).parent


@contextmanager
def marketing_system(environ: Mapping[str, str]) -> Generator[dict[str, str]]:
    """The API of campaigns and coupons, for as long as the block runs.

    Args:
        environ: where it names an API of its own, none is started.

    Yields:
        Variables by which the pipeline finds it.
    """
    if environ.get(API_VARIABLE):
        yield {}
        return
    try:
        server = RetailApi(PORT)
    except OSError:  # somebody else is there
        server = RetailApi(0)
    with serving(server):
        yield {API_VARIABLE: server.url}


def open_live(environ: Mapping[str, str], port: int) -> int:
    """Dagster's UI with the pipelines, until somebody ends it.

    Args:
        environ: of its processes.
        port: of the UI, on loopback.

    Returns:
        Its exit code.
    """
    place = (
        ["--workspace", WORKSPACE]
        if Path(WORKSPACE).is_file()
        else ["--module-name", "data_platform.definitions"]
    )
    command = [sys.executable, "-m", "dagster", "dev", *place, "--host", HOST, "--port", str(port)]
    # A terminal's Ctrl-C reaches Dagster by itself; here it must not end what Dagster asks.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    process = subprocess.Popen(command, env=dict(environ))  # noqa: S603 -- our own command
    handler = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.signal(signal.SIGINT, before)


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
