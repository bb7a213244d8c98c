"""Several code locations of one Dagster: what is one's is told, counted and removed by it alone."""

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.tags import CODE_LOCATION_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat

from data_platform.asset_specs import platform_key
from data_platform.automation.pools import about_of, set_pools
from data_platform.definitions import definitions_of
from data_platform.doctor.dagster_storage import dagster_storage
from data_platform.instance.circuit_store import CircuitStore
from data_platform.instance.database import newest_migration
from data_platform.instance.locations import note_location
from data_platform.instance.own_tables import Tables, transaction
from data_platform.loading import Loaded, load
from data_platform.observability.alerts.sensor import problem_words
from data_platform.observability.alerts.watching import Looked, Watched, watch
from data_platform.observability.incidents import folding, keeping
from data_platform.observability.incidents.keeping import open_incidents
from data_platform.observability.metrics.counters import Counters
from data_platform.observability.metrics.counting import count_new
from data_platform.observability.metrics.known import Known
from data_platform.observability.openlineage.sensor import described, tick
from data_platform.observability.retention.kinds import kept_by_all, longer_words
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import DEFAULT_LOCATION, Settings, environment_with

PLATFORM = """
lake: {{root: "{folder}/lake"}}
alerts: {{channels: {{out: {{url: "json://127.0.0.1:9/{name}"}}}}}}
lineage: {{file: events.jsonl}}
pools: {pools}
retention: {retention}
"""
PIPELINE = """
version: 1
pipeline: {pipeline}
owner: team:{name}
sources:
  orders: {{type: file, path: "orders.csv", settle: 0s}}
staging:
  orders: {{from: raw.orders, quality: [{{range: {{column: id, max: 100}}}}]}}
"""
NOW = datetime(2024, 2, 1, tzinfo=UTC)


class Silent:
    """Hears of a run and says nothing."""

    def started(self, key: Key, partitions: int) -> None:
        """Nothing."""

    def finished(self, report: AssetReport) -> None:
        """Nothing."""


class Team:
    """A team with a code location of its own.

    Args:
        name: of the location, and of its pipeline.
        folder: of its own.
        instance: Dagster's, which others have too.
    """

    def __init__(self, name: str, folder: Path, instance: dg.DagsterInstance) -> None:
        self.name = name
        self.folder = folder / name
        self.instance = instance
        self.now = datetime.now(UTC)
        self.counters = Counters()
        self.sent: list[str] = []
        (self.folder / "pipelines" / "orders").mkdir(parents=True)
        self.orders(1)
        self.declare()

    def declare(
        self, pipeline: str | None = None, pools: str = "{}", retention: str = "{}"
    ) -> None:
        """Write what is read from now on, and note it as the daemon does."""
        given = {"folder": self.folder, "name": self.name, "pools": pools, "retention": retention}
        (self.folder / "pipelines" / "platform.yaml").write_text(PLATFORM.format(**given))
        text = PIPELINE.format(pipeline=pipeline or self.name, name=self.name)
        folder = self.folder / "pipelines" / "orders"
        folder.rename(folder.with_name(pipeline or self.name)) if folder.exists() else None
        (self.folder / "pipelines" / (pipeline or self.name)).mkdir(exist_ok=True)
        (self.folder / "pipelines" / (pipeline or self.name) / "pipeline.yaml").write_text(text)
        pipelines = self.folder / "pipelines"
        settings = Settings(self.folder, self.folder / ".data", (pipelines,))
        self.loaded: Loaded = load(settings, {})
        assert not self.loaded.problems, self.loaded.problems
        self.note()

    def at_home(self) -> AbstractContextManager[None]:
        """In the processes of this location."""
        return environment_with({"DATA_PLATFORM_LOCATION": self.name})

    def note(self) -> None:
        """What its sensor does each minute."""
        with self.at_home():
            names = [pipeline.name for pipeline in self.loaded.plan.pipelines]
            about = about_of(names, self.loaded.workspace.platform)
            note_location(self.instance, f"served-{self.name}", about)

    def orders(self, *ids: int) -> None:
        """Write its file."""
        (self.folder / "orders.csv").write_text("\n".join(["id", *map(str, ids)]) + "\n")

    def run(self) -> RunReport:
        """Run its pipeline."""
        with self.at_home():
            definitions = definitions_of(self.loaded, NOW)
            request = Request(self.name)
            return run_pipeline(definitions, self.loaded, self.instance, request, Silent(), NOW)

    def look(self) -> Looked:
        """One look of its alerts."""
        self.now += timedelta(seconds=15)
        broken = {name: problem_words(self.loaded.problems_of(name)) for name in self.loaded.broken}
        alerts, expand = self.loaded.workspace.platform.alerts, self.loaded.outside().expand
        watched = Watched(self.loaded.plan, alerts, expand, broken, lambda: self.now)
        with self.at_home():
            return watch(self.instance, watched)

    def open(self) -> list[str]:
        """What is wrong, as its people see it."""
        with self.at_home():
            return [one.name for one in open_incidents(self.instance)]

    def count(self) -> dict[tuple[str, ...], float]:
        """What its exporter has counted."""
        with self.at_home():
            count_new(self.instance, Known(self.loaded.plan.nodes), self.counters)
        return {
            (name.removeprefix("data_platform_"), *labels): values[0]
            for (name, labels), values in self.counters.counts.items()
        }

    def told(self) -> list[tuple[str, str]]:
        """The events of lineage that its sink has, after a tick."""
        lineage = self.loaded.workspace.platform.lineage
        assert lineage is not None
        with self.at_home():
            tick(self.instance, self.loaded, lineage, described(self.loaded, lineage))
        file = self.folder / "events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(one["job"]["name"], one["eventType"]) for one in map(json.loads, lines)]


