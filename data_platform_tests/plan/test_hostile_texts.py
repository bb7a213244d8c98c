"""Nothing that tries to get out of an expression or a query gets past loading, wherever it stands.

Each place builds one pipeline with an asset for each text, over columns that are known: what the
allow-list can't tell, such as a name that nobody has, DuckDB's binder does, before anything runs.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pytest
from factories import Project
from hostile_texts import DEEP, EXPRESSIONS, QUERIES, cases

from data_platform.engine.session import open_session
from data_platform.errors import ConfigurationError, Location
from data_platform.plan.sql.expressions import parse_expression, parse_query, render
from data_platform.plan.sql.texts import MAX_NESTING

HERE = Location(Path("pipeline.yaml"), 3, 5)
Place = Callable[[str], str]
COLUMNS = {
    "n": "BIGINT", "k": "BIGINT", "d": "DOUBLE", "s": "VARCHAR", "b": "BOOLEAN",
    "ts": "TIMESTAMP", "l": "BIGINT[]", "j": "VARCHAR",
}  # fmt: skip
SAYS = {"files": "not allowed: it reaches files"}
"""What each message of a family says, where that is one thing."""


def steps(text: str) -> str:
    return f"    from: raw.orders\n    transformations:\n      - {text}\n"


EXPRESSION_PLACES: dict[str, Place] = {
    "add_columns": lambda text: steps(f"add_columns: {{new: {text}}}"),
    "filter_rows": lambda text: steps(f"filter_rows: {text}"),
    "aggregate": lambda text: steps(f"aggregate: {{group_by: [n], columns: {{new: {text}}}}}"),
    "rule": lambda text: (
        f"    from: raw.orders\n    quality:\n      - expression: {{condition: {text}}}\n"
    ),
    "reconcile": lambda text: (
        "    from: raw.orders\n    quality:\n"
        f"      - reconcile: {{with: raw.orders, expression: {text}}}\n"
    ),
}
QUERY_PLACES: dict[str, Place] = {
    "query": lambda text: f"    query: {text}\n",
    "sql rule": lambda text: (
        f"    query: select * from raw.orders\n    quality:\n      - sql: {{sql: {text}}}\n"
    ),
}


def refused(project: Project, layer: str, texts: Sequence[str], place: Place) -> dict[str, str]:
    """What loading says of each text, each in an asset of its own; one that loads isn't in it.

    A file with a mistake of form isn't planned: the others are then asked once more.
    """
    body = f"{layer}:\n"
    texts_at: dict[int, str] = {}
    for number, text in enumerate(texts):
        body += f"  a{number}:\n{place(json.dumps(text))}"
        texts_at[5 + body.count("\n")] = text
    project.know(orders=COLUMNS)
    lines = project.declare(body).read_text().splitlines()
    assert all(json.dumps(text) in lines[at - 1] for at, text in texts_at.items())
    reading = project.workspace()
    problems = reading.problems if reading.broken else project.build().problems
    found = {
        texts_at[problem.location.line]: problem.message
        for problem in problems
        if problem.location.line in texts_at
    }
    if reading.broken:
        rest = [text for text in texts if text not in found]
        assert len(rest) < len(texts)
        return {**refused(project, layer, rest, place), **found}
    return found


ALL = [text for _, text in cases(EXPRESSIONS)]
ALL_QUERIES = [text for _, text in cases(QUERIES)]
PARTS = len(EXPRESSION_PLACES) - 1


def test_no_hostile_expression_loads(project: Project) -> None:
    found = refused(project, "staging", ALL, EXPRESSION_PLACES["add_columns"])
    assert [text for text in ALL if text not in found] == []


@pytest.mark.parametrize(("part", "place"), [*enumerate([*EXPRESSION_PLACES][1:])])
def test_no_hostile_expression_loads_elsewhere(project: Project, part: int, place: str) -> None:
    texts = ALL[part::PARTS]
    found = refused(project, "staging", texts, EXPRESSION_PLACES[place])
    assert [text for text in texts if text not in found] == []


@pytest.mark.parametrize(("part", "place"), [*enumerate(QUERY_PLACES)])
def test_no_hostile_query_loads(project: Project, part: int, place: str) -> None:
    texts = ALL_QUERIES if place == "query" else ALL_QUERIES[part::4]
    found = refused(project, "analytics", texts, QUERY_PLACES[place])
    assert [text for text in texts if text not in found] == []


def test_no_hostile_file_of_sql_loads(project: Project) -> None:
    files = {f"q{number}": text for number, text in enumerate(ALL_QUERIES)}
    body = "".join(f"  {name}:\n    sql: {name}.sql\n" for name in files)
    project.know(orders=COLUMNS)
    folder = project.declare(f"analytics:\n{body}").parent
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    told = {problem.partition(".sql:")[0].rpartition("/")[2] for problem in project.problems()}
    assert [text for name, text in files.items() if name not in told] == []


@pytest.mark.parametrize(("family", "text"), cases(EXPRESSIONS))
def test_a_message_says_what_is_not_allowed(family: str, text: str) -> None:
    """Of what the list itself refuses; the rest, such as `nothing`, is the binder's to tell."""
    try:
        parse_expression(text, HERE)
    except ConfigurationError as error:
        message = str(error)
        assert message.startswith("pipeline.yaml:3:5: ")
        assert len(message) < 400
        assert SAYS.get(family, "") in message or family not in SAYS


