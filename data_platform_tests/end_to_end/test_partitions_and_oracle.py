"""Every kind of partitions from a source to two destinations, against what plain Python says.

Some partitions are built by themselves, in any order, others at once; all must hold what the oracle
holds, nothing lost and nothing twice. The campaign does it by runs of Dagster.
"""

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from partition_oracle import (
    CUSTOMERS,
    REGIONS,
    Kind,
    Late,
    Sale,
    both_keys,
    date_key,
    days,
    groups,
    hour_key,
    region_key,
)

from data_platform.analytics.computing import compute as compute_analytics
from data_platform.definitions import definitions_of
from data_platform.destinations.loading import deliver
from data_platform.engine.outside import Outside
from data_platform.engine.session import open_session
from data_platform.loading import load
from data_platform.plan.keys import Key
from data_platform.plan.nodes import AnalyticsNode, AnyNode, DestinationNode, RawNode, StagingNode
from data_platform.raw.extraction import extract
from data_platform.run_reports import AssetReport
from data_platform.running import Request, run_pipeline
from data_platform.running.asked import asked_for
from data_platform.settings import Settings
from data_platform.staging.computing import compute as compute_staging

ORDER = ("_partition", "region", "n", "amount")
NOW = datetime(2025, 6, 1, tzinfo=UTC)
BY = f"by: {{region: {{values: {json.dumps(REGIONS, ensure_ascii=False)}}}}}"
TABLE = "table: sales, cursor: at"
PIPELINE = """version: 1
pipeline: shop
owner: team:shop
partitions: {kind.yaml}
sources:
  sales: {{type: database, connection: shop, {kind.source}}}
staging:
  sales:
    from: raw.sales
    on_violation: quarantine
    columns:
      amount: {{type: bigint, min: 0}}
    extra_columns: keep
    quality: [unique: {{columns: id, scope: asset}}]
analytics:
  totals:
    query: {query}
{late}
destinations:
  totals: {{type: database, connection: out, from: analytics.totals, table: totals}}
  files: {{type: file, from: staging.sales, path: "{folder}/{{partition_key}}.jsonl"}}
"""
QUERY = (
    "SELECT region, COUNT(*) AS n, CAST(SUM(amount) AS BIGINT) AS amount "
    "FROM staging.sales GROUP BY region"
)


def hours(edge: str) -> Kind:
    """Seven hours of Berlin around one at which clocks are put."""
    zone = ZoneInfo("Europe/Berlin")
    first = datetime.fromisoformat(edge) - timedelta(hours=3)
    key_of = hour_key("Europe/Berlin")
    begins = [first + timedelta(hours=n) for n in range(7)]
    named = [key_of(Sale(0, begin, None, "", 0)) or "" for begin in begins]
    start = first.astimezone(zone).date()
    return Kind(
        f"{{every: hour, start: {start}, timezone: Europe/Berlin}}",
        TABLE, named, key_of, first, begins[-1],
    )  # fmt: skip


def weekly(day: date) -> date:
    return day - timedelta(days=day.weekday())


def monthly(day: date) -> date:
    return day.replace(day=1)


def daily(day: date) -> date:
    return day


