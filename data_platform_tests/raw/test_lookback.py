"""Partitions before a run's own are read again, as far as the source's lookback goes."""

import json

import pytest
from factories import DAYS, PIPELINE, Project, outcome, verdict

from data_platform.quality.gate import Passage

CODE = """
import json, pathlib

def fetch(partition):
    rows = json.loads(pathlib.Path({path!r}).read_text())
    if partition.key in rows.get("broken", []):
        raise ValueError("not to be read")
    return [dict(id=i, day=partition.key) for i in rows.get(partition.key, [])]
"""
RULE = "    quality:\n      - range: {column: id, min: 0}\n"


class Daily:
    """A daily source `events` whose rows a test changes."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._path = project.folder / "feed.json"
        self.rows: dict[str, list[object]] = {day: [n] for n, day in enumerate(DAYS)}
        folder = project.pipelines / PIPELINE
        folder.mkdir(exist_ok=True)
        (folder / "feed.py").write_text(CODE.format(path=str(self._path)))
        self.declare("2d")

    def declare(self, lookback: str) -> None:
        """Write the pipeline."""
        self.project.declare(
            "sources:\n  events:\n    type: python\n    function: feed:fetch\n"
            f"    lookback: {lookback}\n{RULE}",
            daily=True,
        )

    def run(self, *days: str) -> Passage:
        """Land days."""
        self._path.write_text(json.dumps(self.rows))
        return self.project.land_source("events", *days)

    def ids(self, *days: str) -> list[object]:
        """What is published."""
        return self.project.column("raw/events", "id", *days)


@pytest.fixture
def daily(project: Project) -> Daily:
    return Daily(project)


def test_late_rows_of_the_partitions_before_come(daily: Daily) -> None:
    daily.run(*DAYS[:4])
    daily.rows[DAYS[2]] = [2, 22]
    daily.rows[DAYS[1]] = [1, 11]
    passage = daily.run(DAYS[4])
    assert passage.publication is not None
    assert passage.publication.changed == {DAYS[2], DAYS[4]}
    assert daily.ids() == [0, 1, 2, 22, 3, 4]
    assert not passage.failed
    assert verdict(passage, "lookback") == "pass"


def test_an_unchanged_partition_isnt_told(daily: Daily) -> None:
    daily.run(*DAYS[:4])
    daily.rows[DAYS[2]] = [2, 22]
    passage = daily.run(DAYS[4])
    assert passage.publication is not None
    assert set(passage.publication.versions) == {DAYS[2], DAYS[4]}
    again = daily.run(DAYS[4])
    assert again.publication is not None
    assert set(again.publication.versions) == {DAYS[4]}
    assert again.publication.changed == frozenset()


def test_a_lookback_is_cut_at_the_first_partition(daily: Daily) -> None:
    passage = daily.run(DAYS[1])
    assert passage.publication is not None
    assert set(passage.publication.versions) == {DAYS[0], DAYS[1]}


@pytest.mark.parametrize(("lookback", "days"), [("1h", 1), ("1d", 1), ("25h", 2), ("0s", 0)])
def test_a_part_of_a_day_is_a_day(daily: Daily, lookback: str, days: int) -> None:
    daily.declare(lookback)
    passage = daily.run(DAYS[5], DAYS[6])
    assert passage.publication is not None
    assert sorted(passage.publication.versions) == DAYS[5 - days : 7]


def test_a_partition_before_that_breaks_a_rule_keeps_its_last_version(daily: Daily) -> None:
    daily.run(*DAYS[:4])
    daily.rows[DAYS[3]] = [-3]
    passage = daily.run(DAYS[4])
    assert not passage.failed
    assert daily.ids(DAYS[3], DAYS[4]) == [3, 4]
    assert verdict(passage, "range_id") == "warn"
    told = outcome(passage, "lookback").findings[DAYS[4]].detail
    assert told == f"{DAYS[3]}: range_id: 1 of 1 rows; what was published of them stands"


def test_a_partition_before_that_cant_be_read_keeps_its_last_version(daily: Daily) -> None:
    daily.run(*DAYS[:4])
    daily.rows["broken"] = [DAYS[3]]
    passage = daily.run(DAYS[4])
    assert not passage.failed
    assert daily.ids(DAYS[3], DAYS[4]) == [3, 4]
    assert verdict(passage, "lookback") == "warn"


def test_a_runs_own_partition_that_fails_leaves_those_before_it(daily: Daily) -> None:
    daily.run(*DAYS[:4])
    daily.rows[DAYS[3]] = [3, 33]
    daily.rows[DAYS[4]] = [-4]
    passage = daily.run(DAYS[4])
    assert passage.failed == {DAYS[4]: "range_id: 1 of 1 rows"}
    assert verdict(passage, "range_id") == "fail"
    assert daily.ids(DAYS[3], DAYS[4]) == [3, 33]
