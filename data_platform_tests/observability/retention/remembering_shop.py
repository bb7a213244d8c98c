"""A shop with a long history: real runs of days, one of them told hundreds of times by SQL."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster_history import History

from data_platform.automation.evaluation.sensor import AutomationSensor
from data_platform.definitions import definitions_of
from data_platform.loading import Loaded, load
from data_platform.observability.retention.ground import Gone
from data_platform.observability.retention.kinds import remove_old
from data_platform.plan.keys import Key
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import Settings

PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
partitions: {every: day, start: 2024-01-01, end: 2024-01-05}
sources:
  orders: {type: file, path: "in/{partition_key}.csv", settle: 0s}
staging:
  orders:
    from: raw.orders
    quality:
      - {range: {column: id, max: 100}}
      - {range: {column: amount, max: 1000, on_violation: quarantine}}
"""
NOW = datetime(2024, 1, 20, tzinfo=UTC)
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
NEVER = "2024-01-04"
"""A day whose run failed, and that wasn't run again."""


class Silent:
    """Hears of a run and says nothing."""

    def started(self, key: Key, partitions: int) -> None:
        """Nothing."""

    def finished(self, report: AssetReport) -> None:
        """Nothing."""


class RememberingShop(History):
    """The shop, its lake and its instance.

    Args:
        folder: of its own.
        instance: Dagster's.
        url: of Dagster's database.
    """

    def __init__(self, folder: Path, instance: dg.DagsterInstance, url: str) -> None:
        super().__init__(url)
        self.folder, self.instance = folder, instance
        (folder / "pipelines" / "shop").mkdir(parents=True, exist_ok=True)
        (folder / "in").mkdir(exist_ok=True)
        (folder / "pipelines" / "shop" / "pipeline.yaml").write_text(PIPELINE)
        self.keep("{}")

    def keep(self, retention: str) -> Loaded:
        """Say what is kept for how long."""
        platform = f'lake: {{root: "{self.folder}/lake"}}\nretention: {retention}\n'
        (self.folder / "pipelines" / "platform.yaml").write_text(platform)
        settings = Settings(self.folder, self.folder / ".data", (self.folder / "pipelines",))
        self.loaded = load(settings, {})
        assert not self.loaded.problems, self.loaded.problems
        return self.loaded

    def orders(self, day: str, *rows: tuple[int, int]) -> None:
        """Write the file of a day: numbers and amounts."""
        lines = ["id,amount", *(f"{number},{amount}" for number, amount in rows)]
        (self.folder / "in" / f"{day}.csv").write_text("\n".join(lines) + "\n")

    @property
    def definitions(self) -> dg.Definitions:
        """Of Dagster."""
        return definitions_of(self.loaded, NOW)

    def run(self, *days: str) -> RunReport:
        """Run all of it for days."""
        request = Request("shop", keys=days)
        return run_pipeline(self.definitions, self.loaded, self.instance, request, Silent(), NOW)


def evaluated(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """What conditions that know nothing yet ask for."""
    assert any(isinstance(one, AutomationSensor) for one in definitions.sensors or ())
    result = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=NOW)
    found: dict[str, list[str]] = {}
    for one in result.results:
        subset = one.true_subset
        keys = subset.expensively_compute_asset_partitions() if subset.size else ()
        found[one.key.to_user_string()] = sorted(str(key.partition_key) for key in keys)
    return found


def remove(shop: RememberingShop, retention: str, *, dry: bool = False) -> dict[str, Gone]:
    """What goes, by kind."""
    swept = remove_old(shop.keep(retention), shop.instance, "ann", dry=dry)
    assert swept is not None
    assert (swept.trouble, swept.ended) == ({}, True)
    return {name: gone for name, gone in swept.gone.items() if gone.count}
