"""Values of a run, from Dagster's run configuration and from the command, to rows and records."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import dagster as dg
import pytest
from dagster_dev import DagsterDev, wait_until
from deltalake import DeltaTable
from retail_platform import Databases

from data_platform.definitions import definitions_of
from data_platform.errors import PermanentError
from data_platform.loading import Loaded, load
from data_platform.observability.querying import ask
from data_platform.plan.keys import Key
from data_platform.run_reports import RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import PACKAGE_DIR, Settings
from data_platform.testing import materialize

PIPELINE = """
version: 1
pipeline: money
owner: team:money
partitions: {every: day, start: 2024-01-01, end: 2024-01-04}
sources:
  paid:
    type: python
    function: paid:fetch
    parameters:
      least: {type: int, default: 0, description: The least amount that is paid.}
staging:
  paid:
    from: raw.paid
    parameters:
      least: {type: int, default: 0}
      most: {type: float, default: 100}
    transformations:
      - filter_rows: amount >= :least
    quality:
      - range:
          column: amount
          max: :most
analytics:
  total:
    parameters:
      least: {type: int, default: 1, description: Amounts below it don't count.}
      since: {type: date, default: 2024-01-01}
      word: {type: str, default: all}
      sure: {type: bool, default: false}
    query: |
      SELECT CAST(COUNT(*) AS BIGINT) AS n, :word AS word, :since AS since, :sure AS sure
      FROM staging.paid WHERE amount >= :least
    automation: eager
  plain:
    query: SELECT COUNT(*) AS n FROM staging.paid
    automation: manual
"""
MODULE = """
def fetch(partition, least):
    return [{"amount": amount, "day": partition.key} for amount in range(least, 5)]
"""
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
TOTAL = dg.AssetKey(["analytics", "money", "total"])
STEP = "analytics__money__total"
NOW = datetime(2024, 2, 1, tzinfo=UTC)


def lay_out(folder: Path) -> Path:
    pipeline = folder / "pipelines" / "money"
    pipeline.mkdir(parents=True)
    (pipeline.parent / "platform.yaml").write_text(f"lake: {{root: '{folder}/lake'}}\n")
    (pipeline / "pipeline.yaml").write_text(PIPELINE)
    (pipeline / "paid.py").write_text(MODULE)
    return pipeline


class Silent:
    """Shows nothing."""

    def started(self, key: Key, partitions: int) -> None: ...

    def finished(self, report: object) -> None: ...


class Money:
    """The pipeline in a folder of its own, over an instance of Dagster's own."""

    def __init__(self, folder: Path) -> None:
        lay_out(folder)
        settings = Settings(folder, folder / ".data", (folder / "pipelines",))
        self.loaded: Loaded = load(settings, {})
        assert not self.loaded.problems, self.loaded.problems
        self.definitions = definitions_of(self.loaded, NOW)
        self.instance = dg.DagsterInstance.ephemeral()

    def run(self, *settings: str, select: tuple[str, ...] = (), **which: str) -> RunReport:
        wanted = Request("money", select=select, settings=settings, **(which or {"first": DAYS[0]}))
        return run_pipeline(self.definitions, self.loaded, self.instance, wanted, Silent(), NOW)

    def newest(self, key: dg.AssetKey = TOTAL) -> dg.AssetMaterialization:
        found = self.instance.get_latest_materialization_event(key)
        assert found is not None
        assert found.asset_materialization is not None
        return found.asset_materialization

    def schema(self, step: str) -> Any:
        """The fields of a step's configuration."""
        schema = self.job().get_node_named(step).definition.config_schema
        return getattr(schema.config_type if schema else None, "fields", {})

    def job(self) -> dg.JobDefinition:
        return self.definitions.resolve_implicit_global_asset_job_def()


@pytest.fixture
def money(tmp_path: Path) -> Money:
    return Money(tmp_path)


# The command's way ------------------------------------------------------------------------------


def test_a_setting_reaches_every_asset_that_has_it_and_one_asset_by_its_name(money: Money) -> None:
    report = money.run("analytics/total.least=4", "least=2", "word=it's", "since=2020-02-29")
    assert report.succeeded
    config = money.instance.get_run_by_id(report.run_ids[0]).run_config  # pyright: ignore
    assert config["ops"] == {
        "raw__money__paid": {"config": {"least": 2}},
        "staging__money__paid": {"config": {"least": 2}},
        STEP: {"config": {"least": 4, "word": "it's", "since": "2020-02-29"}},
    }
    assert _rows(money) == {"n": 1, "word": "it's", "since": "2020-02-29", "sure": False}


def test_what_was_set_is_recorded_with_the_run_the_rows_and_the_commit(money: Money) -> None:
    report = money.run("least=2", "sure=false")
    run = money.instance.get_run_by_id(report.run_ids[0])
    assert run is not None
    assert "analytics/total.least=2" in run.tags["data_platform/set"]
    told = money.newest().metadata["parameters"]
    assert told == dg.JsonMetadataValue({"least": 2})
    table = money.loaded.workbench().lake.table(Key("analytics", "money", "total"))
    assert "least" in json.dumps(DeltaTable(table.uri).history(1), default=str)
    money.run()
    assert "parameters" not in money.newest().metadata


def _rows(money: Money) -> dict[str, object]:
    found = ask(
        "SELECT n, word, CAST(since AS VARCHAR) AS since, sure FROM analytics.total",
        money.loaded.plan,
        money.loaded.workbench(),
        1,
    )
    return dict(zip(found.columns, found.rows[0], strict=True))


def test_a_step_without_settings_has_its_defaults_and_the_version_of_its_code(money: Money) -> None:
    money.run()
    first = (money.newest().tags or {})["dagster/code_version"]
    money.run("word=other")
    assert (money.newest().tags or {})["dagster/code_version"] == first
    assert _rows(money)["word"] == "other"


def test_a_rule_that_a_setting_makes_stricter_keeps_rows_back(money: Money) -> None:
    report = money.run("most=3.5", select=("raw/paid", "staging/paid"))
    assert not report.succeeded
    assert "range_amount" in (report.assets[1].message or "")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("leas=1", r"--set leas: there is no such parameter; did you mean least\?"),
        ("zzz=1", "of the selected assets there are least, most, since, word, sure"),
        ("least", "--set least: name=value is needed"),
        ("=1", "name=value is needed"),
        ("least=x", r"--set least: raw/money/paid: expected a whole number .* found 'x'"),
        ("since=2024-1-1", r"expected a day, such as 2017-01-31 \(type date\); found '2024-1-1'"),
        ("sure=1", "expected true or false"),
        ("analytics/total.leas=1", r"did you mean analytics/total\.least\?"),
        ("analytics/totl.least=1", r"did you mean analytics/total\.least\?"),
        ("analytics/plain.least=1", "there is no such parameter; analytics/plain has none"),
    ],
)
def test_a_setting_that_is_wrong_is_told_before_anything_runs(
    money: Money, setting: str, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        money.run(setting)
    assert money.instance.get_runs_count() == 0


def test_all_settings_that_are_wrong_are_told_at_once(money: Money) -> None:
    with pytest.raises(PermanentError) as caught:
        money.run("least=x", "nothing=1", select=("analytics/total",))
    assert str(caught.value).count("--set") == 2


def test_a_parameter_of_an_asset_that_is_not_selected_is_none(money: Money) -> None:
    with pytest.raises(PermanentError, match="selected assets there are least, since, word, sure"):
        money.run("most=1", select=("analytics/total",))


def test_a_test_may_set_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay_out(tmp_path)
    monkeypatch.setenv("DATA_PLATFORM_PIPELINES", str(folder.parent))
    run = materialize("money", tmp_path / "state", partition=DAYS[0], settings=["least=3"], now=NOW)
    assert run.query("SELECT n FROM money.analytics.total") == [{"n": 2}]


# Dagster's way ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"least": "5"}, 'Value "5" of type'),
        ({"least": True}, "is not valid for expected type"),
        ({"least": 2**63}, "a whole number of 64 bits"),
        ({"since": "2024-02-30"}, "expected a day, such as 2017-01-31"),
        ({"since": 5}, 'Value "5" of type'),
        ({"leas": 5}, 'unexpected config entry "leas"'),
    ],
)
def test_dagster_refuses_what_does_not_fit_before_anything_runs(
    money: Money, config: dict[str, object], message: str
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=message):
        money.job().execute_in_process(
            run_config={"ops": {STEP: {"config": config}}},
            partition_key=DAYS[0],
            instance=money.instance,
        )


