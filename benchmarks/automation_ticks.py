"""How long a tick of automation takes, from Dagster's daemon through the code server and back.

    .venv/bin/python benchmarks/automation_ticks.py [--pipelines 200] [--contestants platform]

Writes pipelines of ten assets with daily partitions of a year, and starts a code server and
Dagster's daemon over a PostgreSQL of their own. At first conditions are judged as of the same time
yesterday, when all that was due is built: the processes begin, and come to rest. Then a day begins:
from the next tick on conditions are judged as of now, each asset lacks a partition, and a run a
pipeline is requested: a tick takes a part of the assets, and the next ones the rest. Later ticks
see what came of it. At last come events of ten assets, and a
tick after these. Nothing is shifted but the moment that conditions are judged for, in the code
server: the daemon, the log and the states of freshness have the clock of the machine, and the
queued runs are of yesterday's partition, as they would be. Runs are made and queued, none is
started. `dagster` is Dagster's own evaluation of all assets at each tick, in the code server too,
since its daemon can't judge the platform's operands.

Seconds of the wall are those that Dagster keeps of a tick; beside them the seconds of the processor
that code server and daemon took meanwhile, which count on a busy machine.
`dagster` has 20 pipelines at most: with 200, no tick of it ends in a quarter of an hour.
To reach with 2,000 assets: 5 s for a steady tick, 20 s for the one in which a day begins.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psutil
import yaml
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from others import RESULTS
from tables import load_average, origin
from workspaces import ASSETS, write

from data_platform.definitions import definitions_of
from data_platform.instance.storage import open_instance
from data_platform.loading import load
from data_platform.settings import PACKAGE_DIR, Settings

SENSOR = "default_automation_condition_sensor"
_BEGUN = "begun"
_LATER = tuple(f"{number} later" for number in range(1, 13))
_CLOCK = f"""
import dagster._core.definitions.declarative_automation.automation_condition_evaluator as judging
from datetime import UTC, datetime, timedelta
from pathlib import Path

def moment():
    begun = Path(__file__).with_name({_BEGUN!r}).exists()
    return datetime.now(UTC) - timedelta(days=0 if begun else 1)

judging.get_current_datetime = moment
"""
_DAGSTERS_OWN = f"""
import dagster as dg
import dagster._core.definitions.automation_condition_sensor_definition as own
import data_platform.definitions as platform