def at(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


MARCH = days("2024-03-29", 4)
BERLIN = "start: 2024-03-29, timezone: Europe/Berlin"
BERLIN_DAYS = date_key("Europe/Berlin", daily)
BOTH = [f"{day}|{region}" for day in MARCH for region in REGIONS]


def last_days(key: str, count: int) -> list[str]:
    """The days of a window that ends with a key's, with its region or with all."""
    day, _, region = key.partition("|")
    window = [one for one in MARCH if one <= day][-count:]
    return [f"{one}|{other}" for one in window for other in ([region] if region else REGIONS)]


KINDS = {
    "hours, clocks put back": hours("2024-10-27T01:00+00:00"),
    "hours, clocks put on": hours("2024-03-31T01:00+00:00"),
    "days half an hour beside UTC": Kind(
        "{every: day, start: 2024-01-01, timezone: Asia/Kolkata}",
        TABLE, days("2024-01-02", 4), date_key("Asia/Kolkata", daily), last=at(2024, 1, 7),
    ),
    "weeks": Kind(
        "{every: week, start: 2024-02-26, timezone: America/New_York}",
        TABLE, ["2024-02-26", "2024-03-04", "2024-03-11"],
        date_key("America/New_York", weekly), at(2024, 2, 25), at(2024, 3, 20),
    ),
    "months": Kind(
        "{every: month, start: 2024-03-01, timezone: Australia/Lord_Howe}",
        TABLE, ["2024-03-01", "2024-04-01", "2024-05-01"],
        date_key("Australia/Lord_Howe", monthly), at(2024, 2, 25), at(2024, 6, 4),
    ),
    "values": Kind(f"{{{BY}}}", "table: sales", REGIONS, region_key),
    "days and values": Kind(
        f"{{every: day, {BERLIN}, {BY}}}",
        TABLE, BOTH, both_keys(BERLIN_DAYS), at(2024, 3, 28), at(2024, 4, 2),
    ),
    "registered": Kind(
        "{dynamic: customers}",
        "query: 'SELECT * FROM sales WHERE customer = :partition_key'",
        CUSTOMERS, lambda row: row.customer,
    ),
    "months of days": Kind(
        "{every: day, start: 2024-01-29, end: 2024-02-04}",
        TABLE, days("2024-01-29", 6), date_key("UTC", daily), at(2024, 1, 28), at(2024, 2, 5),
        [
            Late(
                "monthly", "partitions: {every: month, start: 2024-01-01}",
                ["2024-01-01", "2024-02-01"],
                lambda key: [day for day in days("2024-01-29", 6) if day[:7] == key[:7]],
            )
        ],
    ),
    "windows over days and values": Kind(
        f"{{every: day, {BERLIN}, {BY}}}",
        TABLE, BOTH, both_keys(BERLIN_DAYS), at(2024, 3, 28), at(2024, 4, 2),
        [
            Late(
                "recent", "inputs: {staging.sales: {last: 3}}", BOTH,
                lambda key: last_days(key, 3),
            ),
            Late(
                "of_all", f"partitions: {{every: day, {BERLIN}}}\n"
                "    inputs: {staging.sales: {last: 2}}", MARCH,
                lambda key: last_days(key, 2),
            ),
            Late(
                "ever", f"partitions: {{{BY}}}", REGIONS,
                lambda key: [one for one in BOTH if one.endswith(key)],
            ),
        ],
    ),
}  # fmt: skip


QUICK = [
    "hours, clocks put back",
    "days half an hour beside UTC",
    "weeks",
    "months",
    "values",
    "registered",
    "months of days",
    "windows over days and values",
]


class Recorded:
    """Nobody looks; Dagster records."""

    def started(self, key: Key, partitions: int) -> None: ...

    def finished(self, report: AssetReport) -> None: ...


class Built:
    """A project with a pipeline of a kind of partitions, over some rows.

    Args:
        folder: of its own.
        kind: of partitions.
        rows: of the source.
        instance: Dagster's, which runs and records all; None means the stages alone.
    """

    def __init__(
        self,
        folder: Path,
        kind: Kind,
        rows: Sequence[Sale],
        instance: dg.DagsterInstance | None = None,
    ) -> None:
        self.kind, self._folder, self._instance = kind, folder, instance
        pipelines = folder / "pipelines"
        (pipelines / "shop").mkdir(parents=True)
        (pipelines / "platform.yaml").write_text(
            f"lake: {{root: '{folder}/lake'}}\n"
            f"connections:\n  shop: {{type: database, url: 'sqlite:///{folder}/shop.db'}}\n"
            f"  out: {{type: database, url: 'sqlite:///{folder}/out.db'}}\n"
        )
        late = "".join(f"  {one.name}:\n    {one.yaml}\n    query: {QUERY}\n" for one in kind.late)
        text = PIPELINE.format(kind=kind, late=late, query=QUERY, folder=folder / "out")
        (pipelines / "shop" / "pipeline.yaml").write_text(text)
        with closing(sqlite3.connect(folder / "shop.db")) as shop, shop:
            shop.execute(
                "CREATE TABLE sales"
                " (id integer, at timestamptz, region text, customer text, amount bigint)"
            )
            written = [
                (row.id, row.at and row.at.isoformat(), row.region, row.customer, row.amount)
                for row in rows
            ]
            shop.executemany("INSERT INTO sales VALUES (?, ?, ?, ?, ?)", written)
        self._loaded = load(Settings(folder, folder / ".data", (pipelines,)), {})
        assert not self._loaded.problems, self._loaded.problems

    def run(self, *keys: str, late: str | None = None) -> None:
        """Build partitions of one of the late assets, or of all others."""
        others = {one.name for one in self.kind.late}
        [pipeline] = self._loaded.plan.pipelines
        self._run(
            keys,
            [n for n in pipeline.nodes if n.key.name == late or not (late or n.key.name in others)],
        )

    def run_all(self) -> None:
        """Build all partitions of all assets at once."""
        [pipeline] = self._loaded.plan.pipelines
        keys = [*self.kind.keys, *(key for one in self.kind.late for key in one.keys)]
        self._run(list(dict.fromkeys(keys)), pipeline.nodes)

    def _run(self, keys: Sequence[str], nodes: Sequence[AnyNode]) -> None:
        select = [f"{node.key.layer}/{node.key.name}" for node in nodes]
        request = Request("shop", keys=keys, select=select)
        if self._instance is not None:
            defined = definitions_of(self._loaded, NOW)
            given = (defined, self._loaded, self._instance, request, Recorded())
            report = run_pipeline(*given, NOW)
            assert report.succeeded, "\n".join(one.message or "" for one in report.assets)
            return
        wanted = asked_for(nodes, request, NOW, lambda _: CUSTOMERS)
        for node in nodes:
            failed = self._stage(node, sorted(wanted[node.key]))
            assert not failed, (node.key, failed)

    def _stage(self, node: AnyNode, keys: Sequence[str]) -> Mapping[str, str]:
        """What a step does, without Dagster; gives what failed."""
        platform = self._loaded.workspace.platform
        outside = Outside(lambda name: platform.connections[name], lambda text: text)
        workbench, said = self._loaded.workbench(), {"run_id": "run"}
        match node:
            case RawNode():
                return extract(node, keys, workbench, outside, said).failed
            case StagingNode():
                return compute_staging(node, keys, workbench, said).failed
            case AnalyticsNode():
                return compute_analytics(node, keys, workbench, said).failed
            case DestinationNode():
                return deliver(node, keys, workbench, outside, "run").failed
            case _:
                raise AssertionError(node)

    def lake(self, layer: str, name: str) -> dict[str, list[dict[str, object]]]:
        """The rows of an asset, by partition."""
        lake = self._loaded.lake()
        snapshot = lake.table(Key(layer, "shop", name)).snapshot()
        if snapshot is None:
            return {}
        found: dict[str, list[dict[str, object]]] = {key: [] for key in snapshot.partitions}
        with open_session(self._folder, [lake.root], "1GB", threads=1) as session:
            session.show("_rows", snapshot.files(snapshot.partitions))
            for row in session.connection.sql("SELECT * FROM _rows").to_arrow_table().to_pylist():
                found[str(row["_partition"])].append(row)
        return found

    def table(self) -> list[tuple[object, ...]]:
        """The rows of the table outside, with the columns that tell their partition."""
        with closing(sqlite3.connect(self._folder / "out.db")) as out:
            found = out.execute("SELECT * FROM totals")
            names = [column[0] for column in found.description]
            order = sorted(range(len(names)), key=lambda n: ORDER.index(names[n]))
            return sorted((tuple(row[n] for n in order) for row in found), key=str)

    def files(self) -> dict[str, list[int]]:
        """The numbers of the rows in each file outside, by what it is called."""
        found = (self._folder / "out").glob("*.jsonl")
        return {
            unquote(file.stem): sorted(json.loads(line)["id"] for line in file.open())
            for file in found
        }


def ids(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[int]]:
    return {key: sorted(row["id"] for row in some) for key, some in rows.items()}


def grouped(rows: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, list[object]]:
    return {
        key: sorted(((r["region"], r["n"], r["amount"]) for r in some), key=str)
        for key, some in rows.items()
    }


def require_oracle(built: Built, rows: Sequence[Sale]) -> None:
    kind = built.kind
    held = kind.held(rows)
    sound = {key: [row for row in some if row.amount >= 0] for key, some in held.items()}
    assert ids(built.lake("raw", "sales")) == {k: [r.id for r in held[k]] for k in held}
    assert ids(built.lake("staging", "sales")) == {k: [r.id for r in sound[k]] for k in held}
    held_back = {key: [r.id for r in held[key] if r.amount < 0] for key in held}
    quarantine = ids(built.lake("quarantine", "sales"))
    assert {k: v for k, v in quarantine.items() if v} == {k: v for k, v in held_back.items() if v}
    totals = {key: groups(some) for key, some in sound.items()}
    assert grouped(built.lake("analytics", "totals")) == totals
    timed = kind.yaml.startswith("{every") or "dynamic" in kind.yaml
    assert built.table() == sorted(
        ((*key.split("|")[:timed], *group) for key, some in totals.items() for group in some),
        key=str,
    )
    assert built.files() == {key: [row.id for row in some] for key, some in sound.items()}
    for late in kind.late:
        wanted = {key: [row for one in late.reads(key) for row in sound[one]] for key in late.keys}
        found = grouped(built.lake("analytics", late.name))
        assert found == {key: groups(some) for key, some in wanted.items()}, late.name


def order_of(kind: Kind, chance: random.Random) -> Iterator[tuple[str | None, list[str]]]:
    """The partitions of the assets, and of each that reads others, in any order."""
    for late in (None, *kind.late):
        keys = late.keys if late else kind.keys
        yield late.name if late else None, chance.sample(keys, len(keys))


@pytest.mark.parametrize("name", QUICK)
def test_a_pipeline_holds_what_the_oracle_holds(name: str, tmp_path: Path) -> None:
    """One partition by itself, the others at once."""
    chance = random.Random(7)
    kind = KINDS[name]
    rows = kind.rows(chance, 60)
    built = Built(tmp_path, kind, rows)
    for late, keys in order_of(kind, chance):
        built.run(keys[0], late=late)
        built.run(*keys[1:], late=late)
    require_oracle(built, rows)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", KINDS)
def test_runs_of_dagster_hold_what_the_oracle_holds(
    name: str, seed: int, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Partition by partition in one project, over a range in the other."""
    chance = random.Random(seed)
    instance.add_dynamic_partitions("customers", [*CUSTOMERS])
    kind = KINDS[name]
    rows = kind.rows(chance, 60)
    one_by_one = Built(tmp_path / "one by one", kind, rows, instance)
    for late, keys in order_of(kind, chance):
        for key in keys:
            one_by_one.run(key, late=late)
    at_once = Built(tmp_path / "at once", kind, rows, instance)
    at_once.run_all()
    for built in (one_by_one, at_once):
        require_oracle(built, rows)
