"""A pipeline with a history, for tests of backfills."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from backfill_history import History


@pytest.fixture
def history(tmp_path: Path, dagster_url: str) -> Iterator[History]:
    """Nothing of it has run."""
    made = History(tmp_path, dagster_url)
    yield made
    made.close()
