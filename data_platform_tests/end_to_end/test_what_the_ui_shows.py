"""Previews, numbers and reports of real runs, as they stand in Dagster's storage.

Ten days of orders: the third has rows to hold back, the last is broken on demand. The orders' mail
addresses tell of a person, and must be nowhere in the event log.
"""

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import duckdb
import pytest
from dagster._serdes import serialize_value
from factories import DAYS, Project

from data_platform.definitions import definitions_of
from data_platform.loading import load
from data_platform.run_reports import RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
partitions: {{every: day, start: 2024-01-01, end: 2024-02-01}}
sources:
  orders: {{type: file, settle: 0s, path: "{folder}/orders/{{partition_key}}.parquet"}}
staging:
  orders:
    from: raw.orders
    transformations:
      - rename_columns: {{mail: email}}
    columns:
      id: {{type: bigint, nullable: false}}
      email: {{type: varchar, pii: true}}
      city: {{type: varchar}}
      amount: {{type: 'decimal(12,2)', min: 0}}
    extra_columns: drop
    quality:
      - accepted_values: {{column: city, values: [Rome, Bari], on_violation: warn}}
      - unique: {{columns: [email], on_violation: warn}}
      - row_count: {{min_rows: 5, on_violation: fail}}
    on_violation: quarantine
analytics:
  cities:
    query: |
      select city, count(distinct email) as people, count(*) as orders, sum(amount) as amount
      from staging.orders group by city
destinations:
  cities: {{from: analytics.cities, type: database, connection: warehouse, table: cities}}
"""
ROWS = """
SELECT i AS id, 'person' || i || '@example.org' AS mail,
       CASE WHEN i % 4 = 0 THEN NULL WHEN i = 5 THEN 'B|ri <b>' ELSE 'Rome' END AS city,
       CAST(CASE WHEN i < {bad} THEN -1 ELSE i END AS DECIMAL(12,2)) AS amount