@pytest.mark.parametrize("text", DEEP, ids=lambda text: f"{text[:20]} {len(text)}")
def test_nothing_costs_the_stack(text: str) -> None:
    for parse in (parse_expression, parse_query):
        with pytest.raises(
            ConfigurationError, match=r"deeper|too deep|at most|more than|read|SELECT"
        ):
            parse(text, HERE)


def below(frames: int, run: Callable[[], object]) -> object:
    """Run with so many more frames on the stack."""
    return below(frames - 1, run) if frames else run()


@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("coalesce(", ")"), ("n + (", ")"), ("case when b then ", " end")],
)
def test_what_may_nest_is_read_on_a_deep_stack_too(before: str, after: str) -> None:
    text = before * MAX_NESTING + "n" + after * MAX_NESTING
    assert below(300, lambda: render(parse_expression(text, HERE)))


def test_a_place_of_a_query_is_that_of_the_word() -> None:
    text = "select n,\n  k + getenv('x')\nfrom raw.orders"
    with pytest.raises(ConfigurationError, match=r"^pipeline.yaml:4:7: function 'getenv'"):
        parse_query(text, HERE)


WORST = """
SELECT * FROM read_text('/etc/passwd') ¦ SELECT * FROM read_csv('/etc/passwd') ¦ SELECT * FROM read_blob('/etc/shadow')
SELECT * FROM glob('/etc/*') ¦ SELECT * FROM '/etc/passwd.csv' ¦ SELECT * FROM parquet_metadata('/tmp/x.parquet')
COPY (SELECT 1) TO '/tmp/evil.csv' ¦ COPY (SELECT 1) TO '/tmp/evil.parquet' (FORMAT parquet) ¦ EXPORT DATABASE '/tmp/evil'
ATTACH '/tmp/evil.db' ¦ ATTACH 'host=127.0.0.1' AS p (TYPE postgres) ¦ INSTALL httpfs ¦ LOAD httpfs ¦ LOAD '/tmp/evil.duckdb_extension'
SELECT * FROM read_csv('http://127.0.0.1:9/x.csv') ¦ SELECT * FROM read_parquet('s3://bucket/x.parquet')
SET enable_external_access = true ¦ SET allowed_directories = ['/'] ¦ SET lock_configuration = false ¦ RESET allowed_directories
SET temp_directory = '/tmp/evil' ¦ SET autoload_known_extensions = true ¦ SELECT * FROM sniff_csv('/etc/passwd') ¦ SELECT * FROM postgres_scan('host=127.0.0.1', 'p', 't')
"""  # noqa: E501


@pytest.mark.parametrize(
    "sql", [part for line in WORST.strip().splitlines() for part in line.split(" ¦ ")]
)
def test_a_session_refuses_the_worst_by_itself(tmp_path: Path, sql: str) -> None:
    with (
        open_session(tmp_path, [tmp_path / "lake"], "256MB", threads=1) as session,
        pytest.raises(duckdb.Error),
    ):
        session.run(sql)
    assert not list(tmp_path.rglob("evil*"))


def test_a_session_reads_beside_its_folders_neither_by_a_way_up_nor_by_a_link(
    tmp_path: Path,
) -> None:
    lake, secret = tmp_path / "lake", tmp_path / "secret.csv"
    (tmp_path / "scratch").mkdir()
    lake.mkdir()
    secret.write_text("a\n1\n")
    for path in (secret, lake / ".." / "secret.csv", f"{lake}/../secret.csv"):
        with (
            open_session(tmp_path / "scratch", [lake], "256MB", threads=1) as session,
            pytest.raises(duckdb.Error, match=r"disabled|ermission"),
        ):
            session.run(f"SELECT * FROM read_csv('{path}')")


def test_a_regular_expression_does_not_explode() -> None:
    """RE2 has no backtracking: the time is linear in the text, whatever the pattern."""
    text = "a" * 100_000 + "!"
    with duckdb.connect() as connection:
        found = connection.execute("SELECT regexp_matches($1, '^(a+)+$')", [text]).fetchone()
    assert found == (False,)
    assert sys.getrecursionlimit() < len(text)
