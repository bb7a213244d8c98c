# ruff: noqa: E501 -- cases stand in tables, one a line
"""Each kind of partition through each kind of source: a row is of the partition that it is in."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zoneinfo import ZoneInfo

import duckdb
import psycopg2
import pytest
from factories import PIPELINE, PLATFORM, Project, outcome

from data_platform.errors import SourceError
from data_platform.plan.partitions import Every, TimePartitions
from data_platform.quality.gate import Passage
from data_platform.spec.platform import ApiConnection

TWO = (
    "partitions: {every: day, start: 2024-01-01, by: {region: {column: code, values: [us, eu]}}}\n"
)
REGIONS = "partitions: {by: {region: {column: code, values: [us, eu]}}}\n"
CUSTOMERS = "partitions: {dynamic: customers}\n"
Row = dict[str, object]


def outside(passage: Passage) -> int:
    return sum(one.offending for one in outcome(passage, "outside_partitions").findings.values())


def by_partition(project: Project, *keys: str, column: str = "id") -> dict[str, list[object]]:
    snapshot = project.table("raw/orders").snapshot()
    assert snapshot is not None
    return {key: project.column("raw/orders", column, key) for key in keys or snapshot.partitions}


class Shop:
    """A table `orders` in a database of some kind, and a source over it."""

    def __init__(self, kind: str, project: Project, tmp_path: Path, postgres_url: str) -> None:
        self.kind, self.project, self.file = kind, project, tmp_path / "shop.db"
        self.url = postgres_url if kind == "postgres" else f"{kind}:///{self.file}"
        project.platform(PLATFORM.replace("postgresql://nowhere", self.url))

    def fill(self, columns: str, rows: Sequence[Sequence[object]]) -> None:
        """Make the table anew."""
        places = ", ".join(("%s" if self.kind == "postgres" else "?") for _ in rows[0])
        statements = ("DROP TABLE IF EXISTS orders", f"CREATE TABLE orders ({columns})")
        insert = f"INSERT INTO orders VALUES ({places})"
        if self.kind == "postgres":
            with (
                closing(psycopg2.connect(self.url)) as connection,
                connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("; ".join(statements))
                cursor.executemany(insert, rows)
        elif self.kind == "sqlite":
            with closing(sqlite3.connect(self.file)) as connection, connection:
                for statement in statements:
                    connection.execute(statement)
                connection.executemany(insert, rows)
        else:
            with duckdb.connect(str(self.file)) as connection:
                for statement in statements:
                    connection.execute(statement)
                connection.executemany(insert, [list(row) for row in rows])

    def declare(self, partitions: str, source: str) -> None:
        self.project.declare(
            f"{partitions}sources:\n  orders: {{type: database, connection: shop, {source}}}\n"
        )

    def land(self, *keys: str) -> Passage:
        return self.project.land_source("orders", *keys, url=self.url)


@pytest.fixture(params=["postgres", "sqlite", "duckdb"])
def shop(request: pytest.FixtureRequest, project: Project, tmp_path: Path) -> Shop:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Shop(request.param, project, tmp_path, url)


CLOCKS: list[tuple[Every, str, str]] = [
    ("hour", "Europe/Berlin", "2024-10-27 00:30"),
    ("hour", "Europe/Berlin", "2024-03-31 00:30"),
    ("hour", "Australia/Lord_Howe", "2024-04-06 14:30"),
    ("hour", "America/St_Johns", "2024-11-03 04:30"),
    ("hour", "Asia/Kolkata", "2024-05-05 12:00"),
    ("day", "Asia/Beirut", "2024-03-30 22:00"),
    ("week", "America/New_York", "2024-03-10 05:00"),
    ("month", "Africa/Casablanca", "2024-03-31 23:00"),
]


@pytest.mark.parametrize(
    ("every", "zone", "around"), CLOCKS, ids=[f"{e}-{z}-{a[:7]}" for e, z, a in CLOCKS]
)
@pytest.mark.parametrize("kind", ["aware", "naive"])
def test_a_row_of_a_table_is_of_the_time_that_its_cursor_lies_in(
    shop: Shop, every: Every, zone: str, around: str, kind: str
) -> None:
    if shop.kind == "postgres" and zone not in {"Europe/Berlin", "Africa/Casablanca"}:
        pytest.skip("the plan's windows decide: in a file's databases all are tried")
    centre = datetime.fromisoformat(f"{around}+00:00")
    start = date(2024, 1, 1)
    time = TimePartitions(every, start, None, zone)
    moments = [centre + timedelta(minutes=15 * n) for n in range(-14, 15)]
    if kind == "naive":
        local = sorted({m.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for m in moments})
        local += [m + timedelta(minutes=45) for m in local]  # some that the clocks skip
        moments = sorted(set(local))
        told = [time.key_at(m.replace(tzinfo=ZoneInfo(zone))) for m in moments]
    else:
        told = [time.key_at(m) for m in moments]
    written = [_written(m, n) for n, m in enumerate(moments)] if shop.kind == "sqlite" else moments
    type_ = {"aware": "timestamptz", "naive": "timestamp"}[kind]
    shop.fill(f"id integer, placed {type_}", [*enumerate(written), (-1, None)])
    shop.declare(
        f"partitions: {{every: {every}, start: {start}, timezone: {zone}}}\n",
        "table: orders, cursor: placed",
    )
    expected: dict[str, list[object]] = defaultdict(list)
    for number, key in enumerate(told):
        expected[key].append(number)
    keys = time.between(min(told), time.following(max(told)))

    passage = shop.land(*keys)

    assert not passage.failed
    assert outside(passage) == 1
    found = by_partition(shop.project)
    assert {key: sorted(ids, key=str) for key, ids in found.items()} == {
        key: sorted(expected[key], key=str) for key in keys
    }
    for key in keys[:4:3]:
        assert shop.land(key).publication.changed == frozenset(), key  # type: ignore[union-attr]


def _written(moment: datetime, number: int) -> str:
    """A time as somebody may write it into SQLite."""
    if moment.tzinfo is None:
        return moment.isoformat(sep="T "[number % 2])
    zone = UTC if number % 2 else ZoneInfo("Asia/Tokyo")
    return moment.astimezone(zone).isoformat(sep="T "[number % 3 == 0])


def test_a_date_tells_no_hour(shop: Shop) -> None:
    shop.fill("id integer, placed date", [(1, "2024-01-01")])
    shop.declare("partitions: {every: hour, start: 2024-01-01}\n", "table: orders, cursor: placed")
    with pytest.raises(SourceError, match="placed of table orders is a date, which tells no hour"):
        shop.land("2024-01-01-05:00")


@pytest.mark.parametrize("column", ["varchar(10)", "char(4)"])
def test_rows_of_a_table_are_told_apart_by_a_column(shop: Shop, column: str) -> None:
    rows = [(1, "us"), (2, "eu"), (3, "eu"), (4, "asia"), (5, None), (6, "us")]
    shop.fill(f"id integer, code {column}", rows)
    shop.declare(REGIONS, "table: orders")
    passage = shop.land("us", "eu")
    assert by_partition(shop.project) == {"us": [1, 6], "eu": [2, 3]}
    assert outside(passage) == 2
    shop.fill(f"id integer, code {column}", [(7, "us"), (8, "eu"), (9, "asia")])
    assert outside(shop.land("us")) == 1
    assert by_partition(shop.project) == {"us": [7], "eu": [2, 3]}


def test_values_of_a_column_of_numbers_are_told_as_texts(shop: Shop) -> None:
    shop.fill("id integer, shop_id integer", [(1, 7), (2, 8), (3, 9)])
    shop.declare("partitions: {by: {shop_id: {values: ['7', '8']}}}\n", "table: orders")
    assert outside(shop.land("7", "8")) == 1
    assert by_partition(shop.project) == {"7": [1], "8": [2]}


def test_rows_of_a_table_are_told_apart_by_time_and_column(shop: Shop) -> None:
    days = ["2024-01-01", "2024-01-02"]
    rows = [
        (f"{day}-{code}", f"{day} 10:00:00", code)
        for day in [*days, "2023-12-31"]
        for code in ["us", "eu", "x"]
    ]
    shop.fill("id varchar, placed timestamp, code varchar", rows)
    shop.declare(TWO, "table: orders, cursor: placed")
    keys = [f"{day}|{code}" for day in days for code in ["us", "eu"]]
    passage = shop.land(*keys)
    assert by_partition(shop.project) == {key: [key.replace("|", "-")] for key in keys}
    assert outside(passage) == 5  # three before the first day, an `x` on each other
    assert shop.land(keys[3]).publication.changed == frozenset()  # type: ignore[union-attr]


def test_two_columns_tell_rows_apart(shop: Shop) -> None:
    partitions = "partitions: {by: {region: {values: [us, eu]}, brand: {values: [a, b]}}}\n"
    rows = [("us", "a"), ("us", "b"), ("eu", "b"), ("eu", "c")]
    shop.fill("region varchar, brand varchar", rows)
    shop.declare(partitions, "table: orders")
    assert outside(shop.land("a|eu", "a|us", "b|eu", "b|us")) == 1
    assert by_partition(shop.project, column="brand") == {
        "a|eu": [],
        "a|us": ["a"],
        "b|eu": ["b"],
        "b|us": ["b"],
    }


def test_a_missing_column_is_named(shop: Shop) -> None:
    shop.fill("id integer", [(1,)])
    shop.declare(REGIONS, "table: orders")
    with pytest.raises(SourceError, match="no column code which tells the region; it has id"):
        shop.land("us", "eu")


def test_a_query_is_asked_for_a_dimension_that_it_names(shop: Shop) -> None:
    shop.fill("id integer, code varchar", [(1, "us"), (2, "eu"), (3, "US")])
    shop.declare(REGIONS, "query: 'SELECT id FROM orders WHERE lower(code) = :region'")
    shop.land("us", "eu")
    assert by_partition(shop.project) == {"us": [1, 3], "eu": [2]}


def test_a_query_with_a_cursor_is_asked_for_a_range_of_each_value(shop: Shop) -> None:
    rows = [(n, f"2024-01-0{1 + n % 3} 05:00:00", ["us", "eu"][n // 3]) for n in range(6)]
    shop.fill("id integer, placed timestamp, code varchar", rows)
    shop.declare(TWO, "query: 'SELECT id, placed FROM orders WHERE code = :region', cursor: placed")
    keys = [f"2024-01-0{day}|{code}" for day in (1, 2) for code in ("us", "eu")]
    shop.land(*keys)
    assert by_partition(shop.project) == dict(zip(keys, ([0], [3], [1], [4]), strict=True))


def test_a_query_without_a_cursor_is_asked_for_each_time_and_its_rows_tell_the_rest(
    shop: Shop,
) -> None:
    rows = [
        (n, f"2024-01-0{1 + n % 2}", code) for n, code in enumerate(["us", "us", "eu", "eu", "x"])
    ]
    shop.fill("id integer, day varchar, code varchar", rows)
    shop.declare(
        TWO,
        "query: 'SELECT id, code, :partition_start AS s FROM orders WHERE CAST(day AS varchar) = substr(CAST(:partition_start AS varchar), 1, 10)'",
    )
    keys = [f"2024-01-0{day}|{code}" for day in (1, 2) for code in ("us", "eu")]
    assert outside(shop.land(*keys)) == 1
    assert by_partition(shop.project) == dict(zip(keys, ([0], [2], [1], [3]), strict=True))


def test_a_query_is_asked_once_a_registered_key(shop: Shop) -> None:
    customers = ["Müller & Söhne", "a:b|c", "50% off", 'it\'s "x"']
    shop.fill("id integer, customer varchar", list(enumerate(customers)))
    shop.declare(CUSTOMERS, "query: 'SELECT id FROM orders WHERE customer = :partition_key'")
    for key in customers:
        shop.land(key)
    assert by_partition(shop.project) == {key: [n] for n, key in enumerate(customers)}


def test_a_table_has_no_registered_keys(shop: Shop) -> None:
    shop.declare(CUSTOMERS, "table: orders")
    (problem,) = shop.project.problems()
    assert "no column tells of which of `dynamic` partitions a row is: write a `query`" in problem


def put(project: Project, name: str, *ids: object, code: str | None = None) -> None:
    path = project.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join(json.dumps({"id": one} | ({"code": code} if code else {})) for one in ids)
    )


def files(project: Project, partitions: str, path: str) -> None:
    project.declare(
        f"{partitions}sources:\n  orders: {{type: file, path: '{path}', arrival: none}}\n"
    )


def test_rows_of_files_are_told_apart_by_a_column(project: Project) -> None:
    for day in (1, 2):
        lines = [{"id": f"{day}-{code}", "code": code} for code in ("us", "eu", "x", None)]
        (project.folder / f"2024-01-0{day}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    files(project, TWO, "{partition_start:%Y-%m-%d}.jsonl")
    keys = [f"2024-01-0{day}|{code}" for day in (1, 2) for code in ("us", "eu")]
    passage = project.land_source("orders", *keys)
    assert outside(passage) == 4
    assert by_partition(project) == {key: [f"{key[9]}-{key[11:]}"] for key in keys}
    again = project.land_source("orders", keys[1])
    assert again.publication.changed == frozenset()  # type: ignore[union-attr]
    assert outside(again) == 2


def test_one_file_for_all_values_of_a_column(project: Project) -> None:
    (project.folder / "all.jsonl").write_text('{"id": 1, "code": "us"}\n{"id": 2, "code": "eu"}\n')
    files(project, REGIONS, "all.jsonl")
    project.land_source("orders", "us", "eu")
    assert by_partition(project) == {"us": [1], "eu": [2]}


def test_a_path_names_the_value(project: Project) -> None:
    put(project, "us/2024/01/01/a.jsonl", 1)
    put(project, "eu/2024/01/01/a.jsonl", 2, 3)
    files(project, TWO, "{region}/{partition_start:%Y/%m/%d}/*.jsonl")
    project.land_source("orders", "2024-01-01|us", "2024-01-01|eu")
    assert by_partition(project) == {"2024-01-01|us": [1], "2024-01-01|eu": [2, 3]}


def test_a_file_is_named_by_what_a_name_can_have_of_a_key(project: Project) -> None:
    names = {
        "Ünï côdé": "Ünï côdé",
        "a:b|c": "a%3Ab%7Cc",
        "../x": "..%2Fx",
        "50%": "50%25",
        "..": "%2E%2E",
        "[1]": "[1]",
    }
    for number, name in enumerate(names.values()):
        put(project, f"in/{name}.jsonl", number)
    files(project, CUSTOMERS, "in/{partition_key}.jsonl")
    for key in names:
        assert not project.land_source("orders", key).failed
    assert by_partition(project) == {key: [n] for n, key in enumerate(names)}


def test_a_file_of_an_hour_that_is_there_twice_is_of_the_first(project: Project) -> None:
    for hour in (1, 2, 3):
        put(project, f"2024/10/27/{hour:02}.jsonl", hour)
    files(
        project,
        "partitions: {every: hour, start: 2024-10-01, timezone: Europe/Berlin}\n",
        "{partition_start:%Y/%m/%d/%H}.jsonl",
    )
    first, second = "2024-10-27-02:00", "2024-10-27-02:00+0100"
    project.land_source("orders", second)
    assert by_partition(project) == {second: []}
    project.land_source("orders", "2024-10-27-01:00", first, second, "2024-10-27-03:00")
    assert by_partition(project) == {
        "2024-10-27-01:00": [1],
        first: [2],
        second: [],
        "2024-10-27-03:00": [3],
    }


def test_files_of_an_hour_that_is_there_twice_are_told_apart_by_the_zone(project: Project) -> None:
    for hour in ("02+0200", "02+0100"):
        put(project, f"2024-10-27T{hour}.jsonl", hour)
    files(
        project,
        "partitions: {every: hour, start: 2024-10-01, timezone: Europe/Berlin}\n",
        "{partition_start:%Y-%m-%dT%H%z}.jsonl",
    )
    keys = "2024-10-27-02:00", "2024-10-27-02:00+0100"
    project.land_source("orders", *keys)
    assert by_partition(project) == dict(zip(keys, (["02+0200"], ["02+0100"]), strict=True))


@pytest.mark.parametrize(
    ("partitions", "path", "message"),
    [
        (
            REGIONS,
            "{partition_start:%Y}.jsonl",
            "{partition_start:%Y} has no value: the partitions aren't of time",
        ),
        (
            REGIONS,
            "{regoin}.jsonl",
            "{regoin} means nothing; there are {partition_key} and {region}",
        ),
        (TWO, "{region}.jsonl", "the path needs {partition_key} or {partition_start:%Y-%m-%d}"),
        (CUSTOMERS, "a.jsonl", "the path needs {partition_key}, or"),
    ],
)
def test_a_path_that_names_no_partition_is_refused(
    project: Project, partitions: str, path: str, message: str
) -> None:
    files(project, partitions, path)
    assert message in project.problems()[0]


def python(project: Project, partitions: str, code: str) -> None:
    folder = project.pipelines / PIPELINE
    folder.mkdir(exist_ok=True)
    (folder / "feed.py").write_text(code)
    project.declare(f"{partitions}sources:\n  orders: {{type: python, function: 'feed:fetch'}}\n")


def test_a_function_gets_the_values_of_a_partition(project: Project) -> None:
    python(
        project,
        TWO,
        "def fetch(partition, region):\n    return [dict(id=f'{partition.start:%d}{region}', same=partition.values['region'] == region)]\n",
    )
    keys = ["2024-01-01|us", "2024-01-02|eu"]
    for key in keys:
        project.land_source("orders", key)
    assert by_partition(project) == {keys[0]: ["01us"], keys[1]: ["02eu"]}
    assert project.column("raw/orders", "same") == [True, True]


def test_a_function_gets_a_registered_key(project: Project) -> None:
    python(
        project,
        CUSTOMERS,
        "def fetch(partition):\n    return [dict(id=partition.key, none=partition.start is None)]\n",
    )
    project.land_source("orders", "Ünï: côdé | x")
    assert project.rows("raw/orders") == [{"id": "Ünï: côdé | x", "none": True}]


@pytest.mark.parametrize(
    ("every", "lookback", "key", "before"),
    [
        ("hour", "90m", "2024-03-10-05:00", ["2024-03-10-03:00", "2024-03-10-04:00"]),
        ("hour", "1h", "2024-10-27-03:00", ["2024-10-27-02:00+0100"]),
        ("day", "36h", "2024-03-10", ["2024-03-08", "2024-03-09"]),
        ("week", "8d", "2024-03-11", ["2024-02-26", "2024-03-04"]),
        ("month", "31d", "2024-03-01", ["2024-01-01", "2024-02-01"]),
        ("month", "29d", "2024-03-01", ["2024-02-01"]),
        ("month", "29d", "2024-01-01", []),
    ],
)
def test_a_lookback_reads_the_partitions_that_it_reaches(
    project: Project, every: Every, lookback: str, key: str, before: list[str]
) -> None:
    code = "def fetch(partition):\n    return [dict(id=partition.key)]\n"
    python(
        project,
        f"partitions: {{every: {every}, start: 2024-01-01, timezone: Europe/Berlin}}\n",
        code,
    )
    path = project.pipelines / PIPELINE / "pipeline.yaml"
    path.write_text(path.read_text().replace("'feed:fetch'", f"'feed:fetch', lookback: {lookback}"))
    project.land_source("orders", key)
    assert [*by_partition(project)] == [*before, key]


def test_a_lookback_keeps_to_the_values_of_a_run(project: Project) -> None:
    python(project, TWO, "def fetch(partition):\n    return [dict(id=partition.key)]\n")
    path = project.pipelines / PIPELINE / "pipeline.yaml"
    path.write_text(path.read_text().replace("'feed:fetch'", "'feed:fetch', lookback: 1d"))
    project.land_source("orders", "2024-01-03|eu")
    assert [*by_partition(project)] == ["2024-01-02|eu", "2024-01-03|eu"]


class TestApis:
    """Requests have the values of a partition; the server answers with what it was asked."""

    @pytest.mark.parametrize(
        ("partitions", "source", "keys"),
        [
            (
                TWO,
                "path: '/{region}/:partition_key', params: {from: ':partition_start'}",
                {"2024-01-01|us": "/us/2024-01-01%7Cus?from=2024-01-01T00%3A00%3A00Z"},
            ),
            (
                REGIONS,
                "path: /x, params: {where: 'region=:region', r: ':region'}",
                {"us": "/x?where=region%3Dus&r=us", "eu": "/x?where=region%3Deu&r=eu"},
            ),
            (CUSTOMERS, "path: '/{partition_key}'", {"Ü b/c": "/%C3%9C%20b%2Fc"}),
        ],
    )
    def test_a_request_has_the_values(
        self, project: Project, partitions: str, source: str, keys: dict[str, str]
    ) -> None:
        class Echo(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps([{"id": self.path}]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            project.platform(f"connections:\n  api: {{type: api, url: '{url}'}}\n")
            project.declare(
                f"{partitions}sources:\n  orders: {{type: api, connection: api, {source}}}\n"
            )
            project.land_source("orders", *keys, connection=ApiConnection(type="api", url=url))
        finally:
            server.shutdown()
            server.server_close()
        assert by_partition(project) == {key: [path] for key, path in keys.items()}

    @pytest.mark.parametrize(
        ("partitions", "message"),
        [
            (TWO, "name :partition_start, :partition_end or :partition_key"),
            (REGIONS, "name :region or :partition_key"),
            (CUSTOMERS, "name :partition_key in the request"),
        ],
    )
    def test_partitions_that_would_ask_for_the_same_are_refused(
        self, project: Project, partitions: str, message: str
    ) -> None:
        project.declare(
            f"{partitions}sources:\n  orders: {{type: api, url: 'http://localhost/x'}}\n"
        )
        assert message in project.problems()[0]
