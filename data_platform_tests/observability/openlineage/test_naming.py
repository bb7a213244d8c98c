"""Names of datasets, by OpenLineage's specification; never with who may enter."""

from pathlib import Path
from typing import Any

import pytest

from data_platform.observability.openlineage.naming import Naming
from data_platform.plan.destinations.kinds import FileTarget, RedshiftTarget, TableTarget
from data_platform.plan.keys import Key
from data_platform.plan.sources.kinds import Api, DatabaseQuery, DatabaseTable, Files, Topic
from data_platform.secrets.stores import expand
from data_platform.spec.platform import Platform
from data_platform.storage.lake import Lake

SECRET = "hunter2"
PORT = "5433"


def naming(tmp_path: Path, **connections: dict[str, Any]) -> Naming:
    """Names with these connections."""
    platform = Platform.model_validate({"connections": connections})
    environ = {"PASSWORD": SECRET, "PORT": PORT}
    return Naming(platform, Lake(tmp_path / "lake"), tmp_path, lambda text: expand(text, environ))


def table(tmp_path: Path, url: str, name: str) -> tuple[str, str]:
    names = naming(tmp_path, db={"type": "database", "url": url})
    [found] = names.source(DatabaseTable("db", name, None, 100))
    assert SECRET not in str(found)
    assert names.target(TableTarget("db", "postgres", name, "replace")) == found
    return found


@pytest.mark.parametrize(
    ("url", "name", "namespace", "dataset"),
    [
        ("postgresql://me:${PASSWORD}@db.example:${PORT}/shop", "orders",
         "postgres://db.example:5433", "shop.public.orders"),
        ("postgresql://me@db.example/shop?sslmode=require&password=${PASSWORD}", "sales.orders",
         "postgres://db.example:5432", "shop.sales.orders"),
        ("host=db.example dbname=shop password=${PASSWORD}", "orders",
         "postgres://db.example:5432", "shop.public.orders"),
        ("postgresql://one,two:5433/shop", "orders", "postgres://one:5432", "shop.public.orders"),
        ("postgresql:///shop?host=/run/postgresql", "orders",
         "postgres://localhost:5432", "shop.public.orders"),
        ("embedded://shop", "orders", "postgres://embedded", "shop.public.orders"),
        ("mysql+pymysql://me:${PASSWORD}@db.example/shop", "orders",
         "mysql://db.example:3306", "shop.orders"),
        ("mssql+pyodbc://me:${PASSWORD}@db.example:1433/shop?driver=x", "dbo.orders",
         "mssql://db.example:1433", "dbo.orders"),
        ("postgresql://me@[::1]:5433/shop", "orders",
         "postgres://[::1]:5433", "shop.public.orders"),
        ("mysql://db.example:99999999/shop", "orders", "database://db", "orders"),
        ("postgresql://${UNSET}/shop", "orders", "database://db", "orders"),
    ],
)  # fmt: skip
def test_tables_of_databases(
    tmp_path: Path, url: str, name: str, namespace: str, dataset: str
) -> None:
    assert table(tmp_path, url, name) == (namespace, dataset)


def test_tables_of_files_of_databases(tmp_path: Path) -> None:
    assert table(tmp_path, "sqlite:///a/shop.db", "orders") == (
        f"sqlite://{tmp_path}/a/shop.db", "orders"
    )  # fmt: skip
    assert table(tmp_path, "duckdb:////data/shop.duckdb", "orders") == (
        "duckdb:///data/shop.duckdb", "shop.main.orders"
    )  # fmt: skip


def test_tables_of_a_query_are_those_that_it_reads(tmp_path: Path) -> None:
    names = naming(tmp_path, db={"type": "database", "url": "postgresql://db.example/shop"})
    query = "WITH x AS (SELECT 1) SELECT * FROM a JOIN sales.b USING (id), x WHERE at >= :start"
    found = names.source(DatabaseQuery("db", query, None, 100, ()))
    assert [one.name for one in found] == ["shop.public.a", "shop.sales.b"]
    unread = DatabaseQuery("db", "this isn't SQL (", None, 100, ())
    assert names.source(unread) == [("postgres://db.example:5432", "shop")]


def test_apis(tmp_path: Path) -> None:
    base = {"type": "api", "url": "https://me:${PASSWORD}@api.example/v2/?key=${PASSWORD}"}
    names = naming(tmp_path, api=base)

    def name(**given: Any) -> tuple[str, str]:
        usual: dict[str, Any] = dict.fromkeys(
            ("url", "connection", "path", "body", "data_path", "auth", "rate_limit")
        )
        rest = {"method": "GET", "params": {}, "headers": {}, "request_timeout": 1.0}
        made = Api(**{**usual, **rest, "pagination": None, "retry": None, **given})
        [found] = names.source(made)
        assert SECRET not in str(found)
        return found

    assert name(connection="api", path="/orders/:day?limit=5") == (
        "https://api.example", "/v2/orders/:day"
    )  # fmt: skip
    assert name(url="http://rates.example:81/daily?at=${PASSWORD}") == (
        "http://rates.example:81", "/daily"
    )  # fmt: skip


def test_topics_files_and_tables_of_the_lake(tmp_path: Path) -> None:
    names = naming(tmp_path, bus={"type": "kafka", "bootstrap_servers": "one:9093,two:9093"})
    assert names.source(Topic("bus", "events", "json", 1)) == [("kafka://one:9093", "events")]
    source = Files("s3://in/orders/*.csv", "csv", None)  # pyright: ignore[reportArgumentType]
    assert names.source(source) == [("s3://in", "orders/*.csv")]
    target = FileTarget("s3://in/orders/*.csv", None, "csv", "none", None)  # pyright: ignore[reportArgumentType]
    assert names.target(target) == ("s3://in", "orders/*.csv")
    # A folder whose name is a pattern is written so that it is none.
    local = Files("/data/a[[]1]/*.csv", "csv", None)  # pyright: ignore[reportArgumentType]
    assert names.source(local) == [("file", "/data/a[1]/*.csv")]
    assert names.table(Key("raw", "shop", "orders")) == ("file", f"{tmp_path}/lake/raw/shop/orders")


def test_redshift(tmp_path: Path) -> None:
    url = "postgresql://me:${PASSWORD}@wh.abc.eu-west-1.redshift.amazonaws.com:5439/dev"
    names = naming(tmp_path, wh={"type": "database", "url": url})
    target = RedshiftTarget(
        "wh", "sales", "orders", "append", "s3://x", None, None, None, None, False  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    assert names.target(target) == ("redshift://wh.eu-west-1:5439", "dev.sales.orders")
