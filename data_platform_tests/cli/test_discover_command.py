"""`data-platform discover`: what a database has, and a source that is written from it."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg2
import pytest
import yaml
from click.testing import Result
from factories import DAY, Project
from mariadb import MariaDB

Command = Callable[..., Result]
Make = Callable[[str], None]
KINDS = ["postgres", "mariadb", "sqlite", "duckdb"]
TABLE = (
    "CREATE TABLE orders (id integer, total decimal(12,2), created_at timestamp{null}, "
    "shipped date, note varchar(20), {by} integer)"
)


class Shop:
    """A database with a table `orders` that has one row, as `shop` of platform.yaml."""

    def __init__(self, project: Project, kind: str, url: str, make: Make) -> None:
        self.kind, self.url, self.make = kind, url, make
        by = "`by`" if kind == "mariadb" else '"by"'
        make(TABLE.format(by=by, null=" NULL" if kind == "mariadb" else ""))
        make("INSERT INTO orders VALUES (1, 12.3, '2024-01-01 10:00:00', '2024-01-02', 'größe', 2)")
        project.platform(f"connections:\n  shop: {{type: database, url: '{url}'}}\n")


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path, project: Project) -> Shop:
    kind = request.param
    if kind == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
        return Shop(project, kind, url, lambda sql: in_postgres(url, sql))
    if kind == "mariadb":
        server: MariaDB = request.getfixturevalue("mariadb")
        return Shop(project, kind, server.url, server.execute)
    file = tmp_path / "shop.db"
    return Shop(project, kind, f"{kind}:///shop.db", lambda sql: in_file(kind, file, sql))


def in_postgres(url: str, sql: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)


def in_file(kind: str, file: Path, sql: str) -> None:
    if kind == "sqlite":
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(sql)
    else:
        with duckdb.connect(str(file)) as connection:
            connection.execute(sql)


def test_tables_are_listed(shop: Shop, command: Command) -> None:
    shop.make("CREATE VIEW recent AS SELECT id FROM orders")
    result = command("discover", "shop", "--format", "json")
    assert result.exit_code == 0, result.output
    found = {entry["table"]: entry for entry in json.loads(result.stdout)}
    prefix = "public." if shop.kind == "postgres" else ""
    assert set(found) == {f"{prefix}orders", f"{prefix}recent"}
    assert found[f"{prefix}orders"]["columns"] == 6
    assert found[f"{prefix}orders"]["rows"] in {None, 0, 1}
    shown = command("discover", "shop").stdout
    assert "recent" in shown
    assert f"data-platform discover shop {prefix}orders" in shown


def test_an_empty_database_has_nothing_to_list(
    project: Project, command: Command, postgres_url: str
) -> None:
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    assert "shop has no tables" in command("discover", "shop").stdout


def test_what_is_written_passes_check_and_lands(
    shop: Shop, project: Project, command: Command
) -> None:
    block = command("discover", "shop", "orders")
    assert block.exit_code == 0, block.output
    project.declare(f"sources:\n{block.stdout}", daily=True)
    checked = command("check", "--connect")
    assert checked.exit_code == 0, checked.output
    assert checked.stdout == "1 pipeline, 0 problems\n"
    url = shop.url.replace("///", f"///{project.folder}/") if "///shop.db" in shop.url else shop.url
    assert not project.land_source("orders", DAY, url=url).failed
    (row,) = project.rows("raw/orders")
    assert (row["id"], str(row["total"]), row["note"], row["by"]) == (1, "12.30", "größe", 2)


def test_columns_have_the_languages_types(shop: Shop, command: Command) -> None:
    source = yaml.safe_load(command("discover", "shop", "orders").stdout)["orders"]
    integer = "bigint" if shop.kind == "sqlite" else "integer"
    moment = "timestamptz" if shop.kind == "mariadb" else "timestamp"
    assert {name: column["type"] for name, column in source["columns"].items()} == {
        "id": integer,
        "total": "decimal(12,2)",
        "created_at": moment,
        "shipped": "date",
        "note": "varchar",
        "by": integer,
    }
    assert source["cursor"] == "created_at"
    assert source["connection"] == "shop"


def test_comments_become_descriptions(
    project: Project, command: Command, postgres_url: str
) -> None:
    in_postgres(
        postgres_url,
        'CREATE TABLE "Order Lines" (id int, day date); CREATE INDEX ON "Order Lines" (day);'
        "COMMENT ON TABLE \"Order Lines\" IS 'One line: of an order'; "
        "COMMENT ON COLUMN \"Order Lines\".id IS '# its number'",
    )
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    written = yaml.safe_load(command("discover", "shop", "Order Lines").stdout)
    source = written["order_lines"]
    assert source["description"] == "One line: of an order"
    assert source["columns"]["id"] == {"type": "integer", "description": "# its number"}
    assert (source["table"], source["cursor"]) == ("public.Order Lines", "day")


def test_a_table_without_a_time_has_no_partitions(
    project: Project, command: Command, postgres_url: str
) -> None:
    in_postgres(postgres_url, "CREATE TABLE codes (id int, birth date)")
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    source = yaml.safe_load(command("discover", "shop", "codes").stdout)["codes"]
    assert source["partitions"] == "none"
    assert "cursor" not in source


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shp",), "no connection 'shp' in platform.yaml; there are: shop"),
        (("shop", "ordres"), "there is no table 'ordres'; did you mean orders?"),
        (("shop", "nothing.like.it"), "there is no table 'nothing.like.it'; there are:"),
    ],
)
def test_a_name_that_is_none_is_told(
    project: Project,
    command: Command,
    postgres_url: str,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    in_postgres(postgres_url, "CREATE TABLE orders (id int)")
    project.platform(f"connections:\n  shop: {{type: database, url: '{postgres_url}'}}\n")
    result = command("discover", *arguments)
    assert result.exit_code == 1
    assert message in result.output
