"""Databases and servers that let nobody in, and a table that is no longer what it was."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest
from factories import Project
from handbook import Chapter, Operator, assert_shows, rehearses
from misbehaving_server import Asked, Reply, misbehaving

LIMIT = 3
SHOP = "connections:\n  shop: {type: database, url: '${SHOP_URL}'}\n"
QUERY = "query: SELECT id, name FROM products"
PRODUCTS = """
sources:
  products:
    type: database
    connection: shop
    {QUERY}
    partitions: none
    retries: {delays: [0s]}
staging:
  products:
    from: raw.products
    columns: {id: {type: bigint, unique: true}, name: {type: varchar, nullable: false}}
analytics:
  names: {query: SELECT COUNT(DISTINCT name) AS names FROM staging.products}
"""
RATES = """
sources:
  rates: {type: api, connection: bank, path: /rates, partitions: none}
staging:
  rates: {from: raw.rates}
"""


def execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def shop(postgres_url: str, project: Project, operator: Operator) -> Iterator[str]:
    """A database whose products a role reads that may have few connections; it was read once."""
    execute(
        postgres_url,
        "CREATE TABLE products AS SELECT 1 AS id, 'tea' AS name",
        f"CREATE ROLE reader LOGIN CONNECTION LIMIT {LIMIT}",
        "GRANT SELECT ON products TO reader",
    )
    try:
        reader = postgres_url.replace("postgres@", "reader@")
        operator.environ |= {"SHOP_URL": reader, "SHOP_ADMIN_URL": postgres_url}
        project.platform(SHOP)
        project.declare(PRODUCTS.replace("{QUERY}", QUERY), name="retail")
        operator.does("data-platform run retail")
        execute(postgres_url, "INSERT INTO products VALUES (2, 'milk')")
        yield reader
    finally:
        execute(postgres_url, "DROP OWNED BY reader", "DROP ROLE reader")


def rename_column(operator: Operator) -> None:
    execute(operator.environ["SHOP_ADMIN_URL"], "ALTER TABLE products RENAME name TO title")


def follow(chapter: Chapter, file: Path, before: str) -> None:
    """Write the query that the page gives in place of what the source had."""
    [by_hand] = [line for line in chapter.fix if line.startswith("#")]
    file.write_text(file.read_text().replace(before, by_hand.partition("such as: ")[2]))


def names(project: Project) -> list[object]:
    return project.column("staging/retail/products", "name")


@rehearses("a-database-has-no-connection-left")
def test_forgotten_sessions_hold_all_connections(
    chapter: Chapter, operator: Operator, project: Project, shop: str
) -> None:
    with ExitStack() as forgotten:
        for _ in range(LIMIT):
            session = forgotten.enter_context(closing(psycopg2.connect(shop)))
            session.cursor().execute("SELECT name FROM products")
        failed = operator.type("data-platform run retail")
        assert failed.returncode == 1
        assert "It was tried 2 times" in failed.stdout
        operator.sees(chapter)
        assert names(project) == ["tea"]

        _, doctor, sessions = operator.looks(chapter).values()
        assert "fail connections postgresql:///" in doctor
        assert 'too many connections for role "reader"' in doctor
        assert "end sessions that are idle (pg_stat_activity)" in doctor
        assert "reachable" not in doctor
        assert len(re.findall(r"reader .* idle in transaction .*SELECT name", sessions)) == LIMIT

        printed = operator.mends(chapter)
        assert "of the role's 3 in use" in printed["data-platform doctor --connection shop"]
    assert names(project) == ["tea", "milk"]


@rehearses("a-token-has-expired")
def test_a_token_is_no_longer_taken(chapter: Chapter, operator: Operator, project: Project) -> None:
    taken, rate = "the-first-token", 1.5

    def reply(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {taken}":
            return Reply({"error": "token expired"}, status=401)
        return Reply([{"currency": "GBP", "rate": rate}])

    token = project.folder / "bank_token"
    token.write_text("the-first-token\n")
    with misbehaving(reply) as server:
        project.platform(
            "connections:\n  bank:\n    type: api\n"
            f"    url: {server.url}\n    auth: {{type: bearer, token: '${{file:{token}}}'}}\n"
        )
        project.declare(RATES, name="retail")
        operator.does("data-platform run retail")
        taken, rate = "the-second-token", 2.5
        server.asked.clear()
        assert operator.type("data-platform run retail").returncode == 1
        assert [asked.path for asked in server.asked] == ["/rates"], "it is tried once"
        operator.sees(chapter)
        assert project.column("staging/retail/rates", "rate") == [1.5]

        _, doctor, why = operator.looks(chapter).values()
        assert re.search(r"fail credentials +.*401", doctor), doctor
        assert "nothing tries it again: only a person starts it" in why

        operator.mends(chapter, lambda: token.write_text("the-second-token\n"))
    assert project.column("staging/retail/rates", "rate") == [2.5]


@rehearses("a-column-changed-at-the-source")
def test_a_column_is_renamed_at_the_source(
    chapter: Chapter, operator: Operator, project: Project, shop: str
) -> None:
    assert shop
    rename_column(operator)
    failed = operator.type("data-platform run retail")
    assert failed.returncode == 1
    assert "It was tried" not in failed.stdout
    operator.sees(chapter)
    assert names(project) == ["tea"]

    file = project.pipelines / "retail" / "pipeline.yaml"
    _, check, impact = operator.looks(chapter).values()
    line = file.read_text().splitlines().index("  products:") + 1
    assert f"pipelines/retail/pipeline.yaml:{line}:" in check
    assert 'column "name" does not exist' in check
    assert re.search(r"staging/retail/products .*makes name", impact)
    assert re.search(r"analytics/retail/names .*makes names", impact)
    assert "2 assets of 1 owner" in impact

    operator.mends(chapter, lambda: follow(chapter, file, QUERY))
    assert names(project) == ["tea", "milk"]


@rehearses("a-column-changed-at-the-source")
def test_a_column_of_a_table_that_is_read_whole_is_renamed(
    chapter: Chapter, operator: Operator, project: Project, shop: str
) -> None:
    assert shop
    file = project.pipelines / "retail" / "pipeline.yaml"
    file.write_text(file.read_text().replace(QUERY, "table: products"))
    rename_column(operator)
    assert operator.type("data-platform run retail").returncode == 1
    assert names(project) == ["tea"]

    status, check, impact = operator.looks(chapter).values()
    assert_shows(
        "RED staging/retail/products\nfailed just now (...columns that the contract doesn't name "
        "arrive: title...)\nraw/retail/products: warned new_columns",
        status,
    )
    assert "no column 'name' arrives here; there are id, title" in check
    assert "2 assets of 1 owner" in impact

    def roll_back_and_follow() -> None:
        history, rollback = re.findall(
            r"data-platform lake (?:history|rollback)[^`\n]*", chapter.text
        )
        assert re.search(r"^ +0 .*yes *$", operator.does(history), re.MULTILINE)
        assert "columns that go, since they came later: title" in operator.does(rollback)
        follow(chapter, file, "table: products")

    operator.mends(chapter, roll_back_and_follow)
    assert names(project) == ["tea", "milk"]
