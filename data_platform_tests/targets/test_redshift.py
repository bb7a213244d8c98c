"""A table in Redshift: staged Parquet, one transaction, each version once."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import obstore
import psycopg2
import pytest
from factories import DAY, DAYS, NEXT_DAY, Project
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket
from redshift_server import RedshiftError, Server

from data_platform.destinations.loading import Loading, deliver
from data_platform.engine.object_store import ObjectStore
from data_platform.engine.outside import Outside
from data_platform.errors import StorageError, StorageUnavailable
from data_platform.plan.explaining import explain_text
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.spec.platform import Connection, DatabaseConnection
from data_platform.targets.answering import held
from data_platform.targets.redshift import connecting, staging

AMOUNTS = "SELECT * FROM (VALUES (1, 10.10), (2, 20.25)) AS t(id, amount)"
OTHERS = "SELECT 3 AS id, 0.5 AS amount"
KEYS = f"ACCESS_KEY_ID '{ACCESS_KEY}' SECRET_ACCESS_KEY '{SECRET_KEY}'"
ROLE = "arn:aws:iam::123456789012:role/loads"
PLATFORM = """
connections:
  shop: {type: database, url: postgresql://nowhere}
  warehouse: {type: database, url: 'redshift://etl@warehouse:5439/sales'}
  exports: {type: s3}
"""


class Warehouse:
    """A project with one destination in Redshift."""

    def __init__(self, project: Project, url: str, bucket: Bucket) -> None:
        self.project, self.bucket, self.postgres = project, bucket, url
        self.url = url.replace("postgresql://", "redshift://", 1)
        self.server = Server(bucket)
        project.platform(PLATFORM)

    def declare(self, more: str = f"iam_role: '{ROLE}'", *, daily: bool = True) -> None:
        lines = "".join(f"    {line}\n" for line in more.splitlines())
        self.project.declare(
            "staging:\n  orders: {from: raw.orders}\ndestinations:\n  orders:\n"
            "    from: staging.orders\n    type: redshift\n    connection: warehouse\n"
            "    schema: sales\n    table: orders\n"
            f"    stage: {{connection: exports, path: '{self.bucket.url}/stage'}}\n{lines}",
            daily=daily,
        )

    def publish(self, rows: str, *keys: str) -> None:
        typed = f"SELECT * REPLACE (CAST(amount AS DECIMAL(12, 2)) AS amount) FROM ({rows})"
        self.project.land_all("staging/orders", dict.fromkeys(keys or [WHOLE], typed))

    def node(self) -> DestinationNode:
        node = self.project.node("destinations/orders")
        assert isinstance(node, DestinationNode)
        return node

    @property
    def outside(self) -> Outside:
        def connection(name: str) -> Connection:
            if name == "exports":
                return self.bucket.connection()
            return DatabaseConnection(type="database", url=self.url)

        return Outside(connection, lambda text: text)

    def load(self, *keys: str) -> Loading:
        self.server.said.clear()
        workbench = self.project.workbench
        return deliver(self.node(), keys or [WHOLE], workbench, self.outside, "run")

    def ask(self, query: str = "SELECT id, amount FROM sales.orders ORDER BY 1") -> Sequence[Any]:
        with closing(psycopg2.connect(self.postgres)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def execute(self, *statements: str) -> None:
        with closing(psycopg2.connect(self.postgres)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def held(self) -> dict[str, str]:
        found = held(self.node(), self.outside)
        return {key: version.data_version for key, version in found.items()}

    def staged(self) -> list[str]:
        store = ObjectStore(self.bucket.connection(), self.bucket.name).store
        return [one["path"] for some in obstore.list(store) for one in some]

    def fail_at(self, start: str, error: BaseException) -> None:
        """From now on the first statement that begins so isn't reached."""

        def before(statement: str) -> None:
            if statement.startswith(start):
                raise error

        self.server.before = before

    def go_on(self) -> None:
        self.server.before = lambda _: None


@pytest.fixture
def warehouse(project: Project, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    made = Warehouse(project, postgres_url, Bucket())
    monkeypatch.setattr(connecting, "connect", made.server.connect)
    return made


def test_versions_are_loaded_once_and_nothing_stays_in_the_bucket(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.publish(OTHERS, NEXT_DAY)
    loading = warehouse.load(DAY, NEXT_DAY)
    assert loading.loaded == {DAY, NEXT_DAY}
    assert warehouse.ask() == [(1, Decimal("10.10")), (2, Decimal("20.25")), (3, Decimal("0.50"))]
    assert warehouse.staged() == []
    assert warehouse.held() == {key: one.data_version for key, one in loading.versions.items()}
    assert warehouse.load(DAY, NEXT_DAY).loaded == frozenset()
    assert warehouse.server.copies() == []


def test_a_new_version_replaces_its_partition_alone(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY, NEXT_DAY)
    warehouse.load(DAY, NEXT_DAY)
    warehouse.execute("CREATE VIEW sales.seen AS SELECT sum(amount) AS amount FROM sales.orders")
    warehouse.publish(OTHERS, DAY)
    assert warehouse.load(DAY, NEXT_DAY).loaded == {DAY}
    assert warehouse.ask("SELECT * FROM sales.seen") == [(Decimal("30.85"),)]
    kept = warehouse.ask("SELECT _partition, count(*) FROM sales.orders GROUP BY 1 ORDER BY 1")
    assert kept == [(DAY, 1), (NEXT_DAY, 2)]


def test_a_load_locks_first_and_is_one_transaction(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    warehouse.publish(OTHERS, DAY)
    warehouse.load(DAY)
    words = [statement.split()[0] for statement in warehouse.server.said]
    first = words.index("COMMIT") + 1
    assert words[first:] == [
        "LOCK", "SELECT", "SELECT", "CREATE", "COPY", "SELECT", "DELETE", "DELETE", "INSERT",
        "INSERT", "COMMIT",
    ]  # fmt: skip
    assert warehouse.server.said[first].startswith('LOCK TABLE "data_platform"."lock_')


@pytest.mark.parametrize(
    "start", ["LOCK", "CREATE TEMPORARY", "COPY", "DELETE", 'INSERT INTO "sales"', "COMMIT"]
)
def test_a_crash_anywhere_leaves_the_table_and_the_next_load_mends(
    warehouse: Warehouse, start: str
) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    before, versions = warehouse.ask(), warehouse.held()
    warehouse.publish(OTHERS, DAY)
    warehouse.fail_at(start, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        warehouse.load(DAY)
    warehouse.go_on()
    assert (warehouse.ask(), warehouse.held()) == (before, versions)
    assert warehouse.load(DAY).loaded == {DAY}
    assert warehouse.ask() == [(3, Decimal("0.50"))]


def test_what_a_killed_load_left_in_the_bucket_is_removed(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.fail_at("COPY", KeyboardInterrupt())
    with monkeypatch.context() as patched:
        patched.setattr(staging.Stage, "clear", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            warehouse.load(DAY)
    left = warehouse.staged()
    assert sorted(name.rpartition("/")[2] for name in left) == [
        "manifest.json",
        "part-00000.parquet",
    ]
    warehouse.bucket.put(f"{left[0].rpartition('/')[0]}/part-00007.parquet", "old")
    warehouse.bucket.put("stage/of-somebody-else/file", "theirs")
    warehouse.go_on()
    warehouse.load(DAY)
    assert warehouse.staged() == ["stage/of-somebody-else/file"]
    assert len(warehouse.ask()) == 2


LONG_AGO = datetime.fromisoformat("1677-01-01T10:11:12.123456")
TYPES = {
    "yes": ("BOOLEAN", "true", True),
    "tiny": ("TINYINT", "-128", -128),
    "small": ("SMALLINT", "32767", 32767),
    "whole": ("INTEGER", "-2147483648", -2147483648),
    "big": ("BIGINT", "9223372036854775807", 9223372036854775807),
    "single": ("FLOAT", "0.5", 0.5),
    "double": ("DOUBLE", "0.1", 0.1),
    "amount": ("DECIMAL(12,2)", "-0.01", Decimal("-0.01")),
    "long": ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789",
             Decimal("1234567890123456789012345678.0123456789")),
    "text": ("VARCHAR", "'it''s \\ \"ü🙂\" \n'", 'it\'s \\ "ü🙂" \n'),
    "bytes": ("BLOB", "'\\x00\\xff'::BLOB", b"\x00\xff"),
    "day": ("DATE", "'2024-02-29'", date(2024, 2, 29)),
    "local": ("TIMESTAMP", "'1677-01-01 10:11:12.123456'", LONG_AGO),
    "moment": ("TIMESTAMP WITH TIME ZONE", "'2500-01-01 00:30:00+02'",
               datetime(2499, 12, 31, 22, 30, tzinfo=UTC)),
    "Select": ("INTEGER", "7", 7),
}  # fmt: skip


def test_every_value_of_every_type_arrives(warehouse: Warehouse) -> None:
    warehouse.declare()
    values = ", ".join(
        f'CAST({text} AS {kind}) AS "{name}"' for name, (kind, text, _) in TYPES.items()
    )
    nulls = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, (kind, _, _) in TYPES.items())
    warehouse.publish(f"SELECT {values} UNION ALL SELECT {nulls}", DAY)
    warehouse.load(DAY)
    first, second = warehouse.ask("SELECT * FROM sales.orders ORDER BY yes")
    given = [bytes(value) if isinstance(value, memoryview) else value for value in first]
    assert given == [*(value for _, _, value in TYPES.values()), DAY]
    assert second == (*[None] * len(TYPES), DAY)
    said = next(one for one in warehouse.server.said if one.startswith('CREATE TABLE "sales"'))
    assert '"tiny" smallint, "small" smallint, "whole" integer, "big" bigint, "single" real' in said
    assert '"long" numeric(38,10), "text" varchar(65535), "bytes" varbyte(1024000)' in said
    assert '"local" timestamp, "moment" timestamptz, "Select" integer, "_partition" varchar' in said
    assert said.endswith(' DISTSTYLE AUTO COMPOUND SORTKEY ("_partition")')


def test_the_table_is_made_of_the_contract(warehouse: Warehouse) -> None:
    warehouse.execute("CREATE ROLE redshift_readers", "CREATE ROLE redshift_anna")
    try:
        warehouse.project.declare(
            "staging:\n  orders:\n    from: raw.orders\n    columns:\n"
            "      id: {type: integer, nullable: false, description: \"of it; a 'key' \\\\ \"}\n"
            "      day: {type: date}\n"
            "destinations:\n  orders:\n    from: staging.orders\n    type: redshift\n"
            "    connection: warehouse\n    schema: sales\n    table: orders\n"
            "    partition_column: day\n    distribution_key: id\n    sort_key: [day, id]\n"
            "    grants: {redshift_readers: [select], 'user:redshift_anna': [select, insert]}\n"
            f"    stage: {{connection: exports, path: '{warehouse.bucket.url}/stage'}}\n",
            daily=True,
        )
        warehouse.project.land_all("staging/orders", {DAY: f"SELECT 1 AS id, DATE '{DAY}' AS day"})
        warehouse.load(DAY)
        said = next(one for one in warehouse.server.said if one.startswith('CREATE TABLE "sales"'))
        assert said == (
            'CREATE TABLE "sales"."orders" ("id" integer NOT NULL, "day" date) '
            'DISTSTYLE KEY DISTKEY ("id") COMPOUND SORTKEY ("day", "id")'
        )
        assert 'GRANT SELECT ON TABLE "sales"."orders" TO ROLE "redshift_readers"' in (
            warehouse.server.said
        )
        comment = "SELECT col_description('sales.orders'::regclass, 1)"
        assert warehouse.ask(comment) == [("of it; a 'key' \\ ",)]
        rights = "SELECT has_table_privilege('{}', 'sales.orders', 'insert')"
        assert warehouse.ask(rights.format("redshift_anna")) == [(True,)]
        assert warehouse.ask(rights.format("redshift_readers")) == [(False,)]
        warehouse.project.land_all("staging/orders", {DAY: f"SELECT 2 AS id, DATE '{DAY}' AS day"})
        warehouse.load(DAY)
        assert warehouse.ask("SELECT id, day FROM sales.orders") == [(2, date(2024, 1, 1))]
    finally:
        warehouse.execute("DROP SCHEMA sales CASCADE")
        warehouse.execute("DROP ROLE redshift_readers", "DROP ROLE redshift_anna")


def test_rows_are_laid_into_several_files(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "PART_BYTES", 1)
    sent: list[str] = []
    original = staging.Stage._send

    def send(self: staging.Stage, key: str, path: Any) -> None:
        sent.append(key.rpartition("/")[2])
        original(self, key, path)

    monkeypatch.setattr(staging.Stage, "_send", send)
    monkeypatch.setattr("data_platform.destinations.loading.BATCH_ROWS", 2048)
    warehouse.declare()
    warehouse.publish("SELECT i AS id, 1.0 AS amount FROM range(5000) t(i)", DAY)
    warehouse.load(DAY)
    assert sorted(sent) == [f"part-0000{number}.parquet" for number in range(len(sent))]
    assert len(sent) > 1
    assert warehouse.ask("SELECT count(*), sum(id) FROM sales.orders") == [(5000, 12497500)]


def test_partitions_without_rows_are_loaded_too(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    warehouse.publish(f"{AMOUNTS} WHERE FALSE", DAY)
    assert warehouse.load(DAY).loaded == {DAY}
    assert warehouse.ask() == []
    assert warehouse.server.copies() == []
    assert list(warehouse.held()) == [DAY]


def test_a_table_without_partitions_is_replaced(warehouse: Warehouse) -> None:
    warehouse.declare(daily=False)
    warehouse.publish(AMOUNTS)
    warehouse.load()
    warehouse.publish(OTHERS)
    assert warehouse.load().loaded == {WHOLE}
    assert warehouse.ask("SELECT * FROM sales.orders") == [(3, Decimal("0.50"))]
    assert list(warehouse.held()) == [WHOLE]


def test_append_adds_each_partition_once(warehouse: Warehouse) -> None:
    warehouse.declare("write: append")
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    warehouse.publish(OTHERS, NEXT_DAY)
    assert warehouse.load(DAY, NEXT_DAY).loaded == {NEXT_DAY}
    warehouse.publish(OTHERS, DAY)
    with pytest.raises(StorageError, match=f"{DAY} was appended in another version, and"):
        warehouse.load(DAY, NEXT_DAY)
    assert len(warehouse.ask()) == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (f"iam_role: '{ROLE}'", f" IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST"),
        ("iam_role: default", " IAM_ROLE default FORMAT AS PARQUET MANIFEST"),
        (
            "copy_options: {statupdate: false, acceptinvchars: '?'}",
            f" {KEYS} FORMAT AS PARQUET MANIFEST STATUPDATE OFF ACCEPTINVCHARS AS '?'",
        ),
    ],
)
def test_copy_says_who_reads_the_bucket(warehouse: Warehouse, more: str, said: str) -> None:
    warehouse.declare(more)
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    [copy] = warehouse.server.copies()
    assert copy.endswith(said)
    assert len(warehouse.ask()) == 2


def test_keys_are_in_no_message(warehouse: Warehouse) -> None:
    warehouse.declare("copy_options: {statupdate: false}")
    warehouse.publish(AMOUNTS, DAY)

    def before(statement: str) -> None:
        if statement.startswith("COPY"):
            raise RedshiftError(f"syntax error in {statement}")

    warehouse.server.before = before
    with pytest.raises(StorageError) as raised:
        warehouse.load(DAY)
    text = f"{raised.getrepr(style='long')}{raised.value}"
    assert "ACCESS_KEY_ID '***' SECRET_ACCESS_KEY '***'" in str(raised.value)
    assert SECRET_KEY not in str(raised.value)
    assert raised.value.__cause__ is None
    assert "table sales.orders" in text


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("1023\nDETAIL:  Serializable isolation violation on table - 1", StorageUnavailable),
        (
            "S3ServiceException:Please reduce your request rate,Status 503,SlowDown",
            StorageUnavailable,
        ),
        ("S3ServiceException:Access Denied,Status 403,Error AccessDenied", StorageError),
        ("Cannot insert a NULL value into column id", StorageError),
    ],
)
def test_errors_that_pass_are_told_from_those_that_stay(
    warehouse: Warehouse, said: str, kind: type[Exception]
) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.fail_at("COPY", RedshiftError(said))
    with pytest.raises(
        kind, match=f"table sales.orders: redshift://.*: {said.splitlines()[0][:20]}"
    ):
        warehouse.load(DAY)
    assert warehouse.staged() == []


def test_rows_that_copy_lost_are_missed(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)

    def before(statement: str) -> None:
        if statement.startswith("COPY"):
            warehouse.server.said.append("lost")

    warehouse.server.before = before
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("redshift_server.Cursor._insert", lambda *_: None)
        with pytest.raises(StorageError, match="2 rows were laid down, and COPY brought 0"):
            warehouse.load(DAY)
    assert warehouse.ask("SELECT to_regclass('sales.orders')::text") == [(None,)]


def test_a_new_column_is_added_and_null_in_old_rows(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    warehouse.execute("ALTER TABLE sales.orders ADD COLUMN theirs int DEFAULT 7")
    warehouse.publish("SELECT 3 AS id, 0.5 AS amount, 'x' AS note", NEXT_DAY)
    warehouse.load(NEXT_DAY)
    rows = warehouse.ask("SELECT id, note, theirs FROM sales.orders ORDER BY 1")
    assert rows == [(1, None, 7), (2, None, 7), (3, "x", 7)]


def test_wider_columns_hold_what_comes(warehouse: Warehouse) -> None:
    warehouse.execute(
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.orders (_partition varchar(50), amount numeric(20, 4), id bigint)",
    )
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    assert warehouse.ask() == [(1, Decimal("10.1000")), (2, Decimal("20.2500"))]


@pytest.mark.parametrize("columns", ["id smallint, amount numeric(12,2)", "id int, amount real"])
def test_other_types_are_refused_with_what_would_change_them(
    warehouse: Warehouse, columns: str
) -> None:
    warehouse.execute(
        "CREATE SCHEMA sales", f"CREATE TABLE sales.orders ({columns}, _partition varchar(50))"
    )
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    message = r'is (smallint|real) there and .* now; .* ALTER TABLE "sales"."orders" DROP COLUMN'
    with pytest.raises(StorageError, match=message):
        warehouse.load(DAY)
    assert warehouse.ask() == []


def test_a_table_that_somebody_dropped_is_loaded_anew(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.load(DAY)
    warehouse.execute("DROP TABLE sales.orders")
    assert warehouse.load(DAY).loaded == {DAY}
    assert len(warehouse.ask()) == 2


def test_lists_are_refused(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish("SELECT 1 AS id, 0.5 AS amount, ['a'] AS names", DAY)
    message = r"column names is VARCHAR\[\], for which a table of Redshift has no type"
    with pytest.raises(StorageError, match=message):
        warehouse.load(DAY)
    warehouse.project.know(orders={"id": "INTEGER", "names": "VARCHAR[]"})
    [problem] = warehouse.project.problems()
    assert "column names is VARCHAR[], for which a table of Redshift has no type" in problem


def test_nothing_was_loaded_before_there_is_a_ledger(warehouse: Warehouse) -> None:
    warehouse.declare()
    assert warehouse.held() == {}


def test_an_url_of_another_database_is_refused(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, DAY)
    warehouse.url = warehouse.postgres
    with pytest.raises(StorageError, match="is no Redshift: redshift://"):
        warehouse.load(DAY)


def test_a_server_that_is_away_may_be_back(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.declare()
    monkeypatch.undo()
    warehouse.url = "redshift://etl:secret@127.0.0.1:1/sales"
    with pytest.raises(StorageUnavailable, match="redshift://127\\.0\\.0\\.1:1/sales"):
        warehouse.held()


def test_the_port_is_redshifts_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []
    monkeypatch.setattr(psycopg2, "connect", lambda **named: asked.append(named))
    connecting.connect("redshift+psycopg2://etl@host/sales?sslmode=require")
    connecting.connect("redshift://etl@host:5440/sales")
    usual = {"user": "etl", "host": "host", "dbname": "sales"}
    assert asked == [
        {"port": "5439", **usual, "sslmode": "require"},
        {"port": "5440", **usual},
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("connection: shop", "connection 'shop' is no Redshift: its url is redshift://"),
        ("connection: exports", "is of type s3, and database is needed"),
        ("stage: 's3://bucket'", "is no folder of a bucket: s3://bucket/..."),
        ("stage: {connection: nobody, path: x}", "there is no connection 'nobody' of type s3"),
        ("stage: {connection: exports, path: x}", "names no bucket: write s3://bucket/x"),
        ("stage: {connection: exports, path: /}", "rows are laid into a folder of their own"),
        ("write: replace", "`replace` would leave one partition of staging.orders"),
        ("partition_column: dey", "has no column 'dey'; it has id, day"),
        ("partition_column: id", "column id is INTEGER: a partition is told by a text"),
        ("distribution_key: nothing", "has no column 'nothing'"),
        ("sort_key: [day, nothing]", "has no column 'nothing'"),
        ("schema: data_platform", "the schema data_platform is the platform's own"),
        ("grants: {'bot:anna': [select]}", "'bot:anna' is nobody: a role, `user:name`"),
        ("grants: {analysts: []}", "no privilege of analysts is named"),
    ],
)
def test_mistakes_are_found_at_load(warehouse: Warehouse, more: str, message: str) -> None:
    warehouse.project.know(orders={"id": "INTEGER", "day": "DATE"})
    key = more.partition(":")[0]
    usual = {
        "connection": "warehouse",
        "schema": "sales",
        "stage": "{connection: exports, path: 's3://bucket/stage'}",
    }
    said = "".join(f"    {name}: {value}\n" for name, value in usual.items() if name != key)
    warehouse.project.declare(
        "staging:\n  orders: {from: raw.orders}\ndestinations:\n  orders:\n"
        f"    from: staging.orders\n    type: redshift\n    table: orders\n{said}    {more}\n",
        daily=True,
    )
    [problem] = warehouse.project.problems()
    assert message in problem


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('iam_role: "x\' OR 1"', "is no role: `default`, or arn:aws:iam::"),
        ("copy_options: {maxerror: 5}", "unknown key 'maxerror'"),
        ("quality: [not_null: id]", "unknown key 'quality'"),
        ("write: merge", "'merge' is not allowed"),
    ],
)
def test_what_is_written_wrong_is_told(warehouse: Warehouse, more: str, message: str) -> None:
    warehouse.declare(more)
    [problem] = warehouse.project.workspace().problems
    assert message in str(problem)


def test_explain_tells_the_table(warehouse: Warehouse) -> None:
    warehouse.declare()
    text = explain_text(warehouse.project.build().plan, [warehouse.node().key], width=200)
    assert "table sales.orders of connection warehouse, replace_partition" in text


def test_ten_days_are_one_copy(warehouse: Warehouse) -> None:
    warehouse.declare()
    warehouse.publish(AMOUNTS, *DAYS)
    warehouse.load(*DAYS)
    assert len(warehouse.server.copies()) == 1
    assert warehouse.ask("SELECT count(*) FROM sales.orders") == [(20,)]
