"""How long pipelines take to become Dagster definitions, beside bare Dagster assets.

    .venv/bin/python benchmarks/definitions_load.py [--assets 2000] [--rounds 3]

Writes the pipelines of `workspaces.py`, of ten assets each, and a folder for compiled
nodes, which every load but the first finds; then loads them in turn with as many bare Python
assets of the same shape (dependencies, partitions, as many checks, tags, descriptions, columns) by
hand.
Every round is a process of its own; figures are medians. Seconds of the processor are what counts
on a busy machine. To reach on 2 cores: 2,000 assets 3 s after import.
"""

import argparse
import cProfile
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workspaces import ASSETS, write


class Clock:
    """Seconds of the wall and of the processor, by part."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float]] = {}

    def __call__(self, part: str, work: Callable[[], Any]) -> Any:
        """Do some work as a part of the whole."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.parts[part] = (time.perf_counter() - wall, time.process_time() - cpu)
        return result


def load_platform(folder: Path, profile: Path | None = None) -> dict[str, tuple[float, float]]:
    """Import, read, plan, define and make the repository, each timed."""
    clock = Clock()
    definitions = clock("import", lambda: importlib.import_module("data_platform.definitions"))
    loading = importlib.import_module("data_platform.loading")
    settings = importlib.import_module("data_platform.settings").load_settings(
        {"DATA_PLATFORM_HOME": str(folder), "DATA_PLATFORM_PIPELINES": str(folder)}
    )
    # Timed where they are called, so that the whole is what Dagster calls.
    read_workspace, build_plan = loading.read_workspace, loading.build_plan
    loading.read_workspace = lambda *args: clock("read", lambda: read_workspace(*args))
    loading.build_plan = lambda *args: clock("plan", lambda: build_plan(*args))
    profiler = cProfile.Profile(time.process_time)
    if profile:
        profiler.enable()
    loaded = loading.load(settings, {})
    defs = clock("definitions", lambda: definitions.definitions_of(loaded, datetime.now(UTC)))
    repository = clock("repository", defs.get_repository_def)
    if profile:
        profiler.disable()
        profiler.dump_stats(profile)
    if loaded.problems:
        raise SystemExit("\n".join(map(str, loaded.problems[:5])))
    checks = len(repository.asset_graph.asset_check_keys)
    print(f"{len(loaded.plan.nodes)} assets, {checks} checks", file=sys.stderr)
    return clock.parts


def load_bare(assets: int) -> dict[str, tuple[float, float]]:
    """The same shape by hand: what somebody writes who makes assets in a loop."""
    clock = Clock()
    dg = clock("import", lambda: importlib.import_module("dagster"))
    defs = clock("definitions", lambda: _bare(dg, assets // ASSETS))
    clock("repository", defs.get_repository_def)
    return clock.parts


def _bare(dg: Any, pipelines: int) -> Any:
    partitions = dg.DailyPartitionsDefinition("2024-01-01", timezone="UTC")
    columns = ("order_id", "customer_id", "status", "amount", "discount", "net", "ordered_at")
    table = dg.TableSchema([dg.TableColumn(name, "bigint", "Its number.") for name in columns])
    policy = dg.FreshnessPolicy.cron(
        deadline_cron="0 8 * * *", lower_bound_delta=timedelta(hours=8)
    )
    condition = dg.AutomationCondition.eager()

    def asset(key: list[str], deps: list[list[str]], checks: int) -> Any:
        @dg.multi_asset(
            name="__".join(key),
            specs=[
                dg.AssetSpec(
                    dg.AssetKey(key),
                    deps=[dg.AssetKey(dep) for dep in deps],
                    description="One sound line of a receipt, with its prices as money.",
                    group_name=key[1],
                    owners=["team:branch"],
                    tags={"domain": "sales", "criticality": "medium"},
                    kinds={"sql", "delta"},
                    code_version="1",
                    partitions_def=partitions,
                    metadata={"dagster/column_schema": table},
                    automation_condition=condition,
                    freshness_policy=policy,
                )
            ],
            check_specs=[
                dg.AssetCheckSpec(f"check_{i}", asset=dg.AssetKey(key), description="One.")
                for i in range(checks)
            ],
            backfill_policy=dg.BackfillPolicy.single_run(),
            required_resource_keys={"lake"},
        )
        def step() -> Any:
            yield from ()

        return step

    made = []
    for number in range(pipelines):
        name = f"branch_{number}"
        made += [asset(["raw", name, f"orders_{i}"], [], 3) for i in (0, 1)]
        made += [
            asset(["staging", name, f"orders_{i}"], [["raw", name, f"orders_{i % 2}"]], 8)
            for i in (0, 1, 2)
        ]
        made += [
            asset(
                ["analytics", name, f"revenue_{i}"],
                [["staging", name, f"orders_{j}"] for j in (0, 1, 2) if j != i],
                2,
            )
            for i in (0, 1, 2)
        ]
        made += [
            asset(["destinations", name, f"table_{i}"], [["analytics", name, f"revenue_{i}"]], 0)
            for i in (0, 1)
        ]
    sensor = dg.AutomationConditionSensorDefinition("automation", target=dg.AssetSelection.all())
    resources = {"lake": dg.ResourceDefinition.none_resource()}
    return dg.Definitions(assets=made, sensors=[sensor], resources=resources)


def _child(folder: Path, what: str, assets: int) -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--child", what, str(folder), "--assets", str(assets)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--assets", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", type=Path, help="write a profile of one load, and end")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, folder = arguments.child
        parts = load_bare(arguments.assets) if what == "bare" else load_platform(Path(folder))
        print(json.dumps(parts))
        return
    with tempfile.TemporaryDirectory(prefix="dp-definitions-") as name:
        folder = Path(name)
        count = write(folder, arguments.assets // ASSETS)
        (folder / ".data").mkdir()
        _child(folder, "platform", count)  # compiles
        if arguments.profile:
            print(load_platform(folder, arguments.profile))
            return
        rounds = [
            {what: _child(folder, what, count) for what in ("platform", "bare")}
            for _ in range(arguments.rounds)
        ]
    totals: dict[str, list[float]] = {}
    for what in ("platform", "bare"):
        for index, unit in enumerate(("wall", "cpu")):
            for part in rounds[0][what]:
                values = [one[what][part][index] for one in rounds]
                print(
                    f"{what}, {part}, {unit}: {statistics.median(values):.2f} s"
                    f" (from {min(values):.2f} to {max(values):.2f})"
                )
            loads = [sum(v[index] for p, v in one[what].items() if p != "import") for one in rounds]
            totals[f"{what} {unit}"] = loads
            print(f"{what}, all after import, {unit}: {statistics.median(loads):.2f} s")
    for unit in ("wall", "cpu"):
        pairs = zip(totals[f"platform {unit}"], totals[f"bare {unit}"], strict=True)
        print(f"ratio to bare assets, {unit}: {statistics.median(a / b for a, b in pairs):.2f}")


if __name__ == "__main__":
    main()
