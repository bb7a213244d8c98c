"""Lakes for benchmarks, filled before anybody is timed.

Called by benchmarks whose contestants start from published tables.
"""

from datetime import timedelta
from pathlib import Path

from data_platform.demo.retail_data import FIRST_DAY
from data_platform.engine.outside import Outside
from data_platform.loading import Loaded
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import RawNode, StagingNode
from data_platform.quality.gate import Passage
from data_platform.raw.extraction import extract
from data_platform.staging.computing import compute

METADATA = {"run_id": "benchmark"}


def land(loaded: Loaded, name: str, days: int) -> int:
    """Publish a raw asset, the first days of it where it has partitions; gives its rows."""
    node = loaded.plan[Key("raw", "bench", name)]
    assert isinstance(node, RawNode)
    first, end = FIRST_DAY.isoformat(), (FIRST_DAY + timedelta(days=days)).isoformat()
    keys = node.partitions.timed.between(first, end) if node.partitions else [WHOLE]
    return _rows(extract(node, keys, loaded.workbench(), outside_of(loaded), METADATA))


def outside_of(loaded: Loaded) -> Outside:
    """The databases of the pipelines, as a step reaches them."""
    return loaded.outside()


def stage(loaded: Loaded, name: str) -> int:
    """Publish a staging asset without partitions; gives its rows."""
    node = loaded.plan[Key("staging", "bench", name)]
    assert isinstance(node, StagingNode)
    return _rows(compute(node, [WHOLE], loaded.workbench(), METADATA))


def only_file(lake: Path, name: str) -> Path:
    """The file of a raw asset without partitions."""
    (file,) = (lake / "raw" / "bench" / name).glob("*.parquet")
    return file


def _rows(passage: Passage) -> int:
    if passage.failed or passage.publication is None:
        raise SystemExit(f"not published: {passage.failed}")
    return sum(version.rows for version in passage.publication.versions.values())
