"""A machine whose clock is ahead, or behind, and is set right: no day stays half built."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from factories import Project
from handbook import Chapter, Operator, rehearses
from jumped_clock import VARIABLE
from misbehaving_server import Asked, Reply, misbehaving

PLATFORM = "connections:\n  bank: {{type: api, url: '{url}'}}\n"
BODY = """partitions: {{every: day, start: {start}}}
sources:
  rates: {{type: api, connection: bank, path: /rates, params: {{day: ":partition_key"}}}}
staging:
  rates:
    from: raw.rates
    freshness: {{fail_after: 12h}}
analytics:
  best: {{query: SELECT MAX(rate) AS rate FROM staging.rates}}
"""
BEST = "analytics/retail/best"
BANK = "data-platform doctor --connection bank"
ONE_DAY = timedelta(days=1)
# Found before the one of PostgreSQL's, which is its machine's clock.
MOVED = """
CREATE SCHEMA moved;
CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql
    AS $$SELECT pg_catalog.clock_timestamp() + interval '1 day'$$;
DO $$BEGIN EXECUTE format(
    'ALTER DATABASE %I SET search_path = moved, pg_catalog, public', current_database()
); END$$;
"""


class Machine:
    """Days of a bank, and an operator's machine whose clock is wrong.

    Args:
        operator: whose terminal it is.
        today: by the true clock.
    """

    def __init__(self, operator: Operator, today: datetime) -> None:
        self.operator, self.today = operator, today
        self.rates = {self.day(-2): [1.0], self.day(-1): [2.0], self.day(0): [0.5]}

    def day(self, number: int) -> str:
        """The key of a day; 0 is today, which goes on."""
        return f"{self.today + number * ONE_DAY:%Y-%m-%d}"

    def reply(self, asked: Asked) -> Reply:
        """The rates of a day as they are known now."""
        return Reply([{"rate": rate} for rate in self.rates.get(asked.params.get("day", ""), [])])

    def is_wrong_by(self, jump: timedelta) -> None:
        """Let the clock jump."""
        self.operator.environ[VARIABLE] = str(jump.total_seconds())

    def is_right(self) -> None:
        """Set the clock."""
        del self.operator.environ[VARIABLE]

    def waits_a_day(self) -> None:
        """The time passes, at the database too; the rest of the day's rates come."""
        self.is_wrong_by(ONE_DAY)
        with closing(psycopg2.connect(self.operator.environ["DATA_PLATFORM_STORAGE_URL"])) as at:
            at.cursor().execute(MOVED)
            at.commit()
        self.rates[self.day(0)].append(3.0)


@pytest.fixture
def machine(project: Project, operator: Operator) -> Iterator[Machine]:
    """The first of two days was built."""
    one = Machine(operator, datetime.now(UTC))
    with misbehaving(one.reply) as bank:
        project.platform(PLATFORM.format(url=bank.url))
        project.declare(BODY.format(start=one.day(-2)), name="retail")
        operator.does(f"data-platform run retail --partition {one.day(-2)}")
        yield one


@rehearses("the-clock-jumped")
def test_a_day_that_was_built_too_early_is_built_again_when_it_is_over(
    chapter: Chapter, operator: Operator, project: Project, machine: Machine
) -> None:
    operator.does(f"data-platform run retail --partition {machine.day(-1)}")
    operator.is_green()
    machine.is_wrong_by(ONE_DAY)
    # Everything is late at once; today counts as over, and is built as its automation would do it.
    page = operator.sees(chapter)
    assert "RED staging/retail/rates" in page
    operator.does("data-platform run retail")
    looked = operator.looks(chapter)
    assert "behind this machine's" in looked[BANK]
    assert f"{machine.day(0)} was" in looked["data-platform why raw/retail/rates"]
    assert project.column(BEST, "rate", machine.day(0)) == [0.5]

    def wait() -> None:
        page = operator.does("data-platform status retail")
        assert f"{machine.day(0)} is published, and not over by this machine's clock" in page
        machine.waits_a_day()

    operator.mends(chapter, machine.is_right, wait)
    assert "3 green of 3 assets" in operator.is_green()
    assert sorted(project.column(BEST, "rate")) == [1.0, 2.0, 3.0]


@rehearses("the-clock-jumped")
def test_days_that_were_not_due_by_a_clock_that_was_behind_are_made_up_for(
    chapter: Chapter, operator: Operator, project: Project, machine: Machine
) -> None:
    machine.is_wrong_by(-ONE_DAY)
    operator.sees(chapter)
    operator.does("data-platform run retail")  # which builds the day before yesterday again
    looked = operator.looks(chapter)
    assert "ahead of this machine's" in looked[BANK]
    operator.mends(chapter, machine.is_right, lambda: None)
    assert "3 green of 3 assets" in operator.is_green()
    assert sorted(project.column(BEST, "rate")) == [1.0, 2.0]