def test_the_schema_tells_types_defaults_and_descriptions(money: Money) -> None:
    fields = money.schema(STEP)
    assert {name: field.config_type.given_name for name, field in fields.items()} == {
        "least": "Int64",
        "since": "Date",
        "word": "Text",
        "sure": "TrueOrFalse",
    }
    assert fields["since"].default_value == "2024-01-01"
    assert fields["least"].description == "Amounts below it don't count."
    assert money.schema("analytics__money__plain") == {}


# The real processes ------------------------------------------------------------------------------

LOCATION = "data_platform.definitions"
_BACKFILL = """
mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
} }
"""
_ENDED = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) {\
    ... on PartitionBackfill { status error { message } } } }"
_RUNS = "{ runsOrError { ... on Runs { results { runId status runConfigYaml\
    tags { key value } } } } }"
_SENSOR = """
mutation ($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
    __typename
    ... on PythonError { message }
} }
"""
_LAUNCH = """
mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename
    ... on RunConfigValidationInvalid { errors { message } }
} }
"""


@pytest.fixture(scope="module")
def dev(
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    start_dagster_dev: Callable[..., DagsterDev],
) -> DagsterDev:
    """`dagster dev` over the pipeline."""
    folder = tmp_path_factory.mktemp("money")
    lay_out(folder)
    shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
    storage = databases.dagster()
    return start_dagster_dev(
        folder,
        "-m",
        LOCATION,
        DATA_PLATFORM_HOME=str(folder),
        DATA_PLATFORM_PIPELINES="pipelines",
        DATA_PLATFORM_STORAGE_URL=storage,
    )


