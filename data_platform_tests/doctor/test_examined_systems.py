"""Databases, Dagster's storage, APIs, buckets, clusters and the lake, looked at for real."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import duckdb
import psycopg2
import pytest
from dagster import DagsterInstance
from dagster._daemon.types import DaemonHeartbeat
from kafka_cluster import KafkaCluster
from mariadb import MariaDB
from misbehaving_server import Asked, Reply, misbehaving
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url

from data_platform.doctor import services
from data_platform.doctor.dagster_storage import dagster_storage
from data_platform.doctor.databases import database
from data_platform.doctor.findings import Finding
from data_platform.doctor.lake import disks, lake
from data_platform.doctor.services import api, bucket, kafka
from data_platform.errors import PlatformError, SourceError, SourceUnavailable, StorageError
from data_platform.instance.database import newest_migration
from data_platform.spec.platform import ApiConnection, KafkaConnection, S3Connection
from data_platform.storage.places.opening import place_of

CANARY = "a-canary"


def told(findings: Iterable[Finding]) -> dict[str, tuple[str, str]]:
    """Level and words, by what was looked at."""
    return {found.what: (found.level, found.found) for found in findings}


def execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def failed(look: Callable[[], Iterable[Finding]]) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        list(look())
    assert CANARY not in str(raised.value)
    return raised.value


# Databases ------------------------------------------------------------------------------------


def test_a_postgres_tells_version_connections_and_clock(postgres_url: str) -> None:
    found = told(database("shop", postgres_url))
    assert found["reachable"][0] == "ok"
    assert ", PostgreSQL 1" in found["reachable"][1]
    assert found["connections"][0] == "ok"
    assert "of the server's 300 in use" in found["connections"][1]
    assert found["clock"] == ("ok", "as this machine's")


def test_the_limit_that_is_nearest_is_told(postgres_url: str) -> None:
    role = f"few_{os.getpid()}"
    url = postgres_url.replace("postgres@", f"{role}@")
    execute(postgres_url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")
    try:
        with closing(psycopg2.connect(url)):
            found = told(database("shop", url))
            with closing(psycopg2.connect(url)):
                full = told(database("shop", url))
        assert found["connections"] == ("fail", "2 of the role's 2 in use")
        level, words = full.pop("connections")
        assert (level, full) == ("fail", {})
        assert words.endswith(f': too many connections for role "{role}"')
    finally:
        execute(postgres_url, f"DROP ROLE {role}")


def test_databases_that_let_nobody_in(postgres_url: str) -> None:
    nobody = postgres_url.replace("postgres@", f"nobody:{CANARY}@")
    refused = failed(lambda: database("shop", nobody))
    assert isinstance(refused, SourceError)
    away = failed(lambda: database("shop", f"postgresql://me:{CANARY}@127.0.0.1:1/shop"))
    assert isinstance(away, SourceUnavailable)
    assert "postgresql://127.0.0.1:1/shop" in str(away)


def test_files_that_are_databases(tmp_path: Path) -> None:
    assert told(database("a", f"sqlite:///{tmp_path}/no.db"))["reachable"][0] == "warn"
    assert told(database("a", f"duckdb:///{tmp_path}/no.db"))["reachable"][0] == "warn"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.db").write_text("no database at all, but a text that is long enough" * 9)
    for scheme in ("sqlite", "duckdb"):
        error = failed(lambda scheme=scheme: database("a", f"{scheme}:///{tmp_path}/text.db"))
        assert isinstance(error, SourceError)
    path = tmp_path / "shop.duckdb"
    duckdb.connect(str(path)).close()
    level, words = told(database("a", f"duckdb:///{path}"))["reachable"]
    assert (level, "DuckDB" in words) == ("ok", True)


def test_a_mariadb_tells_its_connections_and_clock(mariadb: MariaDB) -> None:
    found = told(database("shop", mariadb.url))
    assert found["connections"][0] == "ok"
    assert found["clock"] == ("ok", "as this machine's")
    refused = failed(lambda: database("shop", mariadb.url.replace("root:", f"no:{CANARY}")))
    assert isinstance(refused, SourceError)


def test_a_database_without_a_driver() -> None:
    assert "oracle isn't installed" in str(failed(lambda: database("a", "oracle://h/x")))
    assert "no driver for nothing" in str(failed(lambda: database("a", "nothing://h/x")))


# Dagster --------------------------------------------------------------------------------------


def test_storage_with_a_daemon(instance: DagsterInstance, dagster_url: str) -> None:
    found = told(dagster_storage(dagster_url, newest_migration))
    assert found["migrations"] == ("ok", "none pending")
    assert found["daemon"] == ("warn", "has never run")
    beat = DaemonHeartbeat(time.time() - 40, "SENSOR", "1", [])
    instance.add_daemon_heartbeat(beat)
    level, words = told(dagster_storage(dagster_url, newest_migration))["daemon"]
    assert level == "ok"
    assert words.startswith("alive, heartbeat 4")
    execute(dagster_url, "UPDATE daemon_heartbeats SET timestamp = timestamp - interval '3 hours'")
    assert told(dagster_storage(dagster_url, newest_migration))["daemon"] == (
        "warn",
        "last heard of 3 h ago",
    )


def test_storage_of_another_version(dagster_url: str, postgres_url: str) -> None:
    found = told(dagster_storage(dagster_url, lambda: "later"))
    assert found["migrations"][0] == "warn"
    assert told(dagster_storage(postgres_url, lambda: "later"))["tables"][0] == "warn"


# APIs -----------------------------------------------------------------------------------------


def bank(url: str) -> ApiConnection:
    auth = {"type": "bearer", "token": CANARY}
    return ApiConnection.model_validate({"type": "api", "url": url, "auth": auth})


def no_body_for_head(asked: Asked, reply: Reply) -> Reply:
    return Reply(body=b"", status=reply.status) if asked.method == "HEAD" else reply


@pytest.mark.parametrize(
    ("status", "what", "level"),
    [
        (200, "credentials", "ok"),
        (404, "credentials", "ok"),
        (401, "credentials", "fail"),
        (403, "credentials", "fail"),
        (503, "health", "warn"),
    ],
)
def test_any_answer_of_an_api_counts(status: int, what: str, level: str) -> None:
    reply = Reply({"error": CANARY}, status)
    with misbehaving(lambda asked: no_body_for_head(asked, reply)) as server:
        found = told(api("bank", bank(f"{server.url}/v1")))
        assert server.asked[0].headers["authorization"] == f"Bearer {CANARY}"
    assert found["reachable"][0] == "ok"
    assert found["reachable"][1].endswith(f"HTTP {status}")
    assert found[what][0] == level
    assert found["clock"] == ("ok", "as this machine's")
    assert CANARY not in str(found)


def test_what_takes_no_head_is_asked_by_get() -> None:
    def answer(asked: Asked) -> Reply:
        return no_body_for_head(asked, Reply({}, 405 if asked.method == "HEAD" else 200))

    with misbehaving(answer) as server:
        found = told(api("bank", bank(server.url)))
    assert found["credentials"][0] == "ok"
    assert [asked.method for asked in server.asked] == ["HEAD", "GET"]


def test_an_api_whose_clock_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object) -> str:
        return formatdate(time.time() - 90, usegmt=True)

    with misbehaving(lambda asked: no_body_for_head(asked, Reply({}))) as server:
        monkeypatch.setattr(server.RequestHandlerClass, "date_time_string", late)
        found = told(api("bank", bank(server.url)))
    assert found["clock"][0] == "fail"
    assert "behind this machine's" in found["clock"][1]


def test_an_api_that_is_away() -> None:
    assert isinstance(failed(lambda: api("bank", bank("http://127.0.0.1:1"))), SourceUnavailable)


# Buckets and clusters -------------------------------------------------------------------------


def test_a_bucket_is_listed() -> None:
    mine = Bucket()
    found = told(bucket("exports", mine.connection(bucket=mine.name), None))
    assert found["listed"][0] == "ok"
    assert found["clock"] == ("ok", "as this machine's")
    assert told(bucket("exports", mine.connection(), None))["reachable"][0] == "ok"


def test_buckets_that_are_not_there() -> None:
    mine = Bucket()
    missing = failed(lambda: bucket("exports", mine.connection(bucket="nothing-there"), None))
    assert isinstance(missing, SourceError)
    keys = {"access_key_id": "a", "secret_access_key": CANARY}
    away = S3Connection.model_validate({"type": "s3", **keys})
    assert isinstance(
        failed(lambda: bucket("exports", away, "http://127.0.0.1:1")), SourceUnavailable
    )


def test_a_cluster_tells_its_brokers(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = KafkaCluster()
    cluster.topic("one")
    [found] = kafka("events", cluster.connection)
    assert found.level == "ok"
    assert "1 broker, " in found.found
    monkeypatch.setattr(services, "SECONDS", 1.0)
    nowhere = KafkaConnection(
        type="kafka", bootstrap_servers="127.0.0.1:1", options={"client.id": CANARY}
    )
    error = failed(lambda: kafka("events", nowhere))
    assert isinstance(error, SourceUnavailable)
    assert "no broker answers" in str(error)


# The lake -------------------------------------------------------------------------------------


def test_a_lake_in_a_folder(tmp_path: Path) -> None:
    found = told(lake(place_of("lake", tmp_path)))
    assert {name: level for name, (level, _) in found.items()} == {
        "written and read": "ok",
        "clock": "ok",
        "conditional writes": "ok",
    }
    assert list((tmp_path / "lake").iterdir()) == []


def test_a_lake_in_a_bucket() -> None:
    mine = Bucket()
    found = told(lake(place_of(f"{mine.url}/deep/lake", Path("/"), mine.connection())))
    assert {level for level, _ in found.values()} == {"ok"}
    assert told(lake(place_of(mine.url, Path("/"), mine.connection())))["clock"][0] == "ok"


def test_a_server_that_ignores_conditions_is_found_out() -> None:
    kept: dict[str, bytes] = {}

    def answer(asked: Asked) -> Reply:
        if asked.method == "PUT":
            kept[asked.path] = asked.body
            return Reply(body=b"", headers={"ETag": '"1"'})
        if asked.method == "GET":
            modified = formatdate(usegmt=True)
            return Reply(body=kept[asked.path], headers={"ETag": '"1"', "Last-Modified": modified})
        if asked.method == "POST":  # of all that is to be removed
            return Reply(body=b"<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>")
        modified = formatdate(usegmt=True)
        return Reply(body=b"", headers={"ETag": '"1"', "Last-Modified": modified})

    with misbehaving(answer) as server:
        connection = S3Connection(
            type="s3", endpoint_url=server.url, access_key_id="a", secret_access_key=CANARY
        )
        found = list(lake(place_of("s3://shop/lake", Path("/"), connection)))
    bad = [finding for finding in found if finding.level != "ok"]
    assert [(f.what, f.found) for f in bad] == [
        ("conditional writes", "a second creation was not refused")
    ]
    assert "If-None-Match" in bad[0].advice


def test_lakes_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = failed(lambda: lake(place_of("file/lake", tmp_path)))
    assert isinstance(error, StorageError)
    denied = S3Connection(
        type="s3", endpoint_url=server_url(), access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY
    )
    gone = failed(lambda: lake(place_of("s3://nothing-there/lake", Path("/"), denied)))
    assert isinstance(gone, StorageError)
    assert "there is no such bucket" in str(gone)


def test_folders_on_one_disk_are_one(tmp_path: Path) -> None:
    [found] = disks({"lake": tmp_path / "not" / "there", "data folder": tmp_path})
    assert found.what == "disk of lake, data folder"
    assert found.figures["total"]
