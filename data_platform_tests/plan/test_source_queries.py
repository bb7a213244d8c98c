# ruff: noqa: E501 -- cases stand in tables, one a line
"""Queries of sources: held to one SELECT, their parameters found where the database sees them."""

import pytest
from factories import PLATFORM, Project

from data_platform.plan.sources.queries import bare, dialect_of, filled, placeholders

HEAD = "sources:\n  orders:\n    type: database\n    connection: shop\n"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("query: DELETE FROM t", "9:12: a source's query is exactly one SELECT; found DELETE"),
        ("query: EXPLAIN SELECT 1", "9:12: a source's query is exactly one SELECT; found EXPLAIN"),
        ("query: COPY t TO '/tmp/x'", "9:12: a source's query is exactly one SELECT; found COPY"),
        ("query: ''", "9:13: a source's query is exactly one SELECT; found nothing"),
        ('query: "-- SELECT 1"', "9:13: a source's query is exactly one SELECT; found nothing"),
        (
            'query: "SELECT 1; SELECT 2"',
            "9:13: a source's query is exactly one SELECT; found SELECT, SELECT",
        ),
        (
            "query: WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            "9:12: a source's query only reads; DELETE isn't allowed in it",
        ),
        (
            "query: SELECT 1 INTO x",
            "9:12: a source's query only reads; SELECT INTO isn't allowed in it",
        ),
        (
            "query: SELECT * FROM t FOR UPDATE",
            "9:12: a source's query only reads; FOR UPDATE isn't allowed in it",
        ),
        (
            "query: SELECT 'abc",
            "9:12: the query can't be read: a string or a comment has no end; what only the database understands belongs into a view there",
        ),
        (
            "query: SELECT a FROM t WHERE d >= :partition_strt",
            "9:39: unknown parameter :partition_strt; did you mean :partition_start?",
        ),
        (
            "query: |\n      SELECT a\n      FROM t WHERE :x",
            "11:20: unknown parameter :x; there are: :partition_key, :partition_start, :partition_end",
        ),
        (
            "query: SELECT :watermark",
            "9:19: there is no :watermark here: this source isn't `incremental`",
        ),
        (
            "cursor: at\n    query: SELECT :partition_key",
            "10:19: there is no :partition_key here: with a `cursor` the query is asked for a range of partitions at once, from :partition_start to :partition_end",
        ),
        (
            "partitions: none\n    query: SELECT :partition_start",
            "10:19: there is no :partition_start here: this source has no partitions",
        ),
        (
            "partitions: none\n    query: SELECT :watermark\n    incremental: {cursor: id}",
            "11:5: the query names :watermark, which has no value on a first run: say where that begins with `start`, or leave the condition out: rows before the watermark aren't asked for",
        ),
    ],
)
def test_what_a_query_must_not_be_is_told_with_its_place(
    project: Project, query: str, problem: str
) -> None:
    project.declare(f"{HEAD}    {query}\n", daily=True)
    assert project.problems() == [f"shop/pipeline.yaml:{problem}"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a UNION ALL SELECT 2",
        "WITH RECURSIVE x AS (SELECT 1 AS a) SELECT * FROM x WHERE a > :partition_start",
        "(SELECT 1 AS a);",
        "SELECT ':nothing' AS a, x::int, y[1:2], $$ :z $$ FROM t -- :comment",
        "SELECT DISTINCT ON (a) a, count(b) FILTER (WHERE c) OVER w FROM t, LATERAL (SELECT 1) l WINDOW w AS (ORDER BY a)",
    ],
)
def test_what_only_reads_is_accepted(project: Project, query: str) -> None:
    project.declare(f"{HEAD}    query: |\n      {query}\n", daily=True)
    assert project.problems() == []


@pytest.mark.parametrize(
    ("dialect", "query", "expected"),
    [
        (
            "postgres",
            "d>=:a AND e=':a' AND f=E'\\':a' AND g=$$:a$$ AND h=$t$:a$t$",
            "d>=<a> AND e=':a' AND f=E'\\':a' AND g=$$:a$$ AND h=$t$:a$t$",
        ),
        ("postgres", "/* :a /* :a */ :a */ :a -- :a", "/* :a /* :a */ :a */ <a> -- :a"),
        ("postgres", 'x::a, y[1:a], ":a", b := c, z @>:a', 'x::a, y[1:a], ":a", b := c, z @><a>'),
        ("postgres", "'\\' , :a, '", "'\\' , <a>, '"),
        ("mysql", "'\\' , :a, ' , :a, `:a` # :a", "'\\' , :a, ' , <a>, `:a` # :a"),
        ("sqlite", "[:a], ':a', /* /* */ :a", "[:a], ':a', /* /* */ <a>"),
        ("duckdb", "{'a': b}, x[a:b], :a", "{'a': b}, x[a:b], <a>"),
    ],
)
def test_parameters_are_where_the_database_sees_them(
    dialect: str, query: str, expected: str
) -> None:
    query = f"SELECT {query}" if not query.endswith("'") else f"SELECT {query}'"
    expected = f"SELECT {expected}" if not expected.endswith("'") else f"SELECT {expected}'"
    assert filled(query, dialect, lambda name: f"<{name}>") == expected


def test_a_semicolon_goes_and_what_follows_stays() -> None:
    assert bare("SELECT ';'; -- the end", "postgres") == "SELECT ';' -- the end"
    assert [one.name for one in placeholders("SELECT :größe", "postgres")] == ["größe"]


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("postgresql://a@b/c", "postgres"),
        ("embedded://shop", "postgres"),
        ("${SHOP_URL:-mysql+pymysql://a@b/c}", "mysql"),
        ("${SHOP_URL}", "postgres"),
        ("sqlite:///a.db", "sqlite"),
        ("snowflake://a", ""),
    ],
)
def test_the_dialect_is_told_by_the_url(url: str, dialect: str) -> None:
    assert dialect_of(url) == dialect


def test_a_query_is_read_in_its_own_dialect(project: Project) -> None:
    project.platform(PLATFORM.replace("postgresql://nowhere", "mysql+pymysql://nowhere/x"))
    project.declare(f"{HEAD}    query: SELECT `a b` FROM t WHERE x = '\\':a' # :b\n", daily=True)
    assert project.problems() == []


@pytest.mark.parametrize("url", ["mysql+pymysql://nowhere/x", "oracle://nowhere/x", "odd://x"])
def test_a_destination_is_in_postgresql_or_a_file(project: Project, url: str) -> None:
    project.platform(PLATFORM.replace("postgresql://nowhere", url))
    project.declare(
        "destinations:\n  d: {from: raw.orders, type: database, connection: shop, table: t}\n"
    )
    (problem,) = project.problems()
    assert problem.startswith(
        "shop/pipeline.yaml:7:41: connection 'shop' is neither PostgreSQL nor a file of SQLite or"
    )