def launch(dev: DagsterDev, names: list[str], day: str, config: dict[str, object]) -> str:
    return dev.launch(
        "__ASSET_JOB",
        LOCATION,
        assetSelection=[{"path": name.split("/")} for name in names],
        runConfigData=config,
        executionMetadata={"tags": [{"key": "dagster/partition", "value": day}]},
    )


def in_lake(dev: DagsterDev, day: str) -> dict[str, Any]:
    """The published row of a day."""
    table = DeltaTable(str(dev.folder / "lake" / "analytics" / "money" / "total"))
    (row,) = table.to_pyarrow_table(filters=[("partition", "=", day)]).to_pylist()
    return row


ALL = ["raw/money/paid", "staging/money/paid", "analytics/money/total"]


def test_a_run_of_the_launchpad_has_what_it_says_and_defaults_besides(dev: DagsterDev) -> None:
    config: dict[str, object] = {"ops": {STEP: {"config": {"least": 3, "word": "ü"}}}}
    assert dev.wait_for_end(launch(dev, ALL, DAYS[0], config)) == "SUCCESS"
    row = in_lake(dev, DAYS[0])
    assert (row["n"], row["word"], str(row["since"])) == (2, "ü", "2024-01-01")


def test_what_does_not_fit_is_refused_by_the_webserver(dev: DagsterDev) -> None:
    selector = {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": ["analytics", "money", "total"]}],
    }
    params = {"selector": selector, "runConfigData": {"ops": {STEP: {"config": {"least": "x"}}}}}
    answer = dev.graphql(_LAUNCH, params=params)["launchRun"]
    assert answer["__typename"] == "RunConfigValidationInvalid", answer
    assert "Int64" in answer["errors"][0]["message"]


def test_a_day_that_there_is_not_starts_no_run(dev: DagsterDev) -> None:
    config: dict[str, object] = {"ops": {STEP: {"config": {"since": "2024-02-30"}}}}
    before = len(dev.graphql(_RUNS)["runsOrError"]["results"])
    with pytest.raises(HTTPError) as caught:
        launch(dev, ALL, DAYS[0], config)
    told = caught.value.read().decode()
    assert "expected a day, such as 2017-01-31 (type date); found '2024-02-30'" in told
    assert len(dev.graphql(_RUNS)["runsOrError"]["results"]) == before


def test_a_backfill_has_the_defaults(dev: DagsterDev) -> None:
    params = {
        "partitionNames": DAYS,
        "assetSelection": [{"path": name.split("/")} for name in ALL],
    }
    answer = dev.graphql(_BACKFILL, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer

    def ended() -> bool:
        found = dev.graphql(_ENDED, id=answer["backfillId"])["partitionBackfillOrError"]
        assert found["status"] not in {"FAILED", "COMPLETED_FAILED"}, found
        return found["status"] == "COMPLETED_SUCCESS"

    wait_until(ended, 120)
    assert [in_lake(dev, day)["n"] for day in DAYS] == [4, 4, 4]
    assert in_lake(dev, DAYS[0])["word"] == "all"


def test_a_run_of_the_automation_has_the_defaults(dev: DagsterDev) -> None:
    sensors = dev.graphql(
        "query ($s: RepositorySelector!) { sensorsOrError(repositorySelector: $s) {\
            ... on Sensors { results { name } } } }",
        s={"repositoryLocationName": LOCATION, "repositoryName": "__repository__"},
    )["sensorsOrError"]["results"]
    for sensor in sensors:
        dev.graphql(
            _SENSOR,
            selector={
                "repositoryLocationName": LOCATION,
                "repositoryName": "__repository__",
                "sensorName": sensor["name"],
            },
        )
    # Other rows in staging than the total was made of.
    config: dict[str, object] = {"ops": {"staging__money__paid": {"config": {"least": 4}}}}
    run_id = launch(dev, ALL[1:2], DAYS[2], config)
    assert dev.wait_for_end(run_id) == "SUCCESS"

    def by_itself() -> bool:
        return in_lake(dev, DAYS[2])["n"] == 1

    wait_until(by_itself, 180, every=1)
    runs = dev.graphql(_RUNS)["runsOrError"]["results"]
    automatic = [
        run
        for run in runs
        if any(
            tag["key"] == "dagster/automation_condition" or "sensor" in tag["key"]
            for tag in run["tags"]
        )
    ]
    assert automatic, runs
    assert all("config" not in run["runConfigYaml"] for run in automatic)
