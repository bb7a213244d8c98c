"""How long `dagster dev` takes to be up, and a small asset of the demo from launch to SUCCESS.

    .venv/bin/python benchmarks/launch_latency.py [--launches 10]

Runs in a folder of its own with the project's dagster.yaml and a server of its own; the first start
makes the cluster and the tables, the second is the figure. Both depend on compiled bytecode, so
`PYTHONDONTWRITEBYTECODE` is taken out of the environment, and the first start compiles what is
not compiled yet. To reach on 2 cores: up 7 s, launch 2.5 s.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "data_platform_tests"))

from dagster_dev import DagsterDev

from data_platform.demo.retail_data import lay_files
from data_platform.embedded.server import stop_server
from data_platform.settings import PACKAGE_DIR

LOCATION = "data_platform.definitions"
ASSET = ["raw", "retail", "demographics"]
_RUN = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run {
    status creationTime startTime endTime stats { ... on RunStatsSnapshot { launchTime } }
} } }
"""


def launch(dev: DagsterDev) -> dict[str, float]:
    """Seconds from the mutation to SUCCESS, in all and by part."""
    began = time.time()
    selection = [{"path": ASSET}]
    run_id = dev.launch("__ASSET_JOB", LOCATION, assetSelection=selection)
    status = dev.wait_for_end(run_id)
    ended = time.time()
    if status != "SUCCESS":
        raise SystemExit(f"run {run_id} ended with {status}; see {dev.log}")
    run = dev.graphql(_RUN, id=run_id)["runOrError"]
    launched = run["stats"]["launchTime"]
    return {
        "all": ended - began,
        "until dequeued": launched - began,
        "until started": run["startTime"] - launched,
        "until ended": run["endTime"] - run["startTime"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=10)
    launches = parser.parse_args().launches
    folder = Path(tempfile.mkdtemp(prefix="dp-launch-"))
    folder.chmod(0o755)
    shutil.copy(PACKAGE_DIR / "dagster.yaml", folder)
    files = folder / "files"
    lay_files(files)
    dev = None
    try:
        for label in ("first start", "second start", "third start"):
            dev = DagsterDev(folder, "-m", LOCATION, RETAIL_FILES=str(files))
            print(f"dagster dev up, {label}: {dev.seconds_to_start:.1f} s")
            if label != "third start":
                dev.stop()
        launch(dev)
        results = [launch(dev) for _ in range(launches)]
        for part in results[0]:
            values = [result[part] for result in results]
            print(
                f"launch, {part}: median {statistics.median(values):.2f} s"
                f" (from {min(values):.2f} to {max(values):.2f})"
            )
    finally:
        if dev is not None:
            dev.stop()
        stop_server(folder / ".data")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
