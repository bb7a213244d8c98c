"""`on_finish`: called once after each run of a pipeline, with what truly came of it."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
from dagster._core.test_utils import create_run_for_test

from data_platform.automation.endings import endings_sensor
from data_platform.definitions import definitions_of
from data_platform.endings import telling
from data_platform.endings.facts import RunFacts
from data_platform.endings.telling import tell_end
from data_platform.instance import launcher as run_launcher
from data_platform.instance.launcher import reap_dead_runs
from data_platform.instance.liveness import lock_key
from data_platform.loading import Loaded, load
from data_platform.plan.functions import UserFunction
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
on_finish: telling:tell
max_active_runs: 1
sources:
  orders: {type: file, path: "${ORDERS}", settle: 0s}
staging:
  orders:
    from: raw.orders
    columns: {id: {type: bigint, description: Its number.}}
    quality: [{range: {column: id, max: 10}}]
"""
TELLING = """
from pathlib import Path
from data_platform.endings.facts import RunFacts

def tell(facts: RunFacts) -> None:
    with (Path(__file__).parent / "told.txt").open("a") as file:
        print(facts.text, file=file)
"""
NOW = datetime(2024, 1, 1, tzinfo=UTC)
ORDERS = dg.AssetKey(["raw", "shop", "orders"])


class Silent:
    def started(self, key: Key, partitions: int) -> None:
        pass

    def finished(self, report: AssetReport) -> None:
        pass


