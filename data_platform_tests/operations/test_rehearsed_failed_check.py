"""Rows that break a rule: they are mended, or the rule is changed, and the day is published."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from factories import Project
from handbook import Chapter, Operator, rehearses

PLATFORM = "connections:\n  shop: {type: database, url: '${SHOP_URL}'}\n"
BODY = """partitions: {every: day, start: 2024-01-01, end: 2024-01-04}
sources:
  transactions: {type: database, connection: shop, table: transactions, cursor: at}
staging:
  transactions:
    from: raw.transactions
    quality:
      - unique: id
      - range: {column: amount, max: 500}
analytics:
  revenue: {query: SELECT SUM(amount) AS amount FROM staging.transactions}
"""
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
REVENUE = "analytics/retail/revenue"


class Shop:
    """Three days of transactions.

    Args:
        url: of its database.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.sql("CREATE TABLE transactions (id int, amount int, at timestamp)")
        for number, day in enumerate(DAYS, 1):
            self.sell(number, 10 * number, day)

    def sell(self, number: int, amount: int, day: str) -> None:
        self.sql(f"INSERT INTO transactions VALUES ({number}, {amount}, '{day} 12:00')")

    def sql(self, statement: str) -> None:
        with closing(psycopg2.connect(self.url)) as connection, connection:
            connection.cursor().execute(statement)


@pytest.fixture
def shop(project: Project, operator: Operator, postgres_url: str) -> Shop:
    """Its days were built once; then the second one came again, with a number twice."""
    one = Shop(postgres_url)
    operator.environ["SHOP_URL"] = postgres_url
    project.platform(PLATFORM)
    project.declare(BODY, name="retail")
    operator.does("data-platform run retail --from 2024-01-01 --to 2024-01-04")
    operator.is_green()
    one.sell(2, 1000, DAYS[1])
    failed = operator.type("data-platform run retail --from 2024-01-01 --to 2024-01-04")
    assert failed.returncode == 1, failed.stdout
    return one


@pytest.fixture
def pipeline(project: Project) -> Path:
    """Its file."""
    return project.pipelines / "retail" / "pipeline.yaml"


def mend_rows(shop: Shop, _: Path) -> None:
    shop.sql("UPDATE transactions SET id = 4, amount = 40 WHERE amount = 1000")


def change_rules(_: Shop, pipeline: Path) -> None:
    text = pipeline.read_text()
    pipeline.write_text(text.replace("- unique: id", "- not_null: id").replace("500", "5000"))


def drop_doubles(_: Shop, pipeline: Path) -> None:
    text = pipeline.read_text()
    steps = "    transformations: [{deduplicate: {by: [id], order_by: [amount], keep: first}}]\n"
    pipeline.write_text(text.replace("    quality:\n", f"{steps}    quality:\n"))


def hold_back(_: Shop, pipeline: Path) -> None:
    text = pipeline.read_text().replace("- unique: id", "- not_null: id")
    pipeline.write_text(text.replace("max: 500", "max: 500, on_violation: quarantine"))


@rehearses("a-check-fails")
@pytest.mark.parametrize(
    ("mend", "amounts"),
    [
        (mend_rows, [10, 30, 60]),
        (change_rules, [10, 30, 1020]),
        (drop_doubles, [10, 20, 30]),
    ],
)
def test_a_day_that_broke_a_rule_is_published_once_it_is_mended(
    chapter: Chapter,
    operator: Operator,
    project: Project,
    shop: Shop,
    pipeline: Path,
    mend: Callable[[Shop, Path], None],
    amounts: list[int],
) -> None:
    operator.sees(chapter)
    looked = operator.looks(chapter)
    # Readers go on with what they had.
    assert sorted(project.column(REVENUE, "amount")) == [10, 20, 30]
    why = next(printed for command, printed in looked.items() if " why " in command)
    assert "unique_id: 1 of 2 rows" in why
    assert "range_amount: 1 of 2 rows" in why
    rows = next(printed for command, printed in looked.items() if " query " in command)
    assert "1000" in rows
    # What failed isn't of the newest day, which is what it tells of by itself.
    newest = operator.does("data-platform why staging/retail/transactions")
    assert "2024-01-03 was built" in newest
    assert "but its last try failed just now (2024-01-02: " in newest

    operator.mends(chapter, lambda: mend(shop, pipeline))
    operator.is_green()
    assert sorted(project.column(REVENUE, "amount")) == amounts


@rehearses("a-check-fails")
def test_rows_are_held_back_where_the_rule_says_so(
    chapter: Chapter, operator: Operator, project: Project, shop: Shop, pipeline: Path
) -> None:
    operator.sees(chapter)
    hold_back(shop, pipeline)
    operator.does(chapter.fix[1])
    page = operator.does(chapter.fix[-1])
    assert "0 red · 1 yellow · 2 green of 3 assets" in page
    assert "staging/retail/transactions: warned range_amount" in page
    assert sorted(project.column(REVENUE, "amount")) == [10, 20, 30]
