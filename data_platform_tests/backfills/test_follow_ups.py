"""What is built after runs that Dagster started, in which some partitions failed."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from backfill_history import History

from data_platform.range_runs.tags import partition_tags
from data_platform.run_tags import CAUSE_TAG

FIRST, LAST = "2024-01-01", "2024-01-06"
DAYS = [f"2024-01-0{day}" for day in range(1, 7)]


class Dagster:
    """Its UI, its queue and its sensor daemon, as far as runs of this pipeline need them."""

    def __init__(self, history: History) -> None:
        self.history = history
        past = datetime.now(UTC) - timedelta(hours=1)
        self.cursor = json.dumps({"since": past.isoformat(), "open": []})

    def launch(self, selection: list[dg.AssetKey] | None, tags: dict[str, str]) -> dg.DagsterRun:
        """A run as the queue would execute it."""
        definitions = self.history.ground.definitions
        job = definitions.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=self.history.instance,
            asset_selection=selection,
            tags=tags,
            raise_on_error=False,
        )
        return result.dagster_run

    def tick(self) -> list[dg.RunRequest]:
        """What the sensor asks for."""
        definitions = self.history.ground.definitions
        sensor = definitions.resolve_sensor_def("follow_ups")
        with dg.build_sensor_context(
            self.history.instance, cursor=self.cursor, definitions=definitions
        ) as context:
            found = sensor.evaluate_tick(context)
        assert found.cursor is not None
        self.cursor = found.cursor
        return list(found.run_requests or ())

    def follow(self) -> list[tuple[str, ...]]:
        """Do what it asks for, until it asks for nothing; the assets of each run."""
        done: list[tuple[str, ...]] = []
        for _ in range(10):
            requests = self.tick()
            if not requests:
                return done
            for one in requests:
                done.append(tuple(sorted(key.path[2] for key in one.asset_selection or ())))
                self.launch(list(one.asset_selection or ()), dict(one.tags))
        raise AssertionError("it never ends")


@pytest.fixture
def dagster(history: History) -> Dagster:
    """Nothing has run."""
    return Dagster(history)


def range_tags(history: History) -> dict[str, str]:
    """Of a run of six days."""
    node = history.loaded.plan.nodes[0]
    return partition_tags(node.partitions, DAYS)


def test_the_sound_days_are_built_below_once(history: History, dagster: Dagster) -> None:
    history.set(bad="2024-01-03")
    run = dagster.launch(None, range_tags(history))
    assert history.events("staging/paid") == {}
    requests = dagster.tick()
    assert {one.tags[CAUSE_TAG] for one in requests} == {f"follow-up of run {run.run_id[:8]}"}
    assert len({one.run_key for one in requests}) == len(requests)
    for one in requests:
        dagster.launch(list(one.asset_selection or ()), dict(one.tags))
    dagster.follow()
    sound = [day for day in DAYS if day != "2024-01-03"]
    assert history.events("raw/paid") == dict.fromkeys(sound, 1)
    assert history.events("staging/paid") == dict.fromkeys(sound, 1)
    unread = [day for day in sound if day != "2024-01-04"]
    assert history.events("analytics/recent") == dict.fromkeys(unread, 1)
    assert json.loads(dagster.cursor)["open"] == []
    assert dagster.tick() == []


def test_what_others_have_built_since_is_left_to_them(history: History, dagster: Dagster) -> None:
    history.set(bad="2024-01-03")
    dagster.launch(None, range_tags(history))
    history.run(keys=[LAST], select=["staging/paid", "analytics/daily"])
    dagster.follow()
    assert history.events("staging/paid")[LAST] == 1
    assert history.events("analytics/daily")[LAST] == 1
    assert history.events("staging/paid")[FIRST] == 1


def test_commands_and_runs_without_a_sound_partition_are_left_alone(
    history: History, dagster: Dagster
) -> None:
    history.set(bad="2024-01-03")
    history.run(first=FIRST, end="2024-01-07")
    dagster.launch(None, partition_tags(history.loaded.plan.nodes[0].partitions, ["2024-01-03"]))
    assert dagster.tick() == []


def test_the_first_look_is_into_the_future(history: History, dagster: Dagster) -> None:
    history.set(bad="2024-01-03")
    dagster.launch(None, range_tags(history))
    definitions = history.ground.definitions
    sensor = definitions.resolve_sensor_def("follow_ups")
    with dg.build_sensor_context(history.instance, definitions=definitions) as context:
        assert not sensor.evaluate_tick(context).run_requests