class MakesTeam(Protocol):
    def __call__(self, name: str) -> Team: ...


@pytest.fixture
def team(tmp_path: Path, instance: dg.DagsterInstance) -> MakesTeam:
    def made(name: str) -> Team:
        return Team(name, tmp_path, instance)

    return made


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What channels were sent: the location's own part of its address, and the title."""
    found: list[tuple[str, str]] = []

    def send(channel: Any, message: Any, _expand: object) -> None:
        found.append((channel.url.rpartition("/")[2], message.title))

    module = sys.modules["data_platform.observability.alerts.delivering"]
    monkeypatch.setattr(module, "send", send)
    monkeypatch.setattr(folding, "WAIT", timedelta(0))
    return found


@pytest.fixture
def a(team: MakesTeam) -> Team:
    return team("a")


@pytest.fixture
def b(team: MakesTeam) -> Team:
    return team("b")


def look_in_turn(*teams: Team, times: int = 2) -> None:
    for _ in range(times):
        for one in teams:
            one.look()


def test_what_fails_in_one_location_is_told_there_alone_until_it_is_well_there(
    a: Team, b: Team, taken: list[tuple[str, str]]
):
    look_in_turn(a, b, times=1)
    a.orders(1, 1000)
    assert not a.run().succeeded
    assert b.run().succeeded
    look_in_turn(b, a, b)
    assert [name for name, _ in taken] == ["a"]
    assert "staging/a/orders" in taken[0][1]
    assert (a.open(), b.open()) == (["staging/a/orders"], [])
    assert b.run().succeeded
    look_in_turn(b, a, b)
    assert len(taken) == 1
    a.orders(1)
    assert a.run().succeeded
    look_in_turn(b, a, b)
    assert [(name, title.partition("]")[0]) for name, title in taken] == [
        ("a", "[error"),
        ("a", "[recovered"),
    ]
    assert a.open() == []


def lost(instance: dg.DagsterInstance, ago: timedelta) -> None:
    """The daemon that ticks sensors was heard of last so long ago."""
    at = (datetime.now(UTC) - ago).timestamp()
    instance.add_daemon_heartbeat(DaemonHeartbeat(at, "SENSOR", "id"))


def test_a_daemon_that_is_lost_is_told_by_one_location_and_so_is_that_it_is_back(
    a: Team, b: Team, instance: dg.DagsterInstance, taken: list[tuple[str, str]]
):
    look_in_turn(a, b, times=1)
    lost(instance, timedelta(minutes=20))
    look_in_turn(b, a, b, a)
    assert [name for name, _ in taken] == ["b"]
    lost(instance, timedelta(0))
    look_in_turn(a, b, a)
    assert [name for name, _ in taken] == ["b", "b"]
    assert taken[1][1].startswith("[recovered]")
    assert (a.open(), b.open()) == ([], [])


def test_each_location_counts_what_is_its_own(a: Team, b: Team, instance: dg.DagsterInstance):
    for one in (a, b):
        one.count()
    a.run()
    for _ in range(2):
        b.run()
    of_none = {"served-a": "success", "served-b": "failure"}
    for served, end in of_none.items():
        tags = {CODE_LOCATION_TAG: served}
        run = create_run_for_test(instance, job_name="by_hand", tags=tags)
        if end == "success":
            instance.report_dagster_event(_ended(run), run.run_id)
        else:
            instance.report_run_failed(run)
    found = {one.name: one.count() for one in (a, b)}
    assert found["a"]["asset_publications", "a", "raw", "orders", "true"] == 1
    assert not [series for series in found["a"] if "b" in series]
    assert not [series for series in found["b"] if "a" in series]
    assert found["b"]["steps", "b", "staging", "orders", "success"] == 2
    ends = {
        name: (count.get(("runs_ended", "success")), count.get(("runs_ended", "failure")))
        for name, count in found.items()
    }
    assert ends == {"a": (2, None), "b": (2, 1)}
    again = Counters()
    a.counters = again
    assert a.count() == found["a"]


def _ended(run: dg.DagsterRun) -> dg.DagsterEvent:
    return dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name, message="")


