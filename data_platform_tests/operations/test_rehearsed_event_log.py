"""A log of hundreds of runs: what is old and replaced goes, and all is told as it was before."""

import re

import dagster as dg
import pytest
from dagster_history import History
from factories import Project
from handbook import Chapter, Operator, assert_shows, rehearses

BODY = """partitions: {every: day, start: 2024-01-01, end: 2024-01-03}
sources:
  rates: {type: file, path: "in/{partition_key}.csv", settle: 0s}
staging:
  rates:
    from: raw.rates
    quality:
      - not_null: rate
"""
DAYS = ["2024-01-01", "2024-01-02"]
RUN = "data-platform run retail --from 2024-01-01 --to 2024-01-03"
RATES = dg.AssetKey(["staging", "retail", "rates"])
TIMES = 300
_SIZE = re.compile(r"event_logs +\| (?P<size>\d+ \w+)")


@pytest.fixture
def history(project: Project, operator: Operator, dagster_url: str) -> History:
    """Two days, built long ago, then again and again, the last time now."""
    project.platform("{}\n")
    project.declare(BODY, name="retail")
    (project.folder / "in").mkdir()
    write(project, 1.0)
    operator.does(RUN)
    told = History(dagster_url)
    told.grow_older(300)
    [(first,)] = told.sql("SELECT run_id FROM runs")
    told.tell_again(first, TIMES)
    write(project, 2.0)
    operator.does(RUN)
    operator.is_green()
    return told


def write(project: Project, rate: float) -> None:
    for number, day in enumerate(DAYS):
        (project.folder / "in" / f"{day}.csv").write_text(f"rate\n{rate + number}\n")


def size(printed: str) -> str:
    """Of the log, as `psql` shows it; whole kilobytes at first, then larger units."""
    found = _SIZE.search(printed)
    assert found is not None, printed
    return found["size"]


@rehearses("the-event-log-grows")
def test_what_is_old_goes_and_all_that_is_needed_stays(
    chapter: Chapter,
    operator: Operator,
    project: Project,
    history: History,
    instance: dg.DagsterInstance,
) -> None:
    [dry, sizes] = chapter.look
    refused = operator.looks(chapter)
    assert "platform.yaml keeps all for ever: say what goes" in refused[dry]

    def declare() -> None:
        project.platform("retention:\n  runs: 180d\n  events: 30d\n")
        looked = operator.looks(chapter)
        assert_shows(chapter.symptom, looked[dry] + looked[sizes])

    why = operator.does("data-platform why staging/retail/rates")
    before, log = operator.looks(chapter)[sizes], history.counts()
    mended = operator.mends(chapter, declare, lambda: None)
    assert re.search(r"^runs +3\d\d", mended["data-platform retention"], re.MULTILINE)
    after = operator.looks(chapter)
    assert "nothing is old" in after[dry]
    assert size(after[sizes]) != size(before)
    left = history.counts()
    assert left["event_logs"] * 10 < log["event_logs"]
    assert left["runs"] < 5

    assert "2 green of 2 assets" in operator.is_green()
    assert operator.does("data-platform why staging/retail/rates") == why
    nothing = operator.does("data-platform backfill retail --failed-only --yes")
    assert "nothing is failed" in nothing
    assert instance.get_materialized_partitions(RATES) == set(DAYS)
    assert sorted(project.column("staging/retail/rates", "rate")) == [2.0, 3.0]
    operator.does(RUN)
    operator.is_green()