own.MAX_ENTITIES = 10**6
platform.AutomationSensor = lambda: dg.AutomationConditionSensorDefinition(
    {SENSOR!r}, target="*", use_user_code_server=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
defs = platform.build_definitions(platform.load_settings(), platform.environment())
"""
_PLATFORMS = "from data_platform.definitions import defs\n"
_PATIENCE = 900
_LARGEST = {"dagster": 20}
_TITLES = ("contestant", "assets", "tick", "seconds", "of the server", "of the daemon", "runs")


@dataclass(frozen=True)
class Tick:
    """What a tick took.

    Attributes:
        contestant: whose it was.
        assets: how many there are.
        name: its number, or what came before it.
        seconds: of the wall, as Dagster keeps them.
        server: seconds of the processor that the code server took.
        daemon: those that the daemon took.
        runs: that it requested.
    """

    contestant: str
    assets: int
    name: str
    seconds: float
    server: float
    daemon: float
    runs: int

    def row(self) -> str:
        """A row of the table."""
        cells = (f"{one:.2f}" if isinstance(one, float) else str(one) for one in astuple(self))
        return f"| {' | '.join(cells)} |"


def measure(contestant: str, pipelines: int, folder: Path) -> Iterator[Tick]:
    """The ticks of a contestant."""
    about = contestant, pipelines * ASSETS
    write(folder, pipelines)
    settings = Settings(folder, folder / ".data", (folder,))
    settings.data_dir.mkdir()
    _configure(folder)
    loaded_module = _CLOCK + (_DAGSTERS_OWN if contestant == "dagster" else _PLATFORMS)
    (folder / "loaded.py").write_text(loaded_module)
    loaded = load(settings, {})
    keys = sorted(
        definitions_of(loaded, datetime.now(UTC)).resolve_asset_graph().materializable_asset_keys
    )
    environment = os.environ | {
        "DATA_PLATFORM_HOME": str(folder),
        "DATA_PLATFORM_PIPELINES": str(folder),
        "DAGSTER_HOME": str(folder),
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": str(_PATIENCE),
    }
    with ExitStack() as stack:
        instance = stack.enter_context(open_instance(settings))
        day = datetime.now(UTC).date() - timedelta(days=2)
        _publish(instance, keys, str(day))
        processes = stack.enter_context(_dagster(folder, environment))
        seen: set[int] = set()
        for name in ("processes begin", *_LATER):
            yield Tick(*about, name, *_next(instance, processes, seen))
        (folder / _BEGUN).touch()
        begun: list[tuple[float, Tick]] = []
        for name in ("a day begins", *_LATER):
            begun.append((time.time(), Tick(*about, name, *_next(instance, processes, seen))))
            yield begun[-1][1]
        yield _until_the_last_run(begun)
        _publish(instance, keys[:: max(1, len(keys) // 10)][:10], str(day))
        for name in ("ten events", _LATER[0]):
            yield Tick(*about, name, *_next(instance, processes, seen))


def _until_the_last_run(ticks: list[tuple[float, Tick]]) -> Tick:
    """From the beginning of the first tick to the end of the last one that requested a run.

    Args:
        ticks: each with the moment from which on it was waited for: the end of the one before.
    """
    last = max((number for number, (_, tick) in enumerate(ticks) if tick.runs), default=0)
    asking = [tick for _, tick in ticks[: last + 1]]
    ended = ticks[last + 1][0]
    began = ticks[1][0] - asking[0].seconds
    return Tick(
        asking[0].contestant,
        asking[0].assets,
        "all its runs are queued",
        ended - began,
        sum(tick.server for tick in asking),
        sum(tick.daemon for tick in asking),
        sum(tick.runs for tick in asking),
    )


def _configure(folder: Path) -> None:
    config = yaml.safe_load((PACKAGE_DIR / "dagster.yaml").read_text())
    config["concurrency"]["runs"]["max_concurrent_runs"] = 0
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))


def _publish(instance: dg.DagsterInstance, keys: list[dg.AssetKey], day: str) -> None:
    for key in keys:
        tags = {"dagster/data_version": str(time.time())}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day, tags=tags))


@contextmanager
def _dagster(folder: Path, environment: dict[str, str]) -> Iterator[list[psutil.Process]]:
    """A code server and a daemon."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    location = {"host": "127.0.0.1", "port": port, "location_name": "shop"}
    workspace = {"load_from": [{"grpc_server": location}]}
    (folder / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    loaded = ["--python-file", str(folder / "loaded.py"), "--working-directory", str(folder)]
    at = ["--host", "127.0.0.1", "--port", str(port)]
    programs = [
        [sys.executable, "-m", "dagster", "api", "grpc", *loaded, *at],
        [sys.executable, "-m", "dagster._daemon", "run", "-w", str(folder / "workspace.yaml")],
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, program in enumerate(programs):
            with (folder / f"process_{number}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        program,
                        env=environment,
                        cwd=folder,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
            _wait_for(port)
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise SystemExit("the code server doesn't answer")


def _next(
    instance: dg.DagsterInstance, processes: list[psutil.Process], seen: set[int]
) -> tuple[float, float, float, int]:
    """The next tick that ends: seconds of it, of server and daemon, and how many runs it made."""
    until = time.monotonic() + _PATIENCE
    before = [_processor_seconds(process) for process in processes]
    while time.monotonic() < until:
        for tick in _ticks(instance):
            if tick.tick_id in seen or tick.status == TickStatus.STARTED:
                continue
            seen.add(tick.tick_id)
            if tick.error:
                raise SystemExit(tick.error.to_string())
            server, daemon = (
                _processor_seconds(process) - earlier
                for process, earlier in zip(processes, before, strict=True)
            )
            wall = (tick.end_timestamp or time.time()) - tick.timestamp
            return wall, server, daemon, len(tick.run_ids)
        time.sleep(0.2)
    raise SystemExit("no tick ends")


def _ticks(instance: dg.DagsterInstance) -> list[InstigatorTick]:
    """The ticks of the sensor, the oldest first."""
    for state in instance.all_instigator_state():
        if state.instigator_name == SENSOR:
            found = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=50)
            return sorted(found, key=lambda tick: tick.timestamp)
    return []


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pipelines", type=int, default=200)
    parser.add_argument("--contestants", nargs="+", default=["platform", "dagster"])
    arguments = parser.parse_args()
    load = load_average()
    lines = [f"| {' | '.join(_TITLES)} |", "|---" * len(_TITLES) + "|"]
    for contestant in arguments.contestants:
        pipelines = min(arguments.pipelines, _LARGEST.get(contestant, arguments.pipelines))
        with tempfile.TemporaryDirectory(prefix="dp-ticks-") as name:
            Path(name).chmod(0o755)  # the embedded server's user passes through it
            for tick in measure(contestant, pipelines, Path(name)):
                lines.append(tick.row())
                print(lines[-1], flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    command = f"automation_ticks.py --pipelines {arguments.pipelines}"
    text = "\n".join([*lines, "", origin(command, load), ""])
    (RESULTS / "automation_ticks.md").write_text(text)


if __name__ == "__main__":
    main()
