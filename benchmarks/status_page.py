"""How long `data-platform status` looks at many assets, of which some failed.

    .venv/bin/python benchmarks/status_page.py [--assets 2000] [--rounds 3]

Writes the pipelines of `workspaces.py`, and in Dagster's storage materializations of five days of
each asset and a failed check of each fiftieth; the databases of the destinations don't answer.
Every round is a process of its own, which does what the command does; figures are medians.
To reach on 2 cores: 5 s after import and load.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from workspaces import ASSETS, write

DAYS = 5
FAILED_EACH = 50


def _environ(folder: Path) -> dict[str, str]:
    return {
        "DATA_PLATFORM_HOME": str(folder),
        "DATA_PLATFORM_PIPELINES": str(folder / "pipelines"),
        "DATA_PLATFORM_DATA_DIR": str(folder / ".data"),
    }


def _look(folder: Path) -> dict[str, float]:
    """What the command does, part by part: seconds of the wall and of the processor."""
    parts: dict[str, float] = {}

    def clock(part: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        parts[f"{part}, wall"] = time.perf_counter() - wall
        parts[f"{part}, cpu"] = time.process_time() - cpu
        return result

    os.environ.update(_environ(folder))
    status, page = clock("import", _imported)
    with ExitStack() as opened, Path(os.devnull).open("w") as nowhere:
        made = clock("load and open", lambda: status._Page(None, opened))  # noqa: SLF001
        found = clock("look", made.look)
        clock("print", lambda: page.print_overview(Console(file=nowhere), found))
    print(f"{len(found.statuses)} assets, {len(found.causes)} causes", file=sys.stderr)
    return parts


def _imported() -> tuple[Any, Any]:
    """What a process of the command imports until it has printed."""
    for name in ("instance.storage", "loading", "observability.overview", "doctor.lake"):
        importlib.import_module(f"data_platform.{name}")
    status = importlib.import_module("data_platform.commands.status")
    return status, importlib.import_module("data_platform.terminal.status_page")


def _fill(folder: Path) -> None:
    """Five days of each asset, and what failed."""
    import dagster as dg  # noqa: PLC0415

    os.environ.update(_environ(folder))
    from data_platform.asset_specs import asset_key  # noqa: PLC0415
    from data_platform.instance.storage import open_instance  # noqa: PLC0415
    from data_platform.loading import load  # noqa: PLC0415
    from data_platform.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    loaded = load(settings, os.environ)
    last = datetime.now(UTC).date() - timedelta(days=1)
    days = [f"{last - timedelta(days=age)}" for age in range(DAYS)]
    with open_instance(settings) as instance:
        for number, node in enumerate(loaded.plan.nodes):
            key = asset_key(node.key)
            for day in days:
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))
            if number % FAILED_EACH == 0 and node.checks:
                check = node.checks[0].name
                event = dg.AssetCheckEvaluation(asset_key=key, check_name=check, passed=False)
                instance.report_runless_asset_event(event)


def _child(folder: Path, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", what, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--assets", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, name = arguments.child
        print(json.dumps(_look(Path(name)) if what == "look" else _fill(Path(name)) or {}))
        return
    with tempfile.TemporaryDirectory(prefix="dp-status-") as name:
        folder = Path(name)
        (folder / "pipelines").mkdir()
        write(folder / "pipelines", arguments.assets // ASSETS)
        folder.chmod(0o755)  # the embedded server's user passes through it
        (folder / ".data").mkdir()
        try:
            _child(folder, "fill")
            _child(folder, "look")
            rounds = [_child(folder, "look") for _ in range(arguments.rounds)]
        finally:
            from data_platform.embedded.server import stop_server  # noqa: PLC0415

            stop_server(folder / ".data")
    for part in rounds[0]:
        values = [one[part] for one in rounds]
        print(
            f"{part}: {statistics.median(values):.2f} s"
            f" (from {min(values):.2f} to {max(values):.2f})"
        )


if __name__ == "__main__":
    main()
