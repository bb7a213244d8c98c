"""`data-platform query`: what may be asked, of which tables, and how the answer looks."""

import json

import pytest
from factories import DAY, NEXT_DAY, Project

ORDERS = (
    "SELECT i AS id, CAST(i AS DECIMAL(20,2)) / 4 AS price, 'n' || i AS name FROM range({n}) t(i)"
)
STAGING = "staging:\n  orders:\n    from: raw.orders\n"


@pytest.fixture(autouse=True)
def shop(project: Project) -> Project:
    """Thirty published orders, and another pipeline with an asset that was never published."""
    project.declare(STAGING)
    project.declare("staging:\n  visits:\n    from: raw.orders\n", name="other")
    project.land("staging/orders", ORDERS.format(n=30))
    return project


def test_a_table_is_found_by_layer_and_name(command):
    result = command("query", "select count(*) as n from staging.orders")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == ["n", "30", "1", "row"]


def test_a_table_is_found_by_its_pipeline_too(command):
    result = command("query", "select max(id) as top from shop.staging.orders")
    assert result.stdout.split()[:2] == ["top", "29"]


def test_a_name_in_two_pipelines_asks_which(command):
    result = command("query", "select * from raw.orders")
    assert result.exit_code == 1
    assert "raw.orders is in several pipelines: name one of" in result.stderr
    assert "shop.raw.orders" in result.stderr


def test_all_partitions_are_read(command, project: Project):
    project.declare(STAGING, name="days", daily=True)
    some = {DAY: "SELECT 1 AS id", NEXT_DAY: "SELECT 2 AS id"}
    project.land_all("staging/days/orders", some)
    result = command("query", "select sum(id) as s from days.staging.orders", "--format", "csv")
    assert result.stdout == "s\n3\n"


def test_rows_beyond_the_limit_are_counted(command):
    result = command("query", "select id from staging.orders order by id", "--limit", "3")
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert lines == ["id", "0", "1", "2", "3 of 30 rows shown, 27 more: --limit 0 shows all"]


def test_twenty_rows_are_shown_unless_said_otherwise(command):
    result = command("query", "select id from staging.orders")
    assert len(result.stdout.splitlines()) == 22


def test_limit_zero_shows_all(command):
    result = command("query", "select id from staging.orders", "--limit", "0")
    assert len(result.stdout.splitlines()) == 32


def test_no_rows_is_an_answer(command):
    result = command("query", "select id from staging.orders where id < 0")
    assert (result.exit_code, result.stdout) == (0, "no rows\n")


def test_json_keeps_every_digit(command):
    sql = (
        "select id, price, 0.1 + 0.2 as exact, 12345678901234567.89 as long, null as nothing, "
        "timestamp '2024-01-01 10:00:00' as at, [1, 2] as list from staging.orders where id = 3"
    )
    result = command("query", sql, "--format", "json")
    assert '"long": 12345678901234567.89' in result.stdout
    assert json.loads(result.stdout) == [
        {
            "id": 3, "price": 0.75, "exact": 0.3, "long": 12345678901234567.89, "nothing": None,
            "at": "2024-01-01T10:00:00", "list": [1, 2],
        }
    ]  # fmt: skip


def test_notices_stay_out_of_json_and_csv(command):
    for style in ("json", "csv"):
        result = command(
            "query", "select id from staging.orders", "--limit", "1", "--format", style
        )
        assert "more" not in result.stdout
        assert result.stderr == "1 of 30 rows shown, 29 more: --limit 0 shows all\n"


def test_columns_of_one_name_are_told_apart(command):
    result = command("query", "select id, id from staging.orders where id = 1", "--format", "json")
    assert json.loads(result.stdout) == [{"id": 1, "id_1": 1}]


def test_csv_quotes_what_needs_it(command):
    sql = "select 'a,b' as x, null as y from staging.orders where id = 1"
    result = command("query", sql, "--format", "csv")
    assert result.stdout == 'x,y\n"a,b",\n'


def test_wide_rows_are_shown_as_lines(command):
    wide = ", ".join(f"'{'v' * 20}' as column_{number}" for number in range(8))
    result = command("query", f"select {wide} from staging.orders where id = 1")
    lines = result.stdout.splitlines()
    assert lines[0] == "row 1"
    assert lines[1].split() == ["column_0", "v" * 20]
    assert max(map(len, lines)) <= 80


def test_values_cannot_steer_the_terminal(command):
    result = command("query", "select chr(27) || '[31mred' as x from staging.orders where id = 1")
    assert "\x1b" not in result.stdout
    assert "\\x1b[31mred" in result.stdout


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select * from read_csv('/etc/passwd')", "table functions are not allowed"),
        ("select * from '/etc/passwd'", "there is no table /etc/passwd"),
        ("select getenv('HOME') from staging.orders", "function 'getenv' is not allowed"),
        ("drop table staging.orders", "expected one SELECT, found DROP"),
        ("select 1; select 2", "expected one query, found 2"),
        ("selec", "expected one SELECT"),
        ("select * from staging.oders", "did you mean staging.orders?"),
        ("select * from\n  staging.oders", "line 2, column "),
        ("select nothing from staging.orders", 'Referenced column "nothing" not found'),
        ("select cast(name as integer) from staging.orders", "Could not convert string"),
        (
            "select * from staging.orders where name = :partition_key",
            ":partition_key has no value in a query",
        ),
        ("select * from staging.visits", "staging/other/visits has never been published"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_line(command, sql: str, message: str):
    result = command("query", sql)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_broken_pipeline_hides_no_other(command, project: Project):
    project.declare("staging: 1\n", name="wrong")
    result = command("query", "select count(*) as n from staging.orders", "--format", "csv")
    assert result.stdout == "n\n30\n"


def test_a_negative_limit_is_wrong_usage(command):
    assert command("query", "select 1", "--limit", "-1").exit_code == 2
