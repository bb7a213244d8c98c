"""A pipeline of files and its sensor, tick by tick; nothing runs unless a test says so."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from data_platform.automation.sensors.file_states import cursor_of, states_of
from data_platform.definitions import definitions_of
from data_platform.loading import Loaded, load
from data_platform.settings import Settings

HEAD = "version: 1\npipeline: {name}\nowner: team:shop\n"
DAILY = "partitions: {every: day, start: 2024-01-01}\n"
OLD = timedelta(hours=1)


class Shop:
    """Pipelines below a folder, the folder `in` for files, and an instance."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, platform: str = "") -> None:
        self.folder = folder
        self.instance = instance
        self.inbox = folder / "in"
        self.inbox.mkdir()
        self.pipelines = folder / "pipelines"
        self.pipelines.mkdir()
        (self.pipelines / "platform.yaml").write_text(f"lake:\n  root: {folder}/lake\n{platform}")
        self.cursors: dict[str, str | None] = {}
        self.waited = timedelta()
        """That passes between two ticks for files which are waited for."""

    def declare(self, body: str, name: str = "shop") -> None:
        (self.pipelines / name).mkdir(exist_ok=True)
        (self.pipelines / name / "pipeline.yaml").write_text(HEAD.format(name=name) + body)

    def loaded(self) -> Loaded:
        loaded = load(Settings(self.folder, self.folder / ".data", (self.pipelines,)), os.environ)
        assert not loaded.problems, loaded.problems
        return loaded

    def definitions(self) -> dg.Definitions:
        return definitions_of(self.loaded(), datetime.now(UTC))

    def put(self, name: str, content: str = "id\n1\n", age: timedelta = OLD) -> Path:
        """A file that has stood still for a while."""
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.part")
        beside.write_text(content)
        moment = (datetime.now(UTC) - age).timestamp()
        os.utime(beside, (moment, moment))
        return beside.rename(path)

    def tick(
        self, sensor: str = "shop_files", definitions: dg.Definitions | None = None
    ) -> dg.SensorResult:
        """One tick of a sensor, however short the last is ago; its cursor is kept."""
        result = self.tick_that_is_lost(sensor, definitions)
        self.cursors[sensor] = result.cursor
        return result

    def let_time_pass(self, sensor: str, seconds: float = 86_400) -> None:
        """Have all that a cursor remembers be that much longer ago."""
        # The cursors of other sensors have no times.
        states = states_of(self.cursors.get(sensor))
        past = timedelta(seconds=seconds)
        if states:
            self.cursors[sensor] = cursor_of(
                {
                    name: replace(
                        state,
                        at=state.at and state.at - past,
                        waiting=state.waiting
                        and replace(state.waiting, since=state.waiting.since - self.waited),
                    )
                    for name, state in states.items()
                }
            )

    def tick_that_is_lost(
        self, sensor: str = "shop_files", definitions: dg.Definitions | None = None
    ) -> dg.SensorResult:
        """A tick whose requests and cursor never reach Dagster's storage."""
        self.let_time_pass(sensor)
        repository = (definitions or self.definitions()).get_repository_def()
        found = repository.get_sensor_def(sensor)
        with dg.build_sensor_context(
            self.instance, self.cursors.get(sensor), repository_def=repository
        ) as context:
            data = found.evaluate_tick(context)
        return dg.SensorResult(
            run_requests=list(data.run_requests or []),
            skip_reason=None if data.run_requests else data.skip_message,
            cursor=data.cursor,
            asset_events=list(data.asset_events),
            dynamic_partitions_requests=list(data.dynamic_partitions_requests or []),
        )


def asked(result: dg.SensorResult) -> dict[str, str]:
    """What is asked for: the cause, by assets and partitions."""
    return {_what(request): request.tags["data_platform/cause"] for request in _of(result)}


def why_not(result: dg.SensorResult) -> str:
    assert not result.run_requests, asked(result)
    assert result.skip_reason is not None
    return result.skip_reason.skip_message or ""


def _what(request: dg.RunRequest) -> str:
    names = "+".join(sorted(key.path[-1] for key in request.asset_selection or ()))
    tags = request.tags
    first = tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition") or ""
    last = tags.get("dagster/asset_partition_range_end") or ""
    return " ".join(filter(None, [names, first, last]))


def _of(result: dg.SensorResult) -> Sequence[dg.RunRequest]:
    return result.run_requests or ()