def test_lineage_of_each_location_comes_once_and_in_its_own_sink(a: Team, b: Team):
    for one in (a, b):
        one.told()
    a.run()
    b.run()
    for one in (b, a, b, a):
        one.told()
    for one in (a, b):
        told = one.told()
        assert sorted(told) == [
            (f"{one.name}.{layer}.orders", kind)
            for layer in ("raw", "staging")
            for kind in ("COMPLETE", "START")
        ]


def limits(instance: dg.DagsterInstance) -> Mapping[str, int]:
    return {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}


def test_of_a_pool_of_several_locations_the_smallest_limit_counts_while_there_are_any(
    a: Team, b: Team, instance: dg.DagsterInstance
):
    def declare(one: Team, pools: str) -> None:
        one.declare(pools=pools)
        with one.at_home():
            set_pools(instance, one.loaded.workspace.platform)

    declare(a, "{shared: 4, own: 3}")
    declare(b, "{shared: 2}")
    assert limits(instance) == {"shared": 2, "own": 3}
    declare(a, "{shared: 4}")
    assert limits(instance) == {"shared": 2}
    declare(a, "{}")
    assert limits(instance) == {"shared": 2}
    declare(b, "{}")
    assert limits(instance) == {}


def test_what_locations_share_is_kept_as_long_as_any_of_them_says(
    a: Team, b: Team, instance: dg.DagsterInstance
):
    a.declare(retention="{runs: 30d, ticks: 7d, quarantine: 7d}")
    b.declare(retention="{runs: 90d, quarantine: 90d}")
    with a.at_home():
        kept = kept_by_all(a.loaded, instance)
        assert (kept.runs, kept.ticks) == (timedelta(days=90), None)
        assert kept.quarantine == timedelta(days=7)
        said = longer_words(a.loaded, instance)
    assert said == "other code locations keep longer: runs 90d, ticks for ever"
    with b.at_home():
        assert longer_words(b.loaded, instance) == ""


def test_the_name_of_a_connection_is_of_its_location_and_a_server_is_everybody_s(
    a: Team, b: Team, instance: dg.DagsterInstance
):
    with a.at_home():
        CircuitStore(instance).set("connection shop", "down")
        CircuitStore(instance).set("server https://shop.example", "down")
        assert CircuitStore(instance).get("connection shop") == "down"
    with b.at_home():
        assert CircuitStore(instance).get("connection shop") is None
        assert CircuitStore(instance).get("server https://shop.example") == "down"


def test_one_pipeline_in_two_locations_is_told_to_both(
    a: Team, b: Team, instance: dg.DagsterInstance, dagster_url: str, taken: list[tuple[str, str]]
):
    look_in_turn(a, b, times=1)
    b.declare(pipeline="a")
    look_in_turn(a, b)
    assert sorted(taken) == [
        ("a", "[error] pipeline a has mistakes"),
        ("b", "[error] pipeline a has mistakes"),
    ]
    found = {one.what: one for one in dagster_storage(dagster_url, newest_migration, "a", ["a"])}
    told = found["code locations"]
    assert told.level == "fail"
    assert told.found == (
        "code location b has a pipeline a too: their assets have the same keys, so that each takes "
        "the other's events for its own"
    )


def test_two_locations_of_one_name_are_told_by_doctor(
    a: Team, instance: dg.DagsterInstance, dagster_url: str
):
    with a.at_home():
        sensor = definitions_of(a.loaded, NOW).get_repository_def().get_sensor_def("pools")
        sensor(dg.build_sensor_context(instance))
    found = {one.what: one for one in dagster_storage(dagster_url, newest_migration, "a", ["a"])}
    assert found["code locations"].level == "fail"
    assert "are all called a" in found["code locations"].found


def test_what_an_instance_kept_before_stays_the_default_location_s(
    a: Team, instance: dg.DagsterInstance
):
    before = Tables("incidents", keeping.INCIDENTS.steps[:1])
    kept = {
        "id": "1",
        "matter": "trouble",
        "name": "staging/shop/orders",
        "opened": NOW.isoformat(),
        "due": NOW.isoformat(),
        "signs": {
            "failure": {
                "event": "failure",
                "severity": "error",
                "at": NOW.isoformat(),
                "number": 1,
                "text": "it failed",
            }
        },
    }
    with transaction(instance, before) as connection:
        insert = "INSERT INTO data_platform_incidents (id, incident) VALUES ('1', :incident)"
        connection.execute(sa.text(insert), {"incident": json.dumps(kept)})
    assert a.open() == []
    with environment_with({"DATA_PLATFORM_LOCATION": ""}):
        assert [one.name for one in open_incidents(instance)] == ["staging/shop/orders"]


def test_each_location_has_a_platform_asset_of_its_own(a: Team):
    with a.at_home():
        assert platform_key() == dg.AssetKey(["platform", "a"])
    with environment_with({"DATA_PLATFORM_LOCATION": DEFAULT_LOCATION}):
        assert platform_key() == dg.AssetKey("platform")