FROM range({rows}) r(i)
"""
FAILING = DAYS[-1]
NEWEST = DAYS[-2]
ESCAPED = r"B\|ri &lt;b&gt;"
NOW = datetime(2024, 3, 1, tzinfo=UTC)


class Shop:
    """The pipeline, its files and a Dagster instance of its own."""

    def __init__(
        self, project: Project, settings: Settings, instance: dg.DagsterInstance, warehouse: str
    ) -> None:
        self._folder = project.folder
        self._instance = instance
        (project.folder / "orders").mkdir()
        for day in DAYS:
            self.write(day, 20, bad=5 if day == DAYS[2] else 0)
        self.write(FAILING, 3)
        project.platform(
            f"lake: {{root: {project.workbench.lake.root}}}\n"
            f"connections: {{warehouse: {{type: database, url: '{warehouse}'}}}}\n"
        )
        (project.pipelines / "shop").mkdir()
        text = PIPELINE.format(folder=project.folder)
        (project.pipelines / "shop" / "pipeline.yaml").write_text(text)
        own = replace(settings, home=project.folder, pipelines_dirs=(project.pipelines,))
        self._loaded = load(own, {})
        assert not self._loaded.problems, self._loaded.problems
        self._definitions = definitions_of(self._loaded, NOW)

    def write(self, day: str, rows: int, bad: int = 0) -> None:
        """The source's file of a day."""
        path = self._folder / "orders" / f"{day}.parquet"
        with duckdb.connect() as connection:
            query = ROWS.format(rows=rows, bad=bad)
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")

    def run(self, first: str, end: str) -> RunReport:
        """Run the days from `first` to `end`, `end` not included."""
        wanted = Request("shop", first=first, end=end)
        return run_pipeline(
            self._definitions, self._loaded, self._instance, wanted, _Unwatched(), NOW
        )

    def told(self, report: RunReport, asset: str) -> dict[str, dict[str, object]]:
        """The metadata of the materializations of an asset in a run, by partition."""
        layer, _, name = asset.partition("/")
        key = dg.AssetKey([layer, "shop", name])
        found: dict[str, dict[str, object]] = {}
        for event in self.events(report, dg.DagsterEventType.ASSET_MATERIALIZATION):
            one = event.step_materialization_data.materialization
            if one.asset_key == key:
                found[one.partition or ""] = {
                    label: value.value for label, value in one.metadata.items()
                }
        return found

    def events(self, report: RunReport, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        """The events of a kind, of all runs of a report."""
        return [
            event
            for run_id in report.run_ids
            for record in self._instance.get_records_for_run(run_id, of_type=kind).records
            if (event := record.event_log_entry.dagster_event) is not None
        ]

    def log(self, report: RunReport) -> list[str]:
        """All that is stored of the runs."""
        return [
            serialize_value(record.event_log_entry)
            for run_id in report.run_ids
            for record in self._instance.get_records_for_run(run_id).records
        ]


class _Unwatched:
    def started(self, key: object, partitions: int) -> None:
        """Nobody looks."""

    def finished(self, report: object) -> None:
        """Nobody looks."""


@pytest.fixture
def shop(
    project: Project, settings: Settings, instance: dg.DagsterInstance, postgres_url: str
) -> Shop:
    return Shop(project, settings, instance, postgres_url)


def test_the_newest_partition_shows_its_first_rows_and_no_other(shop: Shop) -> None:
    report = shop.run(DAYS[0], FAILING)
    assert report.succeeded
    for asset in ("raw/orders", "staging/orders", "analytics/cities"):
        told = shop.told(report, asset)
        assert len(told) == len(DAYS) - 1
        assert [day for day, values in told.items() if "preview" in values] == [NEWEST]
    lines = str(shop.told(report, "staging/orders")[NEWEST]["preview"]).splitlines()
    assert lines[:4] == [
        "20 rows, the first 10 of them:",
        "",
        "| id | email | city | amount |",
        "| ---: | --- | --- | ---: |",
    ]
    assert len(lines) == 14
    assert set(lines[4:]) <= {
        f"| {i} | ••• | {'*NULL*' if i % 4 == 0 else 'Rome' if i != 5 else ESCAPED} | {i}.00 |"
        for i in range(20)
    }
    assert "preview" not in shop.told(report, "quarantine/orders")[NEWEST]


def test_one_partition_has_its_preview_again_when_nothing_changed(shop: Shop) -> None:
    first, second = (shop.run(DAYS[2], DAYS[3]) for _ in range(2))
    before, after = (shop.told(report, "analytics/cities")[DAYS[2]] for report in (first, second))
    assert after["unchanged"] is True
    assert after["preview"] == before["preview"]
    assert "report" not in after


def test_what_tells_of_a_person_is_nowhere_in_the_event_log(shop: Shop) -> None:
    report = shop.run(DAYS[0], "2024-01-11")
    log = shop.log(report)
    assert len(log) > 50
    assert not [entry for entry in log if "@example" in entry]
    masked = [entry for entry in log if "\\u2022\\u2022\\u2022" in entry or "•••" in entry]
    kinds = {kind for entry in masked for kind in ("preview", "examples") if f'"{kind}"' in entry}
    assert kinds == {"preview", "examples"}
    cities = str(shop.told(report, "analytics/cities")[NEWEST]["preview"])
    assert "•••" not in cities
    assert "Rome" in cities


def test_values_of_a_preview_are_no_markup(shop: Shop) -> None:
    report = shop.run(NEWEST, FAILING)
    assert ESCAPED in str(shop.told(report, "raw/orders")[NEWEST]["preview"])


def test_every_partition_has_the_numbers_that_are_plotted(shop: Shop) -> None:
    report = shop.run(DAYS[0], FAILING)
    told = shop.told(report, "staging/orders")
    assert [values["rows_quarantined"] for values in told.values()] == [0, 0, 5] + [0] * 6
    bad = told[DAYS[2]]
    assert bad.pop("bytes")
    assert isinstance(bad.pop("seconds"), float)
    assert bad == {
        "dagster/partition_row_count": 15,
        "rows_in": 20,
        "rows_quarantined": 5,
        "quarantine_percentage": 25.0,
        "null_percentage/email": 0.0,
        "null_percentage/city": 20.0,
        "null_percentage/amount": 0.0,
        "delta_version": "0",
    }
    raw = shop.told(report, "raw/orders")[DAYS[2]]
    assert set(raw) == {
        "dagster/partition_row_count", "bytes", "rows_in", "seconds", "delta_version", "files",
    }  # fmt: skip
    loaded = shop.told(report, "destinations/cities")[DAYS[2]]
    assert loaded["rows_loaded"] == loaded["dagster/partition_row_count"] == 3
    assert isinstance(loaded["rows_per_second"], float)
    again = shop.told(shop.run(DAYS[0], FAILING), "destinations/cities")[DAYS[2]]
    assert again["rows_loaded"] == 0
    assert again["unchanged"] is True


def test_a_range_is_told_in_a_report(shop: Shop) -> None:
    report = shop.run(DAYS[0], FAILING)
    text = str(shop.told(report, "staging/orders")[NEWEST]["report"])
    assert text.startswith(
        "**9 of 9 partitions published**: 9 changed, 0 unchanged, none failed.\n\n"
        "| rows in | rows out | quarantined |\n| ---: | ---: | ---: |\n| 180 | 175 | 5 (2.78%) |"
    )
    assert f"| {DAYS[2]} | 20 | 5 | 25.00% |" in text
    assert "- range_amount, quarantine: 5 of 180 rows, in 1 of 9 partitions" in text
    assert "slowest part first: " in text
    assert "raw/shop/orders" in text.splitlines()[-1]
    assert "staging/shop/orders" in text.splitlines()[-1]
    load = str(shop.told(report, "destinations/cities")[NEWEST]["report"])
    assert "analytics/shop/cities" in load.splitlines()[-1]


def test_a_failure_has_the_report_and_says_what_to_do(shop: Shop) -> None:
    report = shop.run(DAYS[0], "2024-01-11")
    assert not report.succeeded
    [failure] = shop.events(report, dg.DagsterEventType.STEP_FAILURE)
    given = failure.step_failure_data.user_failure_data
    assert given is not None
    assert str(given.description) == (
        "staging/shop/orders: 1 partition was not published (nothing is published yet):\n"
        f"  {FAILING}: row_count: 3 rows, wanted at least 5\n"
        "Its checks show offending rows. Mend what is named, then: "
        f"data-platform run shop --partition {FAILING}"
    )
    assert next(iter(given.metadata)) == "report"
    told = str(given.metadata["report"].value)
    assert told.startswith("**9 of 10 partitions published**")
    assert f"- {FAILING}: row\\_count: 3 rows" in told or f"- {FAILING}: row_count: 3 rows" in told
    assert shop.told(report, "staging/orders")[NEWEST]["report"] == told


def test_a_range_of_which_nothing_passed_has_its_report_in_the_failure(shop: Shop) -> None:
    for day in DAYS[:2]:
        shop.write(day, 1)
    report = shop.run(DAYS[0], DAYS[2])
    assert not shop.told(report, "staging/orders")
    [failure] = shop.events(report, dg.DagsterEventType.STEP_FAILURE)
    given = failure.step_failure_data.user_failure_data
    assert given is not None
    assert str(given.metadata["report"].value).startswith("**0 of 2 partitions published**")


def test_events_stay_small(shop: Shop) -> None:
    report = shop.run(DAYS[0], FAILING)
    for event in shop.events(report, dg.DagsterEventType.ASSET_MATERIALIZATION):
        one = event.step_materialization_data.materialization
        assert all(len(str(value.value)) <= 4_100 for value in one.metadata.values())
        if one.partition != NEWEST:
            assert all(len(str(value.value)) <= 200 for value in one.metadata.values())
            assert len(serialize_value(event)) < 3_500


def test_examples_show_what_a_check_is_about_and_mask_the_rest(shop: Shop) -> None:
    report = shop.run(DAYS[2], DAYS[3])
    found = {
        event.asset_check_evaluation_data.check_name: event.asset_check_evaluation_data.metadata
        for event in shop.events(report, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    }
    examples = found["accepted_values_city"]["examples"]
    assert isinstance(examples, dg.TableMetadataValue)
    [first, *_] = examples.records
    assert first.data["city"] == "B|ri <b>"
    assert first.data["email"] == "•••"