class Shop:
    """A pipeline of a file, and what its last step was told."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.folder = folder
        self.pipeline = folder / "pipelines" / "shop"
        self.pipeline.mkdir(parents=True)
        self.orders(1, 2, 3)
        (self.pipeline / "pipeline.yaml").write_text(PIPELINE)
        (self.pipeline / "telling.py").write_text(TELLING)
        self.loaded = self.load()

    def load(self) -> Loaded:
        settings = Settings(self.folder, self.folder / ".data", (self.folder / "pipelines",))
        loaded = load(settings, {"ORDERS": str(self.folder / "orders.csv")})
        assert not loaded.problems, loaded.problems
        return loaded

    def orders(self, *ids: int) -> None:
        (self.folder / "orders.csv").write_text("\n".join(["id", *map(str, ids)]) + "\n")

    def run(self) -> RunReport:
        definitions = definitions_of(self.loaded, NOW)
        asked = Request("shop")
        return run_pipeline(definitions, self.loaded, self.instance, asked, Silent(), NOW)

    def tell_end(self, run_id: str, seconds: float = 60) -> list[str]:
        return tell_end(self.instance, run_id, self.loaded.plan.pipelines, seconds)

    @property
    def told(self) -> list[str]:
        file = self.pipeline / "told.txt"
        return file.read_text().splitlines() if file.exists() else []

    def log(self, run_id: str) -> str:
        return "\n".join(entry.message or "" for entry in self.instance.all_logs(run_id))


@pytest.fixture
def shop(tmp_path: Path, instance: dg.DagsterInstance) -> Shop:
    return Shop(tmp_path, instance)


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> list[RunFacts]:
    """What functions would get; none is called."""
    found: list[RunFacts] = []

    def record(_function: UserFunction, facts: RunFacts, _seconds: float) -> None:
        found.append(RunFacts.from_json(facts.as_json()))

    monkeypatch.setattr(telling, "call", record)
    return found


def test_function_is_called_in_its_own_process_after_a_run(shop: Shop) -> None:
    report = shop.run()
    assert report.succeeded, [asset.message for asset in report.assets]
    [line] = shop.told
    assert line.startswith("shop succeeded; 6 rows in 2 of 2 assets, ")
    assert shop.tell_end(report.run_ids[0]) == []
    assert len(shop.told) == 1


def test_function_learns_what_came_of_each_asset(shop: Shop, facts: list[RunFacts]) -> None:
    [run_id] = shop.run().run_ids
    [told] = facts
    assert (told.pipeline, told.run_id, told.outcome) == ("shop", run_id, "success")
    assert told.link == f"/runs/{run_id}"
    assert shop.instance.get_run_by_id(run_id).tags["data_platform/max_active_runs.shop"] == "1"
    assert [(one.key, one.rows_out) for one in told.assets] == [
        ("raw/shop/orders", 3),
        ("staging/shop/orders", 3),
    ]
    assert told.seconds > 0
    assert told.message is None


def test_failed_run_is_never_told_as_successful(shop: Shop, facts: list[RunFacts]) -> None:
    shop.orders(1, 11)
    assert not shop.run().succeeded
    [told] = facts
    assert told.outcome == "failed"
    assert [one.outcome for one in told.assets] == ["success", "failed"]
    assert told.text.startswith("shop failed: staging/shop/orders; 2 rows in 1 of 2 assets")
    assert "succe" not in told.text


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def tell(facts): raise ValueError('no such channel')", "no such channel"),
        ("def tell(facts): raise SystemExit(3)", "SystemExit: 3"),
        ("import os\ndef tell(facts): os.kill(os.getpid(), 9)", "ended with signal 9"),
        ("import time\ndef tell(facts): time.sleep(600)", "wasn't done within 5 s"),
    ],
)
def test_broken_function_harms_nothing_and_says_so(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    (shop.pipeline / "telling.py").write_text(code)
    shop.loaded = shop.load()
    run_id = ended_run(shop)
    [complaint] = shop.tell_end(run_id, 5 if "sleep" in code else 60)
    assert message in complaint
    assert message in shop.log(run_id)
    assert shop.instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.SUCCESS
    assert shop.tell_end(run_id) == []


def ended_run(shop: Shop, status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS) -> str:
    return create_run_for_test(
        shop.instance, status=status, asset_selection=frozenset([ORDERS])
    ).run_id


def test_run_that_was_canceled_is_told_as_canceled(shop: Shop, facts: list[RunFacts]) -> None:
    shop.tell_end(ended_run(shop, dg.DagsterRunStatus.CANCELED))
    assert [told.outcome for told in facts] == ["canceled"]


def test_run_without_its_steps_is_no_success(shop: Shop, facts: list[RunFacts]) -> None:
    shop.tell_end(ended_run(shop))
    assert [told.outcome for told in facts] == ["failed"]


def test_run_that_goes_on_isnt_told(shop: Shop, facts: list[RunFacts]) -> None:
    shop.tell_end(ended_run(shop, dg.DagsterRunStatus.STARTED))
    assert facts == []


def test_run_of_another_pipeline_isnt_told(shop: Shop, facts: list[RunFacts]) -> None:
    other = frozenset([dg.AssetKey(["raw", "other", "orders"])])
    run = create_run_for_test(
        shop.instance, status=dg.DagsterRunStatus.SUCCESS, asset_selection=other
    )
    shop.tell_end(run.run_id)
    assert facts == []


def test_run_that_somebody_else_tells_isnt_told_twice(
    shop: Shop, facts: list[RunFacts], dagster_url: str
) -> None:
    run_id = ended_run(shop)
    with closing(psycopg2.connect(dagster_url)) as other, other.cursor() as cursor:
        lock = [lock_key(f"finish {run_id} shop")]
        cursor.execute("SELECT pg_advisory_lock(%s)", lock)
        shop.tell_end(run_id)
        assert facts == []
        # A connection that is closed has its locks until the server has seen that.
        cursor.execute("SELECT pg_advisory_unlock(%s)", lock)
        shop.tell_end(run_id)
    assert len(facts) == 1


def test_run_made_from_one_that_was_told_is_told(shop: Shop, facts: list[RunFacts]) -> None:
    first = ended_run(shop)
    shop.tell_end(first)
    tags = shop.instance.get_run_by_id(first).tags
    again = create_run_for_test(
        shop.instance,
        status=dg.DagsterRunStatus.SUCCESS,
        asset_selection=frozenset([ORDERS]),
        tags=dict(tags),
    )
    shop.tell_end(again.run_id)
    assert [told.run_id for told in facts] == [first, again.run_id]


def ticking(shop: Shop) -> Callable[[], str]:
    """Ticks of the sensor, with the cursor of the one before."""
    sensor = endings_sensor(shop.loaded.plan.pipelines)
    assert sensor is not None
    repository = definitions_of(shop.loaded, NOW).get_repository_def()
    cursor: list[str | None] = [None]

    def tick() -> str:
        context = dg.build_sensor_context(
            shop.instance, cursor=cursor[0], repository_def=repository
        )
        data = sensor.evaluate_tick(context)
        cursor[0] = data.cursor
        return data.skip_message or ""

    return tick


def test_sensor_tells_once_of_a_run_that_died(
    shop: Shop, facts: list[RunFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher, "COMMAND_PATIENCE_SECONDS", 0.1)
    ended_run(shop)  # before the sensor was there
    tick = ticking(shop)
    tick()
    run_id = ended_run(shop, dg.DagsterRunStatus.STARTED)
    tick()
    assert facts == []
    assert reap_dead_runs(shop.instance) == [run_id]
    tick()
    tick()
    assert [(told.run_id, told.outcome) for told in facts] == [(run_id, "failed")]
    assert "process that executed this run is gone" in (facts[0].message or "")


def test_sensor_goes_on_after_a_tick_that_was_lost(shop: Shop, facts: list[RunFacts]) -> None:
    tick = ticking(shop)
    tick()
    runs = [ended_run(shop) for _ in range(3)]
    shop.tell_end(runs[0])  # as a tick does that dies before its cursor is written
    tick()
    assert [told.run_id for told in facts] == runs


def test_pipelines_without_a_last_step_have_no_sensor(shop: Shop) -> None:
    text = PIPELINE.replace("on_finish: telling:tell\n", "")
    (shop.pipeline / "pipeline.yaml").write_text(text)
    assert endings_sensor(shop.load().plan.pipelines) is None
